#include "replica/repo/repo_lock.h"

#include <string.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"

struct queue {
	uint8_t repo_id[16];
	TAILQ_HEAD(, repo_lock) places; /* the first one holds the lock */
	LIST_ENTRY(queue) next;
};

struct repo_lock {
	struct repo_locks *all; /* borrowed */
	struct queue *queue;    /* borrowed */
	struct timer *timer;    /* owned; NULL once held */
	bool held;
	repo_lock_fn *done;
	void *arg;
	TAILQ_ENTRY(repo_lock) next;
};

/* As many buckets as make a chain short for some thousand repositories written at a time. */
#define BUCKETS 256

struct repo_locks {
	struct loop *loop; /* borrowed */
	LIST_HEAD(, queue) busy[BUCKETS];
	unsigned held;
};

struct repo_locks *
repo_locks_new(struct loop *loop)
{
	struct repo_locks *ls = MEM_NEW(struct repo_locks);

	ls->loop = loop;
	for (unsigned i = 0; i < BUCKETS; i++)
		LIST_INIT(&ls->busy[i]);
	return ls;
}

static void
forget(struct queue *q)
{
	struct repo_lock *l;

	while ((l = TAILQ_FIRST(&q->places)) != NULL) {
		TAILQ_REMOVE(&q->places, l, next);
		timer_free(&l->timer);
		free(l);
	}
	LIST_REMOVE(q, next);
	free(q);
}

void
repo_locks_free(struct repo_locks **lsp)
{
	struct repo_locks *ls = *lsp;
	struct queue *q;

	if (ls == NULL)
		return;
	*lsp = NULL;
	for (unsigned i = 0; i < BUCKETS; i++)
		while ((q = LIST_FIRST(&ls->busy[i])) != NULL)
			forget(q);
	free(ls);
}

/* Repository ids are random, one byte of them is hash enough. */
static struct queue *
queue_of(struct repo_locks *ls, const uint8_t id[16])
{
	struct queue *q;

	LIST_FOREACH (q, &ls->busy[id[0]], next)
		if (memcmp(q->repo_id, id, 16) == 0)
			return q;
	q = MEM_NEW(struct queue);
	memcpy(q->repo_id, id, 16);
	TAILQ_INIT(&q->places);
	LIST_INSERT_HEAD(&ls->busy[id[0]], q, next);
	return q;
}

static void
leave(struct repo_lock *l)
{
	struct queue *q = l->queue;

	TAILQ_REMOVE(&q->places, l, next);
	timer_free(&l->timer);
	free(l);
	if (TAILQ_EMPTY(&q->places)) {
		LIST_REMOVE(q, next);
		free(q);
	}
}

static void
on_deadline(void *arg)
{
	struct repo_lock *l = arg;
	repo_lock_fn *done = l->done;
	void *done_arg = l->arg;

	leave(l);
	done(ERR_TIMEOUT, done_arg);
}

static void
hold(struct repo_lock *l)
{
	timer_free(&l->timer);
	l->held = true;
	l->all->held++;
	l->done(0, l->arg);
}

static void
on_free_lock(void *arg)
{
	hold(arg);
}

struct repo_lock *
repo_lock_take(struct repo_locks *ls, const uint8_t repo_id[16], uint64_t deadline_ns,
	       repo_lock_fn *done, void *arg)
{
	struct repo_lock *l = MEM_NEW(struct repo_lock);
	uint64_t now = clock_boot_ns();

	l->all = ls;
	l->queue = queue_of(ls, repo_id);
	l->done = done;
	l->arg = arg;
	TAILQ_INSERT_TAIL(&l->queue->places, l, next);
	/* A free lock is given by a timer of 0: the caller has the pointer before done needs it. */
	if (TAILQ_FIRST(&l->queue->places) == l) {
		l->timer = timer_new(ls->loop, on_free_lock, l);
		timer_set(l->timer, 0);
	} else {
		l->timer = timer_new(ls->loop, on_deadline, l);
		timer_set(l->timer, deadline_ns > now ? (deadline_ns - now) / CLOCK_MSEC : 0);
	}
	return l;
}

void
repo_lock_give(struct repo_lock **lp)
{
	struct repo_lock *l = *lp, *next;

	if (l == NULL)
		return;
	*lp = NULL;
	next = TAILQ_FIRST(&l->queue->places) == l ? TAILQ_NEXT(l, next) : NULL;
	if (l->held)
		l->all->held--;
	leave(l);
	if (next != NULL)
		hold(next);
}

unsigned
repo_locks_held(const struct repo_locks *ls)
{
	return ls->held;
}
