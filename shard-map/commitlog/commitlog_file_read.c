#include "shard-map/commitlog/commitlog_file_read.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <sqlite3.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog_file_batch.h"
#include "shard-map/commitlog/commitlog_file_db.h"
#include "shard-map/commitlog/commitlog_subs.h"
#include "shard-map/commitlog/commitlog_thread.h"

#define LOOK_MSEC 1000 /* without any wake */

struct commitlog_file_read {
	struct commitlog_file_db db; /* of the thread */
	char *path;                  /* owned; db points to it */
	int watch_fd;                /* owned: inotify of PATH-wake */
	int notify_fd;               /* owned: eventfd */
	unsigned tick_msec;
	void (*on_tick)(void *arg);
	void *arg;
	struct commitlog_subs *subs; /* owned */
	struct commitlog_file_batch batch;
	uint64_t id; /* all records up to it were looked at */
	pthread_t thread;
	bool started;
	bool stop; /* atomic */
};

static int
open_watch(const char *wake_path, struct err *err)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0)
		return err_errno(err, "watch %s (sysctl fs.inotify.max_user_instances)", wake_path);
	if (inotify_add_watch(fd, wake_path, IN_MODIFY) < 0) {
		err_errno(err, "watch %s (sysctl fs.inotify.max_user_watches)", wake_path);
		close(fd);
		return ERR_IO;
	}
	return fd;
}

static int
read_last_id(struct commitlog_file_db *db, uint64_t *id, struct err *err)
{
	sqlite3_stmt *st = commitlog_file_db_stmt(db, COMMITLOG_FILE_LAST);

	if (st == NULL || sqlite3_step(st) != SQLITE_ROW)
		return commitlog_file_db_fail(db, "find its end", err);
	*id = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

int
commitlog_file_read_new(struct commitlog_file_read **out,
			const struct commitlog_file_read_opts *opts, struct err *err)
{
	struct commitlog_file_read *r;
	uint64_t id = 0;
	int watch_fd, notify_fd, rc = read_last_id(opts->db, &id, err);

	if (rc < 0)
		return rc;
	watch_fd = open_watch(opts->wake_path, err);
	if (watch_fd < 0)
		return watch_fd;
	notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (notify_fd < 0) {
		rc = err_errno(err, "log %s: eventfd", opts->path);
		close(watch_fd);
		return rc;
	}
	r = MEM_NEW(struct commitlog_file_read);
	r->path = mem_strdup(opts->path);
	r->db = *opts->db;
	r->db.path = r->path;
	memset(opts->db, 0, sizeof(*opts->db));
	r->id = id;
	r->watch_fd = watch_fd;
	r->notify_fd = notify_fd;
	r->tick_msec = opts->tick_msec;
	r->on_tick = opts->on_tick;
	r->arg = opts->arg;
	r->subs = commitlog_subs_new();
	commitlog_file_batch_init(&r->batch);
	*out = r;
	return 0;
}

void
commitlog_file_read_free(struct commitlog_file_read **rr)
{
	struct commitlog_file_read *r = *rr;

	*rr = NULL;
	if (r == NULL)
		return;
	CHECK(!r->started);
	commitlog_file_db_close(&r->db);
	commitlog_file_batch_release(&r->batch);
	commitlog_subs_free(&r->subs);
	close(r->watch_fd);
	close(r->notify_fd);
	free(r->path);
	free(r);
}

int
commitlog_file_read_notify_fd(const struct commitlog_file_read *r)
{
	return r->notify_fd;
}

static bool
wants(uint32_t stream, void *arg)
{
	struct commitlog_file_read *r = arg;

	return commitlog_subs_in_step(r->subs, stream);
}

/* Hands out one batch of what is new in the database. */
static int
follow(struct commitlog_file_read *r, bool *more, struct err *err)
{
	struct commitlog_file_batch *b = &r->batch;
	int rc = commitlog_file_batch_tail(b, &r->db, r->id, wants, r, err);
	size_t n;

	if (rc < 0)
		return rc;
	r->id = b->position;
	*more = *more || b->more;
	for (size_t i = 0; (n = commitlog_file_batch_run(b, i)) > 0; i += n)
		commitlog_subs_tail(r->subs, b->stream[i], b->record + i, n);
	return 0;
}

/* One batch for the one subscription whose turn it is.  An error that is its own ends only it. */
static int
catch_up(struct commitlog_file_read *r, bool *more, struct err *err)
{
	struct commitlog_file_batch *b = &r->batch;
	struct commitlog_subs_turn turn;
	int rc;

	if (!commitlog_subs_behind(r->subs, &turn))
		return 0;
	rc = commitlog_file_batch_range(b, &r->db, turn.stream, turn.from, UINT64_MAX, err);
	*more = true;
	if (rc == 0)
		commitlog_subs_catch_up(r->subs, &turn, b->record, b->n, b->more);
	else
		commitlog_subs_fail(r->subs, &turn, err);
	return rc == ERR_NOT_FOUND || rc == ERR_CORRUPT ? 0 : rc;
}

static int
compare(struct commitlog_file_read *r, struct err *err)
{
	sqlite3_stmt *st = commitlog_file_db_stmt(&r->db, COMMITLOG_FILE_STREAMS);
	int rc;

	if (st == NULL)
		return commitlog_file_db_fail(&r->db, "read its streams", err);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		commitlog_subs_compare(r->subs, (uint32_t)sqlite3_column_int64(st, 0),
				       (uint64_t)sqlite3_column_int64(st, 1));
	rc = rc == SQLITE_DONE ? 0 : commitlog_file_db_fail(&r->db, "read its streams", err);
	sqlite3_reset(st);
	return rc;
}

/* Everything that is there now.  After an error the next look tries again. */
static void
look(struct commitlog_file_read *r, bool thoroughly)
{
	struct err err;
	bool more = true;
	int rc;

	rc = commitlog_file_db_present(&r->db, &err);
	if (rc == 0 && thoroughly)
		rc = compare(r, &err);
	while (rc == 0 && more && !__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		more = false;
		rc = follow(r, &more, &err);
		if (rc == 0 && catch_up(r, &more, &err) < 0)
			return; /* its owner was told */
	}
	if (rc < 0)
		commitlog_subs_fail_all(r->subs, &err);
}

/* The events themselves say nothing. */
static void
drain(struct commitlog_file_read *r)
{
	char events[4096];
	uint64_t count;

	while (read(r->watch_fd, events, sizeof(events)) > 0)
		continue;
	while (read(r->notify_fd, &count, sizeof(count)) > 0)
		continue;
}

static void *
run(void *arg)
{
	struct commitlog_file_read *r = arg;
	struct pollfd fds[] = { { .fd = r->watch_fd, .events = POLLIN },
				{ .fd = r->notify_fd, .events = POLLIN } };
	uint64_t looked = clock_boot_ns(), ticked = looked, now;

	commitlog_subs_own(r->subs);
	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		if (poll(fds, COUNT(fds), (int)r->tick_msec) < 0)
			CHECK(errno == EINTR);
		drain(r);
		now = clock_boot_ns();
		if (now - ticked >= r->tick_msec * CLOCK_MSEC) {
			ticked = now;
			r->on_tick(r->arg);
		}
		look(r, now - looked >= LOOK_MSEC * CLOCK_MSEC);
		if (now - looked >= LOOK_MSEC * CLOCK_MSEC)
			looked = now;
	}
	return NULL;
}

static void
notify(struct commitlog_file_read *r)
{
	static const uint64_t one = 1;

	CHECK(write(r->notify_fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN);
}

int
commitlog_file_read_start(struct commitlog_file_read *r, struct err *err)
{
	int rc = commitlog_thread_start(&r->thread, run, r, "log-read", err);

	r->started = rc == 0;
	return rc;
}

void
commitlog_file_read_stop(struct commitlog_file_read *r)
{
	if (!r->started)
		return;
	__atomic_store_n(&r->stop, true, __ATOMIC_RELEASE);
	notify(r);
	pthread_join(r->thread, NULL);
	r->started = false;
}

void
commitlog_file_read_add(struct commitlog_file_read *r, uint32_t stream, uint64_t from,
			commitlog_read_fn *read_fn, commitlog_trouble_fn *trouble, void *arg)
{
	commitlog_subs_add(r->subs, stream, from, read_fn, trouble, arg);
	notify(r);
}

void
commitlog_file_read_remove(struct commitlog_file_read *r, uint32_t stream)
{
	commitlog_subs_remove(r->subs, stream);
}
