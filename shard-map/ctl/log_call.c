#include "shard-map/ctl/log_call.h"

#include <inttypes.h>
#include <pthread.h>

struct answer {
	pthread_mutex_t lock;
	pthread_cond_t came;
	bool here;
	enum commitlog_outcome outcome;
	struct err err;
};

static void
on_answer(enum commitlog_outcome outcome, uint64_t offset UNUSED, const struct err *err, void *arg)
{
	struct answer *a = arg;

	pthread_mutex_lock(&a->lock);
	a->outcome = outcome;
	if (err != NULL)
		a->err = *err;
	a->here = true;
	pthread_cond_signal(&a->came);
	pthread_mutex_unlock(&a->lock);
}

int
log_call_append(struct commitlog *log, uint32_t stream, struct slice bytes, struct err *err)
{
	struct answer a = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER };

	commitlog_append(log, stream, bytes, on_answer, &a);
	pthread_mutex_lock(&a.lock);
	while (!a.here) /* the log answers by its own deadline */
		pthread_cond_wait(&a.came, &a.lock);
	pthread_mutex_unlock(&a.lock);
	pthread_cond_destroy(&a.came);
	pthread_mutex_destroy(&a.lock);
	if (a.outcome == COMMITLOG_AT)
		return 0;
	if (a.outcome == COMMITLOG_UNKNOWN)
		return err_set(err, ERR_UNKNOWN, "the log did not say whether it took a record: %s",
			       err_text(&a.err));
	return err_set(err, a.err.code < 0 ? a.err.code : ERR_UNAVAILABLE,
		       "the log did not take a record: %s", err_text(&a.err));
}

struct reading {
	struct record *out;
	uint64_t offset;
	struct err err;
	int rc;
};

static void
on_record(uint32_t stream UNUSED, const struct commitlog_record *r, size_t n, void *arg)
{
	struct reading *g = arg;

	if (g->rc != ERR_NOT_FOUND || n == 0 || r[0].offset != g->offset)
		return;
	g->rc = record_decode(g->out, r[0].bytes, &g->err);
	if (g->rc < 0)
		return;
	g->rc = record_keep(g->out, &g->err);
	if (g->rc < 0)
		record_release(g->out);
}

int
log_call_read(struct record *out, struct commitlog *log, uint32_t stream, uint64_t offset,
	      struct err *err)
{
	struct reading g = { .out = out, .offset = offset, .rc = ERR_NOT_FOUND };
	int rc;

	err_set(&g.err, ERR_NOT_FOUND, "stream %" PRIu32 " has no record at offset %" PRIu64,
		stream, offset);
	rc = commitlog_scan(log, stream, offset, 1, on_record, &g, err);
	if (rc < 0)
		return rc;
	if (g.rc < 0 && err != NULL)
		*err = g.err;
	return g.rc;
}
