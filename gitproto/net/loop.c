#include "gitproto/net/loop.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "gitproto/base/mem.h"

/* One tick: libevent's callbacks, then the tasks.  A task put by a task runs in the next round;
 * some rounds pass before the descriptors are looked at again, so that what goes through several
 * layers (socket, session, stream, relay) does not pay a system call for each. */
#define ROUNDS_PER_TICK 8

struct mail {
	STAILQ_ENTRY(mail) link;
	loop_fn *fn, *drop; /* drop: instead, when the loop ended before; may be NULL */
	void *arg;
};
STAILQ_HEAD(mail_list, mail);
TAILQ_HEAD(task_list, loop_task);

struct on_signal {
	SLIST_ENTRY(on_signal) link;
	struct event *ev; /* owned */
	loop_fn *fn;
	void *arg;
};

struct loop {
	unsigned magic;
#define LOOP_MAGIC 0x100b5a3eu
	const char *name; /* borrowed for ever */
	struct event_base *base;
	struct event *wake; /* owned; wake_fd is readable */
	int wake_fd;
	uint64_t round;
	struct task_list tasks;
	SLIST_HEAD(, on_signal) signals;
	_Atomic(bool) running, stop;
	_Atomic(pthread_t) thread; /* valid while running */
	struct {
		pthread_mutex_t lock;
		struct mail_list mail; /* under lock */
	} shared;
};

static void
ring(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(l->wake_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = OBJ_FROM(arg, struct loop, LOOP_MAGIC);
	struct mail_list got = STAILQ_HEAD_INITIALIZER(got);
	struct mail *m;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
		CHECK(errno == 0);
	pthread_mutex_lock(&l->shared.lock);
	STAILQ_CONCAT(&got, &l->shared.mail);
	pthread_mutex_unlock(&l->shared.lock);
	while ((m = STAILQ_FIRST(&got)) != NULL) {
		STAILQ_REMOVE_HEAD(&got, link);
		m->fn(m->arg);
		free(m);
	}
}

/* Relayed bytes live in blocks of up to 64 KiB that come and go by the thousand.  With glibc's
 * defaults each burst gives its memory back to the kernel and faults it in again: half the
 * throughput of a relay (measured).  Up to 32 MiB are kept instead. */
static void
keep_blocks(void)
{
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 32 << 20);
	mallopt(M_TOP_PAD, 1 << 20);
}

/* A connection, a child and a file each take a descriptor; the usual soft limit of 1024 is there for
 * programs that use select(), and the hard one is what the operator allows. */
static void
raise_descriptors(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void
once_a_process(void)
{
	keep_blocks();
	raise_descriptors();
}

struct loop *
loop_new(const char *name)
{
	struct loop *l = MEM_NEW(struct loop);
	struct event_config *cfg = event_config_new();
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, once_a_process);
	CHECK(cfg != NULL);
	/* Other threads reach the base through the mailbox alone, so it needs no locks. */
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	signal(SIGPIPE, SIG_IGN);
	l->magic = LOOP_MAGIC;
	l->name = name;
	l->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK(l->base != NULL && l->wake_fd >= 0);
	TAILQ_INIT(&l->tasks);
	STAILQ_INIT(&l->shared.mail);
	SLIST_INIT(&l->signals);
	pthread_mutex_init(&l->shared.lock, NULL);
	l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	CHECK(l->wake != NULL && event_add(l->wake, NULL) == 0);
	return l;
}

/* Runs the tasks that were put before this round began. */
static void
run_round(struct loop *l)
{
	uint64_t now = l->round++;
	struct loop_task *t;

	while ((t = TAILQ_FIRST(&l->tasks)) != NULL && t->round <= now) {
		loop_fn *fn = t->fn;
		void *arg = t->arg;

		TAILQ_REMOVE(&l->tasks, t, link);
		t->waits = false;
		if (t->once)
			free(t);
		fn(arg);
	}
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;
	struct on_signal *s;
	struct mail *m;

	*lp = NULL;
	if (l == NULL)
		return;
	CHECK(!l->running);
	while (!TAILQ_EMPTY(&l->tasks))
		run_round(l);
	while ((m = STAILQ_FIRST(&l->shared.mail)) != NULL) {
		STAILQ_REMOVE_HEAD(&l->shared.mail, link);
		if (m->drop != NULL)
			m->drop(m->arg);
		free(m);
	}
	while ((s = SLIST_FIRST(&l->signals)) != NULL) {
		SLIST_REMOVE_HEAD(&l->signals, link);
		event_free(s->ev);
		free(s);
	}
	event_free(l->wake);
	event_base_free(l->base);
	close(l->wake_fd);
	pthread_mutex_destroy(&l->shared.lock);
	l->magic = 0;
	free(l);
}

void
loop_run(struct loop *l)
{
	char name[16];

	CHECK(!l->running);
	l->thread = pthread_self();
	l->running = true;
	/* Never the main thread: its name is the program's in ps and killall. */
	if (getpid() != gettid()) {
		snprintf(name, sizeof(name), "%s", l->name);
		pthread_setname_np(pthread_self(), name);
	}
	while (!l->stop) {
		bool more = !TAILQ_EMPTY(&l->tasks);

		event_base_loop(l->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0));
		for (int i = 0; i < ROUNDS_PER_TICK && !TAILQ_EMPTY(&l->tasks); i++)
			run_round(l);
	}
	l->stop = false;
	l->running = false;
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
	ring(l);
}

void
loop_post(struct loop *l, loop_fn *fn, void *arg)
{
	loop_post_owned(l, fn, arg, NULL);
}

void
loop_post_owned(struct loop *l, loop_fn *fn, void *arg, loop_fn *drop)
{
	struct mail *m = MEM_NEW(struct mail);
	bool first;

	m->fn = fn;
	m->arg = arg;
	m->drop = drop;
	pthread_mutex_lock(&l->shared.lock);
	first = STAILQ_EMPTY(&l->shared.mail);
	STAILQ_INSERT_TAIL(&l->shared.mail, m, link);
	pthread_mutex_unlock(&l->shared.lock);
	if (first)
		ring(l);
}

void
loop_task_init(struct loop_task *t, loop_fn *fn, void *arg)
{
	*t = (struct loop_task){ .fn = fn, .arg = arg };
}

void
loop_task_put(struct loop *l, struct loop_task *t)
{
	CHECK_LOOP(l);
	if (t->waits)
		return;
	t->waits = true;
	t->round = l->round;
	TAILQ_INSERT_TAIL(&l->tasks, t, link);
}

void
loop_task_revoke(struct loop *l, struct loop_task *t)
{
	if (!t->waits)
		return;
	CHECK_LOOP(l);
	t->waits = false;
	TAILQ_REMOVE(&l->tasks, t, link);
}

void
loop_defer(struct loop *l, loop_fn *fn, void *arg)
{
	struct loop_task *t = MEM_NEW(struct loop_task);

	loop_task_init(t, fn, arg);
	t->once = true;
	loop_task_put(l, t);
}

bool
loop_here(const struct loop *l)
{
	return !l->running || pthread_equal(l->thread, pthread_self());
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct on_signal *s = arg;

	(void)signo;
	(void)what;
	s->fn(s->arg);
}

void
loop_on_signal(struct loop *l, int signo, loop_fn *fn, void *arg)
{
	struct on_signal *s = MEM_NEW(struct on_signal);

	s->fn = fn;
	s->arg = arg;
	s->ev = evsignal_new(l->base, signo, on_signal, s);
	CHECK(s->ev != NULL && event_add(s->ev, NULL) == 0);
	SLIST_INSERT_HEAD(&l->signals, s, link);
}

struct timer {
	unsigned magic;
#define TIMER_MAGIC 0x71e42b19u
	struct loop *loop; /* borrowed */
	struct event *ev;  /* owned */
	loop_fn *fn;
	void *arg;
};

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = OBJ_FROM(arg, struct timer, TIMER_MAGIC);

	(void)fd;
	(void)what;
	t->fn(t->arg);
}

struct timer *
timer_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct timer *t = MEM_NEW(struct timer);

	t->magic = TIMER_MAGIC;
	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	t->ev = evtimer_new(l->base, on_timer, t);
	CHECK(t->ev != NULL);
	return t;
}

void
timer_set(struct timer *t, uint64_t msec)
{
	struct timeval tv = { .tv_sec = (time_t)(msec / 1000),
			      .tv_usec = (suseconds_t)(msec % 1000 * 1000) };

	CHECK_LOOP(t->loop);
	CHECK(evtimer_add(t->ev, &tv) == 0);
}

void
timer_stop(struct timer *t)
{
	evtimer_del(t->ev);
}

bool
timer_is_set(const struct timer *t)
{
	return evtimer_pending(t->ev, NULL) != 0;
}

void
timer_free(struct timer **tp)
{
	struct timer *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	CHECK_LOOP(t->loop);
	event_free(t->ev);
	t->magic = 0;
	free(t);
}
