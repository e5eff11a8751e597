/* replica/repo/project.h - git's ref files as a projection of the catalog.
 * Thread: one (apply); it blocks.
 *
 * The refs of a refset are written into refs/..., packed-refs and HEAD by code of our own: it does
 * both object formats (libgit2 1.5 knows no SHA-256), runs no hooks, starts no process and never
 * waits for a lock (git-facts 2.4).  Nothing is fsynced: the catalog is the truth, project_check
 * mends what a power cut took.  Sources: gitrepository-layout(5), git-pack-refs(1), and git's
 * refs/packed-backend.c for the header. */
#ifndef REPLICA_REPO_PROJECT_H
#define REPLICA_REPO_PROJECT_H

#include "gitproto/base/err.h"
#include "replica/repo/refset.h"

#define PROJECT_LOOSE 32 /* more changes than these go into packed-refs at once */

/* Where to write.  Lock files older than born_ms (wall clock, when this process began) are of dead
 * processes and are removed. */
struct project {
	const char *dir; /* "ROOT/owner/name.git" */
	uint64_t born_ms;
};
/* Makes the files say what refs says, of which these names have changed (the values of changes are
 * those of refs) and HEAD when head is set.  ERR_UNAVAILABLE: a living process holds a lock; some
 * files are not up to date: project_check later. */
MUST_CHECK int project_write(const struct project *, const struct refset *refs,
			     const struct refset_change *changes, size_t n, bool head,
			     struct err *);
/* Compares all files with refs and mends them, also what somebody added.  *mended (may be NULL) is
 * the number of refs that were wrong; each is logged, the first 20. */
MUST_CHECK int project_check(const struct project *, const struct refset *refs, unsigned *mended,
			     struct err *);

#endif
