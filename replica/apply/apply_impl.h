/* replica/apply/apply_impl.h - the inside of the apply engine, shared by its files.
 *
 * A batch goes through these steps, each for all of its records before the next begins:
 *	decide	verdicts and running hashes; what is decided and not yet visible is in the
 *		repositories' overlays
 *	tell	`decided`
 *	disk	packs, folders, peeled tags; may fail and is repeated
 *	store	one transaction of the catalog; may fail and is repeated
 *	show	tables and refsets that others read
 *	files	git's ref files (project.h)
 *	tell	`need`, `applied`
 * A record that makes, moves or removes a repository is a batch of its own, so that within a batch
 * a repository's folder is where it is; records about no repository may stand behind it.  A step
 * that fails (full disk) is repeated every second with the same batch: verdicts were told and are
 * final.  Until the batch is stored, further records join it while it waits, as far as they fit:
 * barriers above all, so that leases and strict reads outlive a full disk. */
#ifndef REPLICA_APPLY_APPLY_IMPL_H
#define REPLICA_APPLY_APPLY_IMPL_H

#include <pthread.h>
#include <sys/queue.h>

#include <uthash.h>

#include "replica/apply/apply.h"
#include "replica/repo/disk.h"
#include "replica/repo/layout.h"
#include "replica/repo/peel.h"
#include "replica/repo/project.h"
#include "shard-map/commitlog/runhash.h"

#define APPLY_QUEUE_BYTES (64u * 1024 * 1024)
#define APPLY_BATCH_RECORDS 256u
#define APPLY_BATCH_BYTES (8u * 1024 * 1024)
/* The same for a batch that waits for the disk. */
#define APPLY_STUCK_RECORDS 16384u
#define APPLY_STUCK_BYTES (32u * 1024 * 1024)
/* A further record of a repository with more names decided than these waits for the next batch:
 * the overlay keeps only so many deletes (REFSET_TOMBSTONES). */
#define APPLY_BATCH_NAMES 1000u

struct apply_item { /* one record as the log gave it */
	STAILQ_ENTRY(apply_item) next;
	uint32_t shard;
	uint64_t offset, read_ns;
	struct record record; /* decoded when it is next in turn; released with the item */
	bool decoded;
	size_t len;
	uint8_t bytes[];
};

enum apply_command_kind {
	APPLY_FOLLOW,
	APPLY_UNFOLLOW,
	APPLY_LOAD,
	APPLY_ARRIVED,
	APPLY_CHECK,
	APPLY_FIND,
	APPLY_TRUST,
	APPLY_ROLL
};

struct apply_command {
	STAILQ_ENTRY(apply_command) next;
	enum apply_command_kind kind;
	uint32_t shard;
	uint64_t offset;
	uint8_t cluster[16];
	struct repo *repo; /* owned reference, or NULL */
	uint8_t id[16], sha256[32];
	char name[65];                 /* of APPLY_FIND: of a file, too; "" */
	struct apply_pack_files files; /* of APPLY_ARRIVED */
	enum { APPLY_ROLL_KINDS, APPLY_ROLL_IN, APPLY_ROLL_OUT } step;
	struct apply_roll *roll; /* borrowed until its done */
	void (*loaded)(struct repo *, int rc, void *arg);
	void (*found)(int rc, const struct catalog_pack *, void *arg);
	void *arg;
};

struct apply_need_list {
	LIST_ENTRY(apply_need_list) next;
	struct catalog_need need;
	uint64_t again; /* clock: ask for it anew then; 0: it is being fetched */
	unsigned tries; /* times it came and could not be taken in */
};

/* What the engine knows of a repository beyond struct repo. */
struct apply_repo {
	UT_hash_handle hh; /* by repo->id */
	struct repo *repo; /* owned reference */
	char *path, *head; /* owned; as stored */
	char *was_path;    /* owned; the folder still has to move from there */
	char *why;         /* owned; quarantined for that, durably */
	char *description; /* owned */
	uint8_t digest[REFSET_DIGEST];
	uint64_t applied, created;
	size_t bytes;   /* of its refset while loaded */
	uint64_t used;  /* copy of shared.used, while unloading */
	bool checked;   /* its files were compared since start */
	bool lost;      /* its folder is not there */
	bool killed;    /* children were: what they left in it is to be cleared */
	uint64_t again; /* clock: files were not up to date, check then; 0: no */
	LIST_HEAD(, apply_need_list) needs;
	/* during a batch: */
	STAILQ_ENTRY(apply_repo) touched;
	bool in_batch, sync_packs, head_changed;
	bool gone;           /* deleted: forgotten at the end of the batch */
	struct refset *over; /* owned; names decided in this batch, deleted ones as tombstones */
	uint64_t over_names;
	/* owned; NULL: unchanged */
	char *next_head, *next_why, *next_description, *next_path;
	bool lacks;     /* packs of records of this batch are missing */
	unsigned tries; /* of the step disk, that failed */
	uint8_t next_digest[REFSET_DIGEST];
	uint64_t next_applied;
};

struct apply_shard {
	UT_hash_handle hh; /* by shard */
	uint32_t shard;
	bool followed, halted, stuck;
	bool blocked; /* its next record waits for the end of the batch, in apply->held */
	bool fresh;   /* followed, and none of its records taken since */
	bool in_batch;
	STAILQ_ENTRY(apply_shard) touched;
	struct verdict_state state; /* decided up to state.next */
	uint64_t trust;             /* record taken although its writer saw another log; ~0: none */
	/* under apply->lock, written by the engine: */
	struct verdict_state stored; /* what the catalog has */
	uint8_t stored_hash[32];
	struct runhash hash; /* decided, like state */
	unsigned missing;
};

struct apply_entry { /* one record of the batch */
	struct apply_item *item;
	struct apply_shard *s;
	struct apply_note *note; /* one reference */
	struct apply_repo *r;    /* of an effective record about a repository; else NULL */
	uint8_t hash[32];
	struct slice pack[RECORD_PACKS_MAX], idx[RECORD_PACKS_MAX]; /* inline; in item->bytes */
	enum {
		APPLY_PACK_OPEN,
		APPLY_PACK_HERE,
		APPLY_PACK_KNOWN, /* an earlier record brought it, and it was rolled up since */
		APPLY_PACK_MISSING
	} placed[RECORD_PACKS_MAX];
	struct oid *peeled; /* owned; of the update's refs, NULL before the step disk */
	bool missing;       /* one of the packs is */
	bool done_disk;
};

struct apply {
	struct apply_opts opts; /* strings are the four below */
	char *root, *data, *hooks, *home;
	struct catalog *catalog;
	struct repo_table *table;
	struct layout *layout;
	struct peel *peel;
	uint64_t born_ms;
	_Atomic uint64_t pushes_ms; /* apply_pushes_since; 0: not told */
	pthread_t thread;
	bool started, stuck;

	pthread_mutex_t lock;
	pthread_cond_t wake, room; /* for the engine; for feeders */
	STAILQ_HEAD(apply_items, apply_item) items;
	struct apply_items held; /* before those of items; what did not fit into the batch */
	STAILQ_HEAD(, apply_command) commands;
	size_t queued;
	bool stop;
	struct apply_shard *shards; /* hash; changed by the engine under lock */
	struct apply_counts counts; /* atomics */

	/* the engine's alone: */
	struct apply_repo *repos; /* hash by id */
	size_t refs_bytes;
	struct apply_entry *batch; /* owned, room for n_room */
	size_t n, n_room;
	size_t n_told; /* of which `decided` was told */
	size_t batch_bytes;
	struct slice inlined[RECORD_PACKS_MAX][2]; /* packs of the item decoded last */
	STAILQ_HEAD(, apply_repo) touched;
	STAILQ_HEAD(, apply_shard) touched_shards;
	uint64_t next_check, next_trash; /* clock */
	uint64_t next_again;
	unsigned unchecked; /* repositories of the first round still to be seen */
	uint8_t cursor[16]; /* id of the repository checked last */
};

/* apply.c */
struct apply_shard *apply_find_shard(struct apply *, uint32_t shard);
struct apply_shard *apply_make_shard(struct apply *, uint32_t shard);
void apply_halt(struct apply *, struct apply_shard *, const struct err *);
bool apply_stopping(struct apply *);
/* Waits a second for the world to get better, serving commands that need no batch, and with extend
 * letting further records join the batch; false: stop. */
bool apply_wait_retry(struct apply *, const struct err *, bool extend);
/* The first item of the queue that may be taken now; NULL: none.  Yours. */
struct apply_item *apply_take(struct apply *);
/* One that did not fit: it and what follows it in its stream wait for the end of the batch. */
void apply_hold(struct apply *, struct apply_item *);
void apply_hold_over(struct apply *);
void apply_retry_over(struct apply *);
void apply_count(struct apply *, uint64_t *counter, uint64_t n);

/* apply_command.c: runs the first one; reading: only such as are harmless in the middle of a batch.
 * false: there is none. */
bool apply_command_run(struct apply *, bool reading);
void apply_command_drop(struct apply *); /* at the end: tells those who wait */

/* apply_start.c: what the catalog has, into memory; folders that were on their way. */
MUST_CHECK int apply_start(struct apply *, struct err *);
void apply_tell_needs(struct apply *);

/* apply_batch.c */
/* Takes the item, which must be the next of its shard or one to be ignored; false: it does not fit
 * into this batch, run that first. */
bool apply_batch_add(struct apply *, struct apply_item *);
void apply_batch_run(struct apply *);
void apply_batch_extend(struct apply *); /* while it waits for the disk */
void apply_batch_touch(struct apply *, struct apply_repo *);
void apply_item_free(struct apply_item **);

/* apply_content.c: what verdicts ask, from visible refs and overlays. */
struct apply_content_arg {
	struct apply *a;
	struct apply_shard *s;
	struct err err; /* of a callback that failed */
};
struct verdict_content apply_content(struct apply_content_arg *);
/* The value of a ref as decided so far. */
void apply_content_ref(struct apply_repo *, const char *name, struct oid *out);
const char *apply_content_head(struct apply_repo *);

/* apply_record.c: the steps of one record by its type; entry->r is set for those about a
 * repository.  decide cannot fail; disk and store may be repeated. */
void apply_record_decide(struct apply *, struct apply_entry *);
MUST_CHECK int apply_record_disk(struct apply *, struct apply_entry *, struct err *);
MUST_CHECK int apply_record_store(struct apply *, struct apply_entry *, struct err *);
void apply_record_show(struct apply *, struct apply_entry *);
MUST_CHECK int apply_record_after(struct apply *, struct apply_entry *, struct err *);

/* apply_repo.c: what memory and catalog hold of one */
struct apply_repo *apply_repo_find(struct apply *, const uint8_t id[16]);
struct apply_repo *apply_repo_add(struct apply *, const struct catalog_repo *);
void apply_repo_forget(struct apply *, struct apply_repo *);
/* Its refs as the catalog has them; the caller's. */
MUST_CHECK int apply_repo_refs(struct apply *, struct apply_repo *, struct refset **out,
			       struct err *);
/* Its refs are in memory (repo->shared.refs). */
MUST_CHECK int apply_repo_load(struct apply *, struct apply_repo *, struct err *);
void apply_repo_unload_some(struct apply *);
void apply_repo_measure(struct apply *, struct apply_repo *);
/* After the transaction: what was next is now. */
void apply_repo_settle(struct apply *, struct apply_repo *);
/* The row as it shall stand after the batch, or as it stands. */
MUST_CHECK int apply_repo_store(struct apply *, struct apply_repo *, struct err *);
void apply_repo_quarantine(struct apply *, struct apply_repo *, const char *why);
/* The same for others to see, and not in the catalog. */
void apply_repo_show_quarantine(struct apply *, struct apply_repo *, const char *why);
/* A pack is missing (false: known already); it is not any more. */
bool apply_repo_need(struct apply *, struct apply_repo *, const struct catalog_need *);
void apply_repo_needless(struct apply *, struct apply_repo *, struct apply_need_list *);
/* Writes the peeled values of refs changed at or after offset anew (after a pack came). */
MUST_CHECK int apply_repo_repeel(struct apply *, struct apply_repo *, uint64_t offset,
				 struct err *);

/* apply_folder.c: its folder */
/* It is there (dir: its path) and is this repository's.  When not, that serves nothing until it comes back:
 * nothing is made anew where a disk may just not be mounted. */
bool apply_folder_is_there(struct apply *, struct apply_repo *, char dir[DISK_PATH]);
/* Can the path be a folder, with ".git"?  A record's may be longer than any file system's. */
bool apply_folder_fits(const char *path);
/* From was_path to path, in the table too; done already is no error. */
MUST_CHECK int apply_folder_move(struct apply *, struct apply_repo *, struct err *);
/* Git's files of one in the batch; what fails is checked again later. */
void apply_folder_project(struct apply *, struct apply_repo *);
/* Compares files with refs; logs what fails.  Not for one in the batch. */
void apply_folder_check(struct apply *, struct apply_repo *);
/* Those whose files were not up to date, when their time has come. */
void apply_folder_look_again(struct apply *, uint64_t now);
/* One piece of idle work; false: nothing is due.  *wait_ns: until something is. */
bool apply_folder_idle(struct apply *, uint64_t *wait_ns);

/* apply_pack.c */
/* APPLY_PACK_HERE: in place (names not durable yet: apply_pack_sync), _KNOWN, or _MISSING: not here, or
 * not what the record says; ERR_*. */
MUST_CHECK int apply_pack_place(struct apply *, struct apply_repo *, const struct record_pack *,
				struct slice pack, struct slice idx, struct err *);
MUST_CHECK int apply_pack_sync(struct apply *, struct apply_repo *, struct err *);
/* A missing pack may be in staging now. */
void apply_pack_come(struct apply *, const uint8_t id[16], const uint8_t sha256[32],
		     const struct apply_pack_files *);
/* "ROOT/owner/name.git/objects/pack" */
MUST_CHECK int apply_pack_dir(struct apply *, struct apply_repo *, char out[DISK_PATH],
			      struct err *);
void apply_pack_need(struct apply *, struct apply_repo *, const struct catalog_need *);
/* Packs that came and could not be taken in are asked for again, ever more rarely. */
void apply_pack_again(struct apply *, uint64_t now);

/* apply_roll.c: one step of the exchange of packs, then its done. */
void apply_roll_step(struct apply *, const struct apply_command *);
/* The repository was deleted: nobody needs its packs. */
void apply_roll_forget(struct apply *, const uint8_t id[16]);

#endif
