#include "replica/shard/shard_open.h"

#include "gitproto/base/mem.h"
#include "replica/shard/shard_impl.h"

static const char *
what_is_done(const struct shard *s, const struct fate_entry *e)
{
	if (s->halted)
		return "the shard is stopped on this node, so nothing of the log is read";
	if (!lease_is_primary(&s->lease) || s->lease.epoch != e->epoch)
		return "waiting for the log to be read on: the next record of a primary decides";
	if (s->all->log_away)
		return "waiting for the log, which is away; a barrier follows when it is back";
	if (s->barrier_ns > e->asked_ns)
		return "waiting for a barrier to be read back";
	return "waiting for the log's answer; a barrier will be sent behind it";
}

static void
describe(struct shard_open *o, const struct append *a)
{
	o->type = record_type_name(a != NULL ? a->type : RECORD_CLAIM);
	o->repo = a != NULL ? a->repo : NULL;
	o->request = a != NULL ? a->request : "-";
}

/* In the order of asking: behind the first one that is young, all are. */
static unsigned
each_undecided(const struct shard *s, uint64_t now, shard_open_fn *fn, void *arg)
{
	unsigned n = 0;

	for (size_t i = 0; i < fate_open(&s->fates); i++) {
		const struct fate_entry *e = fate_at(&s->fates, i);
		const struct append *a = e->tag;
		struct shard_open o = { .txn = e->txn, .for_ns = now - MIN(now, e->asked_ns) };

		if (o.for_ns < SHARD_OPEN_NS)
			break;
		if (a != NULL && a->done == NULL)
			continue;
		n++;
		if (fn == NULL)
			continue;
		describe(&o, a);
		o.doing = what_is_done(s, e);
		fn(&o, arg);
	}
	return n;
}

unsigned
shard_open_each(const struct shard *s, shard_open_fn *fn, void *arg)
{
	uint64_t now = clock_boot_ns();
	const struct append *a;

	if (fn != NULL)
		TAILQ_FOREACH (a, &s->committing, next) {
			struct shard_open o = { .txn = a->txn,
						.for_ns = now - MIN(now, a->asked_ns),
						.decided = true };

			if (o.for_ns < SHARD_OPEN_NS || a->done == NULL)
				continue;
			describe(&o, a);
			o.doing = "in the log; waiting to be written on this node's disk";
			fn(&o, arg);
		}
	return each_undecided(s, now, fn, arg);
}
