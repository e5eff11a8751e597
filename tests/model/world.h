/* tests/model/world.h - a small world of the commit protocol, and all that can happen in it next.
 * Thread: one.
 *
 * Three nodes, one stream, one repository a push may name.  What decides is the shipped code
 * (verdict, fate, lease, staging), built with GITSHARD_MODEL; this file keeps what those functions
 * are told: what each node has read, asked for, stores.  A world is a few hundred bytes without
 * pointers, so that equal ones are equal as memory.
 *
 * Time is coarse: a tick is T2 (2 s).  So a lease (T1, 1.5 s) holds within the tick in which its
 * evidence was asked for, and a claimer has waited long enough in the next.  Everything may happen
 * in any order within a tick, and any node may stand still for as long as the world lasts. */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include <string.h>

#include "gitproto/base/defs.h"
#include "shard-map/commitlog/fate.h"
#include "shard-map/commitlog/lease.h"
#include "shard-map/commitlog/mutant.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/commitlog/staging.h"
#include "shard-map/commitlog/verdict.h"

#define NODES 3
#define LOG_MAX 10
#define PEND_MAX 6
#define PUSHES 3
#define OPEN_MAX 3
#define INCS 4 /* disks: one for each node, and the one that replaces a lost one */

#define REC_UPDATE_DOOMED 0xff /* push number of an update that cannot be effective */
#define NOTHING 0xff

/* A record, as small as can be.  id is its txn: unique for (node, boot). */
struct mrec {
	uint8_t type, free, node, boot, epoch, seq, id;
	uint8_t a; /* claim: disk; update: push; config: set of voters, a bit for each node */
	uint8_t b; /* claim, config: base; update: old value (number of a push + 1, 0: none) */
	uint8_t c; /* update: config number; config: node + 1 that is named with the spare disk */
};

struct mnode {
	uint8_t pos;  /* has read log[0 .. pos-1] */
	uint8_t boot; /* which start this is */
	uint8_t inc;  /* disk */
	uint8_t next_seq, next_id;
	/* struct lease, times as ticks + 1 (0: none) */
	uint8_t last_read, epoch, evidence, yielded, yield_epoch, yield_seq, n_asks;
	uint8_t asks[LEASE_ASKS][3]; /* epoch, seq, tick + 1 */
	/* struct fate_list */
	uint8_t n_open;
	uint8_t open[OPEN_MAX][4]; /* epoch, seq, id, push */
	/* staged packs by push */
	uint8_t copy[PUSHES];                           /* enum copy */
	uint8_t hold[PUSHES];                           /* epoch of the reign it is staged for */
	uint8_t count_epoch[PUSHES], confirmed[PUSHES]; /* the primary's count: bits of disks */
	uint8_t saw_yield;                              /* for the mutant that remembers it */
};
enum copy { COPY_NONE, COPY_RECEIVED, COPY_DURABLE, COPY_KEPT };

enum told { TOLD_NOTHING, TOLD_DONE, TOLD_FAILED, TOLD_UNKNOWN };

enum read_phase {
	READ_NONE,
	READ_ARRIVED, /* at `node`; the primary asked is `via` */
	READ_SAMPLED, /* the clock */
	READ_CHECKED, /* the lease held */
	READ_NAMED,   /* a position is known: wait until `node` has read up to there */
	READ_BARRIER, /* a free barrier was asked for and is not read back */
};

struct mread {
	uint8_t phase, by_barrier, node, via, sample, acked, position, barrier_id;
};

/* What may still happen: each of these costs one. */
struct budget {
	uint8_t ticks, claims, barriers, yields, doomed, restarts, snapshots, dups, reads, configs,
		wipes, fetches;
};

struct world {
	uint8_t log_n, pend_n;
	struct mrec log[LOG_MAX];
	uint8_t verdicts[LOG_MAX];
	struct mrec pend[PEND_MAX]; /* asked for, may land: sorted */
	struct mnode node[NODES];
	uint8_t now;
	struct budget left;
	uint8_t asked[PUSHES];             /* 1: appended, or given up */
	uint8_t owner[PUSHES];             /* node + 1 that took the client's push up */
	uint8_t told[PUSHES];              /* enum told */
	uint8_t acked_at[PUSHES];          /* node + 1 that told the client */
	uint8_t confirm[PUSHES][NODES][2]; /* confirmation under way: epoch, disk */
	uint8_t released[PUSHES];          /* epoch of the reign that released it */
	uint8_t gone;                      /* bits of lost disks */
	struct mread read;
};

/* What a world is about; constant during a search. */
struct scenario {
	const char *name, *about;
	struct budget budget;
	uint8_t pushes;     /* how many */
	uint8_t same_repo;  /* bits: pushes that share one lock (and one ref) */
	uint8_t staged;     /* bits: pushes whose pack is staged */
	uint8_t nodes;      /* bits: who reads, restarts and loses disks; others stand still */
	uint8_t claimers;   /* bits of nodes */
	uint8_t readers;    /* bits of nodes at which reads arrive */
	uint8_t by_barrier; /* reads use a free barrier; otherwise they ask the primary */
	uint8_t log_max;
	bool wide;    /* too large to be searched whole: not in the short run */
	uint8_t sets; /* of voters that configs may name: bit s for the set of nodes s */
};

enum move_kind {
	MOVE_TICK,
	MOVE_CLAIM,    /* node */
	MOVE_PUSH,     /* node, push */
	MOVE_DOOMED,   /* node */
	MOVE_BARRIER,  /* node */
	MOVE_YIELD,    /* node */
	MOVE_CONFIG,   /* node, set */
	MOVE_LAND,     /* pending, 1: a copy stays under way */
	MOVE_READ,     /* node, 1: stamped with the time before */
	MOVE_RESTART,  /* node, 1: the record read last was not durable */
	MOVE_SNAPSHOT, /* node */
	MOVE_WIPE,     /* node */
	MOVE_ARRIVE,   /* node, primary asked */
	MOVE_SAMPLE,
	MOVE_CHECK,
	MOVE_POSITION,
	MOVE_SERVE,
	MOVE_FREE,      /* node: the read's barrier */
	MOVE_STAGE,     /* primary, push, member */
	MOVE_FSYNC,     /* member, push */
	MOVE_CONFIRM,   /* primary, push, member */
	MOVE_RELEASE,   /* primary, push */
	MOVE_RELEASED,  /* member, push */
	MOVE_FETCH,     /* member, push */
	MOVE_DROP,      /* member, push: the mutant */
	MOVE_DELIVERED, /* offset: its writer gets the delivery report: mutants */
	MOVE_TIMEOUT,   /* node: the mutant */
	MOVE_N
};
struct move {
	uint8_t kind, a, b, c;
};

/* Of one world, for all moves out of it: the state before each offset, and the value of each ref
 * there (pushes of one repository share ref 0). */
struct prefix {
	struct verdict_state state[LOG_MAX + 1];
	uint8_t value[LOG_MAX + 1][PUSHES + 1];
};

extern const struct scenario *scenario_now;

void world_begin(struct world *); /* genesis and the preferred node's claim are read by all */
void world_prefix(struct prefix *, const struct world *);
/* All moves that are possible, at most max; returns how many. */
size_t world_moves(const struct world *, const struct prefix *, struct move *, size_t max);
/* Makes *to out of *from by m.  NULL: all promises hold; otherwise which one broke, in words.
 * *possible false: the move turned out not to be. */
const char *world_step(struct world *to, const struct world *from, const struct prefix *,
		       struct move m, bool *possible);

/* For world_step and its parts. */
struct record world_record(const struct mrec *);
void world_lease(struct lease *, const struct world *, unsigned node);
void world_keep_lease(struct world *, unsigned node, const struct lease *);
uint64_t world_ns(uint8_t tick_and_1);
uint8_t world_ref(unsigned push); /* its ref */
struct record_member world_member(unsigned node, unsigned inc);
uint8_t world_find(const struct world *, unsigned push); /* offset of its effective record */
bool world_ask(struct world *, struct mrec *);           /* false: too many under way */
bool world_is_whole(const struct world *, unsigned node, unsigned upto);

int world_judge(const struct prefix *, unsigned offset, const struct record *);
/* Moves that ask for appends (asks.c), and those of the log and of processes (life.c). */
bool asks_step(struct world *, const struct prefix *, struct move m); /* false: not possible */
const char *life_step(struct world *, const struct prefix *, struct move m);
const char *world_check_packs(const struct world *, const struct prefix *before);
/* Moves of strict reads (reads.c) and of staged packs (packs.c); other kinds are not theirs. */
const char *reads_step(struct world *, const struct prefix *, struct move m, bool *possible);
const char *packs_step(struct world *, const struct prefix *, struct move m, bool *possible);
/* Enough confirmations to append the update (R8)? */
bool packs_enough(const struct world *, const struct prefix *, unsigned primary, unsigned push);
void packs_on_read(struct world *, const struct prefix *, unsigned node, const struct record *,
		   const struct mrec *, enum verdict);
/* position: the reader sees all below it.  NULL, or the broken promise. */
const char *reads_verify(const struct world *, uint8_t position);
void reads_forget(struct world *, unsigned node); /* its process ended */

void story_print(const struct world *before, const struct world *after, struct move m);

#endif
