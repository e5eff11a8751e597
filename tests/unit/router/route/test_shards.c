#include "router/route/shards.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void
hear(struct shards *t, uint32_t node, enum status_line_role role, uint64_t epoch, uint32_t primary,
     uint64_t position)
{
	struct status_line_shard said = { 0, role, epoch, primary, position, position };

	shards_heard(t, node, &said);
}

static void
expect(const struct shards *t, uint32_t primary, uint64_t epoch)
{
	uint64_t e;

	assert_int_equal(shards_primary(t, 0, &e), primary);
	assert_int_equal(e, epoch);
}

static struct shards *
make(void)
{
	struct shards *t = shards_new();

	shards_resize(t, 2);
	return t;
}

static void
test_the_furthest_counts(void **state)
{
	struct shards *t = make();

	(void)state;
	expect(t, 0, 0);
	hear(t, 1, STATUS_LINE_PRIMARY, 5, 1, 100);
	hear(t, 2, STATUS_LINE_FOLLOWER, 4, 3, 90);
	expect(t, 1, 5);
	assert_int_equal(shards_position(t, 0), 100);
	/* 1 yields; 2 still believes in it */
	hear(t, 1, STATUS_LINE_FOLLOWER, 5, 0, 101);
	hear(t, 2, STATUS_LINE_FOLLOWER, 5, 1, 100);
	expect(t, 0, 5);
	hear(t, 3, STATUS_LINE_PRIMARY, 6, 3, 102);
	expect(t, 3, 6);
	hear(t, 2, STATUS_LINE_FOLLOWER, 5, 1, 101);
	expect(t, 3, 6);
	assert_int_equal(shards_primary(t, 1, NULL), 0);
	assert_int_equal(shards_primary(t, 99, NULL), 0);
	assert_null(shards_member(t, 99, 1));
	shards_free(&t);
}

static void
test_told(void **state)
{
	struct shards *t = make();

	(void)state;
	hear(t, 1, STATUS_LINE_PRIMARY, 5, 1, 100);
	shards_told(t, 0, 1, 6, 2);
	expect(t, 2, 6);
	/* a status that is behind changes nothing */
	hear(t, 3, STATUS_LINE_FOLLOWER, 5, 1, 100);
	expect(t, 2, 6);
	/* one that is as far does */
	hear(t, 3, STATUS_LINE_PRIMARY, 7, 3, 110);
	expect(t, 3, 7);
	/* old words mean nothing */
	shards_told(t, 0, 1, 6, 2);
	expect(t, 3, 7);
	/* the one that should lead says no */
	shards_told(t, 0, 3, 7, 0);
	expect(t, 0, 7);
	hear(t, 2, STATUS_LINE_FOLLOWER, 7, 3, 111);
	expect(t, 3, 7);
	shards_told(t, 0, 3, 7, 0);
	expect(t, 0, 7);
	/* it says itself that it leads */
	hear(t, 3, STATUS_LINE_PRIMARY, 7, 3, 112);
	expect(t, 3, 7);
	shards_free(&t);
}

static void
test_told_and_denied(void **state)
{
	struct shards *t = make();

	(void)state;
	hear(t, 1, STATUS_LINE_FOLLOWER, 5, 1, 100);
	shards_told(t, 0, 1, 9, 2);
	expect(t, 2, 9);
	/* it does not lead either: back to the reports */
	shards_told(t, 0, 2, 9, 0);
	expect(t, 1, 5);
	shards_free(&t);
}

static void
test_forget(void **state)
{
	struct shards *t = make();

	(void)state;
	hear(t, 1, STATUS_LINE_PRIMARY, 5, 1, 100);
	assert_non_null(shards_member(t, 0, 1));
	shards_forget(t, 1);
	assert_null(shards_member(t, 0, 1));
	assert_int_equal(shards_position(t, 0), 0);
	expect(t, 1, 5); /* the last that was known */
	/* the log began anew: its epochs do, too */
	hear(t, 1, STATUS_LINE_PRIMARY, 1, 1, 3);
	expect(t, 1, 1);
	shards_free(&t);
}

static void
test_resize(void **state)
{
	struct shards *t = make();

	(void)state;
	hear(t, 1, STATUS_LINE_PRIMARY, 5, 1, 100);
	shards_resize(t, 8);
	expect(t, 1, 5);
	shards_resize(t, 1);
	expect(t, 1, 5);
	assert_int_equal(shards_count(t), 1);
	shards_free(&t);
}

struct counter {
	struct shards *t;
	struct shards_waiter w, other;
	unsigned calls;
	bool again, drop_other;
};

static void
count_call(void *arg)
{
	struct counter *c = arg;

	c->calls++;
	if (c->again)
		shards_wait(c->t, 0, &c->w);
	if (c->drop_other)
		shards_unwait(&c->other);
}

static void
test_wake(void **state)
{
	struct counter c = { .t = make() };

	(void)state;
	c.w = c.other = (struct shards_waiter){ .fn = count_call, .arg = &c };
	hear(c.t, 1, STATUS_LINE_PRIMARY, 5, 1, 100);
	shards_wait(c.t, 0, &c.w);
	shards_wait(c.t, 0, &c.w);
	hear(c.t, 1, STATUS_LINE_PRIMARY, 5, 1, 101);
	hear(c.t, 1, STATUS_LINE_FOLLOWER, 5, 0, 102);
	assert_int_equal(c.calls, 0);
	hear(c.t, 2, STATUS_LINE_PRIMARY, 6, 2, 103);
	assert_int_equal(c.calls, 1);
	hear(c.t, 1, STATUS_LINE_PRIMARY, 7, 1, 104);
	assert_int_equal(c.calls, 1);
	/* one that waits again from inside its call is not called twice */
	c.again = true;
	shards_wait(c.t, 0, &c.w);
	hear(c.t, 2, STATUS_LINE_PRIMARY, 8, 2, 105);
	assert_int_equal(c.calls, 2);
	shards_resize(c.t, 16);
	c.again = false;
	hear(c.t, 1, STATUS_LINE_PRIMARY, 9, 1, 106);
	assert_int_equal(c.calls, 3);
	/* one that takes another off the list */
	shards_wait(c.t, 0, &c.other);
	shards_wait(c.t, 0, &c.w);
	c.drop_other = true;
	hear(c.t, 2, STATUS_LINE_PRIMARY, 10, 2, 107);
	assert_int_equal(c.calls, 4);
	shards_unwait(&c.w);
	shards_free(&c.t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_furthest_counts),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_told_and_denied),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_wake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
