/* What `status` says of appends whose outcome is not known. */
#include "replica/shard/shard_open.h"

#include "tests/unit/replica/shard/shard_world.h"

struct seen {
	unsigned n;
	bool decided;
	uint64_t for_ns;
	char type[20], repo[20], request[20], doing[120];
};

static void
on_open(const struct shard_open *o, void *arg)
{
	struct seen *s = arg;

	s->n++;
	s->decided = o->decided;
	s->for_ns = o->for_ns;
	snprintf(s->type, sizeof(s->type), "%s", o->type);
	snprintf(s->repo, sizeof(s->repo), "%s", o->repo != NULL ? o->repo : "-");
	snprintf(s->request, sizeof(s->request), "%s", o->request);
	snprintf(s->doing, sizeof(s->doing), "%s", o->doing);
}

/* The only one that is open, and how many are undecided. */
static void
look(const struct node *n, struct seen *s, unsigned open, unsigned undecided)
{
	memset(s, 0, sizeof(*s));
	assert_int_equal(shard_open_each(n->shard, on_open, s), undecided);
	assert_int_equal(shard_open_each(n->shard, NULL, NULL), undecided);
	assert_int_equal(s->n, open);
}

/* It is in the log before the clock jumps over the log's own deadline. */
static void
pass(struct world *w, uint64_t next, uint64_t ns)
{
	while (log_next(w) < next)
		usleep(100);
	ahead += ns;
}

/* Asked, a barrier behind it, read, applied. */
static void
test_steps(void **state)
{
	struct node *n;
	struct told t;
	struct seen s;
	uint64_t next;

	stop_clock();
	n = node_begin(*state, &(struct node_opts){ .node = 1 });
	shard_set_preferred(n->shard, true);
	wait_primary(n);
	wait_read(*state, n);
	next = log_next(*state);
	n->holds = n->holds_applied = true;
	assert_int_equal(append_create(n, &t, NULL), 0);
	look(n, &s, 0, 0); /* one that is on its way is nothing special */
	pass(*state, next + 1, 3 * CLOCK_SEC);
	look(n, &s, 1, 1);
	assert_string_equal(s.type, "create");
	assert_string_equal(s.repo, "o/r");
	assert_string_equal(s.request, "aaaa");
	assert_false(s.decided);
	assert_true(s.for_ns >= 3 * CLOCK_SEC && s.for_ns < 5 * CLOCK_SEC);
	assert_non_null(strstr(s.doing, "a barrier will be sent"));
	run_msec(n->loop, 250);
	look(n, &s, 1, 1); /* the barrier itself is not listed */
	assert_non_null(strstr(s.doing, "waiting for a barrier to be read back"));
	node_release(n);
	look(n, &s, 1, 0);
	assert_true(s.decided);
	assert_string_equal(s.repo, "o/r");
	assert_int_equal(t.times, 0);
	node_apply(n);
	assert_int_equal(t.fate, SHARD_COMMITTED);
	look(n, &s, 0, 0);
	node_end(&n);
}

/* A claim of which nothing is heard, and a shard that is stopped. */
static void
test_claim_and_halt(void **state)
{
	struct node *n = node_begin(*state, &(struct node_opts){ .node = 1 });
	struct err why;
	struct seen s;
	uint64_t next;

	wait_read(*state, n);
	next = log_next(*state);
	n->holds = true;
	shard_set_preferred(n->shard, true);
	pass(*state, next + 1, 2 * CLOCK_SEC);
	look(n, &s, 1, 1);
	assert_string_equal(s.type, "claim");
	assert_string_equal(s.repo, "-");
	assert_non_null(strstr(s.doing, "the next record of a primary decides"));
	err_set(&why, ERR_CORRUPT, "cut");
	shards_on_halt(n->shards, SHARD, &why);
	look(n, &s, 1, 1);
	assert_non_null(strstr(s.doing, "stopped on this node"));
	shards_on_halt(n->shards, SHARD, NULL);
	node_release(n);
	wait_primary(n);
	look(n, &s, 0, 0);
	node_end(&n);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, world_begin, world_end)
	const struct CMUnitTest tests[] = { T(test_steps), T(test_claim_and_halt) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
