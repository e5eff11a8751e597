/* replica/shard/catalog.h - the truth on a node: one SQLite database (WAL, synchronous=FULL).
 * Thread: apply thread (catalog_open by main before it starts); not thread-safe.
 * Everything between catalog_begin and catalog_end becomes durable together, or not at all.
 * `PRAGMA user_version` holds the format; a newer one is refused (ERR_VERSION). */
#ifndef REPLICA_SHARD_CATALOG_H
#define REPLICA_SHARD_CATALOG_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"
#include "gitproto/oid.h"
#include "replica/repo/refset.h"

struct catalog;

/* Who this disk is (protocol section 1). */
struct catalog_identity {
	char cluster[64];
	char node[64];
	uint8_t incarnation[16]; /* made when the disk is first used */
	uint64_t start;          /* number of this start, counted and durable on open */
};
/* Opens or creates DATA/catalog.db and takes the exclusive lock on DATA/lock (flock, O_CLOEXEC):
 * ERR_REFUSED when another process holds it or when the disk belongs to another cluster or node.
 * The lock ends with catalog_close or the process; no child inherits it. */
MUST_CHECK int catalog_open(struct catalog **out, const char *data, const char *cluster,
			    const char *node, struct catalog_identity *, struct err *);
void catalog_close(struct catalog **);

/* One transaction.  catalog_end commits it when rc, of the work so far, is 0.  Nothing of it stays when that
 * or the commit failed: the same work may be tried again.  ERR_FULL no space, ERR_IO, ERR_CORRUPT. */
MUST_CHECK int catalog_begin(struct catalog *, struct err *);
MUST_CHECK int catalog_end(struct catalog *, int rc, struct err *); /* also when none is open */

/* Where a shard stands: `state` is verdict_state_encode, opaque here. */
struct catalog_shard {
	uint32_t shard;
	uint64_t next; /* offset of the first record not in the catalog */
	struct slice state;
};
typedef int catalog_shard_fn(const struct catalog_shard *, void *arg, struct err *);
/* For all rows; ends at the first rc that is not 0 and returns it.  So do the others below; what
 * they hand over is borrowed for the call. */
MUST_CHECK int catalog_shards(struct catalog *, catalog_shard_fn *, void *arg, struct err *);
MUST_CHECK int catalog_put_shard(struct catalog *, const struct catalog_shard *, struct err *);

/* Running hashes after the last CATALOG_WINDOW records of a shard (R12). */
#define CATALOG_WINDOW 4096u
typedef int catalog_hash_fn(uint64_t offset, const uint8_t hash[32], void *arg, struct err *);
MUST_CHECK int catalog_hashes(struct catalog *, uint32_t shard, catalog_hash_fn *, void *arg,
			      struct err *);
MUST_CHECK int catalog_put_hash(struct catalog *, uint32_t shard, uint64_t offset,
				const uint8_t hash[32], struct err *);

struct catalog_repo {
	uint8_t id[16];
	uint32_t shard;
	enum oid_format format;
	const char *path;        /* "owner/name" */
	const char *was_path;    /* its folder still has to move from there; NULL: it is in place */
	const char *head;        /* "refs/heads/main" */
	const char *why;         /* of the quarantine; NULL: none */
	const char *description; /* as the last meta record says; NULL: none */
	uint8_t digest[REFSET_DIGEST];
	uint64_t applied; /* offset of its last effective record */
	uint64_t created; /* offset of its create */
};
typedef int catalog_repo_fn(const struct catalog_repo *, void *arg, struct err *);
MUST_CHECK int catalog_repos(struct catalog *, catalog_repo_fn *, void *arg, struct err *);
/* Also makes a new one's id a used one. */
MUST_CHECK int catalog_put_repo(struct catalog *, const struct catalog_repo *, struct err *);
/* With its refs, packs and needs.  The id stays used, and its folder is on the trash list. */
MUST_CHECK int catalog_drop_repo(struct catalog *, const uint8_t id[16], uint64_t offset,
				 struct err *);
/* 1: the id was given to a repository of the shard once; 0: never. */
MUST_CHECK int catalog_id_used(struct catalog *, uint32_t shard, const uint8_t id[16],
			       struct err *);
/* Folders of deleted repositories that are not known to lie in the trash yet. */
typedef int catalog_trash_fn(const uint8_t id[16], const char *path, void *arg, struct err *);
MUST_CHECK int catalog_trash(struct catalog *, catalog_trash_fn *, void *arg, struct err *);
MUST_CHECK int catalog_trashed(struct catalog *, const uint8_t id[16], struct err *);

typedef int catalog_ref_fn(const char *name, const struct refset_ref *, const struct oid *peeled,
			   void *arg, struct err *);
/* Living ones in the order of their names, then tombstones in the order of their change: the order
 * in which refset_load is fast. */
MUST_CHECK int catalog_refs(struct catalog *, const uint8_t id[16], catalog_ref_fn *, void *arg,
			    struct err *);
MUST_CHECK int catalog_put_ref(struct catalog *, const uint8_t id[16], const char *name,
			       const struct refset_ref *, const struct oid *peeled, struct err *);
/* Forgets all but the newest REFSET_TOMBSTONES deleted refs. */
MUST_CHECK int catalog_trim_refs(struct catalog *, const uint8_t id[16], struct err *);

/* A pack that an effective record named and whose objects are in the repository.  As long as
 * pack-<name>.pack is there, all of them are in it; it is the very pack of the record, or one that
 * another member made anew (sizes and idx_sha256 are that one's then).  Repacking removes the file
 * and leaves the row. */
struct catalog_pack {
	uint8_t id[16]; /* of the repository */
	uint8_t sha256[32], idx_sha256[32];
	uint64_t size, idx_size;
	char name[65];   /* hex in pack-<name>.pack */
	uint64_t offset; /* of the record */
	bool inlined;    /* it is in the record itself: nobody ever asks for it */
};
MUST_CHECK int catalog_put_pack(struct catalog *, const struct catalog_pack *, struct err *);
/* ERR_NOT_FOUND when no effective record named it. */
MUST_CHECK int catalog_find_pack(struct catalog *, const uint8_t id[16], const uint8_t sha256[32],
				 struct catalog_pack *out, struct err *);

/* What a file pack-<name>.pack of a repository is.  Packs that no effective record named (yet) belong
 * to a push, or to an operator. */
enum catalog_pack_kind { CATALOG_PACK_UNKNOWN, CATALOG_PACK_NAMED, CATALOG_PACK_MADE };
MUST_CHECK int catalog_pack_kind(struct catalog *, const uint8_t id[16], const char *name,
				 enum catalog_pack_kind *out, struct err *);
/* Each pack of a record that was staged and lies in that file. */
typedef int catalog_staged_fn(const uint8_t sha256[32], void *arg, struct err *);
MUST_CHECK int catalog_staged_packs(struct catalog *, const uint8_t id[16], const char *name,
				    catalog_staged_fn *, void *arg, struct err *);
/* Packs that this node made of others: noted before the file gets its name. */
MUST_CHECK int catalog_put_made(struct catalog *, const uint8_t id[16], const char *name,
				struct err *);
MUST_CHECK int catalog_drop_made(struct catalog *, const uint8_t id[16], const char *name,
				 struct err *);

/* A pack that an effective record named and that is not here. */
struct catalog_need {
	struct catalog_pack pack;
	uint32_t shard;
	uint32_t from_node;
};
typedef int catalog_need_fn(const struct catalog_need *, void *arg, struct err *);
MUST_CHECK int catalog_needs(struct catalog *, catalog_need_fn *, void *arg, struct err *);
MUST_CHECK int catalog_put_need(struct catalog *, const struct catalog_need *, struct err *);
MUST_CHECK int catalog_drop_need(struct catalog *, const uint8_t id[16], const uint8_t sha256[32],
				 struct err *);

#endif
