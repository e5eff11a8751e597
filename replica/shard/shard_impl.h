/* replica/shard/shard_impl.h - what the files of this room share of a shard; for them alone. */
#ifndef REPLICA_SHARD_SHARD_IMPL_H
#define REPLICA_SHARD_SHARD_IMPL_H

#include <sys/queue.h>

#include "replica/shard/shard.h"
#include "shard-map/commitlog/fate.h"
#include "shard-map/commitlog/lease.h"

struct read_wait { /* a strict read that waits for its proof */
	shard_read_fn *done;
	void *arg;
	uint64_t asked_ns;
	TAILQ_ENTRY(read_wait) next;
};
TAILQ_HEAD(read_waits, read_wait);

struct apply_wait {        /* waits for records to be applied */
	struct repo *repo; /* referenced; may be NULL */
	uint64_t target, deadline_ns;
	int rc; /* when it is told */
	shard_wait_fn *done;
	void *arg;
	TAILQ_ENTRY(apply_wait) next;
};

/* An effective record that changes a repository and is not applied yet. */
struct open_change {
	uint64_t offset;
	uint8_t repo_id[16];
	TAILQ_ENTRY(open_change) next;
};

struct append {                /* a reign record that somebody waits for */
	shard_append_fn *done; /* NULL: nobody (a barrier) */
	void *arg;
	uint64_t offset; /* once committed: told when applied is beyond it */
	enum record_type type;
	uint8_t txn[RECORD_ID];
	uint64_t asked_ns;
	char *repo;       /* owned; NULL: none */
	char request[40]; /* "-": none */
	TAILQ_ENTRY(append) next;
};

struct shard {
	unsigned magic;
#define SHARD_MAGIC 0x54a2d001u
	struct shards *all; /* borrowed */
	uint32_t index;
	struct verdict_state state; /* after all notes so far */
	uint8_t hash[32];           /* running hash there */
	uint64_t applied;
	struct lease lease;
	struct fate_list fates;
	uint64_t next_seq;            /* of the present own reign */
	uint8_t start_txn[RECORD_ID]; /* of this boot's start record */
	uint64_t start_ns;            /* when it was asked for last; 0: it was read back */
	uint64_t log_end;             /* not claimed before this was read */
	unsigned missing;
	bool preferred, claiming, halted, stuck, told;
	uint64_t barrier_ns; /* when the last barrier of the reign was asked for */
	const char *why;     /* of the note in work, for fates */
	struct err halt, stuck_why;
	TAILQ_HEAD(, open_change) open_changes;       /* by offset */
	struct read_waits lease_waits;                /* for evidence */
	struct read_waits barrier_sent, barrier_next; /* for the free barrier; for the one after */
	uint8_t barrier_txn[16];
	uint64_t barrier_sent_ns;  /* 0: none under way */
	uint64_t barrier_first_ns; /* when that one was first asked for */
	uint64_t fresh_ns;         /* when the last one that was read back was; 0: none */
	TAILQ_HEAD(, apply_wait) applies;
	TAILQ_HEAD(, append) committing;
	LIST_ENTRY(shard) next;
};

struct shards {
	struct shards_opts opts;
	uint32_t self; /* 0: not known yet */
	uint8_t cluster[16];
	struct shard **by_index; /* owned array, n_index places */
	size_t n_index;
	struct shard **list; /* owned array of the n there are */
	size_t n;
	struct timer *tick;
	struct loop_task changes; /* tells what changed at the end of the tick */
	bool stopped;
	bool log_away;
};

/* append.c: fills the head, encodes, asks; tag goes to the fate list for reign records. */
MUST_CHECK int append_reign(struct shard *, struct record *, struct append *tag, struct err *);
/* Its txn is the caller's; the same may be appended again. */
void append_free_record(struct shard *, struct record *);
void append_barrier(struct shard *); /* of the reign; errors are retried by the tick */
void append_settle(struct shard *, struct append **, enum shard_fate, uint64_t, const char *why);
void append_free(struct append **); /* tells nobody */

/* shard_read.c */
void shard_read_on_evidence(struct shard *); /* a record was read: waiters look again */
void shard_read_on_free(struct shard *, uint64_t offset, const uint8_t txn[16]);
void shard_read_tick(struct shard *, uint64_t now);
void shard_read_fail_all(struct shard *);
void shard_read_fail_proofs(struct shard *); /* those who wait for the log to say something */
void shard_read_keep_fresh(struct shard *);
void shard_read_look(struct shard *); /* those who wait for records to be applied */
void shard_read_note(struct shard *, uint64_t offset, const struct record *); /* effective */
void shard_read_release(struct shard *);

/* shard.c */
void shard_changed(struct shard *);
void shard_try_claim(struct shard *);

#endif
