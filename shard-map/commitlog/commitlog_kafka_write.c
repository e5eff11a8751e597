#include "shard-map/commitlog/commitlog_kafka_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/cond.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog_thread.h"

#define POLL_MSEC 100
#define METADATA_MSEC 2000
#define AGAIN_MSEC 250 /* until a handle is tried again */
#define CLOSE_MSEC 3000

/* One append; librdkafka reads `bytes` until it has reported. */
struct op {
	TAILQ_ENTRY(op) link;
	uint32_t stream;
	uint64_t deadline; /* while it waits here */
	struct err refused;
	commitlog_append_fn *fn;
	void *arg;
	size_t len;
	uint8_t bytes[];
};
TAILQ_HEAD(op_list, op);

struct commitlog_kafka_write {
	const struct commitlog_kafka_conf *conf; /* lent */
	void (*hint)(void *);
	void *arg;
	pthread_t thread;
	struct commitlog_kafka_client client; /* of the thread; rk is NULL between two handles */
	bool fatal;                           /* of the thread: the handle is to be made anew */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool ready; /* appends may go to the handle */
	bool away, stop;
	struct err why;         /* while away */
	struct op_list waiting; /* for a handle, in order */
	struct op_list refused; /* never sent; for the thread to say so */
};

/* ---- answers --------------------------------------------------------------------------------- */

static void
answer(struct op *op, enum commitlog_outcome outcome, uint64_t offset, const struct err *err)
{
	op->fn(outcome, offset, err, op->arg);
	free(op);
}

static void
on_report(rd_kafka_t *rk UNUSED, const rd_kafka_message_t *m, void *opaque)
{
	struct commitlog_kafka_write *w = opaque;
	struct err err = { ERR_OK, "" };

	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR && m->offset >= 0) {
		FAULT("log.committed");
		answer(m->_private, COMMITLOG_AT, (uint64_t)m->offset, NULL);
		return;
	}
	/* Also what came back from a retry is purged "from the queue": its status tells it apart. */
	if (m->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
	    rd_kafka_message_status(m) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED) {
		pthread_mutex_lock(&w->lock);
		if (w->away)
			err = w->why;
		else
			err_set(&err, ERR_UNAVAILABLE, "the log was closed before it was sent");
		pthread_mutex_unlock(&w->lock);
		answer(m->_private, COMMITLOG_NOT, 0, &err);
		return;
	}
	err_set(&err, ERR_UNKNOWN, "the log did not say whether it has it: %s",
		m->err == RD_KAFKA_RESP_ERR_NO_ERROR ? "delivered at an offset that it did not name"
						     : rd_kafka_err2str(m->err));
	answer(m->_private, COMMITLOG_UNKNOWN, 0, &err);
}

static void
on_error(rd_kafka_t *rk, int e, const char *reason, void *opaque)
{
	struct commitlog_kafka_write *w = opaque;
	char why[256];

	if (e == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		w->hint(w->arg);
	if (e != RD_KAFKA_RESP_ERR__FATAL) {
		log_debug("-", "kafka-producer", "why=%s", log_value(reason, strlen(reason)));
		return;
	}
	rd_kafka_fatal_error(rk, why, sizeof(why));
	log_info("-", "kafka-producer-renewed", "why=%s", log_value(why, strlen(why)));
	w->fatal = true;
}

static void
answer_refused(struct commitlog_kafka_write *w)
{
	struct op_list list;
	struct op *op;

	TAILQ_INIT(&list);
	pthread_mutex_lock(&w->lock);
	TAILQ_CONCAT(&list, &w->refused, link);
	pthread_mutex_unlock(&w->lock);
	while ((op = TAILQ_FIRST(&list)) != NULL) {
		struct err err = op->refused;

		TAILQ_REMOVE(&list, op, link);
		answer(op, COMMITLOG_NOT, 0, &err);
	}
}

/* ---- giving appends to the handle ------------------------------------------------------------ */

/* The lock is held.  False: the handle takes nothing any more. */
static bool
produce(struct commitlog_kafka_write *w, struct op *op)
{
	rd_kafka_topic_t *topic = w->client.topic[commitlog_kafka_topic_of(op->stream)];
	rd_kafka_resp_err_t e;

	if (rd_kafka_produce(topic, commitlog_kafka_partition_of(op->stream), 0, op->bytes, op->len,
			     NULL, 0, op) == 0)
		return true;
	e = rd_kafka_last_error();
	if (e == RD_KAFKA_RESP_ERR__FATAL)
		return false;
	if (e == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || e == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
		err_set(&op->refused, ERR_NOT_FOUND, "the log has no stream %" PRIu32, op->stream);
	else
		err_set(&op->refused, ERR_UNAVAILABLE, "the log takes no more at the moment: %s",
			rd_kafka_err2str(e));
	TAILQ_INSERT_TAIL(&w->refused, op, link);
	return true;
}

void
commitlog_kafka_write_append(struct commitlog_kafka_write *w, uint32_t stream, struct slice bytes,
			     commitlog_append_fn *fn, void *arg)
{
	struct op *op = mem_alloc(sizeof(*op) + bytes.len);

	op->stream = stream;
	op->deadline = clock_boot_ns() + w->conf->append_msec * CLOCK_MSEC;
	op->fn = fn;
	op->arg = arg;
	op->len = bytes.len;
	if (bytes.len > 0)
		memcpy(op->bytes, bytes.p, bytes.len);
	pthread_mutex_lock(&w->lock);
	if (w->away) {
		op->refused = w->why;
		TAILQ_INSERT_TAIL(&w->refused, op, link);
	} else if (!w->ready || !TAILQ_EMPTY(&w->waiting) || !produce(w, op)) {
		w->ready = false;
		TAILQ_INSERT_TAIL(&w->waiting, op, link);
	}
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* The lock is held. */
static void
give_waiting(struct commitlog_kafka_write *w)
{
	struct op *op;

	while ((op = TAILQ_FIRST(&w->waiting)) != NULL) {
		TAILQ_REMOVE(&w->waiting, op, link);
		if (produce(w, op))
			continue;
		TAILQ_INSERT_HEAD(&w->waiting, op, link);
		return;
	}
	w->ready = true;
}

static void
expire_waiting(struct commitlog_kafka_write *w, bool all)
{
	uint64_t now = clock_boot_ns();
	struct op *op;

	pthread_mutex_lock(&w->lock);
	while ((op = TAILQ_FIRST(&w->waiting)) != NULL && (all || w->away || op->deadline <= now)) {
		TAILQ_REMOVE(&w->waiting, op, link);
		if (w->away)
			op->refused = w->why;
		else
			err_set(&op->refused, ERR_UNAVAILABLE,
				"the log could not be reached in time; nothing was sent");
		TAILQ_INSERT_TAIL(&w->refused, op, link);
	}
	pthread_mutex_unlock(&w->lock);
	answer_refused(w);
}

/* ---- the handle ------------------------------------------------------------------------------ */

/* librdkafka has to know the partitions, or it would hold appends for topics it never saw. */
static int
learn_topics(struct commitlog_kafka_client *k, struct err *err)
{
	for (size_t i = 0; i < COUNT(k->topic); i++) {
		const rd_kafka_metadata_t *m;
		rd_kafka_resp_err_t e = rd_kafka_metadata(k->rk, 0, k->topic[i], &m, METADATA_MSEC);

		if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
			return commitlog_kafka_fail(err, e, "ask for the topics");
		rd_kafka_metadata_destroy(m);
	}
	return 0;
}

static void
make_handle(struct commitlog_kafka_write *w)
{
	struct err err;
	int rc;

	w->fatal = false;
	rc = commitlog_kafka_client_open(&w->client, w->conf, COMMITLOG_KAFKA_PRODUCER, on_error,
					 on_report, w, &err);
	if (rc == 0)
		rc = learn_topics(&w->client, &err);
	if (rc < 0) {
		log_debug("-", "kafka-producer", "why=%s", log_value(err.text, strlen(err.text)));
		commitlog_kafka_client_close(&w->client);
		return;
	}
	pthread_mutex_lock(&w->lock);
	give_waiting(w);
	pthread_mutex_unlock(&w->lock);
}

static void
poll_until_empty(struct commitlog_kafka_write *w, unsigned msec)
{
	uint64_t until = clock_boot_ns() + msec * CLOCK_MSEC;

	while (rd_kafka_outq_len(w->client.rk) > 0 && clock_boot_ns() < until && !w->fatal)
		rd_kafka_poll(w->client.rk, 20);
}

/* Nothing may be given to it any more.  What is in flight may still land. */
static void
end_handle(struct commitlog_kafka_write *w)
{
	if (w->client.rk == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->ready = false;
	pthread_mutex_unlock(&w->lock);
	rd_kafka_purge(w->client.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	while (rd_kafka_outq_len(w->client.rk) > 0) /* message.timeout.ms ends it at the latest */
		rd_kafka_poll(w->client.rk, 20);
	commitlog_kafka_client_close(&w->client);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool
read_state(struct commitlog_kafka_write *w, bool *away, bool *ready)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	*away = w->away;
	*ready = w->ready;
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return stop;
}

static void
rest(struct commitlog_kafka_write *w, unsigned msec)
{
	pthread_mutex_lock(&w->lock);
	if (!w->stop && TAILQ_EMPTY(&w->refused))
		cond_wait_msec(&w->changed, &w->lock, msec);
	pthread_mutex_unlock(&w->lock);
}

static void *
run(void *arg)
{
	struct commitlog_kafka_write *w = arg;
	bool away, ready;

	while (!read_state(w, &away, &ready)) {
		if (w->client.rk != NULL && (away || w->fatal || !ready))
			end_handle(w);
		if (w->client.rk == NULL && !away)
			make_handle(w);
		if (w->client.rk != NULL)
			rd_kafka_poll(w->client.rk, POLL_MSEC);
		else
			rest(w, AGAIN_MSEC);
		expire_waiting(w, false);
	}
	if (w->client.rk != NULL && !away)
		poll_until_empty(w, (unsigned)MIN(CLOSE_MSEC, w->conf->append_msec));
	end_handle(w);
	do /* an answer may append once more */
		expire_waiting(w, true);
	while (!TAILQ_EMPTY(&w->waiting) || !TAILQ_EMPTY(&w->refused));
	return NULL;
}

int
commitlog_kafka_write_new(struct commitlog_kafka_write **out,
			  const struct commitlog_kafka_conf *conf, void (*hint)(void *), void *arg,
			  struct err *err)
{
	struct commitlog_kafka_write *w = MEM_NEW(struct commitlog_kafka_write);
	int rc;

	w->conf = conf;
	w->hint = hint;
	w->arg = arg;
	w->away = true;
	err_set(&w->why, ERR_UNAVAILABLE, "the log has not been reached yet");
	pthread_mutex_init(&w->lock, NULL);
	cond_init(&w->changed);
	TAILQ_INIT(&w->waiting);
	TAILQ_INIT(&w->refused);
	rc = commitlog_thread_start(&w->thread, run, w, "log-write", err);
	if (rc == 0) {
		*out = w;
		return 0;
	}
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return rc;
}

void
commitlog_kafka_write_free(struct commitlog_kafka_write **ww)
{
	struct commitlog_kafka_write *w = *ww;

	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL); /* its answers may still append by this pointer */
	*ww = NULL;
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void
commitlog_kafka_write_away(struct commitlog_kafka_write *w, const struct err *why)
{
	pthread_mutex_lock(&w->lock);
	w->away = why != NULL;
	if (why != NULL)
		w->why = *why;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}
