#include "router/route/shards.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

struct report {
	uint32_t node;
	struct status_line_shard said;
};

struct shard {
	struct report *reports; /* owned array; one a node */
	uint32_t nreports;
	uint64_t epoch;      /* the present belief, from all below */
	uint32_t primary;    /* 0: unknown */
	uint64_t told_epoch; /* of a 421 that was ahead of the reports; 0: none */
	uint32_t told_primary;
	uint32_t denied; /* said by itself not to lead, since the last report; 0: nobody */
	LIST_HEAD(, shards_waiter) waiters;
};

struct shards {
	struct shard *all; /* owned array */
	uint32_t n;
};

static struct shard *
get(const struct shards *t, uint32_t shard)
{
	return shard < t->n ? &t->all[shard] : NULL;
}

static struct report *
find(const struct shard *s, uint32_t node)
{
	for (uint32_t i = 0; i < s->nreports; i++)
		if (s->reports[i].node == node)
			return &s->reports[i];
	return NULL;
}

static void
wake(struct shard *s)
{
	LIST_HEAD(, shards_waiter) all;
	struct shards_waiter *w;

	/* who waits again from inside its call is for the next time */
	all.lh_first = s->waiters.lh_first;
	if (all.lh_first != NULL)
		all.lh_first->link.le_prev = &all.lh_first;
	LIST_INIT(&s->waiters);
	while ((w = LIST_FIRST(&all)) != NULL) {
		shards_unwait(w);
		w->fn(w->arg);
	}
}

/* true when a is further in the log than b, or as far and names a primary where b does not */
static bool
is_ahead(const struct status_line_shard *a, const struct status_line_shard *b)
{
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch;
	if (a->position != b->position)
		return a->position > b->position;
	return a->primary != 0 && b->primary == 0;
}

/* Forms the belief anew.  Without any report the old one stands. */
static void
believe(struct shard *s)
{
	const struct status_line_shard *best = NULL;
	uint32_t was = s->primary;

	for (uint32_t i = 0; i < s->nreports; i++)
		if (best == NULL || is_ahead(&s->reports[i].said, best))
			best = &s->reports[i].said;
	if (best != NULL) {
		s->epoch = best->epoch;
		s->primary = best->primary;
	}
	if (best != NULL && best->epoch >= s->told_epoch)
		s->told_epoch = 0;
	if (s->told_epoch > 0) {
		s->epoch = s->told_epoch;
		s->primary = s->told_primary;
	}
	if (s->denied != 0 && s->primary == s->denied)
		s->primary = 0;
	if (s->primary != 0 && s->primary != was)
		wake(s);
}

struct shards *
shards_new(void)
{
	return MEM_NEW(struct shards);
}

static void
release(struct shard *s)
{
	CHECK(LIST_EMPTY(&s->waiters));
	free(s->reports);
}

void
shards_free(struct shards **tp)
{
	struct shards *t = *tp;

	if (t == NULL)
		return;
	*tp = NULL;
	for (uint32_t i = 0; i < t->n; i++)
		release(&t->all[i]);
	free(t->all);
	free(t);
}

/* The waiters of a list, put under another head. */
static void
move_waiters(struct shard *to, struct shard *from)
{
	struct shards_waiter *w;

	LIST_INIT(&to->waiters);
	while ((w = LIST_FIRST(&from->waiters)) != NULL) {
		LIST_REMOVE(w, link);
		LIST_INSERT_HEAD(&to->waiters, w, link);
	}
}

void
shards_resize(struct shards *t, uint32_t n)
{
	struct shard *all;

	if (n == t->n)
		return;
	all = mem_array(n, sizeof(*all));
	for (uint32_t i = 0; i < MIN(n, t->n); i++) {
		all[i] = t->all[i];
		move_waiters(&all[i], &t->all[i]);
	}
	/* A shard's number never goes away, but a waiter's timer would find it anyhow. */
	for (uint32_t i = n; i < t->n; i++) {
		wake(&t->all[i]);
		release(&t->all[i]);
	}
	free(t->all);
	t->all = all;
	t->n = n;
}

uint32_t
shards_count(const struct shards *t)
{
	return t->n;
}

void
shards_heard(struct shards *t, uint32_t node, const struct status_line_shard *said)
{
	struct shard *s = get(t, said->shard);
	struct report *r;

	if (s == NULL)
		return;
	r = find(s, node);
	if (r == NULL || r->said.epoch != said->epoch || r->said.primary != said->primary ||
	    r->said.role != said->role || (node == s->denied && said->role == STATUS_LINE_PRIMARY))
		s->denied = 0;
	if (r == NULL) {
		s->reports = mem_resize(s->reports, (s->nreports + 1) * sizeof(*s->reports));
		r = &s->reports[s->nreports++];
		r->node = node;
	}
	r->said = *said;
	believe(s);
}

void
shards_forget(struct shards *t, uint32_t node)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct shard *s = &t->all[i];
		struct report *r = find(s, node);

		if (r == NULL)
			continue;
		*r = s->reports[--s->nreports];
		believe(s);
	}
}

void
shards_told(struct shards *t, uint32_t shard, uint32_t from, uint64_t epoch, uint32_t primary)
{
	struct shard *s = get(t, shard);

	if (s == NULL)
		return;
	if (epoch > s->epoch) {
		s->told_epoch = epoch;
		s->told_primary = primary;
		s->denied = 0;
	} else if (from == s->primary) {
		s->denied = from;
		s->told_epoch = 0;
	}
	believe(s);
}

uint32_t
shards_primary(const struct shards *t, uint32_t shard, uint64_t *epoch)
{
	const struct shard *s = get(t, shard);

	if (epoch != NULL)
		*epoch = s != NULL ? s->epoch : 0;
	return s != NULL ? s->primary : 0;
}

const struct status_line_shard *
shards_member(const struct shards *t, uint32_t shard, uint32_t node)
{
	const struct shard *s = get(t, shard);
	const struct report *r = s != NULL ? find(s, node) : NULL;

	return r != NULL ? &r->said : NULL;
}

uint64_t
shards_position(const struct shards *t, uint32_t shard)
{
	const struct shard *s = get(t, shard);
	uint64_t most = 0;

	for (uint32_t i = 0; s != NULL && i < s->nreports; i++)
		most = MAX(most, s->reports[i].said.position);
	return most;
}

void
shards_wait(struct shards *t, uint32_t shard, struct shards_waiter *w)
{
	struct shard *s = get(t, shard);

	if (s == NULL || w->waits)
		return;
	w->waits = true;
	LIST_INSERT_HEAD(&s->waiters, w, link);
}

void
shards_unwait(struct shards_waiter *w)
{
	if (!w->waits)
		return;
	w->waits = false;
	LIST_REMOVE(w, link);
}
