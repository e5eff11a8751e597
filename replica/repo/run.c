#include "replica/repo/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/log.h"
#include "replica/repo/spawn.h"

#define COMPLAINT 512

/* Unnamed memory behind a descriptor: a child that reads from and writes to such a file can never
 * wait for us while we wait for it. */
static int
make_memory(const char *name, struct slice content)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	while (content.len > 0) {
		ssize_t n = write(fd, content.p, content.len);

		if (n < 0) {
			close(fd);
			return -1;
		}
		content = slice_skip(content, (size_t)n);
	}
	if (lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* What it wrote to stderr last, for the error text. */
static void
read_complaint(int fd, char out[COMPLAINT])
{
	off_t end = lseek(fd, 0, SEEK_END);
	off_t from = end >= COMPLAINT ? end - COMPLAINT + 1 : 0;
	ssize_t n = pread(fd, out, COMPLAINT - 1, from);
	char *line;

	out[n > 0 ? n : 0] = 0;
	while (n > 0 && out[n - 1] == '\n')
		out[--n] = 0;
	line = strrchr(out, '\n');
	if (line != NULL)
		memmove(out, line + 1, strlen(line + 1) + 1);
}

static int
read_output(int fd, struct buf *out, struct err *err)
{
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *p;

	buf_clear(out);
	if (size <= 0)
		return 0;
	p = buf_grow(out, (size_t)size);
	if (p == NULL)
		return err_set(err, ERR_TOO_BIG, "git wrote more than %zu bytes", out->max);
	return pread(fd, p, (size_t)size, 0) == size ? 0 : err_errno(err, "read from git");
}

static int
wait_for(pid_t pid, const char *verb, int complaints, struct err *err)
{
	char words[COMPLAINT];
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_errno(err, "wait for git %s", verb);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	read_complaint(complaints, words);
	return err_set(err, ERR_IO, "git %s ended with %d: %s", verb,
		       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
		       log_value(words, strlen(words)));
}

int
run_git(const char *const *argv, char *const *env, struct slice input, struct buf *out,
	struct err *err)
{
	int fd[3] = { make_memory("gs-in", input), make_memory("gs-out", SLICE_NONE),
		      make_memory("gs-err", SLICE_NONE) };
	pid_t pid;
	int rc = 0;

	if (fd[0] < 0 || fd[1] < 0 || fd[2] < 0) {
		rc = err_errno(err, "memory for git %s", argv[1]);
		goto out;
	}
	rc = spawn_git(&pid, argv, env, NULL, fd, err);
	if (rc == 0)
		rc = wait_for(pid, argv[1], fd[2], err);
	if (rc == 0 && out != NULL)
		rc = read_output(fd[1], out, err);
out:
	for (int i = 0; i < 3; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
	}
	return rc;
}
