/* shard-map/commitlog/record.h - one record of a stream: its struct, its bytes, the running hash.
 * Thread: any; pure.  The format with its versions: docs/commit-log.md.
 *
 * Decoding bounds every count by the bytes that are left before it allocates.  Strings in a decoded
 * record end in NUL (the format keeps it) and lie in the bytes that were decoded, as inline packs
 * and the map's text do; arrays are the record's own.  So: keep the bytes while the record is used,
 * or call record_keep.  A record to be encoded is filled in by its writer and owns nothing. */
#ifndef SHARD_MAP_COMMITLOG_RECORD_H
#define SHARD_MAP_COMMITLOG_RECORD_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"
#include "shard-map/commitlog/commitlog.h"

#define RECORD_VERSION 1 /* that is written */
#define RECORD_READER 1  /* the oldest reader that understands it */

#define RECORD_MAX COMMITLOG_MAX_RECORD /* bytes of an encoded record */
#define RECORD_ID 16                    /* cluster, txn, repository, push, incarnation */
#define RECORD_HASH 32                  /* SHA-256 */
#define RECORD_MEMBERS_MAX 255          /* voters and learners together */
#define RECORD_NAME_MAX 1024            /* bytes of a ref name, a path, a key */
#define RECORD_PACKS_MAX 16             /* of one update */
#define RECORD_INLINE_MAX (256u * 1024) /* pack and index together travel in the record */
#define RECORD_SEEN_NONE UINT64_C(0xffffffffffffffff) /* its writer had read nothing */
/* Refs that one update always carries with SHA-1 ids, names of 30 bytes and no inline pack:
 * an atomic push with more is refused in words that name this number. */
#define RECORD_REFS_MAX 12000u

enum record_type {
	RECORD_GENESIS = 1,
	RECORD_CLAIM = 2,
	RECORD_YIELD = 3,
	RECORD_CONFIG = 4,
	RECORD_CREATE = 5,
	RECORD_DELETE = 6,
	RECORD_RENAME = 7,
	RECORD_UPDATE = 8,
	RECORD_META = 9,
	RECORD_CHECKPOINT = 10,
	RECORD_BARRIER = 11,   /* of the reign, or free */
	RECORD_START = 12,     /* free */
	RECORD_MAP = 13,       /* stream COMMITLOG_MAP only */
	RECORD_DIRECTORY = 14, /* stream COMMITLOG_DIRECTORY only */
	RECORD_NTYPES = 15
};

/* An object id; the layout of struct oid (gitproto/oid.h): len 20 or 32, unused bytes zero. */
struct record_oid {
	uint8_t len;
	uint8_t b[32];
};

struct record_reign {
	uint64_t epoch; /* 0: none */
	uint64_t boot;
	uint32_t node;
};

struct record_member {
	uint32_t node;
	uint8_t incarnation[RECORD_ID];
};

/* Who belongs to a shard. */
struct record_members {
	const struct record_member *voters, *learners;
	size_t n_voters, n_learners; /* together <= RECORD_MEMBERS_MAX */
	bool single;                 /* one voter is enough (R8) */
};

struct record_genesis {
	uint32_t format;         /* of the stream; 1 */
	uint32_t shards;         /* of the cluster */
	uint64_t key_seed;       /* key to shard */
	uint8_t uuid[RECORD_ID]; /* of this shard */
	const char *cluster_name;
	struct record_members members; /* config 0 */
};
struct record_claim {
	uint8_t incarnation[RECORD_ID];
	uint64_t base;
};
struct record_yield {
	uint32_t wish; /* node that should claim; 0: any */
};
struct record_config {
	uint64_t base;
	struct record_members members;
};
struct record_create {
	uint8_t id[RECORD_ID];
	uint8_t oid_len;  /* 20: SHA-1, 32: SHA-256 */
	uint32_t flags;   /* RECORD_CREATE_* */
	const char *path; /* "owner/name", ASCII lower case, no ".git" */
	const char *head; /* "refs/heads/main" */
};
#define RECORD_CREATE_AUTO 1u /* made by a push */
struct record_delete {
	uint8_t id[RECORD_ID];
};
struct record_rename {
	uint8_t id[RECORD_ID];
	const char *path; /* the new one */
};

struct record_ref {
	const char *name;
	struct record_oid old, new; /* all zero with its length: absent, delete */
};
struct record_pack {
	bool inlined;
	uint8_t sha256[RECORD_HASH], idx_sha256[RECORD_HASH];
	uint64_t size, idx_size;
	const char *name;       /* hex in "pack-<name>.pack": 40 or 64 digits */
	struct slice pack, idx; /* the bytes when inlined (after record_keep: empty) */
};
struct record_update {
	uint8_t id[RECORD_ID];       /* of the repository */
	uint8_t push[RECORD_ID];     /* random, new for each attempt */
	uint64_t config;             /* number its confirmations were counted with */
	uint8_t digest[RECORD_HASH]; /* of refs and HEAD after it */
	uint8_t oid_len;
	const char *head; /* new HEAD target; NULL: unchanged */
	const struct record_ref *refs;
	size_t n_refs;
	const struct record_pack *packs;
	size_t n_packs;
};

struct record_pair {
	const char *key, *value; /* value NULL: unset */
};
struct record_meta {
	uint8_t id[RECORD_ID];
	const char *description; /* NULL: unchanged */
	const struct record_pair *pairs;
	size_t n_pairs;
};
struct record_checkpoint {
	uint64_t head;                       /* all below it may be trimmed */
	const struct record_member *members; /* whose durable state reaches head */
	size_t n_members;
};
struct record_start {
	uint32_t node;
	uint8_t incarnation[RECORD_ID];
	uint64_t number;
};
struct record_map {
	uint64_t version, base;
	struct slice text;
};
struct record_directory {
	const char *key, *reason;
	uint32_t shard;
};

struct record {
	enum record_type type;
	bool free; /* a free barrier; START is free without saying so */
	uint8_t cluster[RECORD_ID];
	uint8_t txn[RECORD_ID];
	uint32_t shard;
	uint64_t seen;                  /* offset its writer had read, RECORD_SEEN_NONE (R12) */
	uint8_t seen_hash[RECORD_HASH]; /* running hash there */
	uint64_t wall_ms;               /* for people */
	struct record_reign reign;      /* only when record_has_reign */
	uint64_t seq;                   /* same; a claim has 0 */
	union {
		struct record_genesis genesis;
		struct record_claim claim;
		struct record_yield yield;
		struct record_config config;
		struct record_create create;
		struct record_delete del;
		struct record_rename rename;
		struct record_update update;
		struct record_meta meta;
		struct record_checkpoint checkpoint;
		struct record_start start;
		struct record_map map;
		struct record_directory directory;
	};
	void *owned[3]; /* of a decoded record: its arrays, and what record_keep copied */
};

/* Appends the bytes of r.  ERR_TOO_BIG: a name, a count or the whole passes its limit. */
MUST_CHECK int record_encode(struct buf *, const struct record *r, struct err *);
/* Fills *out, which is released only after success.  ERR_BAD malformed, ERR_VERSION written for
 * newer readers, ERR_UNSUPPORTED unknown type, ERR_NOMEM. */
MUST_CHECK int record_decode(struct record *out, struct slice bytes, struct err *);
void record_release(struct record *);
/* Makes a decoded record independent of the bytes it came from; inline pack bytes are dropped
 * (`inlined` stays).  ERR_NOMEM leaves it as it was. */
MUST_CHECK int record_keep(struct record *, struct err *);

bool record_has_reign(const struct record *); /* every one but genesis, the free, map, directory */
bool record_reign_eq(const struct record_reign *, const struct record_reign *);
bool record_oid_eq(const struct record_oid *, const struct record_oid *);
bool record_oid_is_zero(const struct record_oid *); /* or of length 0 */
const char *record_type_name(enum record_type);     /* "update"; "?" */
/* Does it name the pack with this SHA-256?  Only updates do. */
bool record_names_pack(const struct record *, const uint8_t sha256[RECORD_HASH]);

/* Bytes that one ref, or one inline pack with its index, adds to an update; what an update may hold
 * of both.  So a non-atomic push is cut into records. */
size_t record_ref_size(const char *name, uint8_t oid_len);
size_t record_pack_size(const struct record_pack *);
#define RECORD_UPDATE_ROOM ((size_t)RECORD_MAX - 2048)

/* The running hash after a record: SHA-256 over the one before it and its bytes.  Before the first
 * record of a stream it is all zero.  out and before may be the same. */
void record_chain(uint8_t out[RECORD_HASH], const uint8_t before[RECORD_HASH], struct slice bytes);

#endif
