/* tests/unit/replica/serve/files_test.h - a folder, a loop with a worker, and a pair of sockets of
 * which one end is a stream.  Thread: main. */
#ifndef TESTS_UNIT_REPLICA_SERVE_FILES_TEST_H
#define TESTS_UNIT_REPLICA_SERVE_FILES_TEST_H

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/fsio.h"
#include "gitproto/net/stream.h"
#include "gitproto/net/work.h"
#include "tests/unit/gitproto/net/net_test.h"

struct files {
	struct loop *loop;
	struct work *work;
	char dir[64];
	int fd; /* the other end; -1: none */
	struct stream *stream;
};

UNUSED static void
files_connect(struct files *f)
{
	int fd[2];

	stream_free(&f->stream);
	if (f->fd >= 0)
		close(f->fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	f->fd = fd[0];
	f->stream = stream_open_fd(f->loop, fd[1], fd[1]);
}

UNUSED static int
files_begin(void **state)
{
	struct files *f = MEM_NEW(struct files);

	f->loop = loop_new("test");
	f->work = work_new(f->loop, 2);
	snprintf(f->dir, sizeof(f->dir), "/tmp/gitshard-files-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->fd = -1;
	*state = f;
	return 0;
}

UNUSED static int
files_end(void **state)
{
	struct files *f = *state;

	stream_free(&f->stream);
	if (f->fd >= 0)
		close(f->fd);
	work_free(&f->work);
	loop_free(&f->loop);
	assert_int_equal(fsio_remove_tree(f->dir, NULL), 0);
	free(f);
	return 0;
}

/* Bytes that do not repeat; the caller's. */
UNUSED static uint8_t *
some_bytes(size_t n)
{
	uint8_t *p = mem_alloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((i * 2654435761u) >> 11);
	return p;
}

UNUSED static void
sum(uint8_t out[32], const void *p, size_t n)
{
	assert_int_equal(EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL), 1);
}

UNUSED static int
make_file(const struct files *f, const char *name, const void *p, size_t n)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	return fd;
}

UNUSED static unsigned
count_files(const struct files *f)
{
	DIR *d = opendir(f->dir);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

#endif
