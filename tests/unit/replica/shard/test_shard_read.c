/* Strict reads and waiting for records to be applied. */
#include "tests/unit/replica/shard/shard_world.h"

struct read {
	unsigned times;
	int rc;
	uint64_t offset;
};

static void
on_read(int rc, uint64_t offset, void *arg)
{
	struct read *r = arg;

	r->times++;
	r->rc = rc;
	r->offset = offset;
}

static bool
was_read(void *arg)
{
	return ((struct read *)arg)->times > 0;
}

static void
wait_answer(struct node *n, struct read *r)
{
	assert_true(run_until(n->loop, was_read, r));
	assert_int_equal(r->times, 1);
}

static struct node *
begin_primary(struct world *w, const struct node_opts *o)
{
	struct node *n = node_begin(w, o);

	shard_set_preferred(n->shard, true);
	wait_primary(n);
	wait_read(w, n);
	return n;
}

static void
test_lease_reads_are_free(void **state)
{
	struct node *n;
	uint64_t next;

	stop_clock();
	n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	next = log_next(*state);
	for (unsigned i = 0; i < 100; i++) {
		struct read r = { 0 };

		shard_read_primary(n->shard, on_read, &r);
		assert_int_equal(r.times, 1);
		assert_int_equal(r.rc, 0);
		assert_int_equal(r.offset, shard_position(n->shard));
	}
	run_msec(n->loop, 50);
	assert_int_equal(log_next(*state), next);
	assert_true(shard_lease_left_ns(n->shard) > 0);
	node_end(&n);
}

/* The clock alone ends it; then one barrier of the reign brings it back for all that wait. */
static void
test_lease_runs_out(void **state)
{
	struct node *n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	struct read r[3] = { { 0 } };
	uint64_t next = log_next(*state);

	ahead += 1500 * CLOCK_MSEC;
	assert_int_equal(shard_lease_left_ns(n->shard), 0);
	for (size_t i = 0; i < COUNT(r); i++) {
		shard_read_primary(n->shard, on_read, &r[i]);
		assert_int_equal(r[i].times, 0);
	}
	for (size_t i = 0; i < COUNT(r); i++) {
		wait_answer(n, &r[i]);
		assert_int_equal(r[i].rc, 0);
		assert_int_equal(r[i].offset, next + 1);
	}
	assert_int_equal(log_next(*state), next + 1);
	node_end(&n);
}

static void
test_lease_is_renewed_ahead(void **state)
{
	struct node *n;
	struct read r = { 0 };
	uint64_t next;

	stop_clock();
	n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	next = log_next(*state);
	ahead += 1100 * CLOCK_MSEC;
	shard_read_primary(n->shard, on_read, &r);
	assert_int_equal(r.times, 1);
	assert_int_equal(r.offset, next);
	wait_log(*state, n, next + 1);
	wait_read(*state, n);
	run_msec(n->loop, 100);
	assert_int_equal(log_next(*state), next + 1);
	assert_true(shard_lease_left_ns(n->shard) > 1200 * CLOCK_MSEC);
	node_end(&n);
}

static void
test_without_leases(void **state)
{
	struct node *n = begin_primary(*state, &(struct node_opts){ .node = 1, .no_lease = true });
	struct read r = { 0 };
	uint64_t next = log_next(*state);

	shard_read_primary(n->shard, on_read, &r);
	assert_int_equal(r.times, 0);
	wait_answer(n, &r);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.offset, next + 1);
	node_end(&n);
}

/* Reads that come while a barrier is under way wait for the next one (R7). */
static void
test_barriers_are_shared_before_they_are_sent(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 2 });
	struct read first = { 0 }, then[3] = { { 0 } };
	uint64_t next;

	wait_read(*state, n);
	next = log_next(*state);
	n->holds = true;
	shard_read_barrier(n->shard, on_read, &first);
	for (size_t i = 0; i < COUNT(then); i++)
		shard_read_barrier(n->shard, on_read, &then[i]);
	wait_log(*state, n, next + 1);
	run_msec(n->loop, 100);
	assert_int_equal(log_next(*state), next + 1);
	assert_int_equal(first.times, 0);
	node_release(n);
	assert_int_equal(first.times, 1);
	assert_int_equal(first.rc, 0);
	assert_int_equal(first.offset, next + 1);
	assert_int_equal(then[0].times, 0);
	for (size_t i = 0; i < COUNT(then); i++) {
		wait_answer(n, &then[i]);
		assert_int_equal(then[i].rc, 0);
		assert_int_equal(then[i].offset, next + 2);
	}
	assert_int_equal(n->free_barriers, 2);
	node_end(&n);
}

/* One that is slow is asked for again, under one txn: the first copy that is read serves, and who
 * came meanwhile does not join the second. */
static void
test_slow_barrier(void **state)
{
	struct node *n;
	struct read first = { 0 }, then = { 0 };
	uint64_t next;

	stop_clock();
	n = node_begin(*state, &(struct node_opts){ .node = 2 });
	wait_read(*state, n);
	next = log_next(*state);
	n->holds = true;
	shard_read_barrier(n->shard, on_read, &first);
	wait_log(*state, n, next + 1);
	shard_read_barrier(n->shard, on_read, &then);
	ahead += 1100 * CLOCK_MSEC;
	wait_log(*state, n, next + 2);
	run_msec(n->loop, 250);
	assert_int_equal(log_next(*state), next + 2);
	node_release(n);
	assert_int_equal(first.rc, 0);
	assert_int_equal(first.offset, next + 1);
	assert_true(n->same_free);
	wait_answer(n, &then);
	assert_int_equal(then.rc, 0);
	assert_int_equal(then.offset, next + 3);
	node_end(&n);
}

static bool
is_read_in_fast_time(void *arg)
{
	ahead += CLOCK_SEC / 20;
	return was_read(arg);
}

static void
test_lost_barriers(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 2,
								 .faults = "lost=700",
								 .read_msec = 60000000 });

	for (unsigned i = 0; i < 10; i++) {
		struct read r = { 0 };

		shard_read_barrier(n->shard, on_read, &r);
		assert_true(run_until(n->loop, is_read_in_fast_time, &r));
		assert_int_equal(r.rc, 0);
		assert_int_equal(r.offset, shard_position(n->shard));
	}
	node_end(&n);
}

static void
test_reads_have_a_deadline(void **state)
{
	struct node *p = begin_primary(*state, &(struct node_opts){ .node = 1, .read_msec = 5000 });
	struct read lease = { 0 }, barrier[2] = { { 0 } };

	p->holds = true;
	ahead += 2 * CLOCK_SEC;
	shard_read_primary(p->shard, on_read, &lease);
	shard_read_barrier(p->shard, on_read, &barrier[0]);
	shard_read_barrier(p->shard, on_read, &barrier[1]);
	ahead += 4 * CLOCK_SEC;
	run_msec(p->loop, 250);
	assert_int_equal(lease.times + barrier[0].times + barrier[1].times, 0);
	ahead += 2 * CLOCK_SEC;
	wait_answer(p, &lease);
	wait_answer(p, &barrier[0]);
	wait_answer(p, &barrier[1]);
	assert_int_equal(lease.rc, ERR_UNAVAILABLE);
	assert_int_equal(barrier[0].rc, ERR_UNAVAILABLE);
	assert_int_equal(barrier[1].rc, ERR_UNAVAILABLE);
	node_end(&p);
}

static void
test_deposed_while_waiting(void **state)
{
	struct node *a = begin_primary(*state, &(struct node_opts){ .node = 1 }), *b;
	struct read r = { 0 };

	a->holds = true;
	b = node_begin(*state, &(struct node_opts){ .node = 1, .start = 2 });
	wait_primary(b);
	ahead += 2 * CLOCK_SEC;
	shard_read_primary(a->shard, on_read, &r);
	node_release(a);
	wait_answer(a, &r);
	assert_int_equal(r.rc, ERR_WRONG_NODE);
	r = (struct read){ 0 };
	shard_read_primary(a->shard, on_read, &r);
	assert_int_equal(r.times, 1);
	assert_int_equal(r.rc, ERR_WRONG_NODE);
	node_end(&a);
	node_end(&b);
}

static void
test_halted(void **state)
{
	struct node *n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	struct read lease = { 0 }, barrier = { 0 }, now = { 0 };
	struct err why;

	n->holds = true;
	ahead += 2 * CLOCK_SEC;
	shard_read_primary(n->shard, on_read, &lease);
	shard_read_barrier(n->shard, on_read, &barrier);
	assert_int_equal(lease.times + barrier.times, 0);
	err_set(&why, ERR_CORRUPT, "cut");
	shards_on_halt(n->shards, SHARD, &why);
	assert_int_equal(lease.rc, ERR_UNAVAILABLE);
	assert_int_equal(barrier.rc, ERR_UNAVAILABLE);
	shard_read_primary(n->shard, on_read, &now);
	assert_int_equal(now.rc, ERR_WRONG_NODE);
	shard_read_barrier(n->shard, on_read, &now);
	assert_int_equal(now.times, 2);
	assert_int_equal(now.rc, ERR_UNAVAILABLE);
	node_end(&n);
}

/* --- shard_wait ------------------------------------------------------------------------------ */

static void
on_applied(int rc, void *arg)
{
	on_read(rc, 0, arg);
}

static void
test_wait_for_applied(void **state)
{
	struct node *n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	uint64_t late = clock_boot_ns() + 600 * CLOCK_SEC, next;
	struct read r = { 0 };
	struct told t;

	shard_wait(n->shard, NULL, shard_position(n->shard), late, on_applied, &r);
	assert_int_equal(r.times, 1);
	assert_int_equal(r.rc, 0);
	r = (struct read){ 0 };
	n->holds_applied = true;
	next = log_next(*state);
	assert_int_equal(append_create(n, &t, NULL), 0);
	wait_read(*state, n);
	shard_wait(n->shard, NULL, next + 1, late, on_applied, &r);
	run_msec(n->loop, 150);
	assert_int_equal(r.times, 0);
	node_apply(n);
	assert_int_equal(r.times, 1);
	assert_int_equal(r.rc, 0);
	node_end(&n);
}

/* Records that change other repositories are waited for by nobody; a disk that cannot be written lets
 * those go at once who wait for what it holds up, and keeps the lease alive. */
static void
test_wait_while_stuck(void **state)
{
	struct node *n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	struct repo_table *table = repo_table_new("/tmp");
	uint64_t late = clock_boot_ns() + 600 * CLOCK_SEC, end;
	uint8_t other_id[16] = { 9 };
	struct repo *other = repo_table_add(table, other_id, SHARD, "o/other", OID_SHA1);
	struct read free_one = { 0 }, any = { 0 }, later = { 0 }, proof = { 0 };
	struct told t, refused;
	struct err why, err;

	n->holds_applied = true;
	end = log_next(*state) + 1;
	assert_int_equal(append_create(n, &t, NULL), 0);
	while (shard_position(n->shard) < end)
		run_msec(n->loop, 5);
	shard_wait(n->shard, other, end, late, on_applied, &free_one);
	assert_int_equal(free_one.times, 1);
	assert_int_equal(free_one.rc, 0);
	shard_wait(n->shard, NULL, end, late, on_applied, &any);
	assert_int_equal(any.times, 0);
	err_set(&why, ERR_FULL, "no space");
	shards_on_stuck(n->shards, SHARD, &why);
	assert_string_equal(shard_stuck(n->shard)->text, "no space");
	assert_int_equal(any.rc, ERR_UNAVAILABLE);
	/* What was not read yet may be about something else. */
	shard_wait(n->shard, other, end + 1, late, on_applied, &later);
	assert_int_equal(later.times, 0);
	assert_true(shard_is_primary(n->shard));
	assert_int_equal(append_create(n, &refused, &err), ERR_FULL);
	assert_non_null(strstr(err.text, "nothing was changed"));
	ahead += 2 * CLOCK_SEC; /* the lease is over: a barrier renews it */
	shard_read_primary(n->shard, on_read, &proof);
	wait_answer(n, &proof);
	assert_int_equal(proof.rc, 0);
	wait_answer(n, &later);
	assert_int_equal(later.rc, 0);
	shards_on_stuck(n->shards, SHARD, NULL);
	assert_null(shard_stuck(n->shard));
	node_apply(n);
	repo_table_free(&table);
	node_end(&n);
}

static void
test_wait_has_a_deadline(void **state)
{
	struct node *n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	struct read r = { 0 };

	shard_wait(n->shard, NULL, shard_position(n->shard) + 1, clock_boot_ns() + 30 * CLOCK_SEC,
		   on_applied, &r);
	run_msec(n->loop, 150);
	assert_int_equal(r.times, 0);
	ahead += 31 * CLOCK_SEC;
	wait_answer(n, &r);
	assert_int_equal(r.rc, ERR_TIMEOUT);
	node_end(&n);
}

static void
test_wait_for_packs(void **state)
{
	struct node *n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	struct repo_table *table = repo_table_new("/tmp");
	uint8_t id[16] = { 5 };
	struct repo *repo = repo_table_add(table, id, SHARD, "o/r", OID_SHA1);
	struct read r = { 0 };

	repo->shared.missing = 1;
	shard_wait(n->shard, repo, 0, clock_boot_ns() + 600 * CLOCK_SEC, on_applied, &r);
	shards_on_whole(n->shards, SHARD);
	assert_int_equal(r.times, 0);
	repo->shared.missing = 0;
	shards_on_whole(n->shards, SHARD);
	assert_int_equal(r.times, 1);
	assert_int_equal(r.rc, 0);
	node_end(&n);
	repo_table_free(&table);
}

/* A stop tells all, also who asks again from inside. */
struct asks_again {
	struct node *node;
	struct read first, lease, barrier, wait;
};

static void
on_read_again(int rc, uint64_t offset, void *arg)
{
	struct asks_again *a = arg;

	on_read(rc, offset, &a->first);
	shard_read_primary(a->node->shard, on_read, &a->lease);
	shard_read_barrier(a->node->shard, on_read, &a->barrier);
	shard_wait(a->node->shard, NULL, UINT64_MAX, UINT64_MAX, on_applied, &a->wait);
}

static void
test_stop(void **state)
{
	struct node *n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	struct asks_again a = { .node = n };
	struct read wait = { 0 };
	uint64_t next;

	n->holds = true;
	next = log_next(*state) + 1;
	shard_read_barrier(n->shard, on_read_again, &a);
	shard_wait(n->shard, NULL, UINT64_MAX, UINT64_MAX, on_applied, &wait);
	wait_log(*state, n, next);
	shards_stop(n->shards);
	assert_int_equal(a.first.rc, ERR_UNAVAILABLE);
	assert_int_equal(a.lease.rc, ERR_WRONG_NODE);
	assert_int_equal(a.barrier.rc, ERR_UNAVAILABLE);
	assert_int_equal(a.wait.rc, ERR_UNAVAILABLE);
	assert_int_equal(wait.times, 1);
	run_msec(n->loop, 150);
	assert_int_equal(log_next(*state), next);
	node_end(&n);
	assert_int_equal(a.first.times + wait.times, 2);
}

/* Nobody waits for a log that is away, and nothing is sent to it; a lease that holds still serves. */
static void
test_log_away(void **state)
{
	struct node *n;
	struct read waits = { 0 }, barrier = { 0 }, lease = { 0 }, late = { 0 }, back = { 0 };
	uint64_t next;
	struct told t;
	struct err err;

	stop_clock();
	n = begin_primary(*state, &(struct node_opts){ .node = 1 });
	n->holds = true;
	next = log_next(*state) + 1;
	shard_read_barrier(n->shard, on_read, &barrier);
	wait_log(*state, n, next);
	shards_set_log_away(n->shards, true);
	assert_int_equal(barrier.times, 1);
	assert_int_equal(barrier.rc, ERR_UNAVAILABLE);
	shard_read_primary(n->shard, on_read, &lease);
	assert_int_equal(lease.times, 1);
	assert_int_equal(lease.rc, 0);
	assert_int_equal(append_create(n, &t, &err), ERR_LOG_AWAY);
	assert_non_null(strstr(err_text(&err), "nothing was changed"));
	ahead += 2 * CLOCK_SEC;
	shard_read_primary(n->shard, on_read, &late);
	shard_read_barrier(n->shard, on_read, &late);
	assert_int_equal(late.times, 2);
	assert_int_equal(late.rc, ERR_UNAVAILABLE);
	run_msec(n->loop, 300);
	assert_int_equal(log_next(*state), next);
	node_release(n);
	shards_set_log_away(n->shards, false);
	shard_read_primary(n->shard, on_read, &waits);
	shard_read_barrier(n->shard, on_read, &back);
	wait_answer(n, &waits);
	wait_answer(n, &back);
	assert_int_equal(waits.rc, 0);
	assert_int_equal(back.rc, 0);
	node_end(&n);
}

/* What is known of a shard's age: since when a barrier that came back was first asked for. */
static void
test_fresh(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 2 });
	struct read r = { 0 };
	uint64_t before;

	wait_read(*state, n);
	run_msec(n->loop, 250);
	assert_int_equal(shard_fresh_ns(n->shard), 0); /* nobody asked, and so nobody knows */
	before = clock_boot_ns();
	n->holds = true;
	shard_read_barrier(n->shard, on_read, &r);
	ahead += 2 * CLOCK_SEC; /* it is sent again meanwhile */
	run_msec(n->loop, 250);
	assert_int_equal(shard_fresh_ns(n->shard), 0);
	node_release(n);
	wait_answer(n, &r);
	assert_in_range(shard_fresh_ns(n->shard), before, before + CLOCK_SEC);
	node_end(&n);
}

static bool
is_fresher(void *arg)
{
	struct node *n = arg;

	return shard_fresh_ns(n->shard) + CLOCK_SEC > clock_boot_ns();
}

/* fresh_msec keeps it young, with a barrier each third of it and no more. */
static void
test_kept_fresh(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 2, .fresh_msec = 9000 });
	uint64_t next;

	assert_true(run_until(n->loop, is_fresher, n));
	next = log_next(*state);
	for (unsigned i = 1; i <= 3; i++) {
		run_msec(n->loop, 250);
		assert_int_equal(log_next(*state), next);
		ahead += 3 * CLOCK_SEC;
		assert_false(is_fresher(n));
		assert_true(run_until(n->loop, is_fresher, n));
		assert_int_equal(log_next(*state), ++next);
	}
	shards_set_log_away(n->shards, true);
	ahead += 5 * CLOCK_SEC;
	run_msec(n->loop, 250);
	assert_int_equal(log_next(*state), next);
	node_end(&n);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, world_begin, world_end)
	const struct CMUnitTest tests[] = {
		T(test_lease_reads_are_free),
		T(test_lease_runs_out),
		T(test_lease_is_renewed_ahead),
		T(test_without_leases),
		T(test_barriers_are_shared_before_they_are_sent),
		T(test_slow_barrier),
		T(test_lost_barriers),
		T(test_reads_have_a_deadline),
		T(test_deposed_while_waiting),
		T(test_halted),
		T(test_wait_for_applied),
		T(test_wait_while_stuck),
		T(test_wait_has_a_deadline),
		T(test_wait_for_packs),
		T(test_stop),
		T(test_log_away),
		T(test_fresh),
		T(test_kept_fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
