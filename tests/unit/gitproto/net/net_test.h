/* What the tests of this room share: run a loop until something is true, with a deadline. */
#ifndef TESTS_UNIT_GITPROTO_NET_NET_TEST_H
#define TESTS_UNIT_GITPROTO_NET_NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/loop.h"

#define DEADLINE_SEC 60

struct until {
	struct loop *loop;
	struct timer *timer;
	bool (*fn)(void *);
	void *arg;
	uint64_t deadline;
	bool met;
};

static void
until_tick(void *arg)
{
	struct until *u = arg;

	u->met = u->fn(u->arg);
	if (u->met || clock_boot_ns() > u->deadline)
		loop_stop(u->loop);
	else
		timer_set(u->timer, 1);
}

/* Runs the loop until fn(arg); false: the deadline passed. */
UNUSED static bool
run_until(struct loop *l, bool (*fn)(void *), void *arg)
{
	struct until u = { .loop = l, .fn = fn, .arg = arg };

	u.deadline = clock_boot_ns() + DEADLINE_SEC * CLOCK_SEC;
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

/* Runs the loop for so long: only to see that something does not happen. */
UNUSED static void
run_msec(struct loop *l, unsigned msec)
{
	struct until u = { .loop = l };
	bool never = false;

	u.fn = is_set;
	u.arg = &never;
	u.deadline = clock_boot_ns() + msec * CLOCK_MSEC;
	u.timer = timer_new(l, until_tick, &u);
	timer_set(u.timer, 0);
	loop_run(l);
	timer_free(&u.timer);
}

#endif
