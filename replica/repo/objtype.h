/* replica/repo/objtype.h - what kind of object a push points a branch at.  Thread: any but a loop.
 * git refuses a branch that is no commit when it writes the ref; proc-receive refs skip that. */
#ifndef REPLICA_REPO_OBJTYPE_H
#define REPLICA_REPO_OBJTYPE_H

#include "gitproto/base/err.h"
#include "gitproto/oid.h"

struct objtype_item {
	struct oid oid;
	bool commit; /* out */
};
/* dir: the repository; quarantine: its incoming object directory, or NULL; env: for a git child
 * (SHA-256 repositories).  Objects that are not found count as no commits. */
MUST_CHECK int objtype_commits(const char *dir, const char *quarantine, enum oid_format,
			       char *const *env, struct objtype_item *, size_t n, struct err *);

#endif
