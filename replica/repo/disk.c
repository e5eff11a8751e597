#include "replica/repo/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/fsio.h"
#include "gitproto/base/mem.h"

#define COPY_MAX (16u * 1024 * 1024) /* one file of a template */

static unsigned fail_from; /* atomic: writing calls until they fail, plus 1; 0: never */

void
disk_fail_from(unsigned nth)
{
	__atomic_store_n(&fail_from, nth, __ATOMIC_SEQ_CST);
}

/* 0, or -1 with errno when a test wants a full disk. */
static int
may_write(void)
{
	unsigned n = __atomic_load_n(&fail_from, __ATOMIC_SEQ_CST);

	if (n == 0)
		return 0;
	if (n > 1) {
		__atomic_store_n(&fail_from, n - 1, __ATOMIC_SEQ_CST);
		return 0;
	}
	errno = ENOSPC;
	return -1;
}

int
disk_path(char *out, struct err *err, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, DISK_PATH, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= DISK_PATH)
		return err_set(err, ERR_TOO_BIG, "a path is longer than %d bytes", DISK_PATH - 1);
	return 0;
}

int
disk_sync_dir(const char *dir, struct err *err)
{
	return may_write() < 0 ? err_errno(err, "sync %s", dir) : fsio_sync_dir(dir, err);
}

/* The folder that holds path. */
static int
parent_of(char out[DISK_PATH], const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return disk_path(out, err, ".");
	return disk_path(out, err, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

int
disk_sync_parent(const char *path, struct err *err)
{
	char dir[DISK_PATH];
	int rc = parent_of(dir, path, err);

	return rc < 0 ? rc : disk_sync_dir(dir, err);
}

int
disk_mkdirs(const char *dir, struct err *err)
{
	return may_write() < 0 ? err_errno(err, "mkdir %s", dir) : fsio_mkdirs(dir, 0777, err);
}

static int
write_all(int fd, struct slice s)
{
	return may_write() < 0 ? -1 : fsio_write_all(fd, s);
}

int
disk_write_new(const char *path, struct slice bytes, mode_t mode, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int rc = 0;

	if (fd < 0)
		return err_errno(err, "create %s", path);
	if (write_all(fd, bytes) < 0 || fsync(fd) < 0)
		rc = err_errno(err, "write %s", path);
	close(fd);
	if (rc < 0)
		unlink(path);
	return rc;
}

int
disk_replace(const char *path, struct slice bytes, struct err *err)
{
	char temp[DISK_PATH];
	int rc = disk_path(temp, err, "%s.gs-tmp", path);
	int fd;

	if (rc < 0)
		return rc;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return err_errno(err, "create %s", temp);
	if (write_all(fd, bytes) < 0)
		rc = err_errno(err, "write %s", temp);
	close(fd);
	if (rc == 0 && rename(temp, path) < 0)
		rc = err_errno(err, "rename %s", temp);
	if (rc < 0)
		unlink(temp);
	return rc;
}

int
disk_read(uint8_t **out, size_t *len, const char *path, size_t max, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	uint8_t *p;
	size_t n = 0;

	*out = NULL;
	*len = 0;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
	if (fd < 0)
		return err_errno(err, "open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(err, ERR_CORRUPT, "%s is no regular file", path);
	}
	if ((uint64_t)st.st_size > max) {
		close(fd);
		return err_set(err, ERR_TOO_BIG, "%s is larger than %zu bytes", path, max);
	}
	p = mem_try_alloc((size_t)st.st_size + 1);
	if (p == NULL) {
		close(fd);
		return err_set(err, ERR_NOMEM, "no memory to read %s", path);
	}
	while (n < (size_t)st.st_size) {
		ssize_t got = read(fd, p + n, (size_t)st.st_size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(p);
			close(fd);
			return err_errno(err, "read %s", path);
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	p[n] = 0;
	*out = p;
	*len = n;
	return 0;
}

uint64_t
disk_mtime_ms(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000;
}

int64_t
disk_size(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return st.st_size;
}

static int
copy_file(const char *from, const char *to, mode_t mode, struct err *err)
{
	uint8_t *p;
	size_t n;
	int rc = disk_read(&p, &n, from, COPY_MAX, err);

	if (rc < 0)
		return rc;
	rc = disk_write_new(to, slice_of(p, n), mode & 0777, err);
	free(p);
	return rc;
}

static int
copy_entry(const char *from, const char *to, const char *name, struct err *err)
{
	char a[DISK_PATH], b[DISK_PATH];
	struct stat st;
	int rc = disk_path(a, err, "%s/%s", from, name);

	if (rc == 0)
		rc = disk_path(b, err, "%s/%s", to, name);
	if (rc < 0)
		return rc;
	if (lstat(a, &st) < 0)
		return err_errno(err, "stat %s", a);
	if (S_ISDIR(st.st_mode))
		return disk_copy_tree(a, b, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CORRUPT, "%s is neither file nor folder", a);
	return copy_file(a, b, st.st_mode, err);
}

int
disk_copy_tree(const char *from, const char *to, struct err *err)
{
	struct dirent *e;
	DIR *d;
	int rc = 0;

	if (may_write() < 0 || mkdir(to, 0777) < 0)
		return err_errno(err, "mkdir %s", to);
	d = opendir(from);
	if (d == NULL)
		return err_errno(err, "open %s", from);
	while (rc == 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = copy_entry(from, to, e->d_name, err);
	}
	closedir(d);
	return rc < 0 ? rc : disk_sync_dir(to, err);
}
