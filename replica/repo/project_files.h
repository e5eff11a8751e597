/* replica/repo/project_files.h - reads git's ref files: loose ones and packed-refs.
 * Thread: one (apply); it blocks. */
#ifndef REPLICA_REPO_PROJECT_FILES_H
#define REPLICA_REPO_PROJECT_FILES_H

#include "gitproto/base/err.h"
#include "replica/repo/refset.h"

#define PROJECT_PACKED_MAX (1024u * 1024 * 1024) /* bytes of a packed-refs file */

struct stat;
/* fn for every entry below refs/ that is no folder, with its name from "refs/" on; fn may remove
 * it.  Ends at the first rc that is not 0.  A missing refs/ is an empty one. */
typedef int project_files_fn(const char *name, const struct stat *, void *arg, struct err *);
MUST_CHECK int project_files_walk(const char *dir, project_files_fn *, void *arg, struct err *);

/* The text of packed-refs, empty when there is none; free it. */
MUST_CHECK int project_files_packed(uint8_t **text, size_t *len, const char *dir, struct err *);

struct project_files {
	const char *dir;
	uint64_t born_ms;          /* older lock files are removed */
	const struct refset *refs; /* what should be: its format, and peeled values */
	struct refset *found;      /* out, owned: what git would read */
	unsigned removed;          /* out: files that are no refs at all and were removed */
	bool bad_packed;           /* out: packed-refs has lines that cannot be, or wrong peels */
};
MUST_CHECK int project_files_read(struct project_files *, struct err *);

#endif
