/* replica/repo/run.h - runs one short git command to its end.  Thread: any but a loop (it blocks).
 * For what has to happen between two steps of the apply thread; requests use child.h. */
#ifndef REPLICA_REPO_RUN_H
#define REPLICA_REPO_RUN_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"

/* argv and env are NULL-terminated; argv[0] is looked up in PATH.  input is its whole stdin, out
 * (emptied before, bounded by its maximum; NULL: thrown away) its stdout.  ERR_IO when it cannot
 * start or does not exit with 0; the words hold the last line of its stderr. */
MUST_CHECK int run_git(const char *const *argv, char *const *env, struct slice input,
		       struct buf *out, struct err *);

#endif
