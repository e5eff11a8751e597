/* replica/replica_recheck.c - R12 while the node runs: is the log still the one that was read?
 *
 * The first look is replica_place.c's.  Here every shard's last records are read again when the log was
 * away, when this process stood still for more than a second, and once a minute: the client library of
 * the log hides a lost connection or another leader behind it.  One shard at a time.
 *
 * A log that is cut and written on has other records at the last offsets that were read, so those
 * tell.  A broker that was stopped and goes on may show an old end for a moment: a difference is believed
 * when it is still there after seconds. */
#include <inttypes.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/replica_impl.h"

#define TICK_MSEC 250
#define STOOD_STILL_NS (1000 * CLOCK_MSEC)
#define ROUND_NS (60 * CLOCK_SEC)
#define OFFSETS 64u
#define DOUBTS 4u /* a second apart */
#define DOUBT_MSEC 1000

struct recheck {
	struct replica *replica; /* borrowed */
	struct timer *tick, *again;
	uint64_t last_tick, next_round; /* clock_boot_ns */
	size_t at;                      /* shard under way, or next */
	unsigned doubts;                /* of that one */
	bool running, once_more;
	struct err err; /* of the job */
};

static void go_on(struct recheck *);

static void
run(void *arg)
{
	struct recheck *c = arg;
	struct replica *r = c->replica;

	c->err.code = apply_recheck(r->apply, r->log, (uint32_t)c->at, OFFSETS, &c->err);
}

/* Shards that are followed and run; the others have their own look. */
static bool
is_due(const struct replica *r, size_t i)
{
	const struct shard *s = shards_get(r->shards, (uint32_t)i);

	return r->places[i].state == PLACE_FOLLOWING && s != NULL && shard_halted(s) == NULL;
}

static void
on_checked(void *arg)
{
	struct recheck *c = arg;
	struct replica *r = c->replica;

	if (c->err.code == ERR_CORRUPT && is_due(r, c->at)) {
		if (++c->doubts < DOUBTS) {
			timer_set(c->again, DOUBT_MSEC);
			return;
		}
		replica_place_stop(r, (uint32_t)c->at, "log-cut", &c->err);
	}
	/* A log that does not answer is asked when it is back. */
	c->doubts = 0;
	c->at++;
	go_on(c);
}

static void
go_on(struct recheck *c)
{
	struct replica *r = c->replica;

	while (c->at < r->n_places && !is_due(r, c->at))
		c->at++;
	if (c->at < r->n_places) {
		c->err = (struct err){ ERR_OK, "" };
		work_do(r->work, run, on_checked, c);
		return;
	}
	c->running = false;
	c->next_round = clock_boot_ns() + ROUND_NS;
	if (c->once_more)
		replica_recheck(r);
}

static void
on_again(void *arg)
{
	go_on(arg);
}

void
replica_recheck(struct replica *r)
{
	struct recheck *c = r->recheck;

	if (c == NULL || r->log_trouble.code != 0)
		return;
	c->once_more = c->running;
	if (c->running)
		return;
	c->running = true;
	c->at = 0;
	c->doubts = 0;
	go_on(c);
}

static void
on_tick(void *arg)
{
	struct recheck *c = arg;
	uint64_t now = clock_boot_ns();
	bool stood_still = now - c->last_tick > STOOD_STILL_NS + TICK_MSEC * CLOCK_MSEC;

	c->last_tick = now;
	timer_set(c->tick, TICK_MSEC);
	if (stood_still || (!c->running && now >= c->next_round))
		replica_recheck(c->replica);
}

void
replica_recheck_start(struct replica *r)
{
	struct recheck *c = MEM_NEW(struct recheck);

	c->replica = r;
	c->last_tick = clock_boot_ns();
	c->next_round = c->last_tick + ROUND_NS;
	c->tick = timer_new(r->loop, on_tick, c);
	c->again = timer_new(r->loop, on_again, c);
	timer_set(c->tick, TICK_MSEC);
	r->recheck = c;
}

void
replica_recheck_free(struct replica *r)
{
	struct recheck *c = r->recheck;

	if (c == NULL)
		return;
	r->recheck = NULL;
	timer_free(&c->tick);
	timer_free(&c->again);
	free(c);
}
