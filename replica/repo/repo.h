/* replica/repo/repo.h - the repositories of this node, by id and by path, and what threads share of
 * each.  Thread: any (a lock for the table, one for each repository).
 *
 * A struct repo is refcounted: the table holds one reference while the repository exists, everyone
 * who keeps a pointer beyond a call holds one of their own.  The apply thread alone changes what is
 * in `shared`, under its lock; others read it under that lock and hold it for no I/O. */
#ifndef REPLICA_REPO_REPO_H
#define REPLICA_REPO_REPO_H

#include <pthread.h>

#include "gitproto/base/err.h"
#include "gitproto/oid.h"
#include "replica/repo/refset.h"

struct repo_table;

struct repo {
	unsigned magic;
#define REPO_MAGIC 0x9e90517fu
	struct repo_table *table; /* borrowed: it outlives the children */
	uint8_t id[16];
	uint32_t shard;
	enum oid_format format;
	int refs_count;    /* atomic; repo_ref, repo_unref */
	unsigned children; /* repo_child_begin, under a lock of the table */
	bool moving;       /* the same */
	struct {
		pthread_mutex_t lock;
		char *path;          /* "owner/name", lower case, no ".git" */
		struct refset *refs; /* NULL while not loaded: apply_load brings it */
		uint64_t applied;    /* offset of its last record that is visible in refs */
		unsigned missing;    /* packs of effective records that are not here yet */
		uint64_t version;    /* grows with every change of refs or HEAD */
		uint64_t moves;      /* how often it was renamed in this process */
		uint64_t used; /* clock_boot_ns of the last use: least recent is unloaded first */
		bool quarantined; /* differs from its digest: serves nothing */
		bool deleted;
		char why[160]; /* of the quarantine */
	} shared;
};

struct repo_table *repo_table_new(const char *root); /* root directory of the repositories */
void repo_table_free(struct repo_table **);
const char *repo_table_root(const struct repo_table *);

/* NULL when unknown; otherwise with a reference for the caller. */
struct repo *repo_find(struct repo_table *, const char *path);
struct repo *repo_find_id(struct repo_table *, const uint8_t id[16]);
void repo_unref(struct repo **);
/* shared.moves: who works in the folder by its path compares it at the end. */
uint64_t repo_moves(struct repo *);
/* A child that writes in the folder by its path begins, and has ended: the folder moves under none, for
 * one that goes on would make it anew where it was.  moves: as of before the path was taken; false: it
 * was moved since, or is just being moved. */
MUST_CHECK bool repo_child_begin(struct repo *, uint64_t moves);
void repo_child_end(struct repo *);
/* Would repo_child_begin say so? */
bool repo_is_moving(struct repo *, uint64_t moves);
struct repo *repo_ref(struct repo *);
/* All of them, each with a reference; array and references are the caller's (free, repo_unref). */
struct repo **repo_table_all(struct repo_table *, size_t *n);

/* Apply thread only: */
struct repo *repo_table_add(struct repo_table *, const uint8_t id[16], uint32_t shard,
			    const char *path, enum oid_format);
/* The folder is going to move: no child begins until repo_move_end.  False: some still run, and have to be
 * told to end; repo_move_wait waits msec for that at most. */
MUST_CHECK bool repo_move_begin(struct repo *);
MUST_CHECK bool repo_move_wait(struct repo *, unsigned msec);
void repo_move_end(struct repo *);
void repo_table_move(struct repo_table *, struct repo *, const char *path);
void repo_table_drop(struct repo_table *, struct repo *); /* marks it deleted */

/* "ROOT/owner/name.git" of a path, NUL-terminated; false when longer than size. */
MUST_CHECK bool repo_dir(char *out, size_t size, const struct repo_table *, const char *path);
/* The same for a repository's present path. */
MUST_CHECK bool repo_dir_of(char *out, size_t size, const struct repo_table *, struct repo *);

#endif
