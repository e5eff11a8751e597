/* replica/repo/refset.h - the refs of one repository in memory, sorted, with HEAD and digest.
 * Thread: whoever holds the lock of the repository (repo.h).
 *
 * Deleted refs stay as tombstones (value zero) for the value before the last change, which answers
 * repeated pushes (design section 6, 5); at most REFSET_TOMBSTONES, oldest out first.
 * The digest is order-free: the sum (four big-endian 64-bit lanes, each modulo 2^64) of SHA-256
 * over "name NUL oid" of every living ref (raw bytes) and over "HEAD NUL target"
 * (docs/commit-log.md). */
#ifndef REPLICA_REPO_REFSET_H
#define REPLICA_REPO_REFSET_H

#include "gitproto/base/slice.h"
#include "gitproto/oid.h"
#include "gitproto/reflist.h"

#define REFSET_TOMBSTONES 4096
#define REFSET_DIGEST 32

struct refset;

/* What is known of one ref; oid zero: it is deleted. */
struct refset_ref {
	struct oid oid;    /* value now; zero: deleted */
	struct oid before; /* value before the last change; zero: it did not exist */
	uint64_t changed;  /* offset of the last change */
};

struct refset *refset_new(enum oid_format);
void refset_free(struct refset **);
/* false: never existed (or its tombstone is gone) */
bool refset_get(const struct refset *, const char *name, struct refset_ref *out);
/* Sets (oid zero: deletes) a ref; before and digest follow by themselves.  peeled: len 0 when the
 * value is no tag. */
void refset_set(struct refset *, const char *name, const struct oid *value,
		const struct oid *peeled, uint64_t offset);
/* Puts a ref back as it was stored (from the catalog).  Fast when living ones come in the order of
 * their names; tombstones come in the order of their change. */
void refset_load(struct refset *, const char *name, const struct refset_ref *,
		 const struct oid *peeled);
void refset_set_peeled(struct refset *, const char *name, const struct oid *peeled);
void refset_set_head(struct refset *, const char *target); /* "refs/heads/main" */
const char *refset_head(const struct refset *);
size_t refset_count(const struct refset *); /* living refs */
size_t refset_bytes(const struct refset *); /* memory, for the bound */
/* The name of a living ref that forbids `name` (a directory where a file must be, or the other way
 * round), NULL when there is none.  ignore(name, arg) true: as if that ref did not exist. */
const char *refset_conflict(const struct refset *, const char *name,
			    bool (*ignore)(const char *name, void *arg), void *arg);
void refset_digest(const struct refset *, uint8_t out[REFSET_DIGEST]);
/* The digest that would stand after these changes, which are not made (for the record to append). */
struct refset_change {
	const char *name;
	struct oid oid; /* zero: delete */
};
void refset_digest_after(const struct refset *, const struct refset_change *, size_t n,
			 const char *new_head, uint8_t out[REFSET_DIGEST]);
/* One step of a digest that is kept apart from a set: `from` leaves it, `to` joins it (NULL or zero:
 * none).  For HEAD the targets, NULL: none. */
void refset_digest_step(const struct refset *, uint8_t digest[REFSET_DIGEST], const char *name,
			const struct oid *from, const struct oid *to);
void refset_digest_head(const struct refset *, uint8_t digest[REFSET_DIGEST], const char *from,
			const char *to);
/* The living refs for gitproto's writers; borrowed until the next change. */
void refset_list(const struct refset *, struct reflist *out);

#endif
