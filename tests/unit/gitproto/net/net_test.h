/* What the tests of this room share: run a loop until something is true, with a deadline. */
#ifndef TESTS_UNIT_GITPROTO_NET_NET_TEST_H
#define TESTS_UNIT_GITPROTO_NET_NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/loop.h"

#define DEADLINE_SEC 300 /* patience */

/* clock_boot_ns() may be a test's own. */
static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * CLOCK_SEC + (uint64_t)t.tv_nsec;
}

struct until {
	struct loop *loop;
	struct timer *timer;
	bool (*fn)(void *);
	void *arg;
	uint64_t deadline;
	unsigned turns; /* at least so many more */
	bool met;
};

static void
until_tick(void *arg)
{
	struct until *u = arg;

	u->met = u->fn(u->arg);
	if (u->met || (u->turns == 0 && now_ns() > u->deadline))
		loop_stop(u->loop);
	else
		timer_set(u->timer, 1);
	u->turns -= MIN(u->turns, 1u);
}

/* Runs the loop until fn(arg); false: the deadline passed. */
UNUSED static bool
run_until(struct loop *l, bool (*fn)(void *), void *arg)
{
	struct until u = { .loop = l, .fn = fn, .arg = arg };

	u.deadline = now_ns() + DEADLINE_SEC * CLOCK_SEC;
	u.timer = timer_new(l, until_tick, &u);
	timer_set(u.timer, 0);
	loop_run(l);
	timer_free(&u.timer);
	return u.met;
}

UNUSED static bool
is_set(void *flag)
{
	return *(bool *)flag;
}

/* Runs the loop for so long, and some turns at least: a machine that stands still meanwhile does not take
 * all of it. */
UNUSED static void
run_msec(struct loop *l, unsigned msec)
{
	struct until u = { .loop = l, .turns = MIN(msec, 20) };
	bool never = false;

	u.fn = is_set;
	u.arg = &never;
	u.deadline = now_ns() + msec * CLOCK_MSEC;
	u.timer = timer_new(l, until_tick, &u);
	timer_set(u.timer, 0);
	loop_run(l);
	timer_free(&u.timer);
}

#endif
