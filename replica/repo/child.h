/* replica/repo/child.h - runs git: posix_spawn, pipes as one stream, reaping.  Thread: loop.
 *
 * Order: child_reaper_new once; child_spawn; bytes through child_io (stdin is written, stdout read;
 * stream_end closes its stdin); exactly one exit callback, after the process ended: what it wrote can
 * be peeked by then, as far as the buffer of the stream had room (more may come after it); child_free at
 * any time: kills the process group of one still running, which is then reaped without a callback.
 * Children have a process group of their own, default signals, no descriptor but 0, 1, 2. */
#ifndef REPLICA_REPO_CHILD_H
#define REPLICA_REPO_CHILD_H

#include "gitproto/base/err.h"
#include "gitproto/net/loop.h"
#include "gitproto/net/stream.h"
#include "replica/repo/repo.h"

struct child;
struct child_reaper;

struct child_reaper *child_reaper_new(struct loop *);
void child_reaper_free(struct child_reaper **); /* kills what is left and waits for it */
unsigned child_running(const struct child_reaper *);

/* status as of waitpid */
typedef void child_exit_fn(struct child *, int status, void *arg);

struct child_opts {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	char *const *env;        /* NULL-terminated, the whole environment */
	const char *dir;         /* working directory; NULL: ours */
	int nice; /* 1 to 19: less processor time, and the last turn at the disk, as nice(1), ionice(1) */
	struct repo *repo; /* its folder, where the child writes, moves under none; NULL */
	uint64_t moves;    /* repo_moves of it, before the path was taken */
	child_exit_fn *on_exit;
	void *arg;
};
/* ERR_CONFLICT: the repository was moved since, or is being moved; ERR_IO. */
MUST_CHECK int child_spawn(struct child **out, struct child_reaper *, const struct child_opts *,
			   struct err *);
struct stream *child_io(struct child *);
/* What it wrote to stderr last, at most 1 KiB, for a log line. */
const char *child_complaint(struct child *);
void child_signal(struct child *, int signo); /* to the group */
/* What it has left to do is short and should be let done. */
void child_is_ending(struct child *);
/* Does one of those still write in the repository's folder? */
bool child_ends_in(const struct child_reaper *, const struct repo *);
/* Kills all that write in it; they are told as ever. */
void child_vacate(struct child_reaper *, const struct repo *);
void child_free(struct child **);

#endif
