#include "shard-map/commitlog/commitlog_kafka.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog_backend.h"
#include "shard-map/commitlog/commitlog_kafka_ask.h"
#include "shard-map/commitlog/commitlog_kafka_conf.h"
#include "shard-map/commitlog/commitlog_kafka_read.h"
#include "shard-map/commitlog/commitlog_kafka_topics.h"
#include "shard-map/commitlog/commitlog_kafka_watch.h"
#include "shard-map/commitlog/commitlog_kafka_write.h"

#define AGAIN_USEC 100000
#define OPEN_MSEC 3000 /* for the first look at the topics */

struct kafka {
	struct commitlog base;
	struct commitlog_kafka_conf conf;
	struct commitlog_kafka_client control;
	struct commitlog_kafka_ask *ask; /* owned, as what follows */
	struct commitlog_kafka_watch *watch;
	struct commitlog_kafka_write *write;
	struct commitlog_kafka_read *read;
	pthread_mutex_t lock;
	char turned_away[300]; /* under lock: why a broker lets us in no more; "" */
};

static struct kafka *
kafka_of(struct commitlog *log)
{
	return CONTAINER_OF(log, struct kafka, base);
}

/* That a broker does not let us in is told in its words, once while it lasts; else one reads of failed
 * transports. */
static void
on_control_error(rd_kafka_t *rk UNUSED, int e, const char *reason, void *opaque)
{
	struct kafka *k = opaque;
	bool known;

	log_debug("-", "kafka-control", "why=%s", log_value(reason, strlen(reason)));
	if (e != RD_KAFKA_RESP_ERR__AUTHENTICATION && e != RD_KAFKA_RESP_ERR__SSL)
		return;
	pthread_mutex_lock(&k->lock);
	known = k->turned_away[0] != '\0';
	snprintf(k->turned_away, sizeof(k->turned_away), "%s", reason);
	pthread_mutex_unlock(&k->lock);
	if (!known)
		log_warn("-", "log-turned-away", "why=%s", log_value(reason, strlen(reason)));
}

/* The rc of a question to the brokers, with the reason when it is theirs. */
static int
explain(struct kafka *k, int rc, struct err *err)
{
	pthread_mutex_lock(&k->lock);
	if (rc == 0)
		k->turned_away[0] = '\0';
	else if (rc == ERR_UNAVAILABLE && k->turned_away[0] != '\0' && err != NULL)
		err_prefix(err, "%s", k->turned_away);
	pthread_mutex_unlock(&k->lock);
	return rc;
}

static void
on_hint(void *arg)
{
	commitlog_kafka_watch_hint(((struct kafka *)arg)->watch);
}

static void
on_doubt(void *arg, const struct commitlog_subs_turn *turn)
{
	commitlog_kafka_watch_doubt(((struct kafka *)arg)->watch, turn);
}

/* The writer first: who hears that the log is back may append at once. */
static void
on_away(void *arg, const struct err *why)
{
	struct kafka *k = arg;
	struct err words = { ERR_OK, "" };

	if (why != NULL)
		words = *why;
	explain(k, words.code, &words);
	why = why != NULL ? &words : NULL;
	commitlog_kafka_write_away(k->write, why);
	commitlog_kafka_read_away(k->read, why);
}

static void
on_verdict(void *arg, const struct commitlog_subs_turn *turn, const struct err *err)
{
	commitlog_kafka_read_verdict(((struct kafka *)arg)->read, turn, err);
}

/* No callback may come from a part that another still calls: watch, reader, writer, in this order. */
static void
close_kafka(struct commitlog *log)
{
	struct kafka *k = kafka_of(log);

	if (k->watch != NULL)
		commitlog_kafka_watch_stop(k->watch);
	commitlog_kafka_read_free(&k->read);
	commitlog_kafka_write_free(&k->write);
	commitlog_kafka_watch_free(&k->watch);
	commitlog_kafka_ask_free(&k->ask);
	commitlog_kafka_client_close(&k->control);
	commitlog_kafka_conf_release(&k->conf);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static int
start(struct kafka *k, bool there, struct err *err)
{
	struct commitlog_kafka_watch_opts watch = { .conf = &k->conf,
						    .client = &k->control,
						    .there = there,
						    .away = on_away,
						    .verdict = on_verdict,
						    .arg = k };
	struct commitlog_kafka_read_opts read = {
		.conf = &k->conf, .hint = on_hint, .doubt = on_doubt, .arg = k
	};
	int rc;

	k->ask = watch.ask = commitlog_kafka_ask_new(&k->control);
	commitlog_kafka_ask_hurry(k->ask, !there);
	k->watch = commitlog_kafka_watch_new(&watch);
	rc = commitlog_kafka_write_new(&k->write, &k->conf, on_hint, k, err);
	if (rc == 0)
		rc = commitlog_kafka_read_new(&k->read, &read, err);
	if (rc == 0 && there)
		on_away(k, NULL);
	return rc == 0 ? commitlog_kafka_watch_start(k->watch, err) : rc;
}

/* Daemons start before the topics are made, and while the log is away. */
static bool
is_waited_for(int rc, const struct commitlog_opts *opts)
{
	return opts->wait && (rc == ERR_NOT_FOUND || rc == ERR_UNAVAILABLE);
}

/* One broker may not have heard yet of topics that another just made. */
static int
look_at_topics(struct kafka *k, const struct commitlog_opts *opts, struct err *err)
{
	uint64_t until = clock_boot_ns() + OPEN_MSEC * CLOCK_MSEC;
	int rc;

	for (;;) {
		rc = commitlog_kafka_topics_check(&k->control, &k->conf, OPEN_MSEC, err);
		rd_kafka_poll(k->control.rk, 0);
		explain(k, rc, err);
		if (rc != ERR_NOT_FOUND || opts->wait || clock_boot_ns() > until)
			return rc;
		usleep(AGAIN_USEC);
	}
}

static int
open_control(struct kafka *k, const char *where, const struct commitlog_opts *opts, struct err *err)
{
	int rc;

	pthread_mutex_init(&k->lock, NULL);
	rc = commitlog_kafka_conf_init(&k->conf, where, opts, err);
	if (rc < 0)
		return rc;
	return commitlog_kafka_client_open(&k->control, &k->conf, COMMITLOG_KAFKA_CONTROL,
					   on_control_error, NULL, k, err);
}

static int
open_kafka(struct commitlog **out, const char *where, const struct commitlog_opts *opts,
	   struct err *err)
{
	struct kafka *k = MEM_NEW(struct kafka);
	struct err why;
	int rc = open_control(k, where, opts, err);

	k->base.backend = &commitlog_kafka_backend;
	if (rc == 0) {
		rc = look_at_topics(k, opts, &why);
		if (rc == 0 || is_waited_for(rc, opts))
			rc = start(k, rc == 0, err);
		else if (err != NULL)
			*err = why;
	}
	if (rc < 0) {
		close_kafka(&k->base);
		return rc;
	}
	*out = &k->base;
	return 0;
}

static int
create_topics(const char *where, const struct commitlog_opts *opts, uint32_t shards,
	      struct err *err)
{
	struct kafka *k = MEM_NEW(struct kafka);
	int rc = open_control(k, where, opts, err);

	if (rc == 0)
		rc = commitlog_kafka_topics_create(&k->control, &k->conf, shards, err);
	close_kafka(&k->base);
	return rc;
}

static void
append(struct commitlog *log, uint32_t stream, struct slice bytes, commitlog_append_fn *fn,
       void *arg)
{
	commitlog_kafka_write_append(kafka_of(log)->write, stream, bytes, fn, arg);
}

static void
read_stream(struct commitlog *log, uint32_t stream, uint64_t from, commitlog_read_fn *fn,
	    commitlog_trouble_fn *trouble, void *arg)
{
	commitlog_kafka_read_add(kafka_of(log)->read, stream, from, fn, trouble, arg);
}

static void
unread(struct commitlog *log, uint32_t stream)
{
	commitlog_kafka_read_remove(kafka_of(log)->read, stream);
}

static int
ends(struct commitlog *log, uint32_t stream, uint64_t *first, uint64_t *next, struct err *err)
{
	struct kafka *k = kafka_of(log);

	return explain(k, commitlog_kafka_ask_ends(k->ask, stream, first, next, err), err);
}

static int
scan(struct commitlog *log, uint32_t stream, uint64_t from, uint64_t max, commitlog_read_fn *fn,
     void *arg, struct err *err)
{
	struct kafka *k = kafka_of(log);

	return explain(k, commitlog_kafka_ask_scan(k->ask, stream, from, max, fn, arg, err), err);
}

static int
trim(struct commitlog *log, uint32_t stream, uint64_t head, struct err *err)
{
	struct kafka *k = kafka_of(log);

	return explain(k, commitlog_kafka_ask_trim(k->ask, stream, head, err), err);
}

static bool
weak(struct commitlog *log, char *out, size_t size)
{
	return commitlog_kafka_conf_weak(&kafka_of(log)->conf, out, size);
}

const struct commitlog_backend commitlog_kafka_backend = {
	.scheme = "kafka",
	.open = open_kafka,
	.create_topics = create_topics,
	.close = close_kafka,
	.append = append,
	.read = read_stream,
	.unread = unread,
	.ends = ends,
	.scan = scan,
	.trim = trim,
	.weak = weak,
};
