#include "shard-map/commitlog/commitlog_file_trim.h"

#include <sqlite3.h>

#include "shard-map/commitlog/commitlog_file_db.h"
#include "shard-map/commitlog/commitlog_file_op.h"

#define STEP_RECORDS 256
#define KEPT_PAGES 2048 /* free pages kept for the next appends, 8 MB */

static int
run_at(struct commitlog_file_db *db, enum commitlog_file_sql which, uint32_t stream, uint64_t off,
       struct err *err)
{
	sqlite3_stmt *st = commitlog_file_db_stmt(db, which);

	if (st == NULL)
		return commitlog_file_db_fail(db, "trim", err);
	sqlite3_bind_int64(st, 1, stream);
	sqlite3_bind_int64(st, 2, (int64_t)off);
	return commitlog_file_db_run(db, which, err);
}

static int
count_free(struct commitlog_file_db *db, uint64_t *pages, struct err *err)
{
	sqlite3_stmt *st = commitlog_file_db_stmt(db, COMMITLOG_FILE_FREE);

	if (st == NULL || sqlite3_step(st) != SQLITE_ROW)
		return commitlog_file_db_fail(db, "count free pages", err);
	*pages = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

static int
drop(struct commitlog_file_db *db, struct commitlog_file_op *op, struct err *err)
{
	uint64_t first, next, upto;
	int rc = commitlog_file_db_ends(db, op->stream, &first, &next, err);

	if (rc < 0)
		return rc;
	if (op->offset > next)
		return err_set(err, ERR_BAD, "stream %u ends before %llu; it cannot begin at %llu",
			       op->stream, (unsigned long long)next,
			       (unsigned long long)op->offset);
	upto = MIN(op->offset, first + STEP_RECORDS);
	if (upto > first) {
		rc = run_at(db, COMMITLOG_FILE_DROP, op->stream, upto, err);
		if (rc == 0)
			rc = run_at(db, COMMITLOG_FILE_FIRST, op->stream, upto, err);
	}
	if (rc == 0 && upto >= op->offset)
		op->kind = COMMITLOG_FILE_OP_SHRINK;
	return rc;
}

int
commitlog_file_trim_step(struct commitlog_file_db *db, struct commitlog_file_op *op, bool *more,
			 struct err *err)
{
	uint64_t pages = 0;
	bool never;
	int rc;

	if (op->kind == COMMITLOG_FILE_OP_TRIM)
		rc = drop(db, op, err);
	else
		rc = commitlog_file_db_run(db, COMMITLOG_FILE_SHRINK, err);
	if (rc == 0)
		rc = count_free(db, &pages, err);
	if (rc == 0)
		rc = commitlog_file_db_commit(db, &never, err);
	*more = rc == 0 && (op->kind == COMMITLOG_FILE_OP_TRIM || pages > KEPT_PAGES);
	return rc;
}
