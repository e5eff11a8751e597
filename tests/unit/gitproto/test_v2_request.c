#include "gitproto/v2_request.h"

#include "tests/unit/gitproto/git_test.h"

#define ADVERTISED                                                                       \
	"agent=git/2.39.5\nls-refs=unborn\nfetch=shallow wait-for-done\nserver-option\n" \
	"object-format=sha1\nobject-info"

/* A request from words: "" is a flush, "-" a delimiter. */
static void
make_request(struct buf *b, const char *const *lines)
{
	for (; *lines != NULL; lines++) {
		if ((*lines)[0] == '\0')
			pktline_add_flush(b);
		else if (strcmp(*lines, "-") == 0)
			pktline_add_delim(b);
		else
			pktline_add_text(b, *lines);
	}
}

static const struct {
	const char *lines[8];
	enum v2_request_command command;
	size_t args;
	const char *fatal; /* git's words, which are ours; NULL: understood */
} rows[] = {
	{ { "" }, V2_REQUEST_NONE, 0, NULL },
	{ { "command=ls-refs", "" }, V2_REQUEST_LS_REFS, 0, NULL },
	{ { "command=ls-refs", "-", "" }, V2_REQUEST_LS_REFS, 0, NULL },
	{ { "agent=x y", "command=ls-refs", "object-format=sha1", "server-option=a", "-", "peel",
	    "" },
	  V2_REQUEST_LS_REFS,
	  1,
	  NULL },
	{ { "command=fetch", "-", "done", "" }, V2_REQUEST_FETCH, 1, NULL },
	{ { "command=object-info", "-", "size", "" }, V2_REQUEST_OTHER, 1, NULL },
	{ { "command=nonsense", "" }, V2_REQUEST_OTHER, 0, "invalid command 'nonsense'" },
	{ { "command=agent", "" }, V2_REQUEST_OTHER, 0, "invalid command 'agent'" },
	{ { "command=ls-refs=x", "" }, V2_REQUEST_OTHER, 0, "invalid command 'ls-refs=x'" },
	{ { "command=ls-refs", "foo=bar", "" },
	  V2_REQUEST_LS_REFS,
	  0,
	  "unknown capability 'foo=bar'" },
	{ { "command=ls-refs", "fetch", "" }, V2_REQUEST_LS_REFS, 0, "unknown capability 'fetch'" },
	{ { "command=ls-refs", "session-id=x", "" },
	  V2_REQUEST_LS_REFS,
	  0,
	  "unknown capability 'session-id=x'" },
	{ { "command=ls-refs", "agentx", "" },
	  V2_REQUEST_LS_REFS,
	  0,
	  "unknown capability 'agentx'" },
	{ { "command=ls-refs", "command=fetch", "" },
	  0,
	  0,
	  "command 'fetch' requested after already requesting command 'ls-refs'" },
	{ { "agent=x", "" }, 0, 0, "no command requested" },
	{ { "-", "" }, 0, 0, "no command requested" },
	{ { "command=ls-refs", "-", "peel", "-", "" },
	  0,
	  0,
	  "expected flush after ls-refs arguments" },
	{ { "command=ls-refs", "object-format=sha256", "" },
	  V2_REQUEST_LS_REFS,
	  0,
	  "mismatched object format: server sha1; client sha256" },
	{ { "ERR oh", "" }, 0, 0, "remote error: oh" },
};

static void
check_row(size_t i, const struct v2_request *r)
{
	struct slice value = SLICE_NONE;
	size_t k = 0, first = 0;

	assert_int_equal(r->command, rows[i].command);
	assert_int_equal(v2_request_count(r), rows[i].args);
	while (rows[i].args > 0 && strcmp(rows[i].lines[first++], "-") != 0)
		continue;
	for (k = 0; k < rows[i].args; k++) {
		assert_slice_str(v2_request_arg(r, k), rows[i].lines[first + k]);
		assert_int_equal(v2_request_arg(r, k).p[v2_request_arg(r, k).len], '\0');
	}
	if (v2_request_cap(&value, r, "agent"))
		assert_slice_str(value, "x y");
	if (r->command != V2_REQUEST_NONE)
		assert_true(v2_request_name(r).len > 0);
}

static void
table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = BUF_MAX(1000);
		struct v2_request r;
		struct err err = { 0 };
		ssize_t n;
		int rc;

		make_request(&b, rows[i].lines);
		v2_request_init(&r, NULL);
		n = v2_request_feed(&r, buf_slice(&b), &err);
		rc = n < 0 ? (int)n : v2_request_check(&r, SLICE_LIT(ADVERTISED), OID_SHA1, &err);
		if (n > 0) {
			assert_int_equal(n, b.len);
			assert_true(r.done && r.head_done);
			check_row(i, &r);
		}
		assert_int_equal(rc == 0, rows[i].fatal == NULL);
		if (rc < 0)
			assert_string_equal(err.text, rows[i].fatal);
		v2_request_release(&r);
		buf_release(&b);
	}
}

static void
cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows) && rows[i].fatal == NULL; i++) {
		struct buf b = BUF_MAX(1000);

		make_request(&b, rows[i].lines);
		for (size_t cut = 0; cut <= b.len; cut++) {
			struct v2_request r;
			ssize_t n, m;

			v2_request_init(&r, NULL);
			n = v2_request_feed(&r, slice_head(buf_slice(&b), cut), NULL);
			assert_true(n >= 0 && (size_t)n <= cut && r.done == (cut == b.len));
			m = v2_request_feed(&r, slice_skip(buf_slice(&b), (size_t)n), NULL);
			assert_int_equal(n + m, b.len);
			check_row(i, &r);
			v2_request_release(&r);
		}
		buf_release(&b);
	}
}

static void
memory_gone(void **state)
{
	struct buf b = BUF_MAX(1000);

	(void)state;
	make_request(&b, rows[3].lines);
	for (unsigned nth = 1;; nth++) {
		struct v2_request r;
		ssize_t n;

		v2_request_init(&r, NULL);
		mem_fail_at(nth);
		n = v2_request_feed(&r, buf_slice(&b), NULL);
		mem_fail_at(0);
		v2_request_release(&r);
		if (n > 0)
			break;
		assert_int_equal(n, ERR_NOMEM);
	}
	buf_release(&b);
}

static void
limits(void **state)
{
	struct buf b = BUF_MAX(1000);
	struct v2_request r;
	struct err err;

	(void)state;
	make_request(&b, rows[3].lines);
	v2_request_init(&r, &(struct v2_request_opts){ .max_lines = 4 });
	assert_int_equal(v2_request_feed(&r, buf_slice(&b), &err), ERR_TOO_BIG);
	assert_string_equal(err.text, "more than 4 lines");
	v2_request_release(&r);
	v2_request_init(&r, &(struct v2_request_opts){ .max_bytes = 40 });
	assert_int_equal(v2_request_feed(&r, buf_slice(&b), &err), ERR_TOO_BIG);
	v2_request_release(&r);
	buf_clear(&b);
	pktline_add(&b, SLICE_LIT("command=ls-refs\0x"));
	v2_request_init(&r, NULL);
	assert_int_equal(v2_request_feed(&r, buf_slice(&b), &err), ERR_BAD);
	v2_request_release(&r);
	buf_release(&b);
}

/* The refusals are the installed git's, word for word. */
static void
as_git_says(void **state)
{
	(void)state;
	assert_int_equal(shell(NULL, "git init -q --bare r"), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = BUF_MAX(1000), out = BUF_MAX(10000);
		struct slice line;

		if (rows[i].command == V2_REQUEST_FETCH)
			continue;
		make_request(&b, rows[i].lines);
		write_file("body", buf_slice(&b));
		(void)!shell(&out, "GIT_PROTOCOL=version=2 git upload-pack --stateless-rpc r "
				   "<body 2>&1 >/dev/null");
		line = first_line(&out);
		if (rows[i].fatal == NULL) {
			assert_slice_str(line, "");
		} else {
			assert_true(slice_begins(line, SLICE_LIT("fatal: ")));
			assert_slice_str(slice_skip(line, 7), rows[i].fatal);
		}
		buf_release(&b);
		buf_release(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),       cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(memory_gone), cmocka_unit_test(limits),
		cmocka_unit_test(as_git_says),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
