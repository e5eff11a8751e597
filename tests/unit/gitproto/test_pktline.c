#include "gitproto/pktline.h"

#include "tests/unit/gitproto/git_test.h"

static void
parse_table(void **state)
{
	static const struct {
		const char *in;
		ssize_t want;
		enum pktline_kind kind;
		const char *text;
		const char *words; /* of the refusal */
	} rows[] = {
		{ "0000", 4, PKTLINE_FLUSH, "", NULL },
		{ "0001", 4, PKTLINE_DELIM, "", NULL },
		{ "0002", 4, PKTLINE_RESPONSE_END, "", NULL },
		{ "0004", 4, PKTLINE_DATA, "", NULL },
		{ "0005\n", 5, PKTLINE_DATA, "", NULL },
		{ "0006a\n", 6, PKTLINE_DATA, "a", NULL },
		{ "0005arest", 5, PKTLINE_DATA, "a", NULL },
		{ "000Babcdefg", 11, PKTLINE_DATA, "abcdefg", NULL },
		{ "0007a\n\n", 7, PKTLINE_DATA, "a\n", NULL },
		{ "0003", ERR_BAD, 0, NULL, "protocol error: bad line length 3" },
		{ "zzzz", ERR_BAD, 0, NULL, "protocol error: bad line length character: zzzz" },
		{ "00 4", ERR_BAD, 0, NULL, "protocol error: bad line length character: 00 4" },
		{ "-001", ERR_BAD, 0, NULL, "protocol error: bad line length character: -001" },
		{ "\n0\"\x7f", ERR_BAD, 0, NULL,
		  "protocol error: bad line length character: ?0\"?" },
		{ "fff1", ERR_BAD, 0, NULL, "protocol error: bad line length 65521" },
		{ "ffff", ERR_BAD, 0, NULL, "protocol error: bad line length 65535" },
		{ "fff0", 0, 0, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice in = slice_str(rows[i].in);
		struct pktline p;
		struct err err;

		for (size_t n = 0; rows[i].want > 0 && n < (size_t)rows[i].want; n++)
			assert_int_equal(pktline_parse(&p, slice_head(in, n)), 0);
		assert_int_equal(pktline_parse(&p, in), rows[i].want);
		if (rows[i].words != NULL) {
			assert_int_equal(pktline_refuse(in, &err), ERR_BAD);
			assert_string_equal(err.text, rows[i].words);
		}
		if (rows[i].want <= 0)
			continue;
		assert_int_equal(p.kind, rows[i].kind);
		assert_slice_str(pktline_text(&p), rows[i].text);
	}
}

static void
write_all_kinds(void **state)
{
	struct buf b = BUF_MAX(1000);
	size_t at;

	(void)state;
	pktline_add(&b, SLICE_LIT("a"));
	pktline_add(&b, SLICE_NONE);
	pktline_add_text(&b, "want x");
	pktline_addf(&b, "%d-%s", 12, "x");
	at = pktline_begin(&b);
	buf_add_str(&b, "in place");
	pktline_end(&b, at);
	pktline_add_flush(&b);
	pktline_add_delim(&b);
	pktline_add_response_end(&b);
	assert_string_equal(buf_str(&b), "0005a0004000bwant x\n000812-x000cin place000000010002");
	buf_release(&b);
}

static void
longest(void **state)
{
	struct buf b = BUF_MAX(200000);
	char *data = mem_alloc(PKTLINE_DATA_MAX + 1);
	struct pktline p;

	(void)state;
	pktline_add(&b, slice_of(data, PKTLINE_DATA_MAX));
	assert_true(buf_ok(&b));
	assert_int_equal(pktline_parse(&p, buf_slice(&b)), PKTLINE_MAX);
	assert_memory_equal(b.p, "fff0", 4);
	assert_int_equal(pktline_parse(&p, slice_head(buf_slice(&b), b.len - 1)), 0);
	pktline_add(&b, slice_of(data, PKTLINE_DATA_MAX + 1));
	assert_false(buf_ok(&b));
	buf_clear(&b);
	b.max = 10;
	pktline_addf(&b, "%s", "longer than ten");
	assert_false(buf_ok(&b));
	buf_release(&b);
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_table),
		cmocka_unit_test(write_all_kinds),
		cmocka_unit_test(longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
