#include "shard-map/commitlog/commitlog_file_batch.h"

#include <sqlite3.h>

#include "shard-map/commitlog/commitlog_file_db.h"

void
commitlog_file_batch_init(struct commitlog_file_batch *b)
{
	b->n = 0;
	b->more = false;
	b->position = 0;
	/* the last record may begin just below the limit */
	buf_init(&b->bytes, COMMITLOG_FILE_BATCH_BYTES + COMMITLOG_MAX_RECORD);
}

void
commitlog_file_batch_release(struct commitlog_file_batch *b)
{
	buf_release(&b->bytes);
	b->n = 0;
}

static void
empty(struct commitlog_file_batch *b, uint64_t position)
{
	b->n = 0;
	b->more = false;
	b->position = position;
	buf_clear(&b->bytes);
}

static bool
is_full(const struct commitlog_file_batch *b)
{
	return b->n == COMMITLOG_FILE_BATCH_RECORDS || b->bytes.len >= COMMITLOG_FILE_BATCH_BYTES;
}

/* The pointers are set by point(), when the buffer moves no more. */
static int
add(struct commitlog_file_batch *b, struct commitlog_file_db *db, uint32_t stream, uint64_t off,
    sqlite3_stmt *st, int column, struct err *err)
{
	const void *p = sqlite3_column_blob(st, column);
	int n = sqlite3_column_bytes(st, column);

	if (p == NULL && n > 0)
		return commitlog_file_db_fail(db, "read", err);
	if ((size_t)n > COMMITLOG_MAX_RECORD)
		return err_set(err, ERR_CORRUPT, "log %s: record %u/%llu has %d bytes", db->path,
			       stream, (unsigned long long)off, n);
	buf_add(&b->bytes, p, (size_t)n);
	if (!buf_ok(&b->bytes))
		return err_set(err, ERR_NOMEM, "log %s: no memory to read it", db->path);
	b->stream[b->n] = stream;
	b->record[b->n].offset = off;
	b->record[b->n].bytes = slice_of(NULL, (size_t)n);
	b->n++;
	return 0;
}

static void
point(struct commitlog_file_batch *b)
{
	const uint8_t *p = b->bytes.p;

	for (size_t i = 0; i < b->n; i++) {
		b->record[i].bytes.p = p;
		p += b->record[i].bytes.len;
	}
}

static int
fill_range(struct commitlog_file_batch *b, struct commitlog_file_db *db, uint32_t stream,
	   uint64_t from, uint64_t max, struct err *err)
{
	sqlite3_stmt *st = commitlog_file_db_stmt(db, COMMITLOG_FILE_RANGE);
	int step = SQLITE_DONE, rc = 0;

	if (st == NULL)
		return commitlog_file_db_fail(db, "read", err);
	sqlite3_bind_int64(st, 1, stream);
	sqlite3_bind_int64(st, 2, (int64_t)from);
	sqlite3_bind_int64(st, 3, (int64_t)MIN(max, COMMITLOG_FILE_BATCH_RECORDS));
	while (rc == 0 && !is_full(b) && (step = sqlite3_step(st)) == SQLITE_ROW) {
		if ((uint64_t)sqlite3_column_int64(st, 0) != b->position)
			break;
		rc = add(b, db, stream, b->position, st, 1, err);
		b->position++;
	}
	if (rc == 0 && step != SQLITE_ROW && step != SQLITE_DONE)
		rc = commitlog_file_db_fail(db, "read", err);
	sqlite3_reset(st);
	return rc;
}

static int
range(struct commitlog_file_batch *b, struct commitlog_file_db *db, uint32_t stream, uint64_t from,
      uint64_t max, struct err *err)
{
	uint64_t first, next;
	int rc = commitlog_file_db_ends(db, stream, &first, &next, err);

	if (rc < 0)
		return rc;
	if (from < first)
		return err_set(err, ERR_NOT_FOUND,
			       "log %s: stream %u is trimmed up to %llu; %llu is wanted", db->path,
			       stream, (unsigned long long)first, (unsigned long long)from);
	if (from > next)
		return err_set(err, ERR_CORRUPT,
			       "log %s: stream %u ends before %llu; %llu is wanted", db->path,
			       stream, (unsigned long long)next, (unsigned long long)from);
	max = MIN(max, next - from);
	rc = fill_range(b, db, stream, from, max, err);
	if (rc == 0 && b->n < max && !is_full(b))
		return err_set(err, ERR_CORRUPT, "log %s: record %u/%llu is missing", db->path,
			       stream, (unsigned long long)b->position);
	b->more = b->position < next;
	return rc;
}

/* Ends and records come from one transaction: between two, a trim might come. */
int
commitlog_file_batch_range(struct commitlog_file_batch *b, struct commitlog_file_db *db,
			   uint32_t stream, uint64_t from, uint64_t max, struct err *err)
{
	int rc, end;

	empty(b, from);
	rc = commitlog_file_db_run(db, COMMITLOG_FILE_BEGIN, err);
	if (rc < 0)
		return rc;
	rc = range(b, db, stream, from, max, err);
	end = commitlog_file_db_run(db, COMMITLOG_FILE_COMMIT, rc < 0 ? NULL : err);
	if (end < 0)
		commitlog_file_db_rollback(db);
	rc = rc < 0 ? rc : end;
	if (rc < 0)
		b->n = 0;
	point(b);
	return rc;
}

int
commitlog_file_batch_tail(struct commitlog_file_batch *b, struct commitlog_file_db *db, uint64_t id,
			  commitlog_file_batch_want_fn *want, void *arg, struct err *err)
{
	sqlite3_stmt *st = commitlog_file_db_stmt(db, COMMITLOG_FILE_TAIL);
	int step = SQLITE_DONE, rc = 0;
	unsigned rows = 0;

	empty(b, id);
	if (st == NULL)
		return commitlog_file_db_fail(db, "read", err);
	sqlite3_bind_int64(st, 1, (int64_t)id);
	sqlite3_bind_int64(st, 2, COMMITLOG_FILE_BATCH_RECORDS);
	while (rc == 0 && !is_full(b) && (step = sqlite3_step(st)) == SQLITE_ROW) {
		uint32_t stream = (uint32_t)sqlite3_column_int64(st, 1);

		rows++;
		if (want(stream, arg))
			rc = add(b, db, stream, (uint64_t)sqlite3_column_int64(st, 2), st, 3, err);
		b->position = (uint64_t)sqlite3_column_int64(st, 0);
	}
	b->more = rows == COMMITLOG_FILE_BATCH_RECORDS || is_full(b);
	if (rc == 0 && step != SQLITE_ROW && step != SQLITE_DONE)
		rc = commitlog_file_db_fail(db, "read", err);
	sqlite3_reset(st);
	if (rc < 0)
		b->n = 0;
	point(b);
	return rc;
}

size_t
commitlog_file_batch_run(const struct commitlog_file_batch *b, size_t i)
{
	size_t n = i < b->n ? 1 : 0;

	while (n > 0 && i + n < b->n && b->stream[i + n] == b->stream[i] &&
	       b->record[i + n].offset == b->record[i].offset + n)
		n++;
	return n;
}
