/* tests/e2e/harness/eio.c - a disk that fails: preloaded into a daemon, it makes what writes below a
 * folder fail with EIO as long as a file is there.  EIO_FOLDER, EIO_FLAG name them. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
is_bad_path(const char *path)
{
	const char *folder = getenv("EIO_FOLDER"), *flag = getenv("EIO_FLAG");
	int saved = errno, bad;

	bad = folder != NULL && flag != NULL && strncmp(path, folder, strlen(folder)) == 0 &&
	      access(flag, F_OK) == 0;
	errno = bad ? EIO : saved;
	return bad;
}

static int
is_bad(int fd)
{
	char name[64], path[4096];
	ssize_t n;
	int saved = errno;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, path, sizeof(path) - 1);
	errno = saved;
	if (n < 0)
		return 0;
	path[n] = '\0';
	return is_bad_path(path);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

ssize_t
write(int fd, const void *p, size_t n)
{
	return is_bad(fd) ? -1 : REAL(ssize_t, "write", int, const void *, size_t)(fd, p, n);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	return is_bad(fd) ? -1
			  : REAL(ssize_t, "pwrite", int, const void *, size_t, off_t)(fd, p, n, at);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return is_bad(fd) ? -1
			  : REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t)(fd, p, n,
											  at);
}

int
fsync(int fd)
{
	return is_bad(fd) ? -1 : REAL(int, "fsync", int)(fd);
}

int
fdatasync(int fd)
{
	return is_bad(fd) ? -1 : REAL(int, "fdatasync", int)(fd);
}

int
ftruncate64(int fd, off64_t n)
{
	return is_bad(fd) ? -1 : REAL(int, "ftruncate64", int, off64_t)(fd, n);
}

int
mkdir(const char *path, mode_t mode)
{
	return is_bad_path(path) ? -1 : REAL(int, "mkdir", const char *, mode_t)(path, mode);
}

int
link(const char *from, const char *to)
{
	return is_bad_path(to) ? -1 : REAL(int, "link", const char *, const char *)(from, to);
}

int
rename(const char *from, const char *to)
{
	return is_bad_path(to) ? -1 : REAL(int, "rename", const char *, const char *)(from, to);
}

int
open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if ((flags & O_CREAT) && is_bad_path(path))
		return -1;
	return REAL(int, "open", const char *, int, mode_t)(path, flags, mode);
}
