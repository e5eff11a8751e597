#include "shard-map/commitlog/commitlog_kafka_watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/cond.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog_kafka_topics.h"
#include "shard-map/commitlog/commitlog_thread.h"

#define LOOK_MSEC 1000
#define HINTED_MSEC 100 /* between looks while all brokers seem to be gone */
#define ASK_MSEC 1500
#define SETTLE_MSEC 3000

enum state { UNSETTLED, THERE, AWAY };

struct doubt {
	STAILQ_ENTRY(doubt) link;
	struct commitlog_subs_turn turn;
};

struct commitlog_kafka_watch {
	struct commitlog_kafka_watch_opts opts;
	pthread_t thread;
	bool started;
	enum state state; /* of the thread */
	uint64_t heard;   /* of the thread: when a broker answered last */
	char said[480];   /* of the thread: why it is not settled, as logged */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool stop, hint;
	STAILQ_HEAD(, doubt) doubts;
};

struct commitlog_kafka_watch *
commitlog_kafka_watch_new(const struct commitlog_kafka_watch_opts *opts)
{
	struct commitlog_kafka_watch *w = MEM_NEW(struct commitlog_kafka_watch);

	w->opts = *opts;
	w->state = opts->there ? THERE : UNSETTLED;
	pthread_mutex_init(&w->lock, NULL);
	cond_init(&w->changed);
	STAILQ_INIT(&w->doubts);
	return w;
}

void
commitlog_kafka_watch_free(struct commitlog_kafka_watch **ww)
{
	struct commitlog_kafka_watch *w = *ww;
	struct doubt *d;

	*ww = NULL;
	if (w == NULL)
		return;
	while ((d = STAILQ_FIRST(&w->doubts)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->doubts, link);
		free(d);
	}
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void
commitlog_kafka_watch_hint(struct commitlog_kafka_watch *w)
{
	pthread_mutex_lock(&w->lock);
	w->hint = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

void
commitlog_kafka_watch_doubt(struct commitlog_kafka_watch *w, const struct commitlog_subs_turn *turn)
{
	struct doubt *d = MEM_NEW(struct doubt);

	d->turn = *turn;
	pthread_mutex_lock(&w->lock);
	STAILQ_INSERT_TAIL(&w->doubts, d, link);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* ---- the log --------------------------------------------------------------------------------- */

static void
tell(struct commitlog_kafka_watch *w, const struct err *why)
{
	w->state = why == NULL ? THERE : AWAY;
	commitlog_kafka_ask_hurry(w->opts.ask, why != NULL);
	w->opts.away(w->opts.arg, why);
}

/* Nothing of this log is used before its topics are there and good enough. */
static void
settle(struct commitlog_kafka_watch *w)
{
	struct err err;

	if (commitlog_kafka_topics_check(w->opts.client, w->opts.conf, SETTLE_MSEC, &err) == 0) {
		tell(w, NULL);
		return;
	}
	if (strcmp(w->said, err.text) == 0)
		return;
	snprintf(w->said, sizeof(w->said), "%s", err.text);
	log_warn("-", "log-wait", "why=%s", log_value(err.text, strlen(err.text)));
	err.code = ERR_UNAVAILABLE;
	tell(w, &err);
	w->state = UNSETTLED;
}

static bool
take_hint(struct commitlog_kafka_watch *w, bool put)
{
	bool hint;

	pthread_mutex_lock(&w->lock);
	hint = w->hint;
	w->hint = put && hint;
	pthread_mutex_unlock(&w->lock);
	return hint;
}

static void
look(struct commitlog_kafka_watch *w)
{
	const rd_kafka_metadata_t *m;
	rd_kafka_resp_err_t e =
		rd_kafka_metadata(w->opts.client->rk, 0, w->opts.client->topic[COMMITLOG_KAFKA_MAP],
				  &m, ASK_MSEC);
	struct err err;

	if (e == RD_KAFKA_RESP_ERR_NO_ERROR) {
		rd_kafka_metadata_destroy(m);
		take_hint(w, false);
		w->heard = clock_boot_ns();
		if (w->state == AWAY)
			tell(w, NULL);
		return;
	}
	if (w->state == AWAY ||
	    (!take_hint(w, true) &&
	     clock_boot_ns() - w->heard < COMMITLOG_KAFKA_WATCH_AWAY_MSEC * CLOCK_MSEC))
		return;
	commitlog_kafka_fail(&err, e, "no broker answers");
	err.code = ERR_UNAVAILABLE;
	tell(w, &err);
}

/* ---- streams in doubt ------------------------------------------------------------------------ */

static void
judge(struct commitlog_kafka_watch *w)
{
	struct doubt *d;
	struct err err;

	pthread_mutex_lock(&w->lock);
	d = STAILQ_FIRST(&w->doubts);
	if (d != NULL)
		STAILQ_REMOVE_HEAD(&w->doubts, link);
	pthread_mutex_unlock(&w->lock);
	if (d == NULL)
		return;
	memset(&err, 0, sizeof(err));
	err.code = commitlog_kafka_ask_judge(w->opts.ask, d->turn.stream, d->turn.from, &err);
	w->opts.verdict(w->opts.arg, &d->turn, &err);
	free(d);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool
rest(struct commitlog_kafka_watch *w)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	if (!w->stop && STAILQ_EMPTY(&w->doubts))
		cond_wait_msec(&w->changed, &w->lock, w->hint ? HINTED_MSEC : LOOK_MSEC);
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return !stop;
}

static void *
run(void *arg)
{
	struct commitlog_kafka_watch *w = arg;

	w->heard = clock_boot_ns();
	while (rest(w)) {
		rd_kafka_poll(w->opts.client->rk, 0);
		if (w->state == UNSETTLED)
			settle(w);
		else
			look(w);
		judge(w);
	}
	return NULL;
}

int
commitlog_kafka_watch_start(struct commitlog_kafka_watch *w, struct err *err)
{
	int rc = commitlog_thread_start(&w->thread, run, w, "log-watch", err);

	w->started = rc == 0;
	return rc;
}

void
commitlog_kafka_watch_stop(struct commitlog_kafka_watch *w)
{
	if (!w->started)
		return;
	commitlog_kafka_ask_hurry(w->opts.ask, true);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->started = false;
}
