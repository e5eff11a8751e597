#include "shard-map/commitlog/commitlog_subs.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

#define BUCKETS 256

enum state { BEHIND, IN_STEP, OVER };

struct sub {
	LIST_ENTRY(sub) link;
	TAILQ_ENTRY(sub) turn; /* while BEHIND */
	uint32_t stream;
	enum state state;
	uint64_t serial;
	uint64_t next; /* offset wanted next */
	bool away;     /* its owner knows that the log is away */
	commitlog_read_fn *read;
	commitlog_trouble_fn *trouble;
	void *arg;
};

struct commitlog_subs {
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t idle;  /* a callback ended */
	LIST_HEAD(, sub) bucket[BUCKETS];
	TAILQ_HEAD(, sub) behind; /* in turn */
	uint64_t serial;          /* the last one given */
	bool owned;
	pthread_t owner; /* makes the calls */
	bool running;    /* a callback of: */
	uint32_t running_stream;
	uint64_t calls; /* so far: tells one callback from the next */
};

struct commitlog_subs *
commitlog_subs_new(void)
{
	struct commitlog_subs *t = MEM_NEW(struct commitlog_subs);

	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->idle, NULL);
	for (size_t i = 0; i < BUCKETS; i++)
		LIST_INIT(&t->bucket[i]);
	TAILQ_INIT(&t->behind);
	return t;
}

void
commitlog_subs_free(struct commitlog_subs **tt)
{
	struct commitlog_subs *t = *tt;
	struct sub *s;

	*tt = NULL;
	if (t == NULL)
		return;
	CHECK(!t->running);
	for (size_t i = 0; i < BUCKETS; i++) {
		while ((s = LIST_FIRST(&t->bucket[i])) != NULL) {
			LIST_REMOVE(s, link);
			free(s);
		}
	}
	pthread_cond_destroy(&t->idle);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void
commitlog_subs_own(struct commitlog_subs *t)
{
	pthread_mutex_lock(&t->lock);
	t->owner = pthread_self();
	t->owned = true;
	pthread_mutex_unlock(&t->lock);
}

static struct sub *
find(struct commitlog_subs *t, uint32_t stream)
{
	struct sub *s;

	LIST_FOREACH (s, &t->bucket[stream % BUCKETS], link)
		if (s->stream == stream)
			return s;
	return NULL;
}

static struct sub *
find_turn(struct commitlog_subs *t, const struct commitlog_subs_turn *turn)
{
	struct sub *s = find(t, turn->stream);

	return s != NULL && s->serial == turn->serial ? s : NULL;
}

static void
set_state(struct commitlog_subs *t, struct sub *s, enum state to)
{
	if (s->state == BEHIND)
		TAILQ_REMOVE(&t->behind, s, turn);
	s->state = to;
	if (to == BEHIND)
		TAILQ_INSERT_TAIL(&t->behind, s, turn);
}

void
commitlog_subs_add(struct commitlog_subs *t, uint32_t stream, uint64_t from,
		   commitlog_read_fn *read, commitlog_trouble_fn *trouble, void *arg)
{
	struct sub *s = MEM_NEW(struct sub);

	s->stream = stream;
	s->next = from;
	s->read = read;
	s->trouble = trouble;
	s->arg = arg;
	pthread_mutex_lock(&t->lock);
	CHECK(find(t, stream) == NULL);
	s->serial = ++t->serial;
	s->state = BEHIND;
	TAILQ_INSERT_TAIL(&t->behind, s, turn);
	LIST_INSERT_HEAD(&t->bucket[stream % BUCKETS], s, link);
	pthread_mutex_unlock(&t->lock);
}

void
commitlog_subs_remove(struct commitlog_subs *t, uint32_t stream)
{
	struct sub *s;
	uint64_t call;

	pthread_mutex_lock(&t->lock);
	s = find(t, stream);
	if (s != NULL) {
		set_state(t, s, OVER);
		LIST_REMOVE(s, link);
		free(s);
	}
	call = t->calls;
	if (!t->owned || !pthread_equal(t->owner, pthread_self()))
		while (t->running && t->running_stream == stream && t->calls == call)
			pthread_cond_wait(&t->idle, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

static void
enter(struct commitlog_subs *t, uint32_t stream)
{
	t->running = true;
	t->running_stream = stream;
	t->calls++;
	pthread_mutex_unlock(&t->lock);
}

static void
leave(struct commitlog_subs *t)
{
	pthread_mutex_lock(&t->lock);
	t->running = false;
	pthread_cond_broadcast(&t->idle);
}

/* Both calls let go of the lock: s may be gone afterwards. */
static void
call_read(struct commitlog_subs *t, struct sub *s, const struct commitlog_record *r, size_t n)
{
	commitlog_read_fn *fn = s->read;
	uint32_t stream = s->stream;
	void *arg = s->arg;

	CHECK(r[0].offset == s->next);
	s->next = r[n - 1].offset + 1;
	enter(t, stream);
	fn(stream, r, n, arg);
	leave(t);
}

static void
call_trouble(struct commitlog_subs *t, struct sub *s, const struct err *err)
{
	commitlog_trouble_fn *fn = s->trouble;
	uint32_t stream = s->stream;
	void *arg = s->arg;

	enter(t, stream);
	fn(stream, err, arg);
	leave(t);
}

bool
commitlog_subs_behind(struct commitlog_subs *t, struct commitlog_subs_turn *out)
{
	struct sub *s;

	pthread_mutex_lock(&t->lock);
	s = TAILQ_FIRST(&t->behind);
	if (s != NULL) {
		out->serial = s->serial;
		out->stream = s->stream;
		out->from = s->next;
		set_state(t, s, BEHIND); /* to the end of the row */
	}
	pthread_mutex_unlock(&t->lock);
	return s != NULL;
}

void
commitlog_subs_catch_up(struct commitlog_subs *t, const struct commitlog_subs_turn *turn,
			const struct commitlog_record *r, size_t n, bool more)
{
	struct err back = { ERR_OK, "" };
	struct sub *s;

	pthread_mutex_lock(&t->lock);
	s = find_turn(t, turn);
	if (s != NULL && s->away) {
		s->away = false;
		call_trouble(t, s, &back);
		s = find_turn(t, turn);
	}
	if (s != NULL && n > 0) {
		call_read(t, s, r, n);
		s = find_turn(t, turn);
	}
	if (s != NULL && !more)
		set_state(t, s, IN_STEP);
	pthread_mutex_unlock(&t->lock);
}

/* Whether the error ends a subscription. */
static bool
is_final(const struct err *err)
{
	return err->code == ERR_CORRUPT || err->code == ERR_NOT_FOUND;
}

/* The lock is held, and free during the call. */
static void
tell(struct commitlog_subs *t, struct sub *s, const struct err *err)
{
	struct err away = *err;

	if (is_final(err)) {
		set_state(t, s, OVER);
		call_trouble(t, s, err);
		return;
	}
	away.code = ERR_UNAVAILABLE;
	set_state(t, s, BEHIND);
	s->away = true;
	call_trouble(t, s, &away);
}

static bool
is_told(const struct sub *s, const struct err *err)
{
	return s->state == OVER || (s->away && !is_final(err));
}

void
commitlog_subs_fail(struct commitlog_subs *t, const struct commitlog_subs_turn *turn,
		    const struct err *err)
{
	struct sub *s;

	pthread_mutex_lock(&t->lock);
	s = find_turn(t, turn);
	if (s != NULL && !is_told(s, err))
		tell(t, s, err);
	pthread_mutex_unlock(&t->lock);
}

static struct sub *
find_untold(struct commitlog_subs *t, const struct err *err)
{
	struct sub *s;

	for (size_t i = 0; i < BUCKETS; i++)
		LIST_FOREACH (s, &t->bucket[i], link)
			if (!is_told(s, err))
				return s;
	return NULL;
}

void
commitlog_subs_fail_all(struct commitlog_subs *t, const struct err *err)
{
	struct sub *s;

	pthread_mutex_lock(&t->lock);
	while ((s = find_untold(t, err)) != NULL)
		tell(t, s, err);
	pthread_mutex_unlock(&t->lock);
}

bool
commitlog_subs_in_step(struct commitlog_subs *t, uint32_t stream)
{
	struct sub *s;
	bool yes;

	pthread_mutex_lock(&t->lock);
	s = find(t, stream);
	yes = s != NULL && s->state == IN_STEP;
	pthread_mutex_unlock(&t->lock);
	return yes;
}

void
commitlog_subs_tail(struct commitlog_subs *t, uint32_t stream, const struct commitlog_record *r,
		    size_t n)
{
	struct sub *s;
	size_t had = 0;

	pthread_mutex_lock(&t->lock);
	s = find(t, stream);
	if (s != NULL && s->state == IN_STEP) {
		while (had < n && r[had].offset < s->next)
			had++;
		if (had < n && r[had].offset == s->next)
			call_read(t, s, r + had, n - had);
		else if (had < n)
			set_state(t, s, BEHIND);
	}
	pthread_mutex_unlock(&t->lock);
}

void
commitlog_subs_compare(struct commitlog_subs *t, uint32_t stream, uint64_t next)
{
	struct sub *s;

	pthread_mutex_lock(&t->lock);
	s = find(t, stream);
	if (s != NULL && s->state == IN_STEP && s->next != next)
		set_state(t, s, BEHIND);
	pthread_mutex_unlock(&t->lock);
}
