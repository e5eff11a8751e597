#include "replica/repo/repo_lock.h"

#include "tests/unit/gitproto/net/net_test.h"

static const uint8_t repo_a[16] = { 7, 1 }, repo_b[16] = { 7, 2 }; /* of one bucket */

static unsigned turns;

struct place {
	struct repo_lock *lock;
	unsigned times, turn;
	int rc;
};

static void
on_lock(int rc, void *arg)
{
	struct place *p = arg;

	p->times++;
	p->rc = rc;
	p->turn = ++turns;
	if (rc != 0)
		p->lock = NULL;
}

static void
take(struct repo_locks *ls, const uint8_t id[16], uint64_t msec, struct place *p)
{
	memset(p, 0, sizeof(*p));
	p->lock = repo_lock_take(ls, id, clock_boot_ns() + msec * CLOCK_MSEC, on_lock, p);
	assert_int_equal(p->times, 0); /* never from inside */
}

static bool
was_told(void *arg)
{
	return ((struct place *)arg)->times > 0;
}

static int
begin(void **state)
{
	*state = loop_new("test");
	turns = 0;
	return 0;
}

static int
end(void **state)
{
	loop_free((struct loop **)state);
	return 0;
}

static void
test_first_come_first_served(void **state)
{
	struct repo_locks *ls = repo_locks_new(*state);
	struct place p[4], other;

	for (size_t i = 0; i < COUNT(p); i++)
		take(ls, repo_a, 60000, &p[i]);
	take(ls, repo_b, 60000, &other);
	assert_true(run_until(*state, was_told, &p[0]));
	assert_true(run_until(*state, was_told, &other));
	run_msec(*state, 20);
	assert_int_equal(repo_locks_held(ls), 2);
	for (size_t i = 0; i < COUNT(p); i++) {
		assert_int_equal(p[i].times, 1);
		assert_int_equal(p[i].rc, 0);
		if (i + 1 < COUNT(p))
			assert_int_equal(p[i + 1].times, 0);
		repo_lock_give(&p[i].lock);
		assert_null(p[i].lock);
	}
	assert_true(p[0].turn < p[1].turn && p[1].turn < p[2].turn && p[2].turn < p[3].turn);
	repo_lock_give(&other.lock);
	assert_int_equal(repo_locks_held(ls), 0);
	repo_locks_free(&ls);
}

static void
test_deadline(void **state)
{
	struct repo_locks *ls = repo_locks_new(*state);
	struct place p[3];

	take(ls, repo_a, 0, &p[0]); /* free: no deadline matters */
	take(ls, repo_a, 30, &p[1]);
	take(ls, repo_a, 60000, &p[2]);
	assert_true(run_until(*state, was_told, &p[1]));
	assert_int_equal(p[0].rc, 0);
	assert_int_equal(p[1].rc, ERR_TIMEOUT);
	assert_int_equal(p[2].times, 0);
	repo_lock_give(&p[0].lock);
	assert_int_equal(p[2].times, 1);
	run_msec(*state, 50);
	assert_int_equal(p[1].times, 1);
	repo_lock_give(&p[2].lock);
	repo_locks_free(&ls);
}

static void
test_leaving_the_queue(void **state)
{
	struct repo_locks *ls = repo_locks_new(*state);
	struct place p[4];

	for (size_t i = 0; i < COUNT(p); i++)
		take(ls, repo_a, 60000, &p[i]);
	repo_lock_give(&p[1].lock); /* from the middle */
	assert_true(run_until(*state, was_told, &p[0]));
	repo_lock_give(&p[0].lock);
	assert_int_equal(p[1].times, 0);
	assert_int_equal(p[2].times, 1);
	repo_lock_give(&p[2].lock);
	repo_lock_give(&p[3].lock);
	/* The first, before it was told: the next has it at once. */
	take(ls, repo_a, 60000, &p[0]);
	take(ls, repo_a, 60000, &p[1]);
	repo_lock_give(&p[0].lock);
	assert_int_equal(p[0].times, 0);
	assert_int_equal(p[1].times, 1);
	repo_lock_give(&p[1].lock);
	assert_int_equal(repo_locks_held(ls), 0);
	repo_locks_free(&ls);
}

static void
test_free_forgets(void **state)
{
	struct repo_locks *ls = repo_locks_new(*state);
	struct place p[3];

	take(ls, repo_a, 60000, &p[0]);
	take(ls, repo_a, 10, &p[1]);
	take(ls, repo_b, 60000, &p[2]);
	assert_true(run_until(*state, was_told, &p[0]));
	repo_locks_free(&ls);
	run_msec(*state, 30);
	assert_int_equal(p[0].times + p[1].times, p[1].rc == ERR_TIMEOUT ? 2 : 1);
}

/* A holder that gives it back from inside its callback. */
static void
on_lock_give(int rc, void *arg)
{
	struct place *p = arg;

	on_lock(rc, p);
	repo_lock_give(&p->lock);
}

static void
test_given_from_inside(void **state)
{
	struct repo_locks *ls = repo_locks_new(*state);
	struct place p[3] = { { 0 } };
	uint64_t deadline = clock_boot_ns() + 60 * CLOCK_SEC;

	for (size_t i = 0; i < COUNT(p); i++)
		p[i].lock = repo_lock_take(ls, repo_a, deadline, on_lock_give, &p[i]);
	assert_true(run_until(*state, was_told, &p[2]));
	assert_int_equal(p[0].times + p[1].times + p[2].times, 3);
	assert_int_equal(repo_locks_held(ls), 0);
	repo_locks_free(&ls);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_first_come_first_served), T(test_deadline),
		T(test_leaving_the_queue),       T(test_free_forgets),
		T(test_given_from_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
