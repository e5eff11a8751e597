/* replica/repo/layout.h - the folders of repositories, bare and in Gitea's layout.
 * Thread: one (apply); it blocks.
 *
 * Every folder holds a file LAYOUT_ID with the id of its repository, so that after a crash each
 * step here may be done again: it finds out what is done already.  All results are durable.
 * DATA/templates holds one empty repository per object format, made by the installed git at start;
 * DATA/trash/<id> what was deleted; DATA/tmp what is being made. */
#ifndef REPLICA_REPO_LAYOUT_H
#define REPLICA_REPO_LAYOUT_H

#include "gitproto/base/err.h"
#include "gitproto/oid.h"

#define LAYOUT_ID "gitshard-id"

struct layout;
/* data: our directory (on the filesystem of the repositories); home: empty, for git; hooks: for
 * core.hooksPath of each repository's config.  Makes templates, empties DATA/tmp. */
MUST_CHECK int layout_new(struct layout **out, const char *data, const char *home,
			  const char *hooks, struct err *);
void layout_free(struct layout **);
/* An empty repository at dir.  What else lies there is moved to the trash. */
MUST_CHECK int layout_create(struct layout *, const char *dir, const uint8_t id[16],
			     enum oid_format, const char *head, struct err *);
MUST_CHECK int layout_move(struct layout *, const char *from, const char *to, const uint8_t id[16],
			   struct err *);
/* A dir that is gone, or holds another repository, is done already. */
MUST_CHECK int layout_trash(struct layout *, const char *dir, const uint8_t id[16], struct err *);
/* Is this the folder of the repository? */
bool layout_is(const char *dir, const uint8_t id[16]);
/* core.hooksPath of the config is ours again; leftovers of dead children that are older than
 * born_ms (wall clock, when this process began) are removed: lock files, quarantines, .keep. */
MUST_CHECK int layout_mend(struct layout *, const char *dir, uint64_t born_ms, struct err *);
/* What receive-packs that were killed under a living node left: quarantines and .keep files older than
 * the oldest push that still runs (wall clock).  Other programs' files are left alone. */
void layout_mend_pushes(const char *dir, uint64_t since_ms);
/* What a repack left that was killed, its folder being about to move; none may run on it. */
void layout_mend_repack(const char *dir);
/* Removes one entry of the trash that has lain there for grace_sec; 1: there may be more. */
MUST_CHECK int layout_empty_trash(struct layout *, int64_t grace_sec, struct err *);

#endif
