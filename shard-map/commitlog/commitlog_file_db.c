#include "shard-map/commitlog/commitlog_file_db.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "gitproto/base/check.h"

#define APPLICATION 0x67736c67 /* "gslg" */
#define FORMAT 1
#define BUSY_MSEC 2000 /* only against writers that do not take the lock */

static const char *const text[COMMITLOG_FILE_NSQL] = {
	[COMMITLOG_FILE_BEGIN] = "BEGIN",
	[COMMITLOG_FILE_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[COMMITLOG_FILE_COMMIT] = "COMMIT",
	[COMMITLOG_FILE_ROLLBACK] = "ROLLBACK",
	[COMMITLOG_FILE_TAKE] = "INSERT INTO stream(stream, first, next) VALUES(?1, 0, 1) "
				"ON CONFLICT(stream) DO UPDATE SET next = next + 1 "
				"RETURNING next - 1",
	[COMMITLOG_FILE_PUT] = "INSERT INTO record(stream, off, bytes) VALUES(?1, ?2, ?3)",
	[COMMITLOG_FILE_ENDS] = "SELECT first, next FROM stream WHERE stream = ?1",
	[COMMITLOG_FILE_STREAMS] = "SELECT stream, next FROM stream",
	[COMMITLOG_FILE_RANGE] = "SELECT off, bytes FROM record WHERE stream = ?1 AND off >= ?2 "
				 "ORDER BY off LIMIT ?3",
	[COMMITLOG_FILE_TAIL] = "SELECT id, stream, off, bytes FROM record WHERE id > ?1 "
				"ORDER BY id LIMIT ?2",
	[COMMITLOG_FILE_LAST] = "SELECT ifnull(max(id), 0) FROM record",
	[COMMITLOG_FILE_HAS] = "SELECT 1 FROM record WHERE stream = ?1 AND off = ?2",
	[COMMITLOG_FILE_SETTLE] = "UPDATE meta SET value = value + 1 WHERE key = 'settled'",
	[COMMITLOG_FILE_DROP] = "DELETE FROM record WHERE stream = ?1 AND off < ?2",
	[COMMITLOG_FILE_FIRST] = "UPDATE stream SET first = ?2 WHERE stream = ?1",
	[COMMITLOG_FILE_FREE] = "PRAGMA freelist_count",
	[COMMITLOG_FILE_SHRINK] = "PRAGMA incremental_vacuum(1024)",
};

/* auto_vacuum has to come before the first page is written, WAL before the first table. */
static const char prepare_file[] = "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;";
static const char schema[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE record(id INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL,"
	" off INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE(stream, off));"
	"CREATE TABLE stream(stream INTEGER PRIMARY KEY, first INTEGER NOT NULL,"
	" next INTEGER NOT NULL);"
	"INSERT INTO meta(key, value) VALUES('settled', 0);"
	"PRAGMA application_id = 0x67736c67; PRAGMA user_version = 1;";
static const char settings[] = "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;";

static bool
no_room(int system_errno)
{
	return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

/* What the system said to the last failed write of the WAL.  sqlite3_system_errno does not tell: the
 * rollback has its own errno. */
static int
wal_errno(struct commitlog_file_db *db)
{
	sqlite3_file *wal = NULL;
	int e = 0;

	if (sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) ==
		    SQLITE_OK &&
	    wal != NULL && wal->pMethods != NULL)
		wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &e);
	return e;
}

static int
translate(int rc, int system_errno)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ERR_FULL;
	case SQLITE_IOERR:
		return no_room(system_errno) ? ERR_FULL : ERR_IO;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return ERR_UNAVAILABLE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	default:
		return ERR_IO;
	}
}

int
commitlog_file_db_fail(struct commitlog_file_db *db, const char *doing, struct err *err)
{
	int rc = db->sql != NULL ? sqlite3_extended_errcode(db->sql) : SQLITE_NOMEM;
	const char *words = db->sql != NULL ? sqlite3_errmsg(db->sql) : sqlite3_errstr(rc);
	int code = translate(rc, rc == SQLITE_IOERR_WRITE ? wal_errno(db) : 0);

	if (code == ERR_FULL)
		return err_set(err, code, "log %s: %s: its disk is full (%s)", db->path, doing,
			       words);
	return err_set(err, code, "log %s: %s: %s (SQLite %d)", db->path, doing, words, rc);
}

int
commitlog_file_db_open(struct commitlog_file_db *db, const char *path, bool create, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc;

	memset(db, 0, sizeof(*db));
	db->path = path;
	if (create)
		flags |= SQLITE_OPEN_CREATE;
	rc = sqlite3_open_v2(path, &db->sql, flags, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(db->sql, BUSY_MSEC);
		rc = sqlite3_exec(db->sql, settings, NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK)
		return 0;
	rc = commitlog_file_db_fail(db, "open", err);
	commitlog_file_db_close(db);
	return rc;
}

void
commitlog_file_db_close(struct commitlog_file_db *db)
{
	for (size_t i = 0; i < COMMITLOG_FILE_NSQL; i++)
		sqlite3_finalize(db->stmt[i]);
	memset(db->stmt, 0, sizeof(db->stmt));
	sqlite3_close(db->sql);
	db->sql = NULL;
}

/* One integer of a statement that is used at start only. */
static int
ask_number(struct commitlog_file_db *db, const char *sql, int64_t *out)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int
check_cluster(struct commitlog_file_db *db, const char *cluster, struct err *err)
{
	sqlite3_stmt *st;
	const char *name;
	int rc = 0;

	if (sqlite3_prepare_v2(db->sql, "SELECT value FROM meta WHERE key = 'cluster'", -1, &st,
			       NULL) != SQLITE_OK)
		return commitlog_file_db_fail(db, "read its cluster", err);
	name = sqlite3_step(st) == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (name == NULL)
		rc = err_set(err, ERR_CORRUPT, "log %s does not say whose it is", db->path);
	else if (strcmp(name, cluster) != 0)
		rc = err_set(err, ERR_REFUSED, "log %s is of cluster \"%s\", not of \"%s\"",
			     db->path, name, cluster);
	sqlite3_finalize(st);
	return rc;
}

/* All three of one moment: another process may be making the file just now. */
static int
ask_format(struct commitlog_file_db *db, int64_t *application, int64_t *version, int64_t *tables,
	   struct err *err)
{
	int rc = 0;

	if (sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL) != SQLITE_OK ||
	    ask_number(db, "SELECT count(*) FROM sqlite_schema", tables) != SQLITE_OK ||
	    ask_number(db, "PRAGMA application_id", application) != SQLITE_OK ||
	    ask_number(db, "PRAGMA user_version", version) != SQLITE_OK)
		rc = commitlog_file_db_fail(db, "read its format", err);
	commitlog_file_db_rollback(db);
	return rc;
}

int
commitlog_file_db_check(struct commitlog_file_db *db, const char *cluster, struct err *err)
{
	int64_t application, version, tables, wal;
	int rc = ask_format(db, &application, &version, &tables, err);

	if (rc != 0)
		return rc;
	if (application == 0 && version == 0 && tables == 0)
		return err_set(err, ERR_NOT_FOUND, "log %s is empty: it was never made", db->path);
	if (application != APPLICATION)
		return err_set(err, ERR_REFUSED, "%s is the database of another program", db->path);
	if (version > FORMAT)
		return err_set(err, ERR_VERSION,
			       "log %s has format %lld; this gitshard knows formats up to %d",
			       db->path, (long long)version, FORMAT);
	if (ask_number(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &wal) !=
	    SQLITE_OK)
		return commitlog_file_db_fail(db, "read its journal mode", err);
	if (!wal)
		return err_set(err, ERR_REFUSED,
			       "log %s is not in WAL mode: somebody changed it, or its file system "
			       "has no shared memory",
			       db->path);
	return check_cluster(db, cluster, err);
}

static int
insert_cluster(struct commitlog_file_db *db, const char *cluster)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db->sql, "INSERT INTO meta(key, value) VALUES('cluster', ?1)",
				    -1, &st, NULL);

	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_text(st, 1, cluster, -1, SQLITE_STATIC);
	rc = sqlite3_step(st);
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int
commitlog_file_db_make(struct commitlog_file_db *db, const char *cluster, struct err *err)
{
	int rc;

	if (sqlite3_exec(db->sql, prepare_file, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(db->sql, schema, NULL, NULL, NULL) != SQLITE_OK ||
	    insert_cluster(db, cluster) != SQLITE_OK ||
	    sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		rc = commitlog_file_db_fail(db, "make", err);
		commitlog_file_db_rollback(db);
		return rc;
	}
	return 0;
}

int
commitlog_file_db_only_read(struct commitlog_file_db *db, struct err *err)
{
	if (sqlite3_exec(db->sql, "PRAGMA query_only = ON", NULL, NULL, NULL) != SQLITE_OK)
		return commitlog_file_db_fail(db, "set to reading", err);
	return 0;
}

sqlite3_stmt *
commitlog_file_db_stmt(struct commitlog_file_db *db, enum commitlog_file_sql which)
{
	sqlite3_stmt **st = &db->stmt[which];

	if (*st != NULL)
		sqlite3_reset(*st);
	else if (sqlite3_prepare_v3(db->sql, text[which], -1, SQLITE_PREPARE_PERSISTENT, st,
				    NULL) != SQLITE_OK)
		*st = NULL;
	return *st;
}

/* Steps to the end and resets, so that no transaction hangs on the statement. */
static int
finish(sqlite3_stmt *st)
{
	int rc;

	if (st == NULL)
		return SQLITE_ERROR;
	do
		rc = sqlite3_step(st);
	while (rc == SQLITE_ROW);
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int
commitlog_file_db_run(struct commitlog_file_db *db, enum commitlog_file_sql which, struct err *err)
{
	if (finish(commitlog_file_db_stmt(db, which)) != SQLITE_OK)
		return commitlog_file_db_fail(db, text[which], err);
	return 0;
}

int
commitlog_file_db_present(struct commitlog_file_db *db, struct err *err)
{
	int moved = 0;

	if (sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK ||
	    moved == 0)
		return 0;
	if (access(db->path, F_OK) < 0)
		return err_errno(err, "log %s is not there: put it back", db->path);
	return err_set(err, ERR_CORRUPT, "log %s was replaced while in use; start again", db->path);
}

int
commitlog_file_db_ends(struct commitlog_file_db *db, uint32_t stream, uint64_t *first,
		       uint64_t *next, struct err *err)
{
	sqlite3_stmt *st = commitlog_file_db_stmt(db, COMMITLOG_FILE_ENDS);
	int rc;

	*first = *next = 0;
	if (st == NULL)
		return commitlog_file_db_fail(db, "read the ends", err);
	sqlite3_bind_int64(st, 1, stream);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*first = (uint64_t)sqlite3_column_int64(st, 0);
		*next = (uint64_t)sqlite3_column_int64(st, 1);
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		rc = commitlog_file_db_fail(db, "read the ends", err);
	else
		rc = 0;
	sqlite3_reset(st);
	return rc;
}

int
commitlog_file_db_begin(struct commitlog_file_db *db, struct err *err)
{
	return commitlog_file_db_run(db, COMMITLOG_FILE_BEGIN_WRITE, err);
}

void
commitlog_file_db_rollback(struct commitlog_file_db *db)
{
	if (!sqlite3_get_autocommit(db->sql))
		sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
}

int
commitlog_file_db_put(struct commitlog_file_db *db, uint32_t stream, struct slice bytes,
		      uint64_t *off, struct err *err)
{
	sqlite3_stmt *st = commitlog_file_db_stmt(db, COMMITLOG_FILE_TAKE);
	int rc;

	if (st == NULL)
		return commitlog_file_db_fail(db, "append", err);
	sqlite3_bind_int64(st, 1, stream);
	if (sqlite3_step(st) != SQLITE_ROW)
		goto fail;
	*off = (uint64_t)sqlite3_column_int64(st, 0);
	if (finish(st) != SQLITE_OK)
		goto fail;
	st = commitlog_file_db_stmt(db, COMMITLOG_FILE_PUT);
	if (st == NULL)
		return commitlog_file_db_fail(db, "append", err);
	sqlite3_bind_int64(st, 1, stream);
	sqlite3_bind_int64(st, 2, (int64_t)*off);
	sqlite3_bind_blob(st, 3, bytes.len > 0 ? (const void *)bytes.p : "", (int)bytes.len,
			  SQLITE_STATIC);
	if (finish(st) == SQLITE_OK)
		return 0;
fail:
	rc = commitlog_file_db_fail(db, "append", err);
	sqlite3_reset(st);
	return rc;
}

/* A write that found no room comes before the commit frame is whole, and the log of SQLite is
 * read only as far as frames are whole and their checksums chain.  After other errors (fsync, the
 * index of the WAL) a whole commit frame may lie there: unseen now, found by the next recovery,
 * unless a later commit overwrites it (which commitlog_file_db_settle sees to). */
int
commitlog_file_db_commit(struct commitlog_file_db *db, bool *never, struct err *err)
{
	int rc = finish(commitlog_file_db_stmt(db, COMMITLOG_FILE_COMMIT));

	*never = false;
	if (rc == SQLITE_OK)
		return 0;
	*never = rc == SQLITE_FULL || !sqlite3_get_autocommit(db->sql) ||
		 (rc == SQLITE_IOERR_WRITE && no_room(wal_errno(db)));
	rc = commitlog_file_db_fail(db, "commit", err);
	commitlog_file_db_rollback(db);
	return rc;
}

int
commitlog_file_db_settle(struct commitlog_file_db *db, uint32_t stream, uint64_t off, bool *there,
			 struct err *err)
{
	sqlite3_stmt *st;
	bool never;
	int rc = commitlog_file_db_begin(db, err);

	if (rc < 0)
		return rc;
	st = commitlog_file_db_stmt(db, COMMITLOG_FILE_HAS);
	if (st == NULL) {
		rc = commitlog_file_db_fail(db, "settle", err);
		goto undo;
	}
	sqlite3_bind_int64(st, 1, stream);
	sqlite3_bind_int64(st, 2, (int64_t)off);
	rc = sqlite3_step(st);
	*there = rc == SQLITE_ROW;
	rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : commitlog_file_db_fail(db, "settle", err);
	sqlite3_reset(st);
	if (rc == 0)
		rc = commitlog_file_db_run(db, COMMITLOG_FILE_SETTLE, err);
	if (rc == 0)
		return commitlog_file_db_commit(db, &never, err);
undo:
	commitlog_file_db_rollback(db);
	return rc;
}
