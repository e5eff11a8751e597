/* replica/replica_log.c - is the commit log there, as far as this node knows.
 *
 * The backend tells trouble per stream: for a file at once, for Kafka when all brokers refuse or none
 * has answered for seconds; one broker of three that is lost is no trouble, only slow.  Trouble that
 * lasts for AWAY_MSEC is a log that is away: a file that is moved, or a broker alone that starts anew,
 * is not refused but waited for that long. */
#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "replica/replica_impl.h"

#define AWAY_MSEC 2000

static void
on_away(void *arg)
{
	struct replica *r = arg;

	r->log_away = true;
	log_error("-", "log-away-refuse", "why=%s",
		  log_value(err_text(&r->log_trouble), strlen(err_text(&r->log_trouble))));
	shards_set_log_away(r->shards, true);
}

void
replica_log_trouble(struct replica *r, const struct err *why)
{
	bool was = r->log_trouble.code != 0, is = why->code != 0;

	if (was != is)
		log_warn("-", is ? "log-away" : "log-back", "why=%s",
			 log_value(err_text(why), strlen(err_text(why))));
	r->log_trouble = *why;
	if (r->log_timer == NULL)
		r->log_timer = timer_new(r->loop, on_away, r);
	if (is && !was)
		timer_set(r->log_timer, AWAY_MSEC);
	if (is)
		return;
	if (was)
		replica_recheck(r);
	timer_stop(r->log_timer);
	r->log_away = false;
	shards_set_log_away(r->shards, false);
}
