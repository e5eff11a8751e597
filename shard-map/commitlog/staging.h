/* shard-map/commitlog/staging.h - when a staged pack counts, and when it may be dropped (R8).
 * Thread: one at a time; pure.  The primary counts confirmations (struct staging); every member
 * that confirmed keeps a hold (struct staging_hold) for each push, also for equal packs. */
#ifndef SHARD_MAP_COMMITLOG_STAGING_H
#define SHARD_MAP_COMMITLOG_STAGING_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/commitlog/verdict.h"

/* The primary's side: one push with a staged pack. */
struct staging {
	uint8_t push[RECORD_ID];
	struct record_reign reign; /* in which it is staged */
	uint16_t n;
	struct record_member confirmed[VERDICT_MEMBERS_MAX];
};
void staging_init(struct staging *, const uint8_t push[RECORD_ID], const struct record_reign *);
/* A member says: pack and index of this push are fsynced here, file and folder.  reign and push as
 * the confirmation names them.  The primary confirms its own copy the same way.  false: not counted
 * (another reign, another push, no member of the present config). */
bool staging_confirm(struct staging *, const struct verdict_state *, const struct record_reign *,
		     const uint8_t push[RECORD_ID], const struct record_member *);
/* Confirmed voters of the present config, and whether they suffice: then, and in one step with
 * giving seq, an update with config number state->config may be appended. */
unsigned staging_count(const struct staging *, const struct verdict_state *);
bool staging_enough(const struct staging *, const struct verdict_state *);

/* A member's side: what it confirmed, or is about to; durable as long as the file is. */
struct staging_hold {
	uint8_t push[RECORD_ID];
	uint8_t sha256[RECORD_HASH]; /* of the pack */
	struct record_reign reign;
};
enum staging_fate {
	STAGING_KEEP,  /* as it is */
	STAGING_ADOPT, /* an effective record of this push names the pack: it stays for good, the
			  hold ends */
	STAGING_DROP,  /* this hold ends; the file too when no hold names it any more */
};
/* May this member still confirm for that reign?  Not once it has read a higher claim. */
bool staging_may_hold(const struct verdict_state *, const struct record_reign *);
enum staging_fate staging_on_read(const struct staging_hold *, const struct record *, enum verdict);
/* The release that the primary of `reign` sends for `push`. */
enum staging_fate staging_on_release(const struct staging_hold *, const struct record_reign *,
				     const uint8_t push[RECORD_ID]);
/* For a hold that was found on the disk at start: the state has been read meanwhile.  ADOPT cannot
 * be told from a state: ask the catalog whether the pack was named first. */
enum staging_fate staging_on_state(const struct staging_hold *, const struct verdict_state *);
/* true: none of the holds names the pack (and the catalog must not name it either). */
bool staging_may_unlink(const struct staging_hold *, size_t n, const uint8_t sha256[RECORD_HASH]);
#define STAGING_HOLD_BYTES 69
void staging_hold_encode(struct buf *, const struct staging_hold *);
MUST_CHECK int staging_hold_decode(struct staging_hold *out, struct slice, struct err *);

/* A member's report "all packs named by effective records up to offset `whole` are durable here",
 * for a change of members. */
struct staging_report {
	struct record_member member;
	uint64_t whole;
};
/* May config(base, members) be appended: a majority, at least 2, of the new voters reported base or
 * beyond? */
bool staging_config_enough(const struct record_members *, uint64_t base,
			   const struct staging_report *, size_t n);
/* R11: members of the present config that have h durable, for a checkpoint: enough? */
bool staging_checkpoint_enough(const struct verdict_state *, const struct record_member *,
			       size_t n);

#endif
