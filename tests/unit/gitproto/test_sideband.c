#include "gitproto/sideband.h"

#include "tests/unit/gitproto/git_test.h"

/* What was wrapped comes out again, in packets that are not too long. */
static void
there_and_back(void **state)
{
	static const struct {
		size_t n, max, packets;
	} rows[] = {
		{ 0, SIDEBAND_MAX, 0 },
		{ 1, SIDEBAND_MAX, 1 },
		{ SIDEBAND_MAX, SIDEBAND_MAX, 1 },
		{ SIDEBAND_MAX + 1, SIDEBAND_MAX, 2 },
		{ 995, SIDEBAND_LEGACY_MAX, 1 },
		{ 2000, SIDEBAND_LEGACY_MAX, 3 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = BUF_MAX(300000), got = BUF_MAX(300000);
		char *data = mem_alloc(rows[i].n + 1);
		size_t packets = 0, at = 0;

		for (size_t k = 0; k < rows[i].n; k++)
			data[k] = (char)k;
		sideband_add(&b, SIDEBAND_PROGRESS, slice_of(data, rows[i].n), rows[i].max);
		while (at < b.len) {
			struct pktline p;
			struct sideband s;
			ssize_t n = pktline_parse(&p, slice_skip(buf_slice(&b), at));

			assert_true(n > 5 && (size_t)n <= rows[i].max + 5);
			assert_int_equal(sideband_parse(&s, &p), 0);
			assert_int_equal(s.band, SIDEBAND_PROGRESS);
			buf_add_slice(&got, s.data);
			at += (size_t)n;
			packets++;
		}
		assert_int_equal(packets, rows[i].packets);
		assert_slice(buf_slice(&got), slice_of(data, rows[i].n));
		buf_release(&b);
		buf_release(&got);
		free(data);
	}
}

static void
odd_packets(void **state)
{
	static const struct {
		const char *in;
		int rc;
	} rows[] = {
		{ "0004", ERR_BAD },  { "0000", ERR_BAD }, { "0005\4", ERR_BAD },
		{ "0005x", ERR_BAD }, { "0001", ERR_BAD }, { "0005\1", 0 },
		{ "0006\3x", 0 },     { "0006\2y", 0 },
	};
	struct buf b = BUF_MAX(10);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct pktline p;
		struct sideband s;

		assert_true(pktline_parse(&p, slice_str(rows[i].in)) > 0);
		assert_int_equal(sideband_parse(&s, &p), rows[i].rc);
	}
	sideband_add_keepalive(&b);
	assert_string_equal(buf_str(&b), "0005\1");
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(odd_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
