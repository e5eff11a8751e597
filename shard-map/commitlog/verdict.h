/* shard-map/commitlog/verdict.h - is this record in order, is it effective (R1, R2, R8, R11)?
 * Thread: one at a time per state; pure.
 *
 * A verdict is a function of the stream before the record and of nothing else, so every node comes
 * to the same one.  Order for each record: verdict_check, then verdict_advance with its answer,
 * then the record's content (for effective ones) goes into what the content callbacks answer from.
 * These rules belong to record format version 1: a change of any of them is a new version. */
#ifndef SHARD_MAP_COMMITLOG_VERDICT_H
#define SHARD_MAP_COMMITLOG_VERDICT_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "shard-map/commitlog/record.h"

#ifdef GITSHARD_MODEL
#define VERDICT_MEMBERS_MAX 4 /* the model's states are many and small */
#else
#define VERDICT_MEMBERS_MAX RECORD_MEMBERS_MAX
#endif

enum verdict {
	VERDICT_FREE, /* a free record: shows how far one has read, counts for nothing */
	VERDICT_OUT,  /* not in order, an invalid claim, a misplaced genesis: changes nothing */
	VERDICT_DEAD, /* in order and not effective: counts for seq and base, content changes
			      nothing */
	VERDICT_EFFECTIVE, /* in order and effective; a valid claim; the genesis at offset 0 */
};

/* What a stream has come to before offset `next`. */
struct verdict_state {
	uint64_t next;  /* offset of the record to be judged next; the position read up to */
	bool genesis;   /* offset 0 held one */
	uint32_t shard; /* these five from the genesis; before it shard and cluster say what
			     is expected */
	uint8_t cluster[RECORD_ID];
	uint8_t uuid[RECORD_ID]; /* of the shard */
	uint32_t shards;
	uint64_t key_seed;

	struct record_reign reign; /* epoch 0: nobody ever held it */
	uint8_t holder[RECORD_ID]; /* incarnation */
	uint64_t last_offset; /* of the last in-order record of the reign, its claim included */
	uint64_t last_seq;
	enum record_type last_type; /* these three mean something when epoch > 0 */

	uint64_t config; /* number of the present one */
	bool single;
	uint8_t n_voters, n_learners;
	struct record_member members[VERDICT_MEMBERS_MAX]; /* voters, then learners */
	uint64_t checkpoint; /* head of the last effective one; 0: none */
};

/* A stream of which nothing was read.  Records of other clusters or shards are out of order in it,
 * and a genesis of another does not begin it (state.genesis stays false). */
void verdict_init(struct verdict_state *, const uint8_t cluster[RECORD_ID], uint32_t shard);

/* What repositories and refs are at this offset, by whoever keeps them.  Each returns a negative
 * ERR_* when it cannot know (disk); such an answer ends verdict_check and nothing was decided. */
struct verdict_content {
	/* 1 and its id length, 20 or 32, when a repository with this id lives; 0 when not */
	int (*repo)(const uint8_t id[RECORD_ID], uint8_t *oid_len, void *arg);
	int (*id_used)(const uint8_t id[RECORD_ID], void *arg); /* 1: lives, or lived once */
	int (*path_taken)(const char *path, void *arg);         /* 1: by a living one */
	/* The value of a ref; len 0 or all zero: no such ref. */
	int (*ref)(const uint8_t id[RECORD_ID], const char *name, struct record_oid *out,
		   void *arg);
	/* 1: a living ref that is not ignored makes `name` impossible (one is a directory where the
	 * other is a file) */
	int (*ref_conflict)(const uint8_t id[RECORD_ID], const char *name,
			    bool (*ignore)(const char *name, void *ignore_arg), void *ignore_arg,
			    void *arg);
	void *arg;
};

/* The verdict on the record at `offset` (== state->next, a CHECK), or a negative ERR_* of a content
 * callback, ERR_NOMEM.  why (may be NULL) is filled for OUT and DEAD: fit for a client's eyes, with
 * ERR_CONFLICT, ERR_NOT_FOUND, ERR_EXISTS, ERR_REFUSED or ERR_BAD. */
MUST_CHECK int verdict_check(const struct verdict_state *, uint64_t offset, const struct record *,
			     const struct verdict_content *, struct err *why);
/* Takes the record and its verdict into the state. */
void verdict_advance(struct verdict_state *, uint64_t offset, const struct record *, enum verdict);

/* Would an update, create, delete, rename or meta be effective if it stood here?  The same content
 * rules without order; for the primary before it appends.  VERDICT_EFFECTIVE, VERDICT_DEAD or
 * negative. */
MUST_CHECK int verdict_content(const struct verdict_state *, const struct record *,
			       const struct verdict_content *, struct err *why);

bool verdict_is_voter(const struct verdict_state *, uint32_t node,
		      const uint8_t incarnation[RECORD_ID]);
bool verdict_is_member(const struct verdict_state *, uint32_t node,
		       const uint8_t incarnation[RECORD_ID]);
/* Voters that make "a majority, and at least 2" of n; 1 in a single config. */
unsigned verdict_majority(size_t n_voters, bool single);
/* The members as records carry them; borrowed from the state. */
struct record_members verdict_members(const struct verdict_state *);
const char *verdict_name(enum verdict); /* "effective" */

/* As bytes, with a version; for the catalog and for snapshots. */
void verdict_state_encode(struct buf *, const struct verdict_state *);
MUST_CHECK int verdict_state_decode(struct verdict_state *out, struct slice, struct err *);

#endif
