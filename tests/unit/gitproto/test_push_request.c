#include "gitproto/push_request.h"

#include "tests/unit/gitproto/git_test.h"

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B40 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define Z40 "0000000000000000000000000000000000000000"
#define A64 A40 "aaaaaaaaaaaaaaaaaaaaaaaa"
#define Z64 Z40 "000000000000000000000000"

/* A body from lines: NULL ends, "" is a flush, "-" a delimiter. */
static void
make_body(struct buf *b, const struct slice *lines, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (lines[i].len == 0)
			pktline_add_flush(b);
		else if (slice_eq_str(lines[i], "-"))
			pktline_add_delim(b);
		else
			pktline_add(b, lines[i]);
	}
}

/* All that a request says, as one text, to compare. */
static void
describe(struct buf *out, const struct push_request *r)
{
	for (size_t i = 0; i < r->n_commands; i++) {
		const struct push_request_command *c = &r->commands[i];

		assert_int_equal(strlen(c->ref), c->ref_len);
		buf_addf(out, "%c%c %s;", oid_text(&c->old)[0], oid_text(&c->new)[0], c->ref);
	}
	for (size_t i = 0; i < r->n_options; i++)
		buf_addf(out, "option %s;", r->options[i]);
	if (r->n_shallow > 0)
		buf_addf(out, "shallow %zu;", r->n_shallow);
	if (r->cert.len > 0)
		buf_add_str(out, "cert;");
	buf_addf(out, "%s%s%s%s%s%s%s%s", r->report_status ? "1" : "",
		 r->report_status_v2 ? "2" : "", r->side_band_64k ? "s" : "", r->quiet ? "q" : "",
		 r->atomic ? "a" : "", r->push_options ? "o" : "", r->ofs_delta ? "d" : "",
		 r->has_pack ? " pack" : "");
}

static const struct push_request_opts usual = {
	.format = OID_SHA1, .push_options = true, .atomic = true, .accept_cert = true
};

struct row {
	const char *want; /* described; NULL: refused */
	int rc;
	const char *words;
	struct slice lines[8];
};

#define L(s) SLICE_LIT(s)
#define FLUSH SLICE_LIT("")

static const struct row rows[] = {
	{ "", 0, NULL, { FLUSH } },
	{ "ab refs/heads/x; pack", 0, NULL, { L(A40 " " B40 " refs/heads/x"), FLUSH } },
	{ "ab refs/heads/x;12sqad pack",
	  0,
	  NULL,
	  { L(A40 " " B40 " refs/heads/x\0report-status report-status-v2 side-band-64k quiet "
		  "atomic ofs-delta object-format=sha1 agent=git/2"),
	    FLUSH } },
	{ "a0 refs/heads/x;", 0, NULL, { L(A40 " " Z40 " refs/heads/x\0 "), FLUSH } },
	{ "a0 refs/heads/x;0b refs/heads/y; pack",
	  0,
	  NULL,
	  { L(A40 " " Z40 " refs/heads/x\n"), L(Z40 " " B40 " refs/heads/y\n"), FLUSH } },
	{ "ab r;shallow 2; pack",
	  0,
	  NULL,
	  { L("shallow " A40 "\n"), L("shallow " B40), L(A40 " " B40 " r"), FLUSH } },
	{ "ab r;option one;option two=2;o pack",
	  0,
	  NULL,
	  { L(A40 " " B40 " r\0push-options"), FLUSH, L("one"), L("two=2\n"), FLUSH } },
	{ "ab r;o pack", 0, NULL, { L(A40 " " B40 " r\0push-options"), FLUSH, FLUSH } },
	{ "ab r;ab s;1a pack",
	  0,
	  NULL,
	  { L(A40 " " B40 " r\0atomic"), L(A40 " " B40 " s\0report-status"), FLUSH } },
	{ "ab ; pack", 0, NULL, { L(A40 " " B40 " "), FLUSH } },
	{ "ab r;cert;1 pack",
	  0,
	  NULL,
	  { L("push-cert\0report-status"), L("certificate version 0.1\n"),
	    L("\n" A40 " " B40 " r\n"), L("-----BEGIN PGP SIGNATURE-----\nx\n"),
	    L("push-cert-end\n"), FLUSH } },
	/* refused */
	{ NULL,
	  ERR_BAD,
	  "malformed push certificate",
	  { L("push-cert"), L("certificate version 0.1\n"), L("push-cert-end\n"), FLUSH } },
	{ NULL,
	  ERR_BAD,
	  "protocol error: got both push certificate and unsigned commands",
	  { L("push-cert"), L("v\n\n"), L("push-cert-end\n"), L(A40 " " B40 " r"), FLUSH } },
	{ NULL, ERR_BAD, "protocol error: got an unexpected packet", { L("push-cert"), L("-") } },
	{ NULL, ERR_BAD, "protocol error: got an unexpected packet", { L("-") } },
	{ NULL,
	  ERR_BAD,
	  "protocol error: expected shallow sha, got '12345678'",
	  { L("shallow 12345678") } },
	{ NULL, ERR_BAD, "protocol error: expected old/new/ref, got 'hello'", { L("hello") } },
	{ NULL, ERR_BAD, NULL, { L(A40 " " B40 "\0") } },
	{ NULL, ERR_BAD, NULL, { L(A64 " " Z64 " refs/heads/x") } },
	{ NULL, ERR_BAD, NULL, { L(A40 "  " B40 " r") } },
	{ NULL, ERR_BAD, "remote error: oh", { L("ERR oh\n") } },
	{ NULL, ERR_BAD, NULL, { L(A40 " " B40 " r\0push-options"), FLUSH, L("a\0b") } },
	{ NULL,
	  ERR_UNSUPPORTED,
	  "error: unsupported object format 'sha256'",
	  { L(A40 " " B40 " r\0object-format=sha256") } },
};

static size_t
count_lines(const struct row *row)
{
	size_t n = COUNT(row->lines);

	while (n > 0 && row->lines[n - 1].p == NULL)
		n--;
	return n;
}

static void
table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf body = BUF_MAX(10000), got = BUF_MAX(10000);
		struct push_request r;
		struct err err = { 0 };
		ssize_t n;

		make_body(&body, rows[i].lines, count_lines(&rows[i]));
		buf_add_str(&body, "PACK");
		push_request_init(&r, &usual);
		n = push_request_feed(&r, buf_slice(&body), &err);
		if (rows[i].want == NULL) {
			if (n != rows[i].rc)
				print_message("row %zu: %zd %s\n", i, n, err.text);
			assert_int_equal(n, rows[i].rc);
			if (rows[i].words != NULL)
				assert_string_equal(err.text, rows[i].words);
		} else {
			assert_int_equal(n, body.len - 4);
			assert_true(r.done);
			describe(&got, &r);
			assert_string_equal(buf_str(&got), rows[i].want);
			assert_int_equal(push_request_feed(&r, L("PACK"), &err), 0);
		}
		push_request_release(&r);
		buf_release(&body);
		buf_release(&got);
	}
}

/* Fed in two parts, cut anywhere, and in single bytes, a body says the same. */
static void
feed_cut(const struct row *row, struct slice body, size_t cut, size_t step)
{
	struct buf got = BUF_MAX(10000);
	struct push_request r;
	size_t eaten = 0, have = cut;

	push_request_init(&r, &usual);
	for (;;) {
		struct slice part = slice_skip(slice_head(body, have), eaten);
		ssize_t n = push_request_feed(&r, part, NULL);

		assert_true(n >= 0);
		eaten += (size_t)n;
		if (have == body.len)
			break;
		have = MIN(have + step, body.len);
	}
	assert_true(r.done);
	assert_int_equal(eaten, body.len - 4);
	describe(&got, &r);
	assert_string_equal(buf_str(&got), row->want);
	push_request_release(&r);
	buf_release(&got);
}

static void
cut_at_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows) && rows[i].want != NULL; i++) {
		struct buf body = BUF_MAX(10000);

		make_body(&body, rows[i].lines, count_lines(&rows[i]));
		buf_add_str(&body, "PACK");
		for (size_t cut = 0; cut <= body.len; cut++)
			feed_cut(&rows[i], buf_slice(&body), cut, body.len);
		feed_cut(&rows[i], buf_slice(&body), 0, 1);
		buf_release(&body);
	}
}

static void
memory_gone(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows) && rows[i].want != NULL; i++) {
		struct buf body = BUF_MAX(10000);

		make_body(&body, rows[i].lines, count_lines(&rows[i]));
		for (unsigned nth = 1;; nth++) {
			struct push_request r;
			ssize_t n;

			push_request_init(&r, &usual);
			mem_fail_at(nth);
			n = push_request_feed(&r, buf_slice(&body), NULL);
			mem_fail_at(0);
			push_request_release(&r);
			if (n > 0)
				break;
			assert_int_equal(n, ERR_NOMEM);
		}
		buf_release(&body);
	}
}

static void
limits_and_wishes(void **state)
{
	const struct slice lines[] = { L(A40 " " B40 " r\0push-options atomic"),
				       L(A40 " " B40 " s"),
				       FLUSH,
				       L("a"),
				       L("b"),
				       FLUSH };
	static const struct {
		struct push_request_opts opts;
		int rc;
		const char *words;
	} limits[] = {
		{ { .max_commands = 1 }, ERR_TOO_BIG, "more than 1 refs in one push" },
		{ { .max_options = 1, .push_options = true },
		  ERR_TOO_BIG,
		  "more than 1 push options" },
		{ { .max_bytes = 150 }, ERR_TOO_BIG, "more than 150 bytes" },
		{ { .format = OID_SHA256 },
		  ERR_UNSUPPORTED,
		  "error: unsupported object format 'sha1'" },
	};
	struct buf body = BUF_MAX(1000);
	struct push_request r;
	struct err err;

	(void)state;
	make_body(&body, lines, COUNT(lines));
	for (size_t i = 0; i < COUNT(limits); i++) {
		push_request_init(&r, &limits[i].opts);
		assert_int_equal(push_request_feed(&r, buf_slice(&body), &err), limits[i].rc);
		assert_string_equal(err.text, limits[i].words);
		push_request_release(&r);
	}
	/* what was not advertised is not negotiated: the pack begins behind the first flush */
	push_request_init(&r, &(struct push_request_opts){ 0 });
	assert_int_equal(push_request_feed(&r, buf_slice(&body), &err), body.len - 14);
	assert_true(r.done && !r.push_options && !r.atomic);
	push_request_release(&r);
	push_request_init(&r, &(struct push_request_opts){ 0 });
	buf_clear(&body);
	pktline_add(&body, L("push-cert\0x"));
	assert_int_equal(push_request_feed(&r, buf_slice(&body), &err), ERR_UNSUPPORTED);
	push_request_release(&r);
	buf_release(&body);
}

static void
named_twice(void **state)
{
	const struct slice lines[] = { L(A40 " " B40 " r"), L(A40 " " B40 " s"),
				       L(A40 " " B40 " r"), FLUSH };
	struct push_request r;
	struct err err;

	(void)state;
	for (size_t from = 0; from < 2; from++) {
		struct buf body = BUF_MAX(1000);

		make_body(&body, lines + from, COUNT(lines) - from);
		push_request_init(&r, &usual);
		assert_int_equal(push_request_feed(&r, buf_slice(&body), NULL), body.len);
		assert_int_equal(push_request_unique(&r, &err), from == 0 ? ERR_REFUSED : 0);
		if (from == 0)
			assert_string_equal(err.text, "r is named twice in one push");
		push_request_release(&r);
		buf_release(&body);
	}
}

/* What the installed git sends: recorded between send-pack and receive-pack. */
static void
as_git_sends(void **state)
{
	struct buf body = BUF_MAX(1 << 20);
	struct push_request r;
	ssize_t n;

	(void)state;
	assert_int_equal(
		shell(NULL, "(git init -q --bare there && git -C there config "
			    "receive.advertisePushOptions true && git init -q here && cd here && "
			    "git commit -q --allow-empty -m x && git tag -a -m t v1 && "
			    "git push --atomic -o a=b -o c --receive-pack='f() { tee ../body | "
			    "git-receive-pack \"$1\"; }; f' ../there main v1) >log 2>&1"),
		0);
	assert_int_equal(shell(&body, "cat body"), 0);
	push_request_init(&r, &usual);
	n = push_request_feed(&r, buf_slice(&body), NULL);
	assert_true(n > 0 && r.done && r.has_pack && r.atomic && r.push_options);
	assert_true(r.report_status_v2 && r.side_band_64k);
	assert_int_equal(r.n_commands, 2);
	assert_string_equal(r.commands[0].ref, "refs/heads/main");
	assert_string_equal(r.commands[1].ref, "refs/tags/v1");
	assert_true(oid_is_zero(&r.commands[0].old) && !oid_is_zero(&r.commands[0].new));
	assert_int_equal(r.n_options, 2);
	assert_string_equal(r.options[0], "a=b");
	assert_memory_equal(buf_str(&r.agent), "git/", 4);
	assert_true(slice_begins(slice_skip(buf_slice(&body), (size_t)n), L("PACK")));
	push_request_release(&r);
	buf_release(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),       cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(memory_gone), cmocka_unit_test(limits_and_wishes),
		cmocka_unit_test(named_twice), cmocka_unit_test(as_git_sends),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
