#include "gitproto/net/work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/unit/gitproto/net/net_test.h"

#define JOBS 1000

struct jobs {
	struct loop *loop;
	pthread_t main;
	unsigned order[JOBS], begun; /* one worker: written by it alone */
	unsigned done;
	bool here;
	_Atomic(bool) gate, inside;
	_Atomic(unsigned) ran;
};

struct job {
	struct jobs *all;
	unsigned n;
	bool ran;
};

static void
run(void *arg)
{
	struct job *j = arg;

	assert_false(pthread_equal(pthread_self(), j->all->main));
	j->all->order[j->all->begun++] = j->n;
	j->ran = true;
}

static void
done(void *arg)
{
	struct job *j = arg;

	assert_true(loop_here(j->all->loop));
	assert_true(pthread_equal(pthread_self(), j->all->main));
	assert_true(j->ran);
	j->all->done++;
	free(j);
}

static bool
all_done(void *arg)
{
	return ((struct jobs *)arg)->done == JOBS;
}

static void
test_in_order(void **state UNUSED)
{
	struct jobs *all = MEM_NEW(struct jobs);
	struct work *w;

	all->loop = loop_new("test");
	all->main = pthread_self();
	w = work_new(all->loop, 1);
	for (unsigned i = 0; i < JOBS; i++) {
		struct job *j = MEM_NEW(struct job);

		j->all = all;
		j->n = i;
		work_do(w, run, done, j);
	}
	assert_true(run_until(all->loop, all_done, all));
	for (unsigned i = 0; i < JOBS; i++)
		assert_int_equal(all->order[i], i);
	work_free(&w);
	assert_null(w);
	work_free(&w);
	loop_free(&all->loop);
	free(all);
}

static void
wait_for_gate(void *arg)
{
	struct jobs *all = arg;

	all->ran++;
	all->inside = true;
	while (!all->gate)
		usleep(100);
}

static void
count_done(void *arg)
{
	((struct jobs *)arg)->done++;
}

static void *
open_gate(void *arg)
{
	struct jobs *all = arg;

	usleep(20000);
	all->gate = true;
	return NULL;
}

/* What is under way is waited for; what is not begun is dropped, and tells nothing. */
static void
test_free_drops_the_rest(void **state UNUSED)
{
	struct jobs *all = MEM_NEW(struct jobs);
	struct work *w;
	pthread_t opener;

	all->loop = loop_new("test");
	w = work_new(all->loop, 1);
	for (unsigned i = 0; i < 5; i++)
		work_do(w, wait_for_gate, count_done, all);
	while (!all->inside)
		usleep(100);
	assert_int_equal(pthread_create(&opener, NULL, open_gate, all), 0);
	work_free(&w);
	assert_true(all->gate);
	assert_int_equal(all->ran, 1);
	pthread_join(opener, NULL);
	run_msec(all->loop, 10);
	assert_int_equal(all->done, 1);
	loop_free(&all->loop);
	free(all);
}

static bool
four_inside(void *arg)
{
	return ((struct jobs *)arg)->ran == 4;
}

static bool
four_done(void *arg)
{
	return ((struct jobs *)arg)->done == 4;
}

static void
test_side_by_side(void **state UNUSED)
{
	struct jobs *all = MEM_NEW(struct jobs);
	struct work *w;

	all->loop = loop_new("test");
	w = work_new(all->loop, 4);
	for (unsigned i = 0; i < 4; i++)
		work_do(w, wait_for_gate, count_done, all);
	assert_true(run_until(all->loop, four_inside, all));
	assert_int_equal(all->done, 0);
	all->gate = true;
	assert_true(run_until(all->loop, four_done, all));
	work_free(&w);
	loop_free(&all->loop);
	free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_free_drops_the_rest),
		cmocka_unit_test(test_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
