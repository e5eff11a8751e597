/* replica/repo/peel.h - what annotated tags point at.  Thread: one (apply); it blocks.
 * SHA-1 repositories are read through libgit2, whose open object databases are kept (the last
 * PEEL_OPEN used); libgit2 1.5 does not know SHA-256, which goes through `git cat-file`. */
#ifndef REPLICA_REPO_PEEL_H
#define REPLICA_REPO_PEEL_H

#include "gitproto/base/err.h"
#include "gitproto/oid.h"

#define PEEL_OPEN 32

struct peel;
/* home, hooks: as for git_env_new. */
struct peel *peel_new(const char *home, const char *hooks);
void peel_free(struct peel **);

struct peel_item {
	struct oid oid;
	struct oid peeled; /* out; len 0: no tag, or not there */
	bool missing;      /* out: no such object */
};
/* dir: "ROOT/owner/name.git". */
MUST_CHECK int peel_run(struct peel *, const uint8_t id[16], const char *dir, enum oid_format,
			struct peel_item *, size_t n, struct err *);
/* The folder of this repository moved or went away. */
void peel_forget(struct peel *, const uint8_t id[16]);

#endif
