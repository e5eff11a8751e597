/* Reigns, appends and what a stop leaves. */
#include "tests/unit/replica/shard/shard_world.h"

static void
test_preferred_claims(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 1 });

	run_msec(n->loop, 250);
	assert_false(is_primary(n));
	assert_int_equal(shard_epoch(n->shard), 0);
	assert_int_equal(shard_primary(n->shard), 0);
	shard_set_preferred(n->shard, true);
	wait_primary(n);
	assert_int_equal(shard_epoch(n->shard), 1);
	assert_int_equal(shard_primary(n->shard), 1);
	assert_true(shard_reign(n->shard).boot == n->boot);
	assert_true(n->changes > 0);
	node_end(&n);
}

static void
test_same_disk_claims_again(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 1 });

	shard_set_preferred(n->shard, true);
	wait_primary(n);
	node_end(&n);
	/* No longer preferred, and without the wait of R3: it owns the lock of the disk. */
	n = node_begin(*state, &(struct node_opts){ .node = 1, .start = 2 });
	wait_primary(n);
	assert_int_equal(shard_epoch(n->shard), 2);
	assert_int_equal(n->fatal, 0);
	node_end(&n);
}

static void
test_others_do_not_claim(void **state)
{
	struct node *a = node_begin(*state, &(struct node_opts){ .node = 1 }), *b;

	shard_set_preferred(a->shard, true);
	wait_primary(a);
	node_end(&a);
	b = node_begin(*state, &(struct node_opts){ .node = 2 });
	shard_set_preferred(b->shard, true);
	ahead += 10 * CLOCK_SEC;
	run_msec(b->loop, 300);
	assert_false(is_primary(b));
	assert_int_equal(shard_epoch(b->shard), 1);
	assert_int_equal(shard_primary(b->shard), 1);
	node_end(&b);
}

static void
test_claims_only_when_whole_and_caught_up(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 1 });

	shard_set_missing(n->shard, 1);
	shard_set_preferred(n->shard, true);
	run_msec(n->loop, 250);
	assert_int_equal(shard_epoch(n->shard), 0);
	shard_set_log_end(n->shard, UINT64_MAX);
	shard_set_missing(n->shard, 0);
	run_msec(n->loop, 250);
	assert_int_equal(shard_epoch(n->shard), 0);
	shard_set_log_end(n->shard, 1);
	wait_primary(n);
	node_end(&n);
}

static void
test_old_copy_of_the_disk(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 1, .start = 5 });

	wait_read(*state, n);
	node_end(&n);
	n = node_begin(*state, &(struct node_opts){ .node = 1, .start = 4 });
	wait_read(*state, n);
	assert_int_equal(n->fatal, 1);
	node_end(&n);
	/* The copy was taken right before the start that the log knows. */
	n = node_begin(*state, &(struct node_opts){ .node = 1, .start = 5 });
	wait_read(*state, n);
	assert_int_equal(n->fatal, 1);
	node_end(&n);
	n = node_begin(*state, &(struct node_opts){ .node = 1, .start = 6 });
	wait_read(*state, n);
	assert_int_equal(n->fatal, 0);
	node_end(&n);
	n = node_begin(*state, &(struct node_opts){ .node = 2, .start = 1 });
	wait_read(*state, n);
	assert_int_equal(n->fatal, 0);
	node_end(&n);
}

/* What the log lost is said again, until it is read. */
static void
test_start_that_was_lost(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 2, .faults = "lost=800" });
	unsigned tries = 0;

	while (n->starts == 0 && tries++ < 100) {
		ahead += 6 * CLOCK_SEC;
		/* Longer than a disk takes: one that was not lost must not be said again. */
		for (unsigned i = 0; i < 10 && n->starts == 0; i++)
			run_msec(n->loop, 100);
	}
	assert_in_range(tries, 2, 99); /* this seed loses the first ones */
	assert_int_equal(n->starts, 1);
	for (unsigned i = 0; i < 3; i++) {
		ahead += 6 * CLOCK_SEC;
		run_msec(n->loop, 120);
	}
	assert_int_equal(n->starts, 1);
	assert_int_equal(n->fatal, 0);
	node_end(&n);
}

static struct node *
begin_primary(struct world *w, const char *faults)
{
	struct node *n = node_begin(w, &(struct node_opts){ .node = 1, .faults = faults });

	shard_set_preferred(n->shard, true);
	wait_primary(n);
	return n;
}

static void
test_committed_once_applied(void **state)
{
	struct node *n = begin_primary(*state, NULL);
	struct told t;

	n->holds_applied = true;
	assert_int_equal(append_create(n, &t, NULL), 0);
	assert_int_equal(shard_unresolved(n->shard), 1);
	wait_read(*state, n);
	run_msec(n->loop, 50);
	assert_int_equal(shard_unresolved(n->shard), 0);
	assert_int_equal(t.times, 0);
	node_apply(n);
	assert_int_equal(t.times, 1);
	assert_int_equal(t.fate, SHARD_COMMITTED);
	assert_int_equal(t.offset + 1, shard_applied(n->shard));
	node_end(&n);
	assert_int_equal(t.times, 1);
}

static void
test_dead_by_its_content(void **state)
{
	struct node *n = begin_primary(*state, NULL);
	struct told t;

	n->taken = true;
	assert_int_equal(append_create(n, &t, NULL), 0);
	assert_true(run_until(n->loop, was_told, &t));
	assert_int_equal(t.fate, SHARD_DEAD);
	assert_true(t.why[0] != '\0');
	node_end(&n);
}

static void
test_refused_by_role(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 2 });
	struct err err, why;
	struct told t;

	assert_int_equal(append_create(n, &t, &err), ERR_WRONG_NODE);
	err_set(&why, ERR_CORRUPT, "cut");
	shards_on_halt(n->shards, SHARD, &why);
	assert_int_equal(append_create(n, &t, &err), ERR_UNAVAILABLE);
	assert_non_null(strstr(err_text(&err), "cut"));
	assert_false(is_primary(n));
	node_end(&n);
	n = begin_primary(*state, NULL);
	shards_on_halt(n->shards, SHARD, &why);
	assert_false(is_primary(n));
	shards_on_halt(n->shards, SHARD, NULL);
	assert_true(is_primary(n));
	assert_null(shard_halted(n->shard));
	node_end(&n);
}

/* A higher claim: what landed before it stays, what lands after it is dead. */
static void
test_deposed(void **state)
{
	struct node *a = begin_primary(*state, NULL), *b;
	struct told before, after;
	struct err err;

	a->holds = true;
	assert_int_equal(append_create(a, &before, NULL), 0);
	b = node_begin(*state, &(struct node_opts){ .node = 1, .start = 2 });
	wait_primary(b);
	assert_true(is_primary(a)); /* it does not know yet */
	assert_int_equal(append_create(a, &after, NULL), 0);
	run_msec(a->loop, 50);
	assert_int_equal(before.times + after.times, 0);
	node_release(a);
	assert_true(run_until(a->loop, was_told, &before));
	assert_true(run_until(a->loop, was_told, &after));
	assert_int_equal(before.fate, SHARD_COMMITTED);
	assert_int_equal(after.fate, SHARD_DEAD);
	assert_false(is_primary(a));
	assert_int_equal(append_create(a, &after, &err), ERR_WRONG_NODE);
	node_end(&a);
	node_end(&b);
}

static void
test_lost_claim_is_made_again(void **state)
{
	node_end((struct node *[]){ begin_primary(*state, "lost=850") });
}

/* Whatever the log does, each append gets one fate, and the log agrees. */
#define APPENDS 40

struct many {
	struct told t[APPENDS];
	size_t n;
};

static bool
all_told(void *arg)
{
	struct many *m = arg;

	ahead += CLOCK_SEC / 50; /* RESOLVE_NS and the like pass quickly */
	for (size_t i = 0; i < m->n; i++)
		if (m->t[i].times == 0)
			return false;
	return true;
}

static void
append_many(struct world *w, const char *faults, unsigned dead_at_least)
{
	struct node *n = begin_primary(w, faults);
	struct many *m = MEM_NEW(struct many);
	unsigned committed = 0, dead = 0;

	m->n = APPENDS;
	for (size_t i = 0; i < m->n; i++)
		assert_int_equal(append_create(n, &m->t[i], NULL), 0);
	assert_true(run_until(n->loop, all_told, m));
	for (size_t i = 0; i < m->n; i++) {
		assert_int_equal(m->t[i].times, 1);
		assert_int_not_equal(m->t[i].fate, SHARD_UNKNOWN);
		committed += m->t[i].fate == SHARD_COMMITTED;
		dead += m->t[i].fate == SHARD_DEAD;
	}
	wait_read(w, n);
	assert_int_equal(n->effective, committed);
	assert_true(dead >= dead_at_least);
	assert_true(committed > 0);
	node_end(&n);
	free(m);
}

static void
test_log_refuses(void **state)
{
	append_many(*state, "refuse=500", 1);
}

static void
test_log_loses(void **state)
{
	append_many(*state, "lost=500", 1);
}

static void
test_log_loses_answers(void **state)
{
	append_many(*state, "lostack=1000", 0);
}

static void
test_log_is_late(void **state)
{
	append_many(*state, "late=300@200ms,twice=300@200ms", 0);
}

/* A stop tells everyone; who asks again from there is refused and reaches no log. */
struct again {
	struct node *node;
	struct told first, second;
	int rc;
};

static void
on_again(enum shard_fate fate, uint64_t offset, const char *why, void *arg)
{
	struct again *a = arg;

	on_told(fate, offset, why, &a->first);
	a->rc = append_create(a->node, &a->second, NULL);
}

static void
test_stop(void **state)
{
	struct node *n = begin_primary(*state, NULL);
	struct again a = { .node = n };
	struct record r = { .type = RECORD_DELETE };
	struct shard_asker asker = { .done = on_again, .arg = &a };
	struct told read;
	uint64_t next;

	n->holds_applied = true;
	assert_int_equal(append_create(n, &read, NULL), 0);
	wait_read(*state, n);
	run_msec(n->loop, 20);
	n->holds = true;
	next = log_next(*state) + 1;
	assert_int_equal(shard_append(n->shard, &r, &asker, NULL), 0);
	wait_log(*state, n, next);
	shards_stop(n->shards);
	assert_int_equal(read.times, 1);
	assert_int_equal(read.fate, SHARD_UNKNOWN);
	assert_int_equal(a.first.times, 1);
	assert_int_equal(a.first.fate, SHARD_UNKNOWN);
	assert_int_equal(a.rc, ERR_UNAVAILABLE);
	run_msec(n->loop, 250);
	assert_int_equal(log_next(*state), next);
	node_end(&n);
	assert_int_equal(a.first.times, 1);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, world_begin, world_end)
	const struct CMUnitTest tests[] = {
		T(test_preferred_claims),
		T(test_same_disk_claims_again),
		T(test_others_do_not_claim),
		T(test_claims_only_when_whole_and_caught_up),
		T(test_old_copy_of_the_disk),
		T(test_start_that_was_lost),
		T(test_committed_once_applied),
		T(test_dead_by_its_content),
		T(test_refused_by_role),
		T(test_deposed),
		T(test_lost_claim_is_made_again),
		T(test_log_refuses),
		T(test_log_loses),
		T(test_log_loses_answers),
		T(test_log_is_late),
		T(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
