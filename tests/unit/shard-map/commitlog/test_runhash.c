#include "tests/unit/shard-map/commitlog/core_test.h"

#include "shard-map/commitlog/runhash.h"

static struct slice
bytes_at(uint64_t offset)
{
	static char text[32];

	return slice_of(text, (size_t)snprintf(text, sizeof(text), "record %llu",
					       (unsigned long long)offset));
}

static void
answers(void **state UNUSED)
{
	struct runhash r;
	uint8_t wrong[RECORD_HASH] = { 1 };
	struct record seen = record_by(RECORD_BARRIER, 1, 1, 1);

	runhash_init(&r);
	assert_int_equal(runhash_check(&r, 0, wrong), RUNHASH_AHEAD);
	for (uint64_t o = 0; o < 10; o++)
		runhash_add(&r, bytes_at(o));
	assert_int_equal(r.next, 10);
	assert_memory_equal(runhash_at(&r, 9), r.now, RECORD_HASH);
	assert_int_equal(runhash_check(&r, 9, r.now), RUNHASH_SAME);
	assert_int_equal(runhash_check(&r, 8, r.now), RUNHASH_DIFFERS);
	assert_int_equal(runhash_check(&r, 10, r.now), RUNHASH_AHEAD);
	assert_int_equal(runhash_check(&r, UINT64_MAX, r.now), RUNHASH_AHEAD);

	seen.seen = 4;
	memcpy(seen.seen_hash, runhash_at(&r, 4), RECORD_HASH);
	assert_int_equal(runhash_check_record(&r, &seen), RUNHASH_SAME);
	seen.seen_hash[0] ^= 1;
	assert_int_equal(runhash_check_record(&r, &seen), RUNHASH_DIFFERS);
	seen.seen = RECORD_SEEN_NONE;
	assert_int_equal(runhash_check_record(&r, &seen), RUNHASH_SAME);
	runhash_release(&r);
}

static void
window(void **state UNUSED)
{
	struct runhash r;

	runhash_init(&r);
	for (uint64_t o = 0; o < RUNHASH_WINDOW + 5; o++)
		runhash_add(&r, bytes_at(o));
	assert_int_equal(r.n, RUNHASH_WINDOW);
	assert_null(runhash_at(&r, 4));
	assert_non_null(runhash_at(&r, 5));
	assert_int_equal(runhash_check(&r, 4, r.now), RUNHASH_OLD);
	runhash_release(&r);
}

/* Stored one by one, or as a whole: the same ring comes back and goes on the same way. */
static void
stored(void **state UNUSED)
{
	static const unsigned lengths[] = { 0, 1, 7, RUNHASH_WINDOW, RUNHASH_WINDOW + 3 };

	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct buf b = BUF_MAX(1 << 20), again = BUF_MAX(1 << 20);
		struct runhash r, whole, single;

		runhash_init(&r);
		runhash_init(&single);
		for (uint64_t o = 0; o < lengths[i]; o++)
			runhash_add(&r, bytes_at(o));
		for (uint64_t o = r.next - r.n; o < r.next; o++)
			runhash_load(&single, o, runhash_at(&r, o));
		runhash_encode(&b, &r);
		assert_int_equal(runhash_decode(&whole, buf_slice(&b), NULL), 0);
		runhash_add(&r, SLICE_LIT("next"));
		runhash_add(&whole, SLICE_LIT("next"));
		runhash_add(&single, SLICE_LIT("next"));
		buf_clear(&b);
		runhash_encode(&b, &r);
		runhash_encode(&again, &whole);
		assert_memory_equal(again.p, b.p, b.len);
		buf_clear(&again);
		runhash_encode(&again, &single);
		assert_memory_equal(again.p, b.p, b.len);
		runhash_release(&r);
		runhash_release(&whole);
		runhash_release(&single);
		buf_release(&b);
		buf_release(&again);
	}
}

static void
damaged(void **state UNUSED)
{
	struct buf b = BUF_MAX(1 << 20);
	struct runhash r, d;

	runhash_init(&r);
	for (uint64_t o = 0; o < 3; o++)
		runhash_add(&r, bytes_at(o));
	runhash_encode(&b, &r);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(runhash_decode(&d, slice_of(b.p, n), NULL), ERR_CORRUPT);
	for (size_t n = 0; n < b.len; n++) {
		b.p[n] ^= 0xff;
		if (runhash_decode(&d, buf_slice(&b), NULL) == 0)
			runhash_release(&d);
		b.p[n] ^= 0xff;
	}
	b.p[0] = 2;
	assert_int_equal(runhash_decode(&d, buf_slice(&b), NULL), ERR_VERSION);
	runhash_release(&r);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(window),
		cmocka_unit_test(stored),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
