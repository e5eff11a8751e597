#include "shard-map/commitlog/directory_log.h"

#include <inttypes.h>
#include <pthread.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "gitproto/net/work.h"
#include "shard-map/commitlog/directory_judge.h"

enum wait_state {
	WAIT_NEXT,  /* a look that waits until the end of the stream is asked for */
	WAIT_ASKED, /* it is being asked for */
	WAIT_READ,  /* until `until` is read */
	WAIT_PUT,   /* until the record with this txn is read */
	WAIT_DONE,  /* rc tells */
};

struct wait {
	struct directory_log *log;
	enum wait_state state; /* under the lock, as rc */
	int rc;
	uint64_t until;
	uint8_t txn[RECORD_ID];
	struct timer *timer; /* owned: its patience */
	directory_log_fn *done;
	void *arg;
	TAILQ_ENTRY(wait) next;
};
TAILQ_HEAD(waits, wait);

struct directory_log {
	LIST_ENTRY(directory_log) link;
	uintptr_t id; /* what posts to the loop carry: this may be freed meanwhile */
	struct commitlog *log;
	struct loop *loop;
	struct directory *directory; /* owned; written on the log thread */
	commitlog_trouble_fn *trouble;
	void *arg;
	struct work *work; /* owned; asks for the end of the stream; NULL: nobody looked yet */
	bool asking;
	/* of the worker, until its done: */
	uint64_t end;
	struct err end_err;
	/* of the log thread: */
	struct directory_judge judge;
	uint8_t uuid[16]; /* set before begun */
	struct {
		pthread_mutex_t lock;
		bool begun, posted;
		uint64_t read; /* all below it has been read */
		struct waits waits;
	} shared;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, directory_log) registry = LIST_HEAD_INITIALIZER(registry);
static uintptr_t last_id;

/* The one that a post was meant for, NULL when it is gone. */
static struct directory_log *
find(void *id)
{
	struct directory_log *l;

	pthread_mutex_lock(&registry_lock);
	LIST_FOREACH (l, &registry, link)
		if (l->id == (uintptr_t)id)
			break;
	pthread_mutex_unlock(&registry_lock);
	return l;
}

/* ---- on the loop ----------------------------------------------------------------------------- */

static void
end_wait(struct wait *w)
{
	timer_free(&w->timer);
	w->done(w->rc, w->arg);
	free(w);
}

/* Tells those whose wait is over; a done may do anything but free the whole. */
static void
tell(struct directory_log *l)
{
	struct waits mine = TAILQ_HEAD_INITIALIZER(mine);
	struct wait *w, *after;

	pthread_mutex_lock(&l->shared.lock);
	for (w = TAILQ_FIRST(&l->shared.waits); w != NULL; w = after) {
		after = TAILQ_NEXT(w, next);
		if (w->state == WAIT_READ && l->shared.read >= w->until)
			w->state = WAIT_DONE;
		if (w->state != WAIT_DONE)
			continue;
		TAILQ_REMOVE(&l->shared.waits, w, next);
		TAILQ_INSERT_TAIL(&mine, w, next);
	}
	pthread_mutex_unlock(&l->shared.lock);
	while ((w = TAILQ_FIRST(&mine)) != NULL) {
		TAILQ_REMOVE(&mine, w, next);
		end_wait(w);
	}
}

static void
on_post(void *id)
{
	struct directory_log *l = find(id);

	if (l == NULL)
		return;
	pthread_mutex_lock(&l->shared.lock);
	l->shared.posted = false;
	pthread_mutex_unlock(&l->shared.lock);
	tell(l);
}

/* The lock is held. */
static void
post(struct directory_log *l)
{
	if (l->shared.posted || TAILQ_EMPTY(&l->shared.waits))
		return;
	l->shared.posted = true;
	loop_post(l->loop, on_post, (void *)l->id);
}

static void
on_late(void *arg)
{
	struct wait *w = arg;
	struct directory_log *l = w->log;

	pthread_mutex_lock(&l->shared.lock);
	if (w->state != WAIT_DONE)
		w->rc = ERR_UNAVAILABLE;
	w->state = WAIT_DONE;
	pthread_mutex_unlock(&l->shared.lock);
	tell(l);
}

static struct wait *
add_wait(struct directory_log *l, enum wait_state state, uint64_t msec, directory_log_fn *done,
	 void *arg)
{
	struct wait *w = MEM_NEW(struct wait);

	CHECK_LOOP(l->loop);
	w->log = l;
	w->state = state;
	w->done = done;
	w->arg = arg;
	w->timer = timer_new(l->loop, on_late, w);
	timer_set(w->timer, msec);
	pthread_mutex_lock(&l->shared.lock);
	TAILQ_INSERT_TAIL(&l->shared.waits, w, next);
	pthread_mutex_unlock(&l->shared.lock);
	return w;
}

/* ---- looks ----------------------------------------------------------------------------------- */

static void ask_end(struct directory_log *);

static void
run_ask(void *id)
{
	struct directory_log *l = find(id); /* the worker is waited for before it is freed */
	uint64_t first;

	if (l != NULL)
		l->end_err.code =
			commitlog_ends(l->log, COMMITLOG_DIRECTORY, &first, &l->end, &l->end_err);
}

static void
on_asked(void *id)
{
	struct directory_log *l = find(id);
	struct wait *w;

	if (l == NULL)
		return;
	l->asking = false;
	pthread_mutex_lock(&l->shared.lock);
	TAILQ_FOREACH (w, &l->shared.waits, next) {
		if (w->state != WAIT_ASKED)
			continue;
		w->until = l->end;
		w->state = l->end_err.code == 0 ? WAIT_READ : WAIT_DONE;
		w->rc = l->end_err.code == 0 ? 0 : ERR_UNAVAILABLE;
	}
	pthread_mutex_unlock(&l->shared.lock);
	ask_end(l);
	tell(l);
}

/* One question at a time: who came after it was asked waits for the next. */
static void
ask_end(struct directory_log *l)
{
	struct wait *w;
	bool any = false;

	if (l->asking)
		return;
	pthread_mutex_lock(&l->shared.lock);
	TAILQ_FOREACH (w, &l->shared.waits, next) {
		if (w->state != WAIT_NEXT)
			continue;
		w->state = WAIT_ASKED;
		any = true;
	}
	pthread_mutex_unlock(&l->shared.lock);
	if (!any)
		return;
	if (l->work == NULL)
		l->work = work_new(l->loop, 1);
	l->asking = true;
	l->end_err = (struct err){ 0 };
	work_do(l->work, run_ask, on_asked, (void *)l->id);
}

void
directory_log_look(struct directory_log *l, uint64_t msec, directory_log_fn *done, void *arg)
{
	add_wait(l, WAIT_NEXT, msec, done, arg);
	ask_end(l);
}

/* ---- records --------------------------------------------------------------------------------- */

/* Whatever the log says of an append, reading decides. */
static void
on_appended(enum commitlog_outcome outcome UNUSED, uint64_t offset UNUSED,
	    const struct err *err UNUSED, void *arg UNUSED)
{
}

uint64_t
directory_log_read(struct directory_log *l)
{
	uint64_t read;

	pthread_mutex_lock(&l->shared.lock);
	read = l->shared.read;
	pthread_mutex_unlock(&l->shared.lock);
	return read;
}

void
directory_log_put(struct directory_log *l, uint64_t read, struct slice repo, uint32_t shard,
		  const char *reason, uint64_t msec, directory_log_fn *done, void *arg)
{
	struct wait *w = add_wait(l, WAIT_PUT, msec, done, arg);
	struct buf bytes = BUF_MAX(RECORD_MAX);
	uint8_t txn[RECORD_ID];
	bool begun;
	int rc = ERR_UNAVAILABLE;

	rnd_bytes(txn, sizeof(txn));
	pthread_mutex_lock(&l->shared.lock);
	memcpy(w->txn, txn, sizeof(w->txn));
	begun = l->shared.begun;
	pthread_mutex_unlock(&l->shared.lock);
	if (begun)
		rc = directory_judge_record(&bytes, l->uuid, read, repo, shard, reason, txn, NULL);
	if (rc == 0) {
		commitlog_append(l->log, COMMITLOG_DIRECTORY, buf_slice(&bytes), on_appended, NULL);
	} else {
		pthread_mutex_lock(&l->shared.lock);
		w->state = WAIT_DONE;
		w->rc = rc;
		post(l);
		pthread_mutex_unlock(&l->shared.lock);
	}
	buf_release(&bytes);
}

/* Log thread: the lock is held. */
static void
settle(struct directory_log *l, const uint8_t txn[RECORD_ID], bool counts)
{
	struct wait *w;

	TAILQ_FOREACH (w, &l->shared.waits, next) {
		if (w->state != WAIT_PUT || memcmp(w->txn, txn, RECORD_ID) != 0)
			continue;
		w->state = WAIT_DONE;
		w->rc = counts ? 0 : ERR_CONFLICT;
	}
}

static void
on_records(uint32_t stream, const struct commitlog_record *r, size_t n, void *arg)
{
	struct directory_log *l = arg;

	for (size_t i = 0; i < n; i++) {
		uint8_t txn[RECORD_ID] = { 0 };
		struct err err = { 0 };
		int rc = directory_judge(&l->judge, l->directory, l->uuid, r[i].offset, r[i].bytes,
					 txn, &err);

		if (rc < 0) {
			err.code = rc;
			err_prefix(&err, "offset %" PRIu64, r[i].offset);
			l->trouble(stream, &err, l->arg);
		}
		pthread_mutex_lock(&l->shared.lock);
		settle(l, txn, rc == 1);
		l->shared.read = r[i].offset + 1;
		pthread_mutex_unlock(&l->shared.lock);
	}
	pthread_mutex_lock(&l->shared.lock);
	post(l);
	pthread_mutex_unlock(&l->shared.lock);
}

static void
on_trouble(uint32_t stream, const struct err *err, void *arg)
{
	struct directory_log *l = arg;

	l->trouble(stream, err, l->arg);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct directory_log *
directory_log_new(struct commitlog *log, struct loop *loop, commitlog_trouble_fn *trouble,
		  void *arg)
{
	struct directory_log *l = MEM_NEW(struct directory_log);

	l->log = log;
	l->loop = loop;
	l->trouble = trouble;
	l->arg = arg;
	l->directory = directory_new();
	TAILQ_INIT(&l->shared.waits);
	pthread_mutex_init(&l->shared.lock, NULL);
	pthread_mutex_lock(&registry_lock);
	l->id = ++last_id;
	LIST_INSERT_HEAD(&registry, l, link);
	pthread_mutex_unlock(&registry_lock);
	return l;
}

void
directory_log_begin(struct directory_log *l, const uint8_t uuid[16])
{
	pthread_mutex_lock(&l->shared.lock);
	memcpy(l->uuid, uuid, sizeof(l->uuid));
	l->shared.begun = true;
	pthread_mutex_unlock(&l->shared.lock);
	commitlog_read(l->log, COMMITLOG_DIRECTORY, 0, on_records, on_trouble, l);
}

void
directory_log_free(struct directory_log **lp)
{
	struct directory_log *l = *lp;
	struct wait *w;

	*lp = NULL;
	if (l == NULL)
		return;
	if (l->shared.begun)
		commitlog_unread(l->log, COMMITLOG_DIRECTORY);
	work_free(&l->work);
	pthread_mutex_lock(&registry_lock);
	LIST_REMOVE(l, link);
	pthread_mutex_unlock(&registry_lock);
	while ((w = TAILQ_FIRST(&l->shared.waits)) != NULL) {
		TAILQ_REMOVE(&l->shared.waits, w, next);
		if (w->state != WAIT_DONE)
			w->rc = ERR_UNAVAILABLE;
		end_wait(w);
	}
	directory_free(&l->directory);
	pthread_mutex_destroy(&l->shared.lock);
	free(l);
}

const struct directory *
directory_log_directory(const struct directory_log *l)
{
	return l->directory;
}
