/* gitproto/net/loop.h - an event loop with a mailbox and an end-of-tick list.
 * Thread: the one that runs it, but for loop_post and loop_stop (any).
 * Order: loop_new, then anything that takes a loop, loop_run, loop_free (nothing may use it then). */
#ifndef GITPROTO_NET_LOOP_H
#define GITPROTO_NET_LOOP_H

#include "gitproto/base/defs.h"

struct loop;
struct event_base;

typedef void loop_fn(void *arg);

struct loop *loop_new(const char *name); /* name: borrowed for ever, for logs and thread names */
void loop_free(struct loop **);
/* Runs until loop_stop; the caller becomes the loop's thread.  Ignores SIGPIPE for the process. */
void loop_run(struct loop *);
void loop_stop(struct loop *); /* any thread */
/* From any thread: fn(arg) runs on the loop's thread, in the order of the posts of each thread. */
void loop_post(struct loop *, loop_fn *, void *arg);
/* On the loop's thread: fn(arg) runs when the present callback has returned (end of the tick). */
void loop_defer(struct loop *, loop_fn *, void *arg);
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
