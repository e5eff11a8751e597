#include "gitproto/pktread.h"

#include "tests/unit/gitproto/git_test.h"

/* However the input is cut, the same packets come out. */
static void
cut_at_every_byte(void **state)
{
	const struct slice in = SLICE_LIT("0006a\n0000000bbcdefg\n00010004rest");

	(void)state;
	for (size_t cut = 0; cut <= in.len; cut++) {
		struct pktread r;
		struct pktline p, peeked;
		struct buf got = BUF_MAX(100);
		size_t eaten = 0;
		int rc = 0;

		pktread_init(&r, 100, 1000);
		for (int round = 0; round < 2; round++) {
			struct slice part = round == 0 ? slice_head(in, cut) : in;

			pktread_feed(&r, slice_skip(part, eaten));
			while (pktread_peek(&peeked, &r, NULL) == 1) {
				rc = pktread_next_text(&p, &r, NULL);
				assert_int_equal(rc, 1);
				assert_int_equal(peeked.kind, p.kind);
				buf_addf(&got, "%d:%.*s;", (int)p.kind, SLICE_ARG(p.data));
			}
			eaten += pktread_eaten(&r);
		}
		assert_string_equal(buf_str(&got), "0:a;1:;0:bcdefg;2:;0:;");
		assert_int_equal(eaten, in.len - 4);
		assert_int_equal(r.packets, 5);
		assert_int_equal(r.bytes, eaten);
		buf_release(&got);
	}
}

static void
limits(void **state)
{
	const struct slice in = SLICE_LIT("0005a0005b0005c");
	struct pktread r;
	struct pktline p;
	struct err err;

	(void)state;
	pktread_init(&r, 2, 1000);
	pktread_feed(&r, in);
	assert_int_equal(pktread_next(&p, &r, &err), 1);
	assert_int_equal(pktread_next(&p, &r, &err), 1);
	assert_int_equal(pktread_next(&p, &r, &err), ERR_TOO_BIG);
	assert_string_equal(err.text, "more than 2 lines");
	pktread_init(&r, 100, 14);
	pktread_feed(&r, in);
	assert_int_equal(pktread_next(&p, &r, &err), 1);
	assert_int_equal(pktread_next(&p, &r, &err), 1);
	assert_int_equal(pktread_peek(&p, &r, &err), ERR_TOO_BIG);
	pktread_init(&r, 100, 14);
	pktread_feed(&r, SLICE_LIT("0003"));
	assert_int_equal(pktread_next(&p, &r, &err), ERR_BAD);
	assert_string_equal(err.text, "protocol error: bad line length 3");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
