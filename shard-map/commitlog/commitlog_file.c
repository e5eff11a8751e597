#include "shard-map/commitlog/commitlog_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog_backend.h"
#include "shard-map/commitlog/commitlog_file_batch.h"
#include "shard-map/commitlog/commitlog_file_db.h"
#include "shard-map/commitlog/commitlog_file_read.h"
#include "shard-map/commitlog/commitlog_file_write.h"

#define MAKE_MSEC 15000 /* for the lock, while a database is made */

#define WEAK "a log in a file is one machine and one disk"

struct file {
	struct commitlog base;
	char *path;                         /* owned */
	struct commitlog_file_write *write; /* owned */
	struct commitlog_file_read *read;   /* owned */
	pthread_mutex_t lock;               /* of what follows: blocking questions */
	struct commitlog_file_db db;
};

static struct file *
file_of(struct commitlog *log)
{
	return CONTAINER_OF(log, struct file, base);
}

/* What open gathers before there are threads; closed again when something fails. */
struct opening {
	struct commitlog_file_db write, read, ask;
	int lock_fd, wake_fd;
};

static int
check_folder(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == NULL ? mem_strdup(".") : mem_strndup(path, (size_t)(slash - path));
	const char *name = *folder == '\0' ? "/" : folder;
	struct stat st;
	int rc = 0;

	if (stat(name, &st) < 0 && errno == ENOENT)
		rc = err_set(err, ERR_NOT_FOUND, "log %s: there is no folder %s; make it first",
			     path, name);
	else if (stat(name, &st) < 0)
		rc = err_errno(err, "log %s: folder %s", path, name);
	else if (!S_ISDIR(st.st_mode))
		rc = err_set(err, ERR_BAD, "log %s: %s is no folder", path, name);
	free(folder);
	return rc;
}

static int
check_place(const char *path, const struct commitlog_opts *opts, struct err *err)
{
	struct stat st;
	int rc;

	if (*path == '\0' || strlen(path) + sizeof("-wake") > PATH_MAX)
		return err_set(err, ERR_BAD, "log file:PATH: the path is empty or too long");
	if (!opts->allow_weak)
		return err_set(err, ERR_REFUSED,
			       WEAK "; set allow_weak_log = yes if that is enough");
	rc = check_folder(path, err);
	if (rc < 0)
		return rc;
	if (stat(path, &st) == 0)
		return S_ISREG(st.st_mode) ? 0 : err_set(err, ERR_BAD, "log %s is no file", path);
	if (errno != ENOENT)
		return err_errno(err, "log %s", path);
	return opts->create ? 0 : err_set(err, ERR_NOT_FOUND, "there is no log %s", path);
}

static int
open_beside(const char *path, const char *suffix, struct err *err)
{
	char name[PATH_MAX];
	int fd;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	return fd >= 0 ? fd : err_errno(err, "open %s", name);
}

static int
make_locked(struct opening *o, const char *path, const struct commitlog_opts *opts, struct err *err)
{
	int rc = commitlog_file_write_lock(o->lock_fd, MAKE_MSEC, err);

	if (rc < 0)
		return err_prefix(err, "log %s", path);
	rc = commitlog_file_db_check(&o->write, opts->cluster, err);
	if (rc == ERR_NOT_FOUND) { /* nobody was faster */
		rc = commitlog_file_db_make(&o->write, opts->cluster, err);
		if (rc == 0)
			rc = commitlog_file_db_check(&o->write, opts->cluster, err);
	}
	flock(o->lock_fd, LOCK_UN);
	return rc;
}

static int
open_all(struct opening *o, const char *path, const struct commitlog_opts *opts, struct err *err)
{
	int rc = o->lock_fd = open_beside(path, "-lock", err);

	if (rc >= 0)
		rc = o->wake_fd = open_beside(path, "-wake", err);
	if (rc >= 0)
		rc = commitlog_file_db_open(&o->write, path, opts->create, err);
	if (rc >= 0)
		rc = commitlog_file_db_check(&o->write, opts->cluster, err);
	if (rc == ERR_NOT_FOUND && opts->create)
		rc = make_locked(o, path, opts, err);
	if (rc >= 0)
		rc = commitlog_file_db_open(&o->read, path, false, err);
	if (rc >= 0)
		rc = commitlog_file_db_only_read(&o->read, err);
	if (rc >= 0)
		rc = commitlog_file_db_open(&o->ask, path, false, err);
	if (rc >= 0)
		rc = commitlog_file_db_only_read(&o->ask, err);
	return rc < 0 ? rc : 0;
}

static void
on_tick(void *arg)
{
	struct file *f = arg;

	commitlog_file_write_expire(f->write);
}

static int
start(struct file *f, struct opening *o, uint64_t append_msec, struct err *err)
{
	char wake_path[PATH_MAX];
	struct commitlog_file_read_opts read_opts = {
		.wake_path = wake_path,
		.db = &o->read,
		.path = f->path,
		.tick_msec = (unsigned)MAX(10, MIN(1000, append_msec / 4)),
		.on_tick = on_tick,
		.arg = f,
	};
	struct commitlog_file_write_opts write_opts = {
		.path = f->path,
		.db = &o->write,
		.lock_fd = o->lock_fd,
		.wake_fd = o->wake_fd,
		.append_msec = append_msec,
	};
	int rc;

	snprintf(wake_path, sizeof(wake_path), "%s-wake", f->path);
	rc = commitlog_file_read_new(&f->read, &read_opts, err);
	if (rc < 0)
		return rc;
	write_opts.notify_fd = commitlog_file_read_notify_fd(f->read);
	rc = commitlog_file_write_new(&f->write, &write_opts, err);
	if (rc < 0)
		return rc;
	o->lock_fd = o->wake_fd = -1;
	return commitlog_file_read_start(f->read, err);
}

static void
close_opening(struct opening *o)
{
	commitlog_file_db_close(&o->write);
	commitlog_file_db_close(&o->read);
	commitlog_file_db_close(&o->ask);
	if (o->lock_fd >= 0)
		close(o->lock_fd);
	if (o->wake_fd >= 0)
		close(o->wake_fd);
}

/* The reader first: while the writer ends nobody else may ask it to answer what is overdue. */
static void
close_file(struct commitlog *log)
{
	struct file *f = file_of(log);

	if (f->read != NULL)
		commitlog_file_read_stop(f->read);
	commitlog_file_write_free(&f->write);
	commitlog_file_read_free(&f->read);
	commitlog_file_db_close(&f->db);
	pthread_mutex_destroy(&f->lock);
	free(f->path);
	free(f);
}

static int
open_file(struct commitlog **out, const char *where, const struct commitlog_opts *opts,
	  struct err *err)
{
	struct opening o = { .lock_fd = -1, .wake_fd = -1 };
	struct file *f;
	int rc = check_place(where, opts, err);

	if (rc < 0)
		return rc;
	rc = open_all(&o, where, opts, err);
	if (rc < 0) {
		close_opening(&o);
		return rc;
	}
	f = MEM_NEW(struct file);
	f->base.backend = &commitlog_file_backend;
	f->path = mem_strdup(where);
	pthread_mutex_init(&f->lock, NULL);
	f->db = o.ask;
	f->db.path = f->path;
	memset(&o.ask, 0, sizeof(o.ask));
	rc = start(f, &o, opts->append_msec > 0 ? opts->append_msec : COMMITLOG_BACKEND_MSEC, err);
	close_opening(&o);
	if (rc < 0) {
		close_file(&f->base);
		return rc;
	}
	*out = &f->base;
	return 0;
}

static void
append(struct commitlog *log, uint32_t stream, struct slice bytes, commitlog_append_fn *fn,
       void *arg)
{
	commitlog_file_write_append(file_of(log)->write, stream, bytes, fn, arg);
}

static void
read_stream(struct commitlog *log, uint32_t stream, uint64_t from, commitlog_read_fn *fn,
	    commitlog_trouble_fn *trouble, void *arg)
{
	commitlog_file_read_add(file_of(log)->read, stream, from, fn, trouble, arg);
}

static void
unread(struct commitlog *log, uint32_t stream)
{
	commitlog_file_read_remove(file_of(log)->read, stream);
}

static int
ends(struct commitlog *log, uint32_t stream, uint64_t *first, uint64_t *next, struct err *err)
{
	struct file *f = file_of(log);
	int rc;

	pthread_mutex_lock(&f->lock);
	rc = commitlog_file_db_ends(&f->db, stream, first, next, err);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

/* The lock is free while fn runs, so that fn may ask something too. */
static int
scan(struct commitlog *log, uint32_t stream, uint64_t from, uint64_t max, commitlog_read_fn *fn,
     void *arg, struct err *err)
{
	struct file *f = file_of(log);
	struct commitlog_file_batch *b = MEM_NEW(struct commitlog_file_batch);
	int rc;

	commitlog_file_batch_init(b);
	do {
		pthread_mutex_lock(&f->lock);
		rc = commitlog_file_batch_range(b, &f->db, stream, from, max, err);
		pthread_mutex_unlock(&f->lock);
		if (rc == 0 && b->n > 0)
			fn(stream, b->record, b->n, arg);
		from += b->n;
		max -= b->n;
	} while (rc == 0 && max > 0 && b->more);
	commitlog_file_batch_release(b);
	free(b);
	return rc;
}

static int
trim(struct commitlog *log, uint32_t stream, uint64_t head, struct err *err)
{
	return commitlog_file_write_trim(file_of(log)->write, stream, head, err);
}

/* It was opened, so it was allowed. */
static bool
weak(struct commitlog *log UNUSED, char *out, size_t size)
{
	snprintf(out, size, "%s", WEAK);
	return true;
}

const struct commitlog_backend commitlog_file_backend = {
	.scheme = "file",
	.open = open_file,
	.close = close_file,
	.append = append,
	.read = read_stream,
	.unread = unread,
	.ends = ends,
	.scan = scan,
	.trim = trim,
	.weak = weak,
};
