/* replica/shard/shard.h - the shards of this node as the loop sees them: how far the log has been
 * read and applied, who reigns, what this node appended and what became of it.
 * Thread: loop (apply's events are posted to it before they come here).
 *
 * Every rule of the commit protocol that needs a clock or remembers an append is asked here, of the
 * pure functions in shard-map/commitlog (verdict, fate, lease). */
#ifndef REPLICA_SHARD_SHARD_H
#define REPLICA_SHARD_SHARD_H

#include "gitproto/base/err.h"
#include "gitproto/net/loop.h"
#include "replica/repo/repo.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/commitlog/verdict.h"

struct shards;
struct shard;

/* A record after its verdict, as the apply engine tells it; see apply_note. */
struct shard_note {
	uint64_t offset;
	uint64_t read_ns; /* clock after the log handed it over (R3) */
	enum verdict verdict;
	const struct record *record; /* borrowed */
	const uint8_t *hash;         /* running hash after it, 32 bytes */
	const char *why;
};

struct shards_opts {
	struct loop *loop;
	struct commitlog *log;
	uint8_t incarnation[16];
	uint64_t start;
	uint64_t boot;
	bool lease_reads;   /* R6; no: every strict read takes a barrier */
	uint64_t read_msec; /* a strict read without proof by then is ERR_UNAVAILABLE */
	/* shard_fresh_ns is kept within this by free barriers, a small record each third of it; 0: as
	 * reads and writes have it */
	uint64_t fresh_msec;
	/* The position, role or epoch of a shard changed (told at the end of the tick). */
	void (*changed)(struct shard *, void *arg);
	/* This disk is an old copy (R13), or something as bad: stop. */
	void (*fatal)(const struct err *, void *arg);
	void *arg;
};
struct shards *shards_new(const struct shards_opts *);
/* Before the log is closed: whoever waits is told ERR_UNAVAILABLE, open appends are SHARD_UNKNOWN,
 * and from here on nothing is appended and every call is answered so at once. */
void shards_stop(struct shards *);
void shards_free(struct shards **); /* after the log was closed; stops first */
/* Who we are in the map; before that nothing claims. */
void shards_set_self(struct shards *, uint32_t node, const uint8_t cluster[16]);
/* A shard begins here with the state that the catalog has; idempotent. */
struct shard *shards_add(struct shards *, uint32_t index, const struct verdict_state *,
			 const uint8_t hash[32]);
struct shard *shards_get(struct shards *, uint32_t index); /* NULL: not on this node */
size_t shards_count(const struct shards *);
struct shard *shards_at(struct shards *, size_t i);

/* From the apply engine, in order. */
void shards_on_note(struct shards *, uint32_t shard, const struct shard_note *);
void shards_on_applied(struct shards *, uint32_t shard, uint64_t next);
void shards_on_halt(struct shards *, uint32_t shard, const struct err *); /* NULL: goes on */
/* Nothing can be written on this node at the moment; NULL: it can again.  Records are read and judged
 * on, nothing is applied: repositories without an open change are served, appends are refused. */
void shards_on_stuck(struct shards *, uint32_t shard, const struct err *);
void shards_on_read(struct shards *, uint32_t shard);  /* after the notes of a batch */
void shards_on_whole(struct shards *, uint32_t shard); /* a missing pack came */
/* The log cannot be reached: proofs that it would have to give are refused at once, nothing is
 * appended. */
void shards_set_log_away(struct shards *, bool away);
/* The map wishes this node first of the shard (it may claim at creation); the log's end as it was
 * when asked, so that useless claims are not made; packs still missing. */
void shard_set_preferred(struct shard *, bool preferred);
void shard_set_log_end(struct shard *, uint64_t next);
void shard_set_missing(struct shard *, unsigned packs);

uint32_t shard_index(const struct shard *);
uint64_t shard_position(const struct shard *); /* all below it has been read, and judged */
uint64_t shard_applied(const struct shard *);  /* all below it is durable here */
uint64_t shard_epoch(const struct shard *);
const struct verdict_state *shard_state(const struct shard *);
/* Does this very disk count as a voter?  One that was lost and is new does not. */
bool shard_is_voter(const struct shard *);
bool shard_is_primary(const struct shard *);           /* R4: a reign of this boot */
struct record_reign shard_reign(const struct shard *); /* ours, while primary */
uint32_t shard_primary(const struct shard *);          /* holder's node; 0: nobody yet */
const struct err *shard_halted(const struct shard *);  /* NULL: runs */
const struct err *shard_stuck(const struct shard *);   /* NULL: its disk can be written */
uint64_t shard_lease_left_ns(const struct shard *);    /* 0: none */
/* When (clock_boot_ns) this node is known to have had, read, all that was acknowledged by then; 0:
 * never. */
uint64_t shard_fresh_ns(const struct shard *);
unsigned shard_unresolved(const struct shard *); /* appends whose fate is open */
unsigned shard_missing(const struct shard *);    /* packs not here yet */

/* Appends a reign record (update, create, ...) of this primary.  The record's head is filled here,
 * seq given and the append asked for in one step.  done comes once, unless the call itself fails: */
enum shard_fate {
	SHARD_COMMITTED, /* effective, and applied here: durable, on disk (R9) */
	SHARD_DEAD,      /* certainly without effect, now and for ever; why tells */
	SHARD_UNKNOWN,   /* a snapshot was installed over it (R5) */
};
typedef void shard_append_fn(enum shard_fate, uint64_t offset, const char *why, void *arg);
struct shard_asker {
	shard_append_fn *done;
	void *arg;
	const char *repo, *request; /* for people, copied: path, id of the request; may be NULL */
};
/* ERR_WRONG_NODE when not primary, ERR_TOO_BIG for the record, ERR_UNAVAILABLE when halted,
 * ERR_LOG_AWAY; stuck: ERR_FULL or ERR_UNAVAILABLE. */
MUST_CHECK int shard_append(struct shard *, struct record *, const struct shard_asker *,
			    struct err *);

/* Strict read, at this node's own hand (R7, ways 1 and 3).  done comes once, with an offset: serve
 * when applied up to there (shard_wait).  At the primary under its lease it is answered before the
 * call returns. */
typedef void shard_read_fn(int rc, uint64_t offset, void *arg);
void shard_read_primary(struct shard *, shard_read_fn *, void *arg); /* ERR_WRONG_NODE if not */
/* ERR_UNAVAILABLE: halted, or the log is away */
void shard_read_barrier(struct shard *, shard_read_fn *, void *arg);

/* done(0) once all records below target that change a repository (repo; NULL: any) are applied, and
 * repo misses no pack.  ERR_UNAVAILABLE when such a record is read and cannot be applied, the disk
 * being full or broken; ERR_TIMEOUT at the deadline (clock_boot_ns).  May be answered before it
 * returns. */
typedef void shard_wait_fn(int rc, void *arg);
void shard_wait(struct shard *, struct repo *, uint64_t target, uint64_t deadline_ns,
		shard_wait_fn *, void *arg);

#endif
