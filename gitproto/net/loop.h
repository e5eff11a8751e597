/* gitproto/net/loop.h - an event loop with a mailbox and an end-of-tick list.
 * Thread: the one that runs it, but for loop_post and loop_stop (any).
 * Order: loop_new, then anything that takes a loop, loop_run, loop_free (nothing may use it then). */
#ifndef GITPROTO_NET_LOOP_H
#define GITPROTO_NET_LOOP_H

#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/defs.h"

struct loop;
struct event_base;

typedef void loop_fn(void *arg);

struct loop *loop_new(const char *name); /* name: borrowed for ever, for logs and thread names */
/* What was deferred still runs; what was posted and did not run is dropped. */
void loop_free(struct loop **);
/* Runs until loop_stop; the caller becomes the loop's thread.  Ignores SIGPIPE for the process. */
void loop_run(struct loop *);
void loop_stop(struct loop *); /* any thread; before loop_run: that one returns at once */
/* From any thread: fn(arg) runs on the loop's thread, in the order of the posts of each thread. */
void loop_post(struct loop *, loop_fn *, void *arg);
/* The same; drop(arg) instead, in loop_free, when the loop ended before. */
void loop_post_owned(struct loop *, loop_fn *, void *arg, loop_fn *drop);
/* On the loop's thread: fn(arg) runs when the present callback has returned (end of the tick). */
void loop_defer(struct loop *, loop_fn *, void *arg);
/* Intrusive form of loop_defer, without an allocation and revocable: for objects that are told
 * things again and again.  A task that waits already is not put a second time. */
struct loop_task {
	TAILQ_ENTRY(loop_task) link;
	loop_fn *fn;
	void *arg;      /* borrowed, until the task ran or was revoked */
	uint64_t round; /* of the tick it was put in */
	bool waits;     /* it is on the loop's list */
	bool once;      /* it is loop_defer's own and freed after the call */
};
void loop_task_init(struct loop_task *, loop_fn *, void *arg);
void loop_task_put(struct loop *, struct loop_task *);
void loop_task_revoke(struct loop *, struct loop_task *);

bool loop_here(const struct loop *); /* is this the loop's thread (or is it not running yet)? */
struct event_base *loop_base(struct loop *); /* for gitproto/net only */
/* Calls fn(arg) on the loop for each SIGTERM/SIGINT/SIGHUP/... given.  One loop per process. */
void loop_on_signal(struct loop *, int signo, loop_fn *, void *arg);

#define CHECK_LOOP(l) CHECK(loop_here(l))

/* A one-shot timer.  fn may free it or set it again. */
struct timer;
struct timer *timer_new(struct loop *, loop_fn *, void *arg);
void timer_set(struct timer *, uint64_t msec); /* from now; replaces what was set */
void timer_stop(struct timer *);
bool timer_is_set(const struct timer *);
void timer_free(struct timer **);

#endif
