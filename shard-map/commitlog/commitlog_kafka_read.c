#include "shard-map/commitlog/commitlog_kafka_read.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog_thread.h"

#define BUCKETS 256
#define LOOK_MSEC 1000 /* without any wake */
#define BATCH 512      /* messages taken together, and */
#define BATCH_BYTES (8u << 20)
#define GAPS 3 /* in a row, at one offset, until it is the log's own */

/* A stream that librdkafka consumes for us, or that is in doubt. */
struct flow {
	LIST_ENTRY(flow) link;
	struct commitlog_subs_turn turn; /* of the subscription; from: the next offset */
	bool consumed;                   /* not while in doubt */
	uint64_t gap_at;
	unsigned gaps; /* at gap_at, without any progress */
};

struct verdict_in {
	STAILQ_ENTRY(verdict_in) link;
	struct commitlog_subs_turn turn;
	struct err err;
};

struct commitlog_kafka_read {
	struct commitlog_kafka_read_opts opts;
	struct commitlog_kafka_client client;
	rd_kafka_queue_t *queue;
	int fd; /* eventfd: the queue has something, or we do */
	struct commitlog_subs *subs;
	pthread_t thread;
	LIST_HEAD(, flow) flows[BUCKETS];      /* of the thread */
	rd_kafka_message_t *message[BATCH];    /* of the thread */
	struct commitlog_record record[BATCH]; /* of the thread: a run of one stream */
	size_t n_record;
	bool is_away; /* of the thread */

	pthread_mutex_t lock; /* of what follows */
	bool stop, away, changed, sweep;
	struct err why;
	STAILQ_HEAD(, verdict_in) verdicts;
};

static void
wake(struct commitlog_kafka_read *r)
{
	static const uint64_t one = 1;

	CHECK(write(r->fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN);
}

/* ---- flows ----------------------------------------------------------------------------------- */

static struct flow *
find(struct commitlog_kafka_read *r, uint32_t stream)
{
	struct flow *f;

	LIST_FOREACH (f, &r->flows[stream % BUCKETS], link)
		if (f->turn.stream == stream)
			return f;
	return NULL;
}

static void
halt(struct commitlog_kafka_read *r, struct flow *f)
{
	if (f->consumed)
		rd_kafka_consume_stop(r->client.topic[commitlog_kafka_topic_of(f->turn.stream)],
				      commitlog_kafka_partition_of(f->turn.stream));
	f->consumed = false;
}

static void
end_flow(struct commitlog_kafka_read *r, struct flow *f)
{
	halt(r, f);
	LIST_REMOVE(f, link);
	free(f);
}

static struct flow *
take_flow(struct commitlog_kafka_read *r, const struct commitlog_subs_turn *turn)
{
	struct flow *f = find(r, turn->stream);

	if (f != NULL && f->turn.serial != turn->serial) {
		end_flow(r, f);
		f = NULL;
	}
	if (f == NULL) {
		f = MEM_NEW(struct flow);
		LIST_INSERT_HEAD(&r->flows[turn->stream % BUCKETS], f, link);
	}
	halt(r, f);
	f->turn = *turn;
	return f;
}

/* Begins, or begins anew, at the offset that the subscription wants next. */
static int
begin_flow(struct commitlog_kafka_read *r, const struct commitlog_subs_turn *turn)
{
	struct flow *f = take_flow(r, turn);
	struct err err;

	if (rd_kafka_consume_start_queue(r->client.topic[commitlog_kafka_topic_of(turn->stream)],
					 commitlog_kafka_partition_of(turn->stream),
					 (int64_t)turn->from, r->queue) < 0) {
		commitlog_kafka_fail(&err, rd_kafka_last_error(), "read a stream");
		err.code = ERR_UNAVAILABLE;
		commitlog_subs_fail(r->subs, turn, &err);
		return ERR_UNAVAILABLE;
	}
	f->consumed = true;
	commitlog_subs_catch_up(r->subs, turn, NULL, 0, false);
	return 0;
}

static void
begin_flows(struct commitlog_kafka_read *r)
{
	struct commitlog_subs_turn turn;

	while (!r->is_away && commitlog_subs_behind(r->subs, &turn))
		if (begin_flow(r, &turn) < 0)
			return; /* again at the next look */
}

/* Subscriptions that went away. */
static void
sweep_flows(struct commitlog_kafka_read *r)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct flow *f = LIST_FIRST(&r->flows[i]), *next;

		for (; f != NULL; f = next) {
			next = LIST_NEXT(f, link);
			if (!commitlog_subs_in_step(r->subs, f->turn.stream))
				end_flow(r, f);
		}
	}
}

/* ---- what comes ------------------------------------------------------------------------------ */

static void
put_in_doubt(struct commitlog_kafka_read *r, struct flow *f)
{
	halt(r, f);
	r->opts.doubt(r->opts.arg, &f->turn);
}

/* Hands over the run that was gathered of a flow. */
static void
hand_over(struct commitlog_kafka_read *r, uint32_t stream)
{
	size_t n = r->n_record;

	r->n_record = 0;
	if (n > 0)
		commitlog_subs_tail(r->subs, stream, r->record, n);
}

/* Without transactions and compaction there is none: the broker's own doing, or left over from
 * before a restart of the flow.  So it is read again first. */
static void
on_gap(struct commitlog_kafka_read *r, struct flow *f, int64_t offset)
{
	struct err err;

	if (f->gap_at != f->turn.from)
		f->gaps = 0;
	f->gap_at = f->turn.from;
	halt(r, f);
	if (++f->gaps < GAPS) {
		commitlog_subs_compare(r->subs, f->turn.stream, UINT64_MAX);
		return;
	}
	err_set(&err, ERR_CORRUPT,
		"stream %" PRIu32 " has a gap: %" PRId64 " follows where %" PRIu64 " was to come",
		f->turn.stream, offset, f->turn.from);
	commitlog_subs_fail(r->subs, &f->turn, &err);
}

static void
on_message_error(struct commitlog_kafka_read *r, const rd_kafka_message_t *m)
{
	struct flow *f =
		m->rkt != NULL ? find(r, commitlog_kafka_stream_of(r->opts.conf, m)) : NULL;

	if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || f == NULL || !f->consumed)
		return;
	log_debug("-", "kafka-consumer", "stream=%" PRIu32 " next=%" PRIu64 " why=%s",
		  f->turn.stream, f->turn.from, rd_kafka_err2str(m->err));
	put_in_doubt(r, f);
}

/* Adds to the run, which ends where another stream begins. */
static void
on_message(struct commitlog_kafka_read *r, const rd_kafka_message_t *m)
{
	struct flow *f = find(r, commitlog_kafka_stream_of(r->opts.conf, m));
	uint64_t offset = (uint64_t)m->offset;

	if (f == NULL || !f->consumed || offset < f->turn.from)
		return;
	if (offset > f->turn.from) {
		hand_over(r, f->turn.stream);
		on_gap(r, f, m->offset);
		return;
	}
	f->turn.from++;
	r->record[r->n_record++] =
		(struct commitlog_record){ offset, slice_of(m->payload, m->len) };
}

static void
sort_out(struct commitlog_kafka_read *r, size_t n)
{
	uint32_t stream = 0;

	for (size_t i = 0; i < n; i++) {
		const rd_kafka_message_t *m = r->message[i];

		if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
			hand_over(r, stream);
			on_message_error(r, m);
			continue;
		}
		if (r->n_record > 0 && commitlog_kafka_stream_of(r->opts.conf, m) != stream)
			hand_over(r, stream);
		stream = commitlog_kafka_stream_of(r->opts.conf, m);
		on_message(r, m);
	}
	hand_over(r, stream);
	for (size_t i = 0; i < n; i++)
		rd_kafka_message_destroy(r->message[i]);
}

/* What the queue holds, up to a batch.  False: it was empty. */
static bool
take_batch(struct commitlog_kafka_read *r)
{
	size_t n = 0, bytes = 0;

	while (n < BATCH && bytes < BATCH_BYTES) {
		rd_kafka_message_t *m = rd_kafka_consume_queue(r->queue, 0);

		if (m == NULL)
			break;
		bytes += m->len;
		r->message[n++] = m;
	}
	sort_out(r, n);
	return n > 0;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void
apply_verdict(struct commitlog_kafka_read *r, const struct verdict_in *v)
{
	struct flow *f = find(r, v->turn.stream);

	if (f == NULL || f->turn.serial != v->turn.serial || f->consumed)
		return;
	if (v->err.code == ERR_OK)
		commitlog_subs_compare(r->subs, v->turn.stream, UINT64_MAX);
	else
		commitlog_subs_fail(r->subs, &v->turn, &v->err);
}

static void
apply_away(struct commitlog_kafka_read *r, bool away, const struct err *why)
{
	r->is_away = away;
	if (!away)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct flow *f;

		while ((f = LIST_FIRST(&r->flows[i])) != NULL)
			end_flow(r, f);
	}
	commitlog_subs_fail_all(r->subs, why);
}

/* What other threads want.  True: the end. */
static bool
take_orders(struct commitlog_kafka_read *r)
{
	struct verdict_in *v;
	bool stop, away, changed, sweep;
	struct err why;

	pthread_mutex_lock(&r->lock);
	stop = r->stop;
	away = r->away;
	changed = r->changed;
	sweep = r->sweep;
	why = r->why;
	r->changed = r->sweep = false;
	while (!stop && (v = STAILQ_FIRST(&r->verdicts)) != NULL) {
		STAILQ_REMOVE_HEAD(&r->verdicts, link);
		pthread_mutex_unlock(&r->lock);
		apply_verdict(r, v);
		free(v);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	if (!stop && (changed || (away && sweep)))
		apply_away(r, away, &why);
	if (!stop && sweep)
		sweep_flows(r);
	return stop;
}

static void *
run(void *arg)
{
	struct commitlog_kafka_read *r = arg;
	struct pollfd p = { .fd = r->fd, .events = POLLIN };
	bool more = true;
	uint64_t count;

	commitlog_subs_own(r->subs);
	while (!take_orders(r)) {
		begin_flows(r);
		rd_kafka_poll(r->client.rk, 0);
		more = take_batch(r);
		if (more)
			continue;
		if (poll(&p, 1, LOOK_MSEC) < 0)
			CHECK(errno == EINTR);
		while (read(r->fd, &count, sizeof(count)) > 0)
			continue;
	}
	return NULL;
}

static void
on_error(rd_kafka_t *rk UNUSED, int e, const char *reason, void *opaque)
{
	struct commitlog_kafka_read *r = opaque;

	if (e == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		r->opts.hint(r->opts.arg);
	log_debug("-", "kafka-consumer", "why=%s", log_value(reason, strlen(reason)));
}

static void
destroy(struct commitlog_kafka_read *r)
{
	if (r->queue != NULL)
		rd_kafka_queue_destroy(r->queue);
	commitlog_kafka_client_close(&r->client);
	if (r->fd >= 0)
		close(r->fd);
	commitlog_subs_free(&r->subs);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int
start(struct commitlog_kafka_read *r, struct err *err)
{
	static const uint64_t one = 1;
	int rc = commitlog_kafka_client_open(&r->client, r->opts.conf, COMMITLOG_KAFKA_CONSUMER,
					     on_error, NULL, r, err);

	if (rc < 0)
		return rc;
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->fd < 0)
		return err_errno(err, "eventfd");
	r->queue = rd_kafka_queue_new(r->client.rk);
	rd_kafka_queue_io_event_enable(r->queue, r->fd, &one, sizeof(one));
	return commitlog_thread_start(&r->thread, run, r, "log-read", err);
}

int
commitlog_kafka_read_new(struct commitlog_kafka_read **out,
			 const struct commitlog_kafka_read_opts *opts, struct err *err)
{
	struct commitlog_kafka_read *r = MEM_NEW(struct commitlog_kafka_read);
	int rc;

	r->opts = *opts;
	r->fd = -1;
	r->subs = commitlog_subs_new();
	r->is_away = r->away = true;
	err_set(&r->why, ERR_UNAVAILABLE, "the log has not been reached yet");
	for (size_t i = 0; i < BUCKETS; i++)
		LIST_INIT(&r->flows[i]);
	pthread_mutex_init(&r->lock, NULL);
	STAILQ_INIT(&r->verdicts);
	rc = start(r, err);
	if (rc < 0) {
		destroy(r);
		return rc;
	}
	*out = r;
	return 0;
}

void
commitlog_kafka_read_free(struct commitlog_kafka_read **rr)
{
	struct commitlog_kafka_read *r = *rr;
	struct verdict_in *v;

	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_mutex_unlock(&r->lock);
	wake(r);
	pthread_join(r->thread, NULL); /* its callbacks may still unread by this pointer */
	*rr = NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct flow *f;

		while ((f = LIST_FIRST(&r->flows[i])) != NULL)
			end_flow(r, f);
	}
	while ((v = STAILQ_FIRST(&r->verdicts)) != NULL) {
		STAILQ_REMOVE_HEAD(&r->verdicts, link);
		free(v);
	}
	destroy(r);
}

void
commitlog_kafka_read_away(struct commitlog_kafka_read *r, const struct err *why)
{
	pthread_mutex_lock(&r->lock);
	r->away = why != NULL;
	if (why != NULL)
		r->why = *why;
	r->changed = true;
	pthread_mutex_unlock(&r->lock);
	wake(r);
}

void
commitlog_kafka_read_verdict(struct commitlog_kafka_read *r, const struct commitlog_subs_turn *turn,
			     const struct err *err)
{
	struct verdict_in *v = MEM_NEW(struct verdict_in);

	v->turn = *turn;
	v->err = *err;
	pthread_mutex_lock(&r->lock);
	STAILQ_INSERT_TAIL(&r->verdicts, v, link);
	pthread_mutex_unlock(&r->lock);
	wake(r);
}

/* While the log is away a new subscription has to hear of it: that is an order too. */
void
commitlog_kafka_read_add(struct commitlog_kafka_read *r, uint32_t stream, uint64_t from,
			 commitlog_read_fn *fn, commitlog_trouble_fn *trouble, void *arg)
{
	commitlog_subs_add(r->subs, stream, from, fn, trouble, arg);
	pthread_mutex_lock(&r->lock);
	r->sweep = r->away || r->sweep;
	pthread_mutex_unlock(&r->lock);
	wake(r);
}

void
commitlog_kafka_read_remove(struct commitlog_kafka_read *r, uint32_t stream)
{
	commitlog_subs_remove(r->subs, stream);
	pthread_mutex_lock(&r->lock);
	r->sweep = true;
	pthread_mutex_unlock(&r->lock);
	wake(r);
}
