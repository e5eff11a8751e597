#include "shard-map/commitlog/commitlog_file_write.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/cond.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog_file_db.h"
#include "shard-map/commitlog/commitlog_file_op.h"
#include "shard-map/commitlog/commitlog_thread.h"
#include "shard-map/commitlog/commitlog_file_trim.h"

#define GROUP_OPS 256
#define GROUP_BYTES (8u * 1024 * 1024)
#define BUSY_PAUSE_MSEC 5 /* somebody writes without the lock */
#define EXPIRE_MSEC 200   /* how often one who waits looks at the clock */
#define CLOSE_ROUNDS 5    /* of EXPIRE_MSEC, for a thread with nothing left to answer */

struct commitlog_file_write {
	struct commitlog_file_db db; /* of the thread */
	char *path;                  /* owned; db points to it */
	int lock_fd, wake_fd;        /* owned */
	int notify_fd;               /* owned, a dup: the reader may be gone before the thread */
	uint64_t patience;           /* ns that an op may take */
	pthread_t thread;
	struct {
		pthread_mutex_t lock;
		pthread_cond_t changed;
		struct commitlog_file_op_list queued;
		struct commitlog_file_op_list sent; /* in the present transaction */
		struct commitlog_file_op_list late; /* never to be sent, to be answered NOT */
		size_t bytes;                       /* in queued */
		bool inside;                        /* the thread is in flock or SQLite */
		bool stop;                          /* take no more */
		bool ended;                         /* the thread is at its end */
		bool abandoned;                     /* free it then: nobody waits */
	} shared;
};

int
commitlog_file_write_lock(int lock_fd, uint64_t msec, struct err *err)
{
	uint64_t until = clock_boot_ns() + msec * CLOCK_MSEC;

	while (flock(lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, "lock the log");
		if (clock_boot_ns() >= until)
			return err_set(err, ERR_UNAVAILABLE,
				       "another process holds the lock of the log");
		usleep(2000);
	}
	return 0;
}

static void
unlock_file(struct commitlog_file_write *w)
{
	flock(w->lock_fd, LOCK_UN);
}

/* The database, locked and in a transaction.  ERR_UNAVAILABLE: try again. */
static int
begin(struct commitlog_file_write *w, struct err *err)
{
	int rc;

	do
		rc = flock(w->lock_fd, LOCK_EX);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return err_errno(err, "log %s: lock it", w->path);
	rc = commitlog_file_db_present(&w->db, err);
	if (rc == 0)
		rc = commitlog_file_db_begin(&w->db, err);
	if (rc < 0)
		unlock_file(w);
	return rc;
}

/* Moves what the next transaction shall hold to `sent`, and to `late` what may not be sent any
 * more.  A trim stands alone. */
static void
take(struct commitlog_file_write *w)
{
	struct commitlog_file_op *op;
	uint64_t now = clock_boot_ns();
	size_t n = 0, bytes = 0;

	pthread_mutex_lock(&w->shared.lock);
	while ((op = TAILQ_FIRST(&w->shared.queued)) != NULL && n < GROUP_OPS &&
	       bytes < GROUP_BYTES) {
		bool dead = op->refused != 0 || op->deadline <= now;

		if (!dead && n > 0 && op->kind != COMMITLOG_FILE_OP_APPEND)
			break;
		TAILQ_REMOVE(&w->shared.queued, op, link);
		w->shared.bytes -= op->len;
		if (dead) {
			TAILQ_INSERT_TAIL(&w->shared.late, op, link);
			continue;
		}
		TAILQ_INSERT_TAIL(&w->shared.sent, op, link);
		n++;
		bytes += op->len;
		if (op->kind != COMMITLOG_FILE_OP_APPEND)
			break;
	}
	pthread_mutex_unlock(&w->shared.lock);
}

static enum commitlog_outcome
commit_appends(struct commitlog_file_write *w, struct commitlog_file_op *first, struct err *err)
{
	struct err ignored;
	bool never, there;

	if (commitlog_file_db_commit(&w->db, &never, err) == 0)
		return COMMITLOG_AT;
	if (never)
		return COMMITLOG_NOT;
	if (commitlog_file_db_settle(&w->db, first->stream, first->offset, &there, &ignored) < 0)
		return COMMITLOG_UNKNOWN;
	return there ? COMMITLOG_AT : COMMITLOG_NOT;
}

/* `sent` changes on this thread only: it can be walked without the lock. */
static enum commitlog_outcome
put_appends(struct commitlog_file_write *w, struct err *err)
{
	struct commitlog_file_op *op;

	TAILQ_FOREACH (op, &w->shared.sent, link) {
		if (commitlog_file_db_put(&w->db, op->stream, slice_of(op->bytes, op->len),
					  &op->offset, err) < 0) {
			commitlog_file_db_rollback(&w->db);
			return COMMITLOG_NOT;
		}
	}
	return commit_appends(w, TAILQ_FIRST(&w->shared.sent), err);
}

static enum commitlog_outcome
put_trim(struct commitlog_file_write *w, struct commitlog_file_op *op, bool *more, struct err *err)
{
	if (commitlog_file_trim_step(&w->db, op, more, err) == 0)
		return COMMITLOG_AT;
	commitlog_file_db_rollback(&w->db);
	return COMMITLOG_NOT;
}

/* Readers first, then those who asked. */
static void
tell_readers(struct commitlog_file_write *w)
{
	static const uint64_t one = 1;

	/* Neither can be helped when it fails; readers look by themselves every second. */
	if (pwrite(w->wake_fd, "w", 1, 0) < 0)
		errno = 0;
	if (write(w->notify_fd, &one, sizeof(one)) < 0)
		errno = 0;
}

/* Answers the group, but for a trim that has more to do: it goes to the end of the queue. */
static void
answer_sent(struct commitlog_file_write *w, enum commitlog_outcome outcome, bool more,
	    const struct err *err)
{
	struct commitlog_file_op_list done;
	struct commitlog_file_op *op;

	TAILQ_INIT(&done);
	pthread_mutex_lock(&w->shared.lock);
	while ((op = TAILQ_FIRST(&w->shared.sent)) != NULL) {
		TAILQ_REMOVE(&w->shared.sent, op, link);
		if (more && !op->answered) {
			op->deadline = clock_boot_ns() + w->patience;
			TAILQ_INSERT_TAIL(&w->shared.queued, op, link);
		} else {
			TAILQ_INSERT_TAIL(&done, op, link);
		}
	}
	pthread_mutex_unlock(&w->shared.lock);
	commitlog_file_op_answer(&done, outcome, outcome == COMMITLOG_AT ? NULL : err);
}

static void
explain(struct err *err, int refused)
{
	if (refused == ERR_CLOSED)
		err_set(err, refused, "the log is being closed");
	else if (refused == ERR_NOMEM)
		err_set(err, refused, "no memory for a record");
	else if (refused != 0)
		err_set(err, refused, "too much waits for the log");
	else
		err_set(err, ERR_TIMEOUT, "the log took no record in time");
}

static void
answer_late(struct commitlog_file_write *w)
{
	struct commitlog_file_op_list one;
	struct commitlog_file_op *op;
	struct err err;

	TAILQ_INIT(&one);
	for (;;) {
		pthread_mutex_lock(&w->shared.lock);
		op = TAILQ_FIRST(&w->shared.late);
		if (op != NULL)
			TAILQ_REMOVE(&w->shared.late, op, link);
		pthread_mutex_unlock(&w->shared.lock);
		if (op == NULL)
			return;
		explain(&err, op->refused);
		TAILQ_INSERT_TAIL(&one, op, link);
		commitlog_file_op_answer(&one, COMMITLOG_NOT, &err);
	}
}

/* The log cannot be written at all: tells everybody that waits. */
static void
answer_queued(struct commitlog_file_write *w, const struct err *err)
{
	struct commitlog_file_op_list all;

	TAILQ_INIT(&all);
	pthread_mutex_lock(&w->shared.lock);
	TAILQ_CONCAT(&all, &w->shared.queued, link);
	w->shared.bytes = 0;
	pthread_mutex_unlock(&w->shared.lock);
	commitlog_file_op_answer(&all, COMMITLOG_NOT, err);
}

/* One of the transaction whose time is over, now marked as answered. */
static struct commitlog_file_op *
mark_overdue(struct commitlog_file_write *w, uint64_t now)
{
	struct commitlog_file_op *op;

	TAILQ_FOREACH (op, &w->shared.sent, link) {
		if (op->answered || op->deadline > now)
			continue;
		op->answered = true;
		return op;
	}
	return NULL;
}

void
commitlog_file_write_expire(struct commitlog_file_write *w)
{
	struct commitlog_file_op *op;
	uint64_t now = clock_boot_ns();
	struct err err;

	pthread_mutex_lock(&w->shared.lock);
	while ((op = TAILQ_FIRST(&w->shared.queued)) != NULL && op->deadline <= now) {
		TAILQ_REMOVE(&w->shared.queued, op, link);
		w->shared.bytes -= op->len;
		TAILQ_INSERT_TAIL(&w->shared.late, op, link);
	}
	while ((op = mark_overdue(w, now)) != NULL) {
		commitlog_append_fn *fn = op->fn;
		void *arg = op->arg;

		pthread_mutex_unlock(&w->shared.lock); /* the writer may free op from here on */
		err_set(&err, ERR_UNKNOWN, "log %s: the disk did not answer in time", w->path);
		fn(COMMITLOG_UNKNOWN, 0, &err, arg);
		pthread_mutex_lock(&w->shared.lock);
	}
	pthread_mutex_unlock(&w->shared.lock);
	answer_late(w);
}

static void
set_inside(struct commitlog_file_write *w, bool inside)
{
	pthread_mutex_lock(&w->shared.lock);
	w->shared.inside = inside;
	pthread_mutex_unlock(&w->shared.lock);
}

/* One transaction: 0, or the error that kept it from beginning. */
static int
transact(struct commitlog_file_write *w, enum commitlog_outcome *outcome, bool *more,
	 struct err *err)
{
	struct commitlog_file_op *op;
	int rc = begin(w, err);

	if (rc < 0)
		return rc;
	FAULT("log.locked");
	take(w);
	op = TAILQ_FIRST(&w->shared.sent);
	if (op == NULL)
		commitlog_file_db_rollback(&w->db);
	else if (op->kind == COMMITLOG_FILE_OP_APPEND)
		*outcome = put_appends(w, err);
	else
		*outcome = put_trim(w, op, more, err);
	FAULT("log.committed");
	unlock_file(w);
	if (*outcome != COMMITLOG_NOT)
		tell_readers(w);
	return 0;
}

static void
turn(struct commitlog_file_write *w)
{
	enum commitlog_outcome outcome = COMMITLOG_NOT;
	struct err err = { 0, "" };
	bool more = false;
	int rc;

	set_inside(w, true);
	rc = transact(w, &outcome, &more, &err);
	set_inside(w, false);
	if (rc == ERR_UNAVAILABLE) {
		usleep(BUSY_PAUSE_MSEC * 1000);
		commitlog_file_write_expire(w);
	} else if (rc < 0) {
		answer_queued(w, &err);
	} else {
		answer_sent(w, outcome, more, &err);
		answer_late(w);
	}
}

static void
destroy(struct commitlog_file_write *w)
{
	commitlog_file_db_close(&w->db);
	close(w->lock_fd);
	close(w->wake_fd);
	close(w->notify_fd);
	pthread_cond_destroy(&w->shared.changed);
	pthread_mutex_destroy(&w->shared.lock);
	free(w->path);
	free(w);
}

static void *
run(void *arg)
{
	struct commitlog_file_write *w = arg;
	bool abandoned;

	pthread_mutex_lock(&w->shared.lock);
	for (;;) {
		while (TAILQ_EMPTY(&w->shared.queued) && !w->shared.stop)
			pthread_cond_wait(&w->shared.changed, &w->shared.lock);
		if (TAILQ_EMPTY(&w->shared.queued))
			break;
		pthread_mutex_unlock(&w->shared.lock);
		turn(w);
		pthread_mutex_lock(&w->shared.lock);
	}
	w->shared.ended = true;
	abandoned = w->shared.abandoned;
	pthread_cond_broadcast(&w->shared.changed);
	pthread_mutex_unlock(&w->shared.lock);
	if (abandoned)
		destroy(w);
	return NULL;
}

int
commitlog_file_write_new(struct commitlog_file_write **out,
			 const struct commitlog_file_write_opts *opts, struct err *err)
{
	struct commitlog_file_write *w;
	int rc, notify_fd = fcntl(opts->notify_fd, F_DUPFD_CLOEXEC, 0);

	if (notify_fd < 0)
		return err_errno(err, "log %s", opts->path);
	w = MEM_NEW(struct commitlog_file_write);
	pthread_mutex_init(&w->shared.lock, NULL);
	cond_init(&w->shared.changed);
	TAILQ_INIT(&w->shared.queued);
	TAILQ_INIT(&w->shared.sent);
	TAILQ_INIT(&w->shared.late);
	w->path = mem_strdup(opts->path);
	w->db = *opts->db;
	w->db.path = w->path;
	w->lock_fd = opts->lock_fd;
	w->wake_fd = opts->wake_fd;
	w->notify_fd = notify_fd;
	w->patience = opts->append_msec * CLOCK_MSEC;
	rc = commitlog_thread_start(&w->thread, run, w, "log-write", err);
	if (rc < 0) {
		memset(&w->db, 0, sizeof(w->db));
		w->lock_fd = w->wake_fd = -1;
		destroy(w);
		return rc;
	}
	memset(opts->db, 0, sizeof(*opts->db));
	*out = w;
	return 0;
}

/* The thread hangs in the kernel, and nothing waits for an answer any more. */
static bool
is_stuck(struct commitlog_file_write *w)
{
	struct commitlog_file_op *op;

	TAILQ_FOREACH (op, &w->shared.sent, link)
		if (!op->answered)
			return false;
	return w->shared.inside && TAILQ_EMPTY(&w->shared.queued) && TAILQ_EMPTY(&w->shared.late);
}

void
commitlog_file_write_free(struct commitlog_file_write **ww)
{
	struct commitlog_file_write *w = *ww;
	unsigned stuck = 0;
	pthread_t thread;

	if (w == NULL)
		return;
	thread = w->thread;
	pthread_mutex_lock(&w->shared.lock);
	w->shared.stop = true;
	pthread_cond_broadcast(&w->shared.changed);
	while (!w->shared.ended && stuck < CLOSE_ROUNDS) {
		cond_wait_msec(&w->shared.changed, &w->shared.lock, EXPIRE_MSEC);
		pthread_mutex_unlock(&w->shared.lock);
		commitlog_file_write_expire(w);
		pthread_mutex_lock(&w->shared.lock);
		stuck = is_stuck(w) ? stuck + 1 : 0;
	}
	w->shared.abandoned = !w->shared.ended;
	stuck = w->shared.abandoned;
	pthread_mutex_unlock(&w->shared.lock);
	*ww = NULL; /* until now callbacks might append */
	if (stuck) {
		pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
	destroy(w);
}

static void
enqueue(struct commitlog_file_write *w, struct commitlog_file_op *op)
{
	pthread_mutex_lock(&w->shared.lock);
	if (w->shared.stop)
		op->refused = ERR_CLOSED;
	else if (w->shared.bytes + op->len > COMMITLOG_FILE_WRITE_QUEUE)
		op->refused = ERR_UNAVAILABLE;
	op->deadline = clock_boot_ns() + w->patience;
	w->shared.bytes += op->len;
	TAILQ_INSERT_TAIL(&w->shared.queued, op, link);
	pthread_cond_broadcast(&w->shared.changed);
	pthread_mutex_unlock(&w->shared.lock);
}

void
commitlog_file_write_append(struct commitlog_file_write *w, uint32_t stream, struct slice bytes,
			    commitlog_append_fn *fn, void *arg)
{
	struct commitlog_file_op *op;

	op = commitlog_file_op_new(COMMITLOG_FILE_OP_APPEND, stream, bytes, fn, arg);
	if (op == NULL) {
		op = commitlog_file_op_new(COMMITLOG_FILE_OP_APPEND, stream, SLICE_NONE, fn, arg);
		CHECK(op != NULL);
		op->refused = ERR_NOMEM;
	}
	enqueue(w, op);
}

struct trim_wait {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
	int rc;
	struct err *err; /* of the one who waits */
};

static void
on_trimmed(enum commitlog_outcome outcome, uint64_t offset UNUSED, const struct err *err, void *arg)
{
	struct trim_wait *t = arg;

	pthread_mutex_lock(&t->lock);
	t->rc = outcome == COMMITLOG_AT ? 0 : err->code;
	if (t->rc != 0 && t->err != NULL)
		*t->err = *err;
	t->done = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

/* A callback on the writer's own thread may trim too: then the work is done here. */
static void
await_trim(struct commitlog_file_write *w, struct trim_wait *t)
{
	bool own = pthread_equal(pthread_self(), w->thread);

	pthread_mutex_lock(&t->lock);
	while (!t->done) {
		if (!own)
			cond_wait_msec(&t->changed, &t->lock, EXPIRE_MSEC);
		pthread_mutex_unlock(&t->lock);
		if (own)
			turn(w);
		else
			commitlog_file_write_expire(w);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
}

int
commitlog_file_write_trim(struct commitlog_file_write *w, uint32_t stream, uint64_t head,
			  struct err *err)
{
	struct trim_wait t = { .err = err };
	struct commitlog_file_op *op;

	op = commitlog_file_op_new(COMMITLOG_FILE_OP_TRIM, stream, SLICE_NONE, on_trimmed, &t);
	CHECK(op != NULL);
	op->offset = head;
	pthread_mutex_init(&t.lock, NULL);
	cond_init(&t.changed);
	enqueue(w, op);
	await_trim(w, &t);
	pthread_cond_destroy(&t.changed);
	pthread_mutex_destroy(&t.lock);
	return t.rc;
}
