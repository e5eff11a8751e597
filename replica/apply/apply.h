/* replica/apply/apply.h - the one way records take effect on a node, primary or not.
 * Thread: apply_* from any but where it says; the engine is one thread, callbacks come from it.
 *
 * For each record, in the order of its stream: verdict (R1), hash chain (R12), packs into place,
 * refs and keys in memory; then one transaction of the catalog for the whole batch; then the
 * projection into git's files.  So everything told by `applied` is durable and on disk (R9).
 * A pack that is neither inline nor staged here is noted in the catalog (`need`): the shard goes
 * on, that repository serves nothing until apply_pack_arrived (design sections 5, 7.2). */
#ifndef REPLICA_APPLY_APPLY_H
#define REPLICA_APPLY_APPLY_H

#include "replica/repo/repo.h"
#include "replica/shard/catalog.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/commitlog/verdict.h"

/* One record after its verdict.  Refcounted: apply_note_ref/unref. */
struct apply_note {
	int refs;
	uint32_t shard;
	uint64_t offset;
	uint64_t read_ns; /* clock_boot_ns after the log handed the record over */
	enum verdict verdict;
	struct record *record; /* owned, with its arena; inline pack bytes are dropped */
	char why[160];         /* of a verdict that is not effective */
	uint8_t hash[32];      /* running hash after this record (R12) */
};
void apply_note_unref(struct apply_note **);

struct apply_need { /* a pack to be fetched from a peer */
	uint32_t shard;
	uint8_t repo_id[16];
	uint64_t offset; /* of the record that names it */
	uint8_t pack_sha256[32], idx_sha256[32];
	uint64_t pack_size, idx_size;
	uint32_t from_node; /* who was primary: the first to ask */
};

struct apply_events {
	/* Verdicts of a batch, in order, before the disk work.  Notes are the callee's to unref. */
	void (*decided)(struct apply_note **, size_t n, void *arg);
	/* All records of the shard below `next` are durable and projected (but for needs). */
	void (*applied)(uint32_t shard, uint64_t next, void *arg);
	void (*need)(const struct apply_need *, void *arg);  /* also at start, for what is left */
	void (*whole)(const uint8_t repo_id[16], void *arg); /* its last missing pack arrived */
	/* The shard stops on this node: unknown record, cut log.  Words say what to do. */
	void (*halted)(uint32_t shard, const struct err *, void *arg);
	/* Nothing can be written here at the moment, so nothing becomes applied: a full disk, an
	 * I/O error.  Tried again every second; `resumed` when it goes on.  Meanwhile verdicts
	 * are still given and told, as far as memory allows: leases and barriers live on. */
	void (*stuck)(uint32_t shard, const struct err *, void *arg);
	void (*resumed)(uint32_t shard, void *arg);
	/* A pack of so many bytes, index included, has come into objects/pack of the repository. */
	void (*packed)(const uint8_t repo_id[16], uint64_t bytes, void *arg);
	/* Its folder is about to move: children that write in it have to end (child_vacate), that is
	 * waited for.  NULL: there are no children. */
	void (*vacate)(const uint8_t repo_id[16], void *arg);
	void *arg;
};
struct apply_opts {
	const char *root, *data; /* directories: repositories; ours (staging, trash, templates) */
	const char *hooks;       /* core.hooksPath for each repository's config */
	uint64_t refs_max_bytes; /* memory for refs, soft */
	uint64_t projection_check_msec;
	const char *home;   /* an empty directory for git children; NULL: data */
	uint64_t trash_sec; /* deleted repositories are kept so long; 0: seven days */
	struct apply_events events;
};
struct apply;
MUST_CHECK int apply_new(struct apply **out, struct catalog *, struct repo_table *,
			 const struct apply_opts *, struct err *);
/* Ends the engine after the batch under way; feeders that wait are let go, records are dropped from
 * now on.  Then commitlog_unread or commitlog_close, then apply_free. */
void apply_stop(struct apply *);
void apply_free(struct apply **);

/* The state of a shard's stream as the catalog has it, before apply_follow (any thread).  A shard
 * not known yet gives the empty state. */
MUST_CHECK int apply_shard_state(struct apply *, uint32_t shard, struct verdict_state *out,
				 struct err *);
/* Running hash after the last record of that state; all zero when there is none. */
void apply_shard_hash(struct apply *, uint32_t shard, uint8_t out[32]);
/* Packs that effective records of the shard name and that are not here (R3 c). */
unsigned apply_shard_missing(struct apply *, uint32_t shard);
/* R12: reads the log again at the last offsets that are remembered, so many at most (and two at least).
 * 0: it agrees, also when it was trimmed past them; ERR_CORRUPT: it was cut or replaced; others: the
 * log cannot be read.  Blocking; any thread but the log's and the engine's. */
MUST_CHECK int apply_recheck(struct apply *, struct commitlog *, uint32_t shard, uint64_t offsets,
			     struct err *);
/* After a halt because a record's writer had seen another log (ERR_CONFLICT), and a recheck that
 * agrees: the writer is wrong, the record at this offset is taken (R12).  Then apply_follow. */
void apply_trust(struct apply *, uint32_t shard, uint64_t offset);
/* Feed of records; matches commitlog_read_fn with arg = struct apply.  Blocks while more than 64 MB
 * wait. */
void apply_records(uint32_t stream, const struct commitlog_record *, size_t n, void *arg);
/* Accept records of this shard from now on; its expected genesis is checked (R: design 5).  Also
 * the way to go on after a halt: commitlog_unread first, then this (which drops what is queued of
 * the shard), then commitlog_read from apply_shard_state's next. */
void apply_follow(struct apply *, uint32_t shard, const uint8_t cluster_uuid[16]);
void apply_unfollow(struct apply *, uint32_t shard);

/* Loads the refs of a repository when they are not in memory; done(repo, rc, arg) on the apply
 * thread (ERR_NOT_FOUND when it is gone meanwhile).  Verifies and mends its projection first time. */
void apply_load(struct apply *, struct repo *, void (*done)(struct repo *, int rc, void *arg),
		void *arg);
/* The files that stand for a pack: itself, or one made anew with all its objects. */
struct apply_pack_files {
	uint8_t sha256[32], idx_sha256[32];
	uint64_t size, idx_size;
};
/* A pack that a need asked for lies durably (fsynced, checked) in staging, as these files. */
void apply_pack_arrived(struct apply *, const uint8_t repo_id[16], const uint8_t pack_sha256[32],
			const struct apply_pack_files *);
/* done on the apply thread: where the objects of a pack are that an effective record named,
 * "pack-NAME.pack" in objects/pack (ERR_NOT_FOUND; repacking may have removed that file meanwhile,
 * then APPLY_ROLLED has its index). */
void apply_find_pack(struct apply *, const uint8_t repo_id[16], const uint8_t pack_sha256[32],
		     void (*done)(int rc, const struct catalog_pack *, void *arg), void *arg);
/* Repacking (replica/repack): several packs of a repository are exchanged for one with the same
 * objects.  The steps that touch its folder happen here, where no record can move it meanwhile:
 *	kinds	what each file is; only what effective records named, or an earlier exchange made,
 *		may go
 *	in	the new pack gets its name, durably, and is noted before
 *	out	the others go; of those that were staged the index is kept first (APPLY_ROLLED), so
 *		that this node still knows which objects a member asks for (R8)
 * After a crash between them both old and new are there, and may be exchanged again.
 * roll is borrowed until done, which comes on the apply thread.  ERR_NOT_FOUND: the repository is
 * gone; ERR_CONFLICT: it is not in the state for it now; ERR_UNAVAILABLE: this node stops. */
struct apply_roll {
	uint8_t id[16];
	const char *const *names; /* hex in pack-<name>.pack: to be judged; then: to go, not made */
	size_t n;
	enum catalog_pack_kind *kinds; /* out, n of them */
	const char *made;              /* name of the new one */
	const char *from;              /* "PATH" of its files PATH.pack and PATH.idx, durable */
	void (*done)(int rc, const struct err *, void *arg);
	void *arg;
};
void apply_roll_kinds(struct apply *, struct apply_roll *);
void apply_roll_in(struct apply *, struct apply_roll *);
void apply_roll_out(struct apply *, struct apply_roll *);
/* DATA/rolled/<id of the repository>/<sha256 of the pack>.idx */
#define APPLY_ROLLED "rolled"

/* May the file pack-<name>.pack of the pack be removed, its push being refused?  rc ERR_NOT_FOUND: yes, no
 * effective record named it, and it is none that repacking made or that stands for another; 0: no.
 * As apply_find_pack: what done does is in order with the records. */
void apply_find_file(struct apply *, const uint8_t repo_id[16], const uint8_t pack_sha256[32],
		     const char *name, void (*done)(int rc, const struct catalog_pack *, void *arg),
		     void *arg);
/* The oldest push that runs began then (wall clock): what older ones left behind is removed by the
 * next checks.  Any thread. */
void apply_pushes_since(struct apply *, uint64_t wall_ms);
/* Compare files with the catalog and mend them; count of mended refs is logged and counted. */
void apply_check_projection(struct apply *, struct repo *);

struct apply_counts {
	uint64_t records, batches, updates; /* updates: effective ones */
	uint64_t packs, missing;            /* put into place; not here at that time */
	uint64_t mended;                    /* refs whose files were wrong */
	uint64_t quarantined, retries;      /* repositories since start; batches tried again */
	uint64_t queued_bytes, refs_bytes;  /* gauges */
};
void apply_counts(struct apply *, struct apply_counts *out);

/* Where staged packs lie: DATA/staging/<hex sha256 of the pack>.pack and .idx.  They are linked from
 * there, never removed: who staged them knows when (R8), at the earliest after `applied` or
 * `whole`. */
#define APPLY_STAGING "staging"

#endif
