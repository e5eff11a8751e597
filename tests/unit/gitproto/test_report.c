#include "gitproto/report.h"

#include "tests/unit/gitproto/git_test.h"

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct oid
id(char c)
{
	struct oid o = oid_null(OID_SHA1);

	memset(o.b, (uint8_t)c, o.len);
	return o;
}

static void
make_report(struct buf *b, bool v2)
{
	struct report_ref refs[] = {
		{ .name = "refs/heads/a" },
		{ .name = "refs/heads/b", .why = "quorum\nnot reached" },
		{ .name = "refs/for/c", .refname = "refs/heads/c", .old_oid = id('\xaa') },
		{ .name = "refs/for/c", .new_oid = id('\xaa'), .forced_update = true },
		{ .name = "refs/heads/d", .fall_through = true },
	};

	report_add_unpack(b, NULL);
	for (size_t i = 0; i < COUNT(refs); i++)
		report_add_ref(b, &refs[i], v2);
	report_add_end(b);
}

static void
formats(void **state)
{
	struct buf b = BUF_MAX(1000);

	(void)state;
	make_report(&b, false);
	assert_string_equal(buf_str(&b),
			    "000eunpack ok\n0014ok refs/heads/a\n0027ng refs/heads/b quorum not "
			    "reached\n0012ok refs/for/c\n0012ok refs/for/c\n0014ok refs/heads/d\n"
			    "0000");
	buf_clear(&b);
	make_report(&b, true);
	assert_string_equal(buf_str(&b),
			    "000eunpack ok\n0014ok refs/heads/a\n0027ng refs/heads/b quorum not "
			    "reached\n0012ok refs/for/c\n0020option refname refs/heads/c\n"
			    "003coption old-oid " A40 "\n0012ok refs/for/c\n"
			    "003coption new-oid " A40 "\n0019option forced-update\n"
			    "0014ok refs/heads/d\n0018option fall-through\n0000");
	buf_clear(&b);
	report_add_unpack(&b, "index-pack failed");
	assert_string_equal(buf_str(&b), "001dunpack index-pack failed\n");
	buf_clear(&b);
	report_add_err(&b, "no such\nrepository");
	assert_string_equal(buf_str(&b), "001aERR no such repository");
	buf_release(&b);
}

static void
there_and_back(void **state)
{
	struct buf b = BUF_MAX(1000), again = BUF_MAX(1000);
	struct report r;

	(void)state;
	make_report(&b, true);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(report_parse(&r, slice_head(buf_slice(&b), n), 10, true, NULL), 0);
	buf_add_str(&b, "rest");
	assert_int_equal(report_parse(&r, buf_slice(&b), 10, true, NULL), b.len - 4);
	assert_null(r.unpack);
	assert_int_equal(r.n, 5);
	assert_string_equal(r.refs[1].why, "quorum not reached");
	report_add_unpack(&again, r.unpack);
	for (size_t i = 0; i < r.n; i++)
		report_add_ref(&again, &r.refs[i], true);
	report_add_end(&again);
	assert_slice(buf_slice(&again), slice_head(buf_slice(&b), b.len - 4));
	report_release(&r);
	for (unsigned nth = 1;; nth++) {
		ssize_t n;

		mem_fail_at(nth);
		n = report_parse(&r, buf_slice(&b), 10, true, NULL);
		mem_fail_at(0);
		if (n > 0)
			break;
		assert_int_equal(n, ERR_NOMEM);
	}
	report_release(&r);
	buf_release(&b);
	buf_release(&again);
}

static void
odd_ones(void **state)
{
	static const struct {
		const char *in;
		bool unpack;
		ssize_t want;
		const char *words;
	} rows[] = {
		{ "000cunpack x0006ok0000", true, ERR_BAD, NULL },
		{ "0000", true, ERR_BAD, NULL },
		{ "0000", false, 4, NULL },
		{ "0009ok r\n0000", false, 13, NULL },
		{ "0009ng r\n0000", false, 13, NULL },
		{ "0009ok r\n0000", true, ERR_BAD, NULL },
		{ "000bng  why0000", false, ERR_BAD, NULL },
		{ "000cok r\nxx\n0000", false, ERR_BAD, NULL },
		{ "0011option old-oid0000", false, ERR_BAD, NULL },
		{ "0008ok r0016option old-oid abc0000", false, ERR_BAD, NULL },
		{ "0008ok r0014option new-thing0000", false, 32, NULL },
		{ "0008ok r00010000", false, ERR_BAD, NULL },
		{ "zzzz", false, ERR_BAD, NULL },
		{ "000fERR go away", true, ERR_REFUSED, "go away" },
		{ "0008ok r0008ok s0008ok t0008ok u0000", false, ERR_TOO_BIG, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct report r;
		struct err err = { 0 };
		ssize_t n = report_parse(&r, slice_str(rows[i].in), 3, rows[i].unpack, &err);

		if (rows[i].want == ERR_BAD && n == 0)
			continue; /* a length that reaches past what is there */
		if (n != rows[i].want)
			print_message("row %zu: %zd %s\n", i, n, err.text);
		assert_int_equal(n, rows[i].want);
		if (rows[i].words != NULL)
			assert_string_equal(err.text, rows[i].words);
		if (n > 0)
			report_release(&r);
	}
}

/* A push that git itself refuses in part: its report, from inside the bands. */
static void
as_git_reports(void **state)
{
	struct buf body = BUF_MAX(1000);
	struct report r;
	char zero[OID_HEX_SIZE];

	(void)state;
	oid_hex(zero, &(struct oid){ .len = 20 });
	pktline_addf(&body, "%s %s refs/heads/gone%creport-status-v2 agent=x", zero, zero, 0);
	pktline_add_flush(&body);
	write_file("body", buf_slice(&body));
	buf_clear(&body);
	assert_int_equal(shell(NULL, "git init -q --bare r && git receive-pack --stateless-rpc r "
				     "<body >out 2>/dev/null"),
			 0);
	assert_int_equal(shell(&body, "cat out"), 0);
	assert_int_equal(report_parse(&r, buf_slice(&body), 10, true, NULL), body.len);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.refs[0].name, "refs/heads/gone");
	report_release(&r);
	buf_release(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(odd_ones),
		cmocka_unit_test(as_git_reports),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
