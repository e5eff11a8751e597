#include "replica/shard/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "replica/repo/disk.h"
#include "replica/shard/catalog_impl.h"

#define FORMAT 2 /* PRAGMA user_version */
#define STATE_MAX (16u * 1024 * 1024)

/* Ids and digests are raw bytes, numbers are SQLite's signed 64 bits (an offset never gets that
 * far).  A ref whose oid is NULL is a tombstone.  used_id.trash: where the folder of a deleted
 * repository was, until it is known to lie in the trash. */
static const char tables[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE shard (shard INTEGER PRIMARY KEY, next INTEGER NOT NULL,"
	" state BLOB NOT NULL);"
	"CREATE TABLE hash (shard INTEGER NOT NULL, slot INTEGER NOT NULL, offset INTEGER NOT NULL,"
	" hash BLOB NOT NULL, PRIMARY KEY (shard, slot)) WITHOUT ROWID;"
	"CREATE TABLE repo (id BLOB PRIMARY KEY, shard INTEGER NOT NULL, format INTEGER NOT NULL,"
	" path TEXT NOT NULL, was_path TEXT, head TEXT NOT NULL, why TEXT, description TEXT,"
	" digest BLOB NOT NULL, applied INTEGER NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE used_id (id BLOB NOT NULL, shard INTEGER NOT NULL, deleted INTEGER,"
	" trash TEXT, PRIMARY KEY (id, shard)) WITHOUT ROWID;"
	"CREATE INDEX used_id_trash ON used_id (trash) WHERE trash IS NOT NULL;"
	"CREATE TABLE ref (repo BLOB NOT NULL, name BLOB NOT NULL, oid BLOB, before BLOB,"
	" changed INTEGER NOT NULL, peeled BLOB, PRIMARY KEY (repo, name)) WITHOUT ROWID;"
	"CREATE INDEX ref_dead ON ref (repo, changed) WHERE oid IS NULL;"
	"CREATE TABLE pack (repo BLOB NOT NULL, sha256 BLOB NOT NULL, idx_sha256 BLOB NOT NULL,"
	" size INTEGER NOT NULL, idx_size INTEGER NOT NULL, name TEXT NOT NULL,"
	" offset INTEGER NOT NULL, inlined INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (repo, sha256)) WITHOUT ROWID;"
	"CREATE INDEX pack_name ON pack (repo, name);"
	"CREATE TABLE made (repo BLOB NOT NULL, name TEXT NOT NULL, PRIMARY KEY (repo, name))"
	" WITHOUT ROWID;"
	"CREATE TABLE need (repo BLOB NOT NULL, sha256 BLOB NOT NULL, idx_sha256 BLOB NOT NULL,"
	" size INTEGER NOT NULL, idx_size INTEGER NOT NULL, name TEXT NOT NULL,"
	" offset INTEGER NOT NULL, shard INTEGER NOT NULL, node INTEGER NOT NULL,"
	" PRIMARY KEY (repo, sha256)) WITHOUT ROWID;"
	"PRAGMA user_version = 2;";

/* From format 1, which knew no repacking.  A pack that travelled inline counts as staged there: then
 * its index is kept when it is rolled up, which costs a little room and nothing else. */
static const char from_1[] =
	"ALTER TABLE pack ADD COLUMN inlined INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX pack_name ON pack (repo, name);"
	"CREATE TABLE made (repo BLOB NOT NULL, name TEXT NOT NULL, PRIMARY KEY (repo, name))"
	" WITHOUT ROWID;"
	"PRAGMA user_version = 2;";

int
catalog_error(struct catalog *c, const char *what, struct err *err)
{
	int rc = c->db != NULL ? sqlite3_errcode(c->db) & 0xff : SQLITE_NOMEM;
	int code = ERR_IO;

	/* An I/O error may be a full disk too: SQLite keeps the errno of the system call. */
	if (rc == SQLITE_FULL || (rc == SQLITE_IOERR && (sqlite3_system_errno(c->db) == ENOSPC ||
							 sqlite3_system_errno(c->db) == EDQUOT)))
		code = ERR_FULL;
	else if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || rc == SQLITE_CONSTRAINT)
		code = ERR_CORRUPT;
	else if (rc == SQLITE_NOMEM)
		code = ERR_NOMEM;
	return err_set(err, code, "catalog: %s: %s", what,
		       c->db != NULL ? sqlite3_errmsg(c->db) : "no memory");
}

int
catalog_damaged(const char *table, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "catalog: table %s holds a row that cannot be read",
		       table);
}

sqlite3_stmt *
catalog_use(struct catalog *c, enum catalog_st which, struct err *err)
{
	sqlite3_stmt **st = &c->st[which];

	if (*st == NULL && sqlite3_prepare_v3(c->db, catalog_sql[which], -1,
					      SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK) {
		catalog_error(c, "prepare", err);
		return NULL;
	}
	return *st;
}

int
catalog_row(struct catalog *c, sqlite3_stmt *st, struct err *err)
{
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		return catalog_error(c, "run", err);
	}
}

int
catalog_run(struct catalog *c, sqlite3_stmt *st, struct err *err)
{
	int rc = catalog_row(c, st, err);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc < 0 ? rc : 0;
}

void
catalog_bind_bytes(sqlite3_stmt *st, int at, const void *p, size_t n)
{
	sqlite3_bind_blob64(st, at, p != NULL ? p : "", n, SQLITE_STATIC);
}

void
catalog_bind_str(sqlite3_stmt *st, int at, const char *s)
{
	if (s == NULL)
		sqlite3_bind_null(st, at);
	else
		sqlite3_bind_text(st, at, s, -1, SQLITE_STATIC);
}

void
catalog_bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)v);
}

bool
catalog_column(sqlite3_stmt *st, int at, void *out, size_t n)
{
	const void *p = sqlite3_column_blob(st, at);

	if (p == NULL || (size_t)sqlite3_column_bytes(st, at) != n)
		return false;
	memcpy(out, p, n);
	return true;
}

const char *
catalog_column_str(sqlite3_stmt *st, int at)
{
	return (const char *)sqlite3_column_text(st, at);
}

static int
take_lock(struct catalog *c, const char *data, struct err *err)
{
	char path[DISK_PATH];
	int rc = disk_path(path, err, "%s/lock", data);

	if (rc < 0)
		return rc;
	c->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->lock < 0)
		return err_errno(err, "open %s", path);
	if (flock(c->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(err, ERR_REFUSED,
			       "%s is held: another gitshard-replica runs on this data directory",
			       path);
	return err_errno(err, "lock %s", path);
}

static int
exec(struct catalog *c, const char *sql, struct err *err)
{
	if (sqlite3_exec(c->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return catalog_error(c, "open", err);
	return 0;
}

static int
read_number(struct catalog *c, const char *sql, int *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc;

	if (sqlite3_prepare_v2(c->db, sql, -1, &st, NULL) != SQLITE_OK)
		return catalog_error(c, "open", err);
	rc = catalog_row(c, st, err);
	*out = rc == 1 ? sqlite3_column_int(st, 0) : 0;
	sqlite3_finalize(st);
	return rc < 0 ? rc : 0;
}

/* Tables of the present format; inside a transaction. */
static int
make_tables(struct catalog *c, struct err *err)
{
	int version = 0, rc = read_number(c, "PRAGMA user_version", &version, err);

	if (rc < 0 || version == FORMAT)
		return rc;
	if (version > FORMAT)
		return err_set(
			err, ERR_VERSION,
			"the catalog has format %d, this gitshard knows %d: start the newer one",
			version, FORMAT);
	return exec(c, version == 1 ? from_1 : tables, err);
}

/* The value into b (emptied before); 1: there, 0: no such key. */
static int
get_meta(struct catalog *c, const char *key, struct buf *b, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_META_GET, err);
	int rc;

	buf_clear(b);
	if (st == NULL)
		return ERR_IO;
	catalog_bind_str(st, 1, key);
	rc = catalog_row(c, st, err);
	if (rc == 1)
		buf_add(b, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
	sqlite3_reset(st);
	return rc;
}

static int
put_meta(struct catalog *c, const char *key, struct slice value, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_META_PUT, err);

	if (st == NULL)
		return ERR_IO;
	catalog_bind_str(st, 1, key);
	catalog_bind_bytes(st, 2, value.p, value.len);
	return catalog_run(c, st, err);
}

/* Whose disk this is: written at first use, compared later. */
static int
check_name(struct catalog *c, const char *key, const char *want, struct err *err)
{
	struct buf have = BUF_MAX(256);
	int rc = get_meta(c, key, &have, err);

	if (rc == 0)
		rc = put_meta(c, key, slice_str(want), err);
	else if (rc == 1 && !slice_eq_str(buf_slice(&have), want))
		rc = err_set(
			err, ERR_REFUSED,
			"this data directory belongs to %s '%s', not '%s': give the right one, "
			"or an empty one",
			key, buf_str(&have), want);
	buf_release(&have);
	return rc < 0 ? rc : 0;
}

static int
count_start(struct catalog *c, struct catalog_identity *id, struct err *err)
{
	struct buf b = BUF_MAX(256);
	int rc = get_meta(c, "incarnation", &b, err);

	if (rc == 0) {
		rnd_bytes(id->incarnation, sizeof(id->incarnation));
		rc = put_meta(c, "incarnation", slice_of(id->incarnation, 16), err);
	} else if (rc == 1) {
		rc = b.len == 16 ? 0 : catalog_damaged("meta", err);
		memcpy(id->incarnation, b.p, MIN(b.len, 16));
	}
	if (rc == 0)
		rc = get_meta(c, "start", &b, err);
	if (rc < 0)
		goto out;
	id->start = 1;
	if (rc == 1)
		id->start += strtoull(buf_str(&b), NULL, 10);
	buf_clear(&b);
	buf_addf(&b, "%llu", (unsigned long long)id->start);
	rc = put_meta(c, "start", buf_slice(&b), err);
out:
	buf_release(&b);
	return rc;
}

static int
identify(struct catalog *c, const char *cluster, const char *node, struct catalog_identity *id,
	 struct err *err)
{
	int rc;

	memset(id, 0, sizeof(*id));
	if (strlen(cluster) >= sizeof(id->cluster) || strlen(node) >= sizeof(id->node))
		return err_set(err, ERR_BAD, "names of cluster and node: at most %zu bytes",
			       sizeof(id->cluster) - 1);
	snprintf(id->cluster, sizeof(id->cluster), "%s", cluster);
	snprintf(id->node, sizeof(id->node), "%s", node);
	rc = exec(c, "BEGIN IMMEDIATE", err);
	if (rc == 0)
		rc = make_tables(c, err);
	if (rc == 0)
		rc = check_name(c, "cluster", cluster, err);
	if (rc == 0)
		rc = check_name(c, "node", node, err);
	if (rc == 0)
		rc = count_start(c, id, err);
	return catalog_end(c, rc, err);
}

int
catalog_open(struct catalog **out, const char *data, const char *cluster, const char *node,
	     struct catalog_identity *id, struct err *err)
{
	struct catalog *c = MEM_NEW(struct catalog);
	char path[DISK_PATH];
	int rc;

	*out = NULL;
	c->lock = -1;
	rc = disk_mkdirs(data, err);
	if (rc == 0)
		rc = disk_path(path, err, "%s/catalog.db", data);
	if (rc == 0)
		rc = take_lock(c, data, err);
	if (rc < 0)
		goto out;
	if (sqlite3_open_v2(path, &c->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
				    SQLITE_OPEN_EXRESCODE,
			    NULL) != SQLITE_OK) {
		rc = catalog_error(c, "open", err);
		goto out;
	}
	/* An operator's sqlite3 may look in for a moment. */
	sqlite3_busy_timeout(c->db, 10000);
	rc = exec(c, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", err);
	if (rc == 0)
		rc = identify(c, cluster, node, id, err);
	if (rc == 0)
		rc = disk_sync_dir(data, err); /* the names of the database's files */
	if (rc < 0)
		goto out;
	*out = c;
	c = NULL;
out:
	if (rc == ERR_FULL)
		err_prefix(err, "make room for %s, then start again", data);
	catalog_close(&c);
	return rc;
}

void
catalog_close(struct catalog **cp)
{
	struct catalog *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	for (size_t i = 0; i < COUNT(c->st); i++)
		sqlite3_finalize(c->st[i]);
	sqlite3_close(c->db);
	if (c->lock >= 0)
		close(c->lock);
	free(c);
}

int
catalog_begin(struct catalog *c, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_BEGIN, err);

	return st == NULL ? ERR_IO : catalog_run(c, st, err);
}

static int
commit(struct catalog *c, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_COMMIT, err);

	return st == NULL ? ERR_IO : catalog_run(c, st, err);
}

int
catalog_end(struct catalog *c, int rc, struct err *err)
{
	if (rc == 0)
		rc = commit(c, err);
	/* Some errors have rolled it back already. */
	if (rc < 0 && sqlite3_get_autocommit(c->db) == 0)
		sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int
catalog_shards(struct catalog *c, catalog_shard_fn *fn, void *arg, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_SHARDS, err);
	struct catalog_shard s;
	int rc, stop = 0;

	if (st == NULL)
		return ERR_IO;
	while (stop == 0 && (rc = catalog_row(c, st, err)) == 1) {
		s.shard = (uint32_t)sqlite3_column_int64(st, 0);
		s.next = (uint64_t)sqlite3_column_int64(st, 1);
		s.state = slice_of(sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2));
		stop = s.state.len > STATE_MAX ? catalog_damaged("shard", err) : fn(&s, arg, err);
	}
	sqlite3_reset(st);
	return stop != 0 ? stop : rc;
}

int
catalog_put_shard(struct catalog *c, const struct catalog_shard *s, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_SHARD_PUT, err);

	if (st == NULL)
		return ERR_IO;
	catalog_bind_u64(st, 1, s->shard);
	catalog_bind_u64(st, 2, s->next);
	catalog_bind_bytes(st, 3, s->state.p, s->state.len);
	return catalog_run(c, st, err);
}

int
catalog_hashes(struct catalog *c, uint32_t shard, catalog_hash_fn *fn, void *arg, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_HASHES, err);
	uint8_t hash[32];
	int rc, stop = 0;

	if (st == NULL)
		return ERR_IO;
	catalog_bind_u64(st, 1, shard);
	while (stop == 0 && (rc = catalog_row(c, st, err)) == 1) {
		if (!catalog_column(st, 1, hash, sizeof(hash)))
			stop = catalog_damaged("hash", err);
		else
			stop = fn((uint64_t)sqlite3_column_int64(st, 0), hash, arg, err);
	}
	sqlite3_reset(st);
	return stop != 0 ? stop : rc;
}

int
catalog_put_hash(struct catalog *c, uint32_t shard, uint64_t offset, const uint8_t hash[32],
		 struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_HASH_PUT, err);

	if (st == NULL)
		return ERR_IO;
	catalog_bind_u64(st, 1, shard);
	catalog_bind_u64(st, 2, offset % CATALOG_WINDOW);
	catalog_bind_u64(st, 3, offset);
	catalog_bind_bytes(st, 4, hash, 32);
	return catalog_run(c, st, err);
}
