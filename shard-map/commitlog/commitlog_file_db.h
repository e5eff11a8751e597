/* shard-map/commitlog/commitlog_file_db.h - one connection to the database of the file log: schema,
 * statements, transactions, what its errors mean.  Thread: any, one at a time for each connection.
 *
 * Format 1: application_id "gslg", user_version 1, auto_vacuum incremental, WAL.
 *	meta    (key, value)               'cluster': name; 'settled': counts settling commits
 *	record  (id, stream, off, bytes)   id grows in commit order and is never used again
 *	stream  (stream, first, next)      offsets first .. next-1 are there, each one once
 * A stream without a row is empty and was never written. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_FILE_DB_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_FILE_DB_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"

struct sqlite3;
struct sqlite3_stmt;

enum commitlog_file_sql {
	COMMITLOG_FILE_BEGIN, /* a read transaction */
	COMMITLOG_FILE_BEGIN_WRITE,
	COMMITLOG_FILE_COMMIT,
	COMMITLOG_FILE_ROLLBACK,
	COMMITLOG_FILE_TAKE,    /* ?1 stream: counts next up; gives the offset taken */
	COMMITLOG_FILE_PUT,     /* ?1 stream, ?2 off, ?3 bytes */
	COMMITLOG_FILE_ENDS,    /* ?1 stream: first, next */
	COMMITLOG_FILE_STREAMS, /* stream, next of all */
	COMMITLOG_FILE_RANGE,   /* ?1 stream, ?2 from off, ?3 limit: off, bytes */
	COMMITLOG_FILE_TAIL,    /* ?1 id, ?2 limit: id, stream, off, bytes of later ones */
	COMMITLOG_FILE_LAST,    /* highest id */
	COMMITLOG_FILE_HAS,     /* ?1 stream, ?2 off */
	COMMITLOG_FILE_SETTLE,
	COMMITLOG_FILE_DROP,  /* ?1 stream, ?2 off: deletes what lies before */
	COMMITLOG_FILE_FIRST, /* ?1 stream, ?2 off: the new first */
	COMMITLOG_FILE_FREE,  /* pages of the database that hold nothing */
	COMMITLOG_FILE_SHRINK,
	COMMITLOG_FILE_NSQL
};

struct commitlog_file_db {
	struct sqlite3 *sql;                            /* owned; NULL while closed */
	struct sqlite3_stmt *stmt[COMMITLOG_FILE_NSQL]; /* owned, prepared at first use */
	const char *path;                               /* borrowed, as long as it is open */
};

/* Connects; create makes an empty file where there is none. */
MUST_CHECK int commitlog_file_db_open(struct commitlog_file_db *, const char *path, bool create,
				      struct err *);
void commitlog_file_db_close(struct commitlog_file_db *);

/* 0: the log of that cluster, in this format.  ERR_NOT_FOUND: an empty database.  Else what is
 * wrong with it. */
MUST_CHECK int commitlog_file_db_check(struct commitlog_file_db *, const char *cluster,
				       struct err *);
/* Makes the schema in an empty database; the caller holds the lock of writers. */
MUST_CHECK int commitlog_file_db_make(struct commitlog_file_db *, const char *cluster,
				      struct err *);
MUST_CHECK int commitlog_file_db_only_read(struct commitlog_file_db *, struct err *);

/* The statement, reset; NULL when it cannot be prepared. */
MUST_CHECK struct sqlite3_stmt *commitlog_file_db_stmt(struct commitlog_file_db *,
						       enum commitlog_file_sql);
/* Runs a statement without parameters and results: 0 or ERR_*. */
MUST_CHECK int commitlog_file_db_run(struct commitlog_file_db *, enum commitlog_file_sql,
				     struct err *);
/* The present SQLite error as ERR_* and words; returns the code, never 0. */
int commitlog_file_db_fail(struct commitlog_file_db *, const char *doing, struct err *);

/* Is the file still where it was opened?  ERR_IO: there is none at the moment (it may come back),
 * ERR_CORRUPT: another one is in its place. */
MUST_CHECK int commitlog_file_db_present(struct commitlog_file_db *, struct err *);
MUST_CHECK int commitlog_file_db_ends(struct commitlog_file_db *, uint32_t stream, uint64_t *first,
				      uint64_t *next, struct err *);

/* Write transactions; the caller holds the lock of writers throughout.  ERR_UNAVAILABLE from begin:
 * somebody without that lock is writing, try again. */
MUST_CHECK int commitlog_file_db_begin(struct commitlog_file_db *, struct err *);
void commitlog_file_db_rollback(struct commitlog_file_db *);
MUST_CHECK int commitlog_file_db_put(struct commitlog_file_db *, uint32_t stream,
				     struct slice bytes, uint64_t *off, struct err *);
/* After an error *never tells whether it is certain that nothing of it is or will be there. */
MUST_CHECK int commitlog_file_db_commit(struct commitlog_file_db *, bool *never, struct err *);
/* After a commit that failed without *never: makes certain, by a commit of its own, whether the
 * record that it held is there.  An error: still uncertain. */
MUST_CHECK int commitlog_file_db_settle(struct commitlog_file_db *, uint32_t stream, uint64_t off,
					bool *there, struct err *);

#endif
