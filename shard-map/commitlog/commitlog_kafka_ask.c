#include "shard-map/commitlog/commitlog_kafka_ask.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/cond.h"
#include "gitproto/base/mem.h"

#define ASK_MSEC 2000    /* one question */
#define PATIENCE 10000   /* ms: Kafka elects a leader meanwhile */
#define AGAIN_USEC 50000 /* between two tries */
#define BATCH 256        /* records handed over together */
#define SHORT_TIMES 4    /* answers that a stream is too short */
#define SHORT_USEC 700000

struct turn {
	LIST_ENTRY(turn) link;
	uint32_t stream;
};

struct commitlog_kafka_ask {
	const struct commitlog_kafka_client *k; /* lent */
	bool hurry;                             /* atomic */
	pthread_mutex_t lock;                   /* of: */
	pthread_cond_t ended;
	LIST_HEAD(, turn) scans; /* a partition is consumed once at a time */
};

struct commitlog_kafka_ask *
commitlog_kafka_ask_new(const struct commitlog_kafka_client *k)
{
	struct commitlog_kafka_ask *a = MEM_NEW(struct commitlog_kafka_ask);

	a->k = k;
	pthread_mutex_init(&a->lock, NULL);
	cond_init(&a->ended);
	LIST_INIT(&a->scans);
	return a;
}

void
commitlog_kafka_ask_free(struct commitlog_kafka_ask **aa)
{
	struct commitlog_kafka_ask *a = *aa;

	*aa = NULL;
	if (a == NULL)
		return;
	pthread_cond_destroy(&a->ended);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void
commitlog_kafka_ask_hurry(struct commitlog_kafka_ask *a, bool hurry)
{
	__atomic_store_n(&a->hurry, hurry, __ATOMIC_RELEASE);
}

static bool
is_hurried(struct commitlog_kafka_ask *a)
{
	return __atomic_load_n(&a->hurry, __ATOMIC_ACQUIRE);
}

static const char *
name_of(const struct commitlog_kafka_ask *a, uint32_t stream)
{
	return rd_kafka_topic_name(a->k->topic[commitlog_kafka_topic_of(stream)]);
}

/* ---- ends ------------------------------------------------------------------------------------ */

int
commitlog_kafka_ask_ends(struct commitlog_kafka_ask *a, uint32_t stream, uint64_t *first,
			 uint64_t *next, struct err *err)
{
	uint64_t until = clock_boot_ns() + PATIENCE * CLOCK_MSEC;
	rd_kafka_resp_err_t e;
	int64_t low, high;

	for (;;) {
		e = rd_kafka_query_watermark_offsets(a->k->rk, name_of(a, stream),
						     commitlog_kafka_partition_of(stream), &low,
						     &high, ASK_MSEC);
		if (e == RD_KAFKA_RESP_ERR_NO_ERROR && low >= 0 && high >= low) {
			*first = (uint64_t)low;
			*next = (uint64_t)high;
			return 0;
		}
		if (e == RD_KAFKA_RESP_ERR_NO_ERROR)
			e = RD_KAFKA_RESP_ERR__INCONSISTENT;
		if (commitlog_kafka_fail(err, e, "ask for the ends of a stream") !=
			    ERR_UNAVAILABLE ||
		    is_hurried(a) || clock_boot_ns() > until)
			return commitlog_kafka_fail(err, e, "ask for the ends of a stream");
		usleep(AGAIN_USEC);
	}
}

int
commitlog_kafka_ask_judge(struct commitlog_kafka_ask *a, uint32_t stream, uint64_t from,
			  struct err *err)
{
	uint64_t first = 0, next = 0;

	for (unsigned i = 0; i < SHORT_TIMES; i++) {
		int rc = commitlog_kafka_ask_ends(a, stream, &first, &next, err);

		if (rc < 0) { /* also a topic that is gone: it says nothing about its end */
			if (err != NULL)
				err->code = ERR_UNAVAILABLE;
			return ERR_UNAVAILABLE;
		}
		if (from < first)
			return err_set(err, ERR_NOT_FOUND,
				       "stream %" PRIu32 " was trimmed: it begins at %" PRIu64
				       ", wanted %" PRIu64,
				       stream, first, from);
		if (from <= next)
			return 0;
		if (i + 1 < SHORT_TIMES)
			usleep(SHORT_USEC);
	}
	return err_set(err, ERR_CORRUPT,
		       "stream %" PRIu32 " ends at %" PRIu64 ", before the wanted %" PRIu64, stream,
		       next, from);
}

/* ---- scan ------------------------------------------------------------------------------------ */

struct scan {
	struct commitlog_kafka_ask *ask;
	uint32_t stream;
	uint64_t next, until; /* offsets */
	commitlog_read_fn *fn;
	void *arg;
	rd_kafka_message_t *message[BATCH];
	struct commitlog_record record[BATCH];
	size_t n; /* records, one for each message */
};

static void
take_turn(struct commitlog_kafka_ask *a, struct turn *t, uint32_t stream)
{
	struct turn *other;

	t->stream = stream;
	pthread_mutex_lock(&a->lock);
	do {
		LIST_FOREACH (other, &a->scans, link)
			if (other->stream == stream)
				break;
		if (other != NULL)
			pthread_cond_wait(&a->ended, &a->lock);
	} while (other != NULL);
	LIST_INSERT_HEAD(&a->scans, t, link);
	pthread_mutex_unlock(&a->lock);
}

static void
give_turn(struct commitlog_kafka_ask *a, struct turn *t)
{
	pthread_mutex_lock(&a->lock);
	LIST_REMOVE(t, link);
	pthread_cond_broadcast(&a->ended);
	pthread_mutex_unlock(&a->lock);
}

static void
hand_over(struct scan *s)
{
	if (s->n > 0)
		s->fn(s->stream, s->record, s->n, s->arg);
	for (size_t i = 0; i < s->n; i++)
		rd_kafka_message_destroy(s->message[i]);
	s->n = 0;
}

static int
take(struct scan *s, rd_kafka_message_t *m, struct err *err)
{
	int rc = 0;

	if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
	    m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
		rc = commitlog_kafka_ask_judge(s->ask, s->stream, s->next, err);
		if (rc == 0) /* a broker that did not know better */
			rc = err_set(err, ERR_UNAVAILABLE, "kafka: a broker was behind; again");
	} else if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
		   commitlog_kafka_fail(err, m->err, "scan") != ERR_UNAVAILABLE) {
		rc = commitlog_kafka_fail(err, m->err, "scan");
	} else if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR && (uint64_t)m->offset > s->next) {
		rc = err_set(err, ERR_CORRUPT,
			     "stream %" PRIu32 " has a gap: %" PRId64 " follows where %" PRIu64
			     " was to come",
			     s->stream, m->offset, s->next);
	}
	if (rc < 0 || m->err != RD_KAFKA_RESP_ERR_NO_ERROR || (uint64_t)m->offset < s->next) {
		rd_kafka_message_destroy(m);
		return rc;
	}
	s->message[s->n] = m;
	s->record[s->n++] = (struct commitlog_record){ s->next++, slice_of(m->payload, m->len) };
	return 0;
}

static int
consume(struct scan *s, rd_kafka_queue_t *q, struct err *err)
{
	uint64_t until = clock_boot_ns() + PATIENCE * CLOCK_MSEC;
	int rc = 0;

	while (rc == 0 && s->next < s->until) {
		rd_kafka_message_t *m = rd_kafka_consume_queue(q, s->n > 0 ? 0 : 100);

		if (m != NULL) {
			rc = take(s, m, err);
			until = clock_boot_ns() + PATIENCE * CLOCK_MSEC;
		}
		if (m == NULL || s->n == BATCH)
			hand_over(s);
		if (m == NULL && (is_hurried(s->ask) || clock_boot_ns() > until))
			rc = err_set(err, ERR_UNAVAILABLE,
				     "kafka: stream %" PRIu32 " cannot be read from %" PRIu64
				     " on at the moment",
				     s->stream, s->next);
	}
	hand_over(s);
	return rc;
}

static int
run_scan(struct scan *s, struct err *err)
{
	rd_kafka_topic_t *topic = s->ask->k->topic[commitlog_kafka_topic_of(s->stream)];
	int32_t partition = commitlog_kafka_partition_of(s->stream);
	rd_kafka_queue_t *q = rd_kafka_queue_new(s->ask->k->rk);
	int rc;

	if (rd_kafka_consume_start_queue(topic, partition, (int64_t)s->next, q) < 0) {
		rc = commitlog_kafka_fail(err, rd_kafka_last_error(), "begin a scan");
	} else {
		rc = consume(s, q, err);
		rd_kafka_consume_stop(topic, partition);
	}
	rd_kafka_queue_destroy(q);
	return rc;
}

int
commitlog_kafka_ask_scan(struct commitlog_kafka_ask *a, uint32_t stream, uint64_t from,
			 uint64_t max, commitlog_read_fn *fn, void *arg, struct err *err)
{
	uint64_t first = 0, next = 0;
	struct scan *s;
	struct turn turn;
	int rc = commitlog_kafka_ask_judge(a, stream, from, err);

	if (rc == 0)
		rc = commitlog_kafka_ask_ends(a, stream, &first, &next, err);
	if (rc < 0 || next <= from || max == 0)
		return rc;
	s = MEM_NEW(struct scan);
	s->ask = a;
	s->stream = stream;
	s->next = from;
	s->until = from + MIN(max, next - from);
	s->fn = fn;
	s->arg = arg;
	take_turn(a, &turn, stream);
	rc = run_scan(s, err);
	give_turn(a, &turn);
	free(s);
	return rc;
}

/* ---- trim ------------------------------------------------------------------------------------ */

static int
read_trimmed(rd_kafka_event_t *ev, struct err *err)
{
	const rd_kafka_topic_partition_list_t *list;

	if (ev == NULL)
		return err_set(err, ERR_UNAVAILABLE, "kafka: no answer to a trim");
	if (rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return commitlog_kafka_fail(err, rd_kafka_event_error(ev), "trim");
	list = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(ev));
	if (list->cnt != 1 || list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	return commitlog_kafka_fail(err, list->elems[0].err, "trim");
}

static int
delete_before(struct commitlog_kafka_ask *a, uint32_t stream, uint64_t head, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_queue_t *answers = rd_kafka_queue_new(a->k->rk);
	rd_kafka_DeleteRecords_t *want;
	rd_kafka_event_t *ev;
	int rc;

	rd_kafka_topic_partition_list_add(list, name_of(a, stream),
					  commitlog_kafka_partition_of(stream))
		->offset = (int64_t)head;
	want = rd_kafka_DeleteRecords_new(list);
	rd_kafka_DeleteRecords(a->k->rk, &want, 1, NULL, answers);
	ev = rd_kafka_queue_poll(answers, PATIENCE);
	rc = read_trimmed(ev, err);
	if (ev != NULL)
		rd_kafka_event_destroy(ev);
	rd_kafka_DeleteRecords_destroy(want);
	rd_kafka_queue_destroy(answers);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

int
commitlog_kafka_ask_trim(struct commitlog_kafka_ask *a, uint32_t stream, uint64_t head,
			 struct err *err)
{
	uint64_t first, next;
	int rc = commitlog_kafka_ask_ends(a, stream, &first, &next, err);

	if (rc < 0 || head <= first)
		return rc;
	if (head > next)
		return err_set(err, ERR_BAD,
			       "trim of stream %" PRIu32 " at %" PRIu64 ", past its end %" PRIu64,
			       stream, head, next);
	return delete_before(a, stream, head, err);
}
