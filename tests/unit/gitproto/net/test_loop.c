#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "tests/unit/gitproto/net/net_test.h"

#define THREADS 4
#define POSTS 5000

struct poster {
	pthread_t thread;
	struct loop *loop;
	struct box *box;
	unsigned id;
};
struct note {
	struct box *box;
	unsigned id, n;
};
struct box {
	struct loop *loop;
	unsigned next[THREADS];
	unsigned total;
	bool order_broken;
};

static void
take_note(void *arg)
{
	struct note *n = arg;

	if (n->box->next[n->id] != n->n)
		n->box->order_broken = true;
	n->box->next[n->id]++;
	if (++n->box->total == THREADS * POSTS)
		loop_stop(n->box->loop);
	assert_true(loop_here(n->box->loop));
	free(n);
}

static void *
post_many(void *arg)
{
	struct poster *p = arg;

	for (unsigned i = 0; i < POSTS; i++) {
		struct note *n = MEM_NEW(struct note);

		n->box = p->box;
		n->id = p->id;
		n->n = i;
		loop_post(p->loop, take_note, n);
	}
	return NULL;
}

static void
mail_from_threads_keeps_order(void **state)
{
	struct loop *l = loop_new("test");
	struct box box = { .loop = l };
	struct poster p[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		p[i] = (struct poster){ .loop = l, .box = &box, .id = i };
		assert_int_equal(pthread_create(&p[i].thread, NULL, post_many, &p[i]), 0);
	}
	loop_run(l);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(p[i].thread, NULL);
	assert_int_equal(box.total, THREADS * POSTS);
	assert_false(box.order_broken);
	loop_free(&l);
	assert_null(l);
}

struct trace {
	struct loop *loop;
	struct timer *timer;
	char text[32];
	unsigned n;
	struct loop_task task;
};

static void
add(struct trace *t, char c)
{
	if (t->n < sizeof(t->text) - 1)
		t->text[t->n++] = c;
}

static void
add_b(void *arg)
{
	add(arg, 'b');
}

static void
add_a(void *arg)
{
	struct trace *t = arg;

	loop_defer(t->loop, add_b, t);
	add(t, 'a'); /* b comes after this returned */
}

static void
add_t(void *arg)
{
	add(arg, 't');
}

static void
add_x(void *arg)
{
	struct trace *t = arg;

	add(t, 'x');
	loop_task_put(t->loop, &t->task);
	loop_task_put(t->loop, &t->task); /* once all the same */
	loop_stop(t->loop);
}

static void
deferred_runs_after_the_callback(void **state)
{
	struct loop *l = loop_new("test");
	struct trace t = { .loop = l };

	(void)state;
	loop_task_init(&t.task, add_t, &t);
	loop_task_put(l, &t.task);
	loop_task_revoke(l, &t.task);
	loop_task_revoke(l, &t.task);
	loop_defer(l, add_a, &t);
	loop_post(l, add_x, &t);
	loop_run(l);
	loop_free(&l); /* runs what was put last */
	assert_int_equal(t.n, 4);
	t.text[4] = '\0';
	/* the mail is read by the tick, the deferred one by its end */
	assert_true(memcmp(t.text, "xabt", 4) == 0 || memcmp(t.text, "xatb", 4) == 0);
}

static void
fire(void *arg)
{
	struct trace *t = arg;

	add(t, '.');
	if (t->n < 3) {
		timer_set(t->timer, 1);
		assert_true(timer_is_set(t->timer));
		return;
	}
	timer_free(&t->timer); /* from its own callback */
	loop_stop(t->loop);
}

static void
must_not(void *arg)
{
	(void)arg;
	fail();
}

static void
timers(void **state)
{
	struct loop *l = loop_new("test");
	struct trace t = { .loop = l };
	struct timer *never = timer_new(l, must_not, NULL);
	uint64_t start = clock_boot_ns();

	(void)state;
	t.timer = timer_new(l, fire, &t);
	assert_false(timer_is_set(t.timer));
	timer_set(t.timer, 1);
	timer_set(t.timer, 30); /* replaces */
	timer_set(never, 1);
	timer_stop(never);
	loop_run(l);
	assert_int_equal(t.n, 3);
	assert_true(clock_boot_ns() - start >= 28 * CLOCK_MSEC);
	timer_free(&never);
	timer_free(&never);
	loop_free(&l);
}

static void
stop_it(void *arg)
{
	struct trace *t = arg;

	add(t, 's');
	loop_stop(t->loop);
}

static void
signals(void **state)
{
	struct loop *l = loop_new("test");
	struct trace t = { .loop = l };

	(void)state;
	loop_on_signal(l, SIGHUP, stop_it, &t);
	kill(getpid(), SIGHUP);
	loop_run(l);
	assert_int_equal(t.n, 1);
	loop_free(&l);
}

static void
stop_before_run(void **state)
{
	struct loop *l = loop_new("test");
	struct trace t = { .loop = l };

	(void)state;
	loop_stop(l);
	loop_run(l);
	loop_post(l, stop_it, &t); /* it can run again */
	loop_run(l);
	assert_int_equal(t.n, 1);
	loop_post(l, must_not, NULL); /* dropped */
	loop_post_owned(l, must_not, &t, add_x);
	assert_int_equal(t.n, 1);
	loop_free(&l);
	assert_int_equal(t.n, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_from_threads_keeps_order),
		cmocka_unit_test(deferred_runs_after_the_callback),
		cmocka_unit_test(timers),
		cmocka_unit_test(signals),
		cmocka_unit_test(stop_before_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
