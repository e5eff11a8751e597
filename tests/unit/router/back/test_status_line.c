#include "router/back/status_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
	const char *text;
	ssize_t want; /* 0 here: the whole text */
	struct status_line line;
} cases[] = {
	{ "beat\n", 0, { .kind = STATUS_LINE_BEAT } },
	{ "beat and more\n", 0, { .kind = STATUS_LINE_BEAT } },
	{ "map 18446744073709551615\n", 0, { .kind = STATUS_LINE_MAP, .map = UINT64_MAX } },
	{ "map 18446744073709551616\n", ERR_BAD, { 0 } },
	{ "map\n", ERR_BAD, { 0 } },
	{ "map -1\n", ERR_BAD, { 0 } },
	{ "node 3 00112233445566778899aabbccddeeff\n",
	  0,
	  { .kind = STATUS_LINE_NODE,
	    .node = 3,
	    .incarnation = "00112233445566778899aabbccddeeff" } },
	{ "node 3 00112233445566778899aabbccddeeff0\n", ERR_BAD, { 0 } },
	{ "node 3\n", ERR_BAD, { 0 } },
	{ "node x 00\n", ERR_BAD, { 0 } },
	{ "shard 7 primary 12 3 100 99\n",
	  0,
	  { .kind = STATUS_LINE_SHARD, .shard = { 7, STATUS_LINE_PRIMARY, 12, 3, 100, 99 } } },
	{ "shard 7 follower 12 - 100 99 later words\n",
	  0,
	  { .kind = STATUS_LINE_SHARD, .shard = { 7, STATUS_LINE_FOLLOWER, 12, 0, 100, 99 } } },
	{ "shard 0 learner 0 - 0 0\n",
	  0,
	  { .kind = STATUS_LINE_SHARD, .shard = { 0, STATUS_LINE_LEARNER, 0, 0, 0, 0 } } },
	{ "shard 4294967295 halted 1 1 1 1\n",
	  0,
	  { .kind = STATUS_LINE_SHARD, .shard = { UINT32_MAX, STATUS_LINE_HALTED, 1, 1, 1, 1 } } },
	{ "shard 4294967296 halted 1 1 1 1\n", ERR_BAD, { 0 } },
	{ "shard 7 king 12 3 100 99\n", ERR_BAD, { 0 } },
	{ "shard 7 primary 12 0 100 99\n", ERR_BAD, { 0 } },
	{ "shard 7 primary 12 3 100\n", ERR_BAD, { 0 } },
	{ "shard 7  primary 12 3 100 99\n", ERR_BAD, { 0 } },
	{ "weather 12\n", 0, { .kind = STATUS_LINE_OTHER } },
	{ "\n", 0, { .kind = STATUS_LINE_OTHER } },
};

static void
test_cases(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct slice in = slice_str(cases[i].text);
		ssize_t want = cases[i].want != 0 ? cases[i].want : (ssize_t)in.len;
		struct status_line l;

		for (size_t n = 0; n < in.len; n++)
			assert_int_equal(status_line_parse(&l, slice_head(in, n)), 0);
		assert_int_equal(status_line_parse(&l, in), want);
		if (want < 0)
			continue;
		assert_int_equal(l.kind, cases[i].line.kind);
		assert_int_equal(l.node, cases[i].line.node);
		assert_string_equal(l.incarnation, cases[i].line.incarnation);
		assert_int_equal(l.map, cases[i].line.map);
		assert_int_equal(l.shard.shard, cases[i].line.shard.shard);
		assert_int_equal(l.shard.role, cases[i].line.shard.role);
		assert_int_equal(l.shard.epoch, cases[i].line.shard.epoch);
		assert_int_equal(l.shard.primary, cases[i].line.shard.primary);
		assert_int_equal(l.shard.position, cases[i].line.shard.position);
		assert_int_equal(l.shard.applied, cases[i].line.shard.applied);
	}
}

static void
test_follows(void **state)
{
	struct slice in = SLICE_LIT("map 1\nbeat\n");
	struct status_line l;

	(void)state;
	assert_int_equal(status_line_parse(&l, in), 6);
	assert_int_equal(l.kind, STATUS_LINE_MAP);
	assert_int_equal(status_line_parse(&l, slice_skip(in, 6)), 5);
	assert_int_equal(l.kind, STATUS_LINE_BEAT);
}

static void
test_too_long(void **state)
{
	char text[STATUS_LINE_MAX + 1];
	struct status_line l;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(status_line_parse(&l, slice_of(text, STATUS_LINE_MAX - 1)), 0);
	assert_int_equal(status_line_parse(&l, slice_of(text, STATUS_LINE_MAX)), ERR_BAD);
	text[STATUS_LINE_MAX] = '\n';
	assert_int_equal(status_line_parse(&l, slice_of(text, sizeof(text))), ERR_BAD);
	text[STATUS_LINE_MAX - 1] = '\n';
	assert_int_equal(status_line_parse(&l, slice_of(text, sizeof(text))), STATUS_LINE_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
