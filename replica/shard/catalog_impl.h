/* replica/shard/catalog_impl.h - what the files of the catalog share.  Thread: apply.
 * Statements are prepared at first use and kept; each is used by one function, which resets it
 * before it returns, so that none is found in the middle of a run. */
#ifndef REPLICA_SHARD_CATALOG_IMPL_H
#define REPLICA_SHARD_CATALOG_IMPL_H

#include <sqlite3.h>

#include "replica/shard/catalog.h"

enum catalog_st {
	CATALOG_BEGIN,
	CATALOG_COMMIT,
	CATALOG_META_GET,
	CATALOG_META_PUT,
	CATALOG_SHARDS,
	CATALOG_SHARD_PUT,
	CATALOG_HASHES,
	CATALOG_HASH_PUT,
	CATALOG_REPOS,
	CATALOG_REPO_PUT,
	CATALOG_REPO_DROP,
	CATALOG_ID_PUT,
	CATALOG_ID_RETIRE,
	CATALOG_ID_USED,
	CATALOG_TRASH,
	CATALOG_TRASHED,
	CATALOG_REFS_LIVING,
	CATALOG_REFS_DEAD,
	CATALOG_REF_PUT,
	CATALOG_REFS_TRIM,
	CATALOG_REFS_DROP,
	CATALOG_PACK_PUT,
	CATALOG_PACK_FIND,
	CATALOG_PACKS_DROP,
	CATALOG_PACK_KIND,
	CATALOG_PACKS_STAGED,
	CATALOG_MADE_PUT,
	CATALOG_MADE_DROP,
	CATALOG_MADES_DROP,
	CATALOG_NEEDS,
	CATALOG_NEED_PUT,
	CATALOG_NEED_DROP,
	CATALOG_NEEDS_DROP,
	CATALOG_NSTATEMENTS
};

struct catalog {
	sqlite3 *db;
	int lock; /* descriptor of DATA/lock */
	sqlite3_stmt *st[CATALOG_NSTATEMENTS];
};

extern const char *const catalog_sql[CATALOG_NSTATEMENTS];

/* The words and code of what SQLite just said. */
int catalog_error(struct catalog *, const char *what, struct err *);
/* A statement ready to bind; NULL with err set. */
sqlite3_stmt *catalog_use(struct catalog *, enum catalog_st, struct err *);
/* Runs one that gives no rows, and resets it. */
MUST_CHECK int catalog_run(struct catalog *, sqlite3_stmt *, struct err *);
/* 1: a row is ready, 0: no more, ERR_*; reset it in the end. */
MUST_CHECK int catalog_row(struct catalog *, sqlite3_stmt *, struct err *);

/* Binding fails only without memory, which the step that follows reports as a constraint on a
 * NULL; the values are borrowed until then. */
void catalog_bind_bytes(sqlite3_stmt *, int at, const void *, size_t);
void catalog_bind_str(sqlite3_stmt *, int at, const char *); /* NULL: NULL */
void catalog_bind_u64(sqlite3_stmt *, int at, uint64_t);
/* The column's bytes, of exactly n; false for another length. */
bool catalog_column(sqlite3_stmt *, int at, void *out, size_t n);
const char *catalog_column_str(sqlite3_stmt *,
			       int at); /* NULL: NULL; borrowed until the next step */
/* The database holds what this program never writes. */
int catalog_damaged(const char *table, struct err *);

#endif
