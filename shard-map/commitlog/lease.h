/* shard-map/commitlog/lease.h - who reigns, for how long a read may trust it, and when a claim may
 * be appended (R3, R4, R6, R7, R10).  Thread: one at a time; pure, times are passed in.
 *
 * All times: nanoseconds of this machine's CLOCK_BOOTTIME, fresh samples (an event loop's cached
 * time is wrong).  Order: lease_init at start with what the catalog has; lease_asked before every
 * append of a reign record or claim; lease_on_read for every record read, after verdict_advance. */
#ifndef SHARD_MAP_COMMITLOG_LEASE_H
#define SHARD_MAP_COMMITLOG_LEASE_H

#include "gitproto/base/err.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/commitlog/verdict.h"

#define LEASE_T1_NS UINT64_C(1500000000)    /* R6: evidence lasts */
#define LEASE_T2_NS UINT64_C(2000000000)    /* R3: a claimer waits */
#define LEASE_RENEW_NS UINT64_C(1000000000) /* while reads come: a barrier when evidence is older */
#ifdef GITSHARD_MODEL
#define LEASE_ASKS 4
#else
#define LEASE_ASKS 256 /* asked and not read back; further ones give no evidence */
#endif

struct lease_self {
	uint32_t node;
	uint64_t boot;
	uint8_t incarnation[RECORD_ID];
	uint64_t t1_ns, t2_ns; /* 0: the values above; t2 * 0.86 > t1 * 1.14 is a CHECK */
};

struct lease {
	struct lease_self self;
	/* R3: when the last in-order record (or valid claim) of the present reign was read */
	uint64_t last_read_ns;
	/* R4: the own reign; 0: not primary */
	uint64_t epoch;
	/* R6: first ask of the newest evidence; and the newest yield ever asked for, (epoch, seq) */
	uint64_t evidence_ns;
	bool yield_asked;
	uint64_t yield_epoch, yield_seq;
	/* asked, not read back; in the order of asking */
	struct lease_ask {
		uint64_t epoch, seq, ns;
	} asks[LEASE_ASKS];
	unsigned n_asks;
};

/* now_ns: taken after the state was loaded; the same counts as reading it (R3). */
void lease_init(struct lease *, const struct lease_self *, uint64_t now_ns);
/* A snapshot was installed: no reign goes on (R4), and the caller takes a new boot number. */
void lease_on_snapshot(struct lease *, uint64_t new_boot, uint64_t now_ns);
/* before_ns: sampled before the append call.  The record's reign is (epoch, self.node, self.boot).
 * A second ask for the same (epoch, seq) keeps the first time. */
void lease_asked(struct lease *, const struct record *, uint64_t before_ns);
/* read_ns: sampled after the log handed the record over. */
void lease_on_read(struct lease *, const struct record *, enum verdict, uint64_t read_ns);

bool lease_is_primary(const struct lease *); /* R4 */
/* R6; now_ns: sampled after the read to be served arrived. */
bool lease_holds(const struct lease *, uint64_t now_ns);
uint64_t lease_left_ns(const struct lease *, uint64_t now_ns); /* 0: does not hold */
bool lease_wants_renewal(const struct lease *, uint64_t now_ns);
/* R10: a yield was asked for and not taken back: no reign record but the barrier that takes it
 * back may be appended. */
bool lease_is_yielding(const struct lease *);

/* R7 at the primary, also for a follower that asks.  Takes the clock, checks the lease, takes the
 * position, in this order, which is the whole point.  Call it after the request arrived.
 * false: no lease.  *position: serve when all below it is applied. */
bool lease_strict_read(const struct lease *, const struct verdict_state *,
		       uint64_t (*clock_ns)(void *), void *arg, uint64_t *position);

/* R3.  What the lease cannot know by itself: */
struct lease_claim {
	bool owns_lock; /* the exclusive lock on the data directory, since before the state was read */
	bool whole;     /* holds durably every pack named by effective records below state->next */
};
/* 0 and the base to put into the claim; ERR_REFUSED: not a voter, or primary already;
 * ERR_UNAVAILABLE: not yet, *wait_ns (may be NULL) tells how long at least, 0 when no time
 * helps. */
MUST_CHECK int lease_may_claim(const struct lease *, const struct verdict_state *,
			       const struct lease_claim *, uint64_t now_ns, uint64_t *base,
			       uint64_t *wait_ns, struct err *why);

#endif
