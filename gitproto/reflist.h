/* gitproto/reflist.h - the refs of a repository at one moment, for the writers of this folder.
 * Thread: any, read only.  Owns nothing: who makes one keeps everything alive. */
#ifndef GITPROTO_REFLIST_H
#define GITPROTO_REFLIST_H

#include "gitproto/base/slice.h"
#include "gitproto/oid.h"

struct reflist_item {
	const char *name; /* "refs/heads/main" */
	struct oid oid;
	struct oid peeled; /* what an annotated tag points at in the end; len 0: no tag */
};

struct reflist {
	const struct reflist_item *const *items; /* sorted by name (bytes), none twice */
	size_t n;
	const char *head_target;  /* of a symbolic HEAD, whether it exists or not; NULL: detached */
	struct oid head_detached; /* HEAD's own value when head_target is NULL; len 0: no HEAD */
	enum oid_format format;
};

/* Index of the first item whose name is >= name; n when there is none. */
size_t reflist_lower(const struct reflist *, struct slice name);
const struct reflist_item *reflist_find(const struct reflist *, struct slice name); /* or NULL */
/* What HEAD resolves to: its value and peeled; false when it resolves to nothing (unborn). */
bool reflist_head(const struct reflist *, struct reflist_item *out);

#endif
