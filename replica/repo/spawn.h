/* replica/repo/spawn.h - starts git: a process group of its own, default signals, no descriptor but 0, 1
 * and 2.  Thread: any.  child.h and run.h are what others use. */
#ifndef REPLICA_REPO_SPAWN_H
#define REPLICA_REPO_SPAWN_H

#include <sys/types.h>

#include "gitproto/base/err.h"

/* argv and env are NULL-terminated; argv[0] is looked up in PATH.  dir: working directory, NULL: ours.
 * fd: what become its 0, 1 and 2, still the caller's.  ERR_IO. */
MUST_CHECK int spawn_git(pid_t *out, const char *const *argv, char *const *env, const char *dir,
			 const int fd[3], struct err *);

#endif
