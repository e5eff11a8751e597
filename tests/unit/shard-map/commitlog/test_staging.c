#include "tests/unit/shard-map/commitlog/core_test.h"

#include "shard-map/commitlog/staging.h"

static const struct record_reign reign1 = { 1, 10, 1 };

static void
counting(void **state UNUSED)
{
	struct verdict_state s;
	struct record r = record_by(RECORD_CONFIG, 1, 1, 1);
	struct record_reign other = { 1, 11, 1 }, earlier = { 0, 10, 1 };
	struct staging t;
	uint8_t push[RECORD_ID], another[RECORD_ID];

	begin(&s);
	id_of(push, 5);
	id_of(another, 6);
	staging_init(&t, push, &reign1);
	assert_false(staging_enough(&t, &s));
	assert_true(staging_confirm(&t, &s, &reign1, push, &members[0]));
	assert_true(staging_confirm(&t, &s, &reign1, push, &members[0])); /* twice is once */
	assert_false(staging_enough(&t, &s));
	assert_false(staging_confirm(&t, &s, &other, push, &members[1]));
	assert_false(staging_confirm(&t, &s, &earlier, push, &members[1]));
	assert_false(staging_confirm(&t, &s, &reign1, another, &members[1]));
	assert_false(staging_confirm(&t, &s, &reign1, push, &members[3])); /* a stranger */
	assert_false(staging_enough(&t, &s));
	assert_true(staging_confirm(&t, &s, &reign1, push, &members[1]));
	assert_int_equal(staging_count(&t, &s), 2);
	assert_true(staging_enough(&t, &s));

	/* the config drops one that confirmed: not enough any more (trap 3) */
	static const struct record_member one_and_three[] = { { 1, { [15] = 1 } },
							      { 3, { [15] = 3 } } };
	r.config = (struct record_config){ 1, { one_and_three, NULL, 2, 0, false } };
	assert_int_equal(put(&s, &r, NULL, NULL), VERDICT_EFFECTIVE);
	assert_int_equal(staging_count(&t, &s), 1);
	assert_false(staging_enough(&t, &s));
	s.single = true;
	assert_true(staging_enough(&t, &s));
	s.reign.epoch = 2; /* another reign: nothing counts */
	assert_false(staging_enough(&t, &s));
}

static void
wiped_disk(void **state UNUSED)
{
	struct verdict_state s;
	struct staging t;
	uint8_t push[RECORD_ID] = { 1 };
	struct record_member wiped = { 2, { [15] = 22 } };

	begin(&s);
	staging_init(&t, push, &reign1);
	assert_false(staging_confirm(&t, &s, &reign1, push, &wiped));
}

static struct record
update_naming(const struct record_pack *pack, const uint8_t push[RECORD_ID])
{
	struct record r = record_by(RECORD_UPDATE, 1, 1, 4);

	r.update.packs = pack;
	r.update.n_packs = 1;
	memcpy(r.update.push, push, RECORD_ID);
	return r;
}

static void
holding(void **state UNUSED)
{
	struct verdict_state s;
	struct staging_hold h = { { 5 }, { 7 }, reign1 };
	struct record_pack same = { .sha256 = { 7 } }, other = { .sha256 = { 8 } };
	uint8_t another[RECORD_ID] = { 6 };
	struct record_reign later = { 2, 20, 2 }, earlier = { 0, 0, 0 };
	struct record r = update_naming(&same, h.push);
	struct record rival = claim(2, 2, 1), own = claim(1, 1, 0);

	assert_int_equal(staging_on_read(&h, &r, VERDICT_EFFECTIVE), STAGING_ADOPT);
	assert_int_equal(staging_on_read(&h, &r, VERDICT_DEAD), STAGING_KEEP);
	assert_int_equal(staging_on_read(&h, &r, VERDICT_OUT), STAGING_KEEP);
	r = update_naming(&other, h.push);
	assert_int_equal(staging_on_read(&h, &r, VERDICT_EFFECTIVE), STAGING_KEEP);
	r = update_naming(&same, another);
	assert_int_equal(staging_on_read(&h, &r, VERDICT_EFFECTIVE), STAGING_KEEP);

	assert_int_equal(staging_on_read(&h, &own, VERDICT_EFFECTIVE), STAGING_KEEP);
	assert_int_equal(staging_on_read(&h, &rival, VERDICT_OUT), STAGING_KEEP);
	assert_int_equal(staging_on_read(&h, &rival, VERDICT_EFFECTIVE), STAGING_DROP);

	assert_int_equal(staging_on_release(&h, &reign1, h.push), STAGING_DROP);
	assert_int_equal(staging_on_release(&h, &reign1, another), STAGING_KEEP);
	assert_int_equal(staging_on_release(&h, &later, h.push), STAGING_KEEP);

	begin(&s);
	assert_true(staging_may_hold(&s, &reign1));
	assert_true(staging_may_hold(&s, &later)); /* we are behind */
	assert_false(staging_may_hold(&s, &earlier));
	assert_int_equal(staging_on_state(&h, &s), STAGING_KEEP);
	s.reign.epoch = 2;
	assert_int_equal(staging_on_state(&h, &s), STAGING_DROP);
}

/* A release of one push does not drop the equal pack of another (trap 4). */
static void
equal_packs(void **state UNUSED)
{
	struct staging_hold h[] = { { { 5 }, { 7 }, reign1 }, { { 6 }, { 7 }, reign1 } };
	uint8_t elsewhere[RECORD_HASH] = { 9 };

	assert_int_equal(staging_on_release(&h[0], &reign1, h[0].push), STAGING_DROP);
	assert_int_equal(staging_on_release(&h[1], &reign1, h[0].push), STAGING_KEEP);
	assert_false(staging_may_unlink(&h[1], 1, h[0].sha256));
	assert_true(staging_may_unlink(&h[1], 1, elsewhere));
	assert_true(staging_may_unlink(NULL, 0, h[0].sha256));
}

static void
stored(void **state UNUSED)
{
	struct staging_hold h = { { 5 }, { 7 }, { 3, 0x1122334455667788, 9 } }, d;
	struct buf b = BUF_MAX(1000);

	staging_hold_encode(&b, &h);
	assert_int_equal(b.len, STAGING_HOLD_BYTES);
	assert_int_equal(staging_hold_decode(&d, buf_slice(&b), NULL), 0);
	assert_memory_equal(d.push, h.push, RECORD_ID);
	assert_memory_equal(d.sha256, h.sha256, RECORD_HASH);
	assert_true(record_reign_eq(&d.reign, &h.reign));
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(staging_hold_decode(&d, slice_of(b.p, n), NULL), ERR_CORRUPT);
	b.p[0] = 2;
	assert_int_equal(staging_hold_decode(&d, buf_slice(&b), NULL), ERR_VERSION);
	buf_release(&b);
}

static void
member_changes(void **state UNUSED)
{
	const struct record_members three = { members, NULL, 3, 0, false };
	const struct record_members two = { &members[1], NULL, 2, 0, false };
	const struct record_members one = { members, NULL, 1, 0, true };
	struct staging_report reports[] = {
		{ members[0], 10 }, { members[1], 9 }, { members[3], 10 }, { members[0], 10 }
	};
	struct verdict_state s;

	assert_true(staging_config_enough(&three, 9, reports, 2));
	assert_false(staging_config_enough(&three, 10, reports, 2)); /* one is behind */
	assert_false(staging_config_enough(&three, 10, reports, COUNT(reports)));
	assert_false(staging_config_enough(&two, 5, reports, COUNT(reports)));
	assert_true(staging_config_enough(&one, 10, reports, 1));

	begin(&s);
	assert_true(staging_checkpoint_enough(&s, members, 2));
	assert_false(staging_checkpoint_enough(&s, &members[2], 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counting), cmocka_unit_test(wiped_disk),
		cmocka_unit_test(holding),  cmocka_unit_test(equal_packs),
		cmocka_unit_test(stored),   cmocka_unit_test(member_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
