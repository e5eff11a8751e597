#include "gitproto/ls_refs.h"

#include "tests/unit/gitproto/git_test.h"

static int
setup(void **state)
{
	if (scratch_setup(state) != 0)
		return -1;
	git_shapes_make();
	return 0;
}

static const char *const questions[][6] = {
	{ NULL },
	{ "symrefs", NULL },
	{ "peel", NULL },
	{ "unborn", NULL },
	{ "symrefs", "unborn", NULL },
	{ "peel", "symrefs", "unborn", NULL },
	{ "ref-prefix refs/heads/main", NULL },
	{ "ref-prefix refs/heads/", "ref-prefix refs/tags/", "peel", NULL },
	{ "ref-prefix refs/tags/", "ref-prefix refs/heads/", "ref-prefix HEAD", "symrefs", NULL },
	{ "ref-prefix refs/heads/a", "ref-prefix refs/heads/", "ref-prefix refs/heads/a", NULL },
	{ "ref-prefix H", "symrefs", "unborn", NULL },
	{ "ref-prefix ", "peel", NULL },
	{ "ref-prefix HEADS", NULL },
	{ "ref-prefix refs/heads/a/", "ref-prefix refs/heads/a-", NULL },
	{ "ref-prefix zzz", NULL },
	{ "ref-prefix main", "ref-prefix refs/main", "ref-prefix refs/tags/main",
	  "ref-prefix refs/heads/main", "ref-prefix refs/remotes/main", NULL },
};

static void
make_request(struct buf *b, const char *const *args, enum oid_format format)
{
	pktline_add_text(b, "command=ls-refs");
	pktline_addf(b, "object-format=%s", oid_name(format));
	pktline_add_delim(b);
	for (; *args != NULL; args++)
		pktline_add_text(b, *args);
	pktline_add_flush(b);
}

static int
answer(struct buf *out, struct slice body, const struct reflist *refs, bool unborn, struct err *err)
{
	struct v2_request r;
	struct ls_refs l;
	int rc;

	v2_request_init(&r, NULL);
	assert_int_equal(v2_request_feed(&r, body, NULL), body.len);
	rc = ls_refs_parse(&l, &r, unborn, err);
	if (rc == 0) {
		ls_refs_write(out, &l, refs);
		ls_refs_release(&l);
	}
	v2_request_release(&r);
	return rc;
}

static void
ask_git(struct buf *out, const char *repo, const char *settings)
{
	assert_int_equal(shell(out,
			       "GIT_PROTOCOL=version=2 git %s upload-pack --stateless-rpc %s "
			       "<body 2>err",
			       settings, repo),
			 0);
}

static void
as_git_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(git_shapes); i++) {
		struct git_refs refs;

		git_refs_load(&refs, git_shapes[i].name);
		for (size_t q = 0; q < COUNT(questions); q++) {
			struct buf body = BUF_MAX(10000), want = BUF_MAX(100000);
			struct buf got = BUF_MAX(100000);
			bool unborn = q % 2 == 0 || i % 2 == 0;

			make_request(&body, questions[q], refs.list.format);
			write_file("body", buf_slice(&body));
			ask_git(&want, git_shapes[i].name, unborn ? "" : "-c lsrefs.unborn=ignore");
			assert_int_equal(answer(&got, buf_slice(&body), &refs.list, unborn, NULL),
					 0);
			if (!slice_eq(buf_slice(&got), buf_slice(&want)))
				print_message("%s, question %zu\n", git_shapes[i].name, q);
			assert_slice(buf_slice(&got), buf_slice(&want));
			buf_release(&body);
			buf_release(&want);
			buf_release(&got);
		}
		git_refs_release(&refs);
	}
}

static void
unknown_arguments(void **state)
{
	static const char *const args[] = { "foobar", "peel ", "ref-prefix", "symrefs=1",
					    "ref-prefixes x" };
	const struct reflist none = { .format = OID_SHA1 };

	(void)state;
	for (size_t i = 0; i < COUNT(args); i++) {
		const char *const lines[] = { "peel", args[i], NULL };
		struct buf body = BUF_MAX(1000), got = BUF_MAX(1000), said = BUF_MAX(1000);
		struct err err;

		make_request(&body, lines, OID_SHA1);
		write_file("body", buf_slice(&body));
		assert_int_equal(answer(&got, buf_slice(&body), &none, true, &err), ERR_BAD);
		(void)!shell(&said, "GIT_PROTOCOL=version=2 git upload-pack --stateless-rpc one "
				    "<body 2>&1 >/dev/null");
		assert_slice_str(slice_skip(first_line(&said), 7), err.text);
		buf_release(&body);
		buf_release(&got);
		buf_release(&said);
	}
}

/* 65536 prefixes count as none. */
static void
too_many_prefixes(void **state)
{
	const struct reflist_item m = { "refs/heads/m", oid_null(OID_SHA1), OID_NONE };
	const struct reflist_item *items[] = { &m };
	const struct reflist refs = { items, 1, NULL, OID_NONE, OID_SHA1 };

	(void)state;
	for (size_t n = LS_REFS_PREFIXES - 1; n <= LS_REFS_PREFIXES; n++) {
		struct buf body = BUF_MAX(10 << 20), got = BUF_MAX(1000);

		pktline_add_text(&body, "command=ls-refs");
		pktline_add_delim(&body);
		for (size_t i = 0; i < n; i++)
			pktline_addf(&body, "ref-prefix x%zu\n", i);
		pktline_add_flush(&body);
		assert_int_equal(answer(&got, buf_slice(&body), &refs, true, NULL), 0);
		assert_int_equal(got.len > 4, n == LS_REFS_PREFIXES);
		buf_release(&body);
		buf_release(&got);
	}
}

static void
memory_gone(void **state)
{
	const struct reflist none = { .format = OID_SHA1 };
	struct buf body = BUF_MAX(1000), got = BUF_MAX(1000);
	struct v2_request r;
	struct ls_refs l;

	(void)state;
	make_request(&body, questions[7], OID_SHA1);
	v2_request_init(&r, NULL);
	assert_int_equal(v2_request_feed(&r, buf_slice(&body), NULL), body.len);
	mem_fail_at(1);
	assert_int_equal(ls_refs_parse(&l, &r, true, NULL), ERR_NOMEM);
	mem_fail_at(0);
	assert_int_equal(ls_refs_parse(&l, &r, true, NULL), 0);
	ls_refs_write(&got, &l, &none);
	assert_string_equal(buf_str(&got), "0000");
	ls_refs_release(&l);
	v2_request_release(&r);
	buf_release(&body);
	buf_release(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_git_answers),
		cmocka_unit_test(unknown_arguments),
		cmocka_unit_test(too_many_prefixes),
		cmocka_unit_test(memory_gone),
	};

	return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
