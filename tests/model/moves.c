/* What can happen next in a world: all of it, but for what costs a budget that is used up. */
#include "tests/model/world.h"

#include "gitproto/base/check.h"

struct list {
	struct move *m;
	size_t n, max;
};

static void
add(struct list *l, enum move_kind kind, unsigned a, unsigned b, unsigned c)
{
	CHECK(l->n < l->max);
	l->m[l->n++] = (struct move){ (uint8_t)kind, (uint8_t)a, (uint8_t)b, (uint8_t)c };
}

static bool
is_staged(unsigned push)
{
	return (scenario_now->staged & 1u << push) != 0;
}

/* A client's push is one attempt at one node: another node would give it another id. */
static bool
may_take(const struct world *w, unsigned node, unsigned push)
{
	return !w->asked[push] && (w->owner[push] == 0 || w->owner[push] == node + 1);
}

static bool
is_any_done(const struct world *w)
{
	for (unsigned i = 0; i < scenario_now->pushes; i++)
		if (w->told[i] == TOLD_DONE)
			return true;
	return false;
}

/* No promise is left that could break: nobody reads any more, and every push was acknowledged. */
static bool
is_over(const struct world *w)
{
	if (scenario_now->readers == 0 || w->left.reads > 0 || w->read.phase != READ_NONE)
		return false;
	for (unsigned i = 0; i < scenario_now->pushes; i++)
		if (w->told[i] != TOLD_DONE)
			return false;
	return true;
}

static void
add_log(struct list *l, const struct world *w)
{
	if (w->left.ticks > 0)
		add(l, MOVE_TICK, 0, 0, 0);
	for (unsigned i = 0; i < w->pend_n && w->log_n < scenario_now->log_max; i++) {
		if (i > 0 && memcmp(&w->pend[i], &w->pend[i - 1], sizeof(w->pend[0])) == 0)
			continue;
		add(l, MOVE_LAND, i, 0, 0);
		if (w->left.dups > 0)
			add(l, MOVE_LAND, i, 1, 0);
	}
	for (unsigned i = 2; i < w->log_n; i++) {
		const struct mrec *m = &w->log[i];
		const struct mnode *n = &w->node[m->node - 1];

		if (m->boot != n->boot || m->free)
			continue;
		if (MUTANT(ACK_ON_DELIVERY) && m->type == RECORD_UPDATE)
			add(l, MOVE_DELIVERED, i, 0, 0);
		if (MUTANT(LEASE_FROM_DELIVERY) && m->epoch == n->epoch)
			add(l, MOVE_DELIVERED, i, 0, 0);
	}
}

static void
add_primary(struct list *l, const struct world *w, const struct prefix *p, unsigned i)
{
	struct lease lease;
	bool yielding;

	world_lease(&lease, w, i);
	yielding = lease_is_yielding(&lease);
	if (w->left.barriers > 0) /* while yielding: the one that takes it back */
		add(l, MOVE_BARRIER, i, 0, 0);
	if (yielding)
		return;
	if (w->left.yields > 0)
		add(l, MOVE_YIELD, i, 0, 0);
	if (w->left.doomed > 0)
		add(l, MOVE_DOOMED, i, 0, 0);
	for (unsigned push = 0; push < scenario_now->pushes; push++)
		if (may_take(w, i, push) && (!is_staged(push) || packs_enough(w, p, i, push)))
			add(l, MOVE_PUSH, i, push, 0);
	for (unsigned set = 0; set < 8 && w->left.configs > 0; set++)
		if (scenario_now->sets & 1u << set)
			add(l, MOVE_CONFIG, i, set, 0);
}

/* What was read last may not be durable yet, unless this node acknowledged by it (R9). */
static bool
may_forget(const struct world *w, unsigned i)
{
	unsigned last = w->node[i].pos - 1u;
	const struct mrec *m = &w->log[last];

	if (w->node[i].pos <= 2)
		return false;
	return m->type != RECORD_UPDATE || m->a == REC_UPDATE_DOOMED ||
	       w->acked_at[m->a] != i + 1 || world_find(w, m->a) != last;
}

static void
add_node(struct list *l, const struct world *w, const struct prefix *p, unsigned i)
{
	const struct mnode *n = &w->node[i];

	if (n->pos < w->log_n) {
		add(l, MOVE_READ, i, 0, 0);
		if (MUTANT(STAMP_EARLY) && w->now > 0)
			add(l, MOVE_READ, i, 1, 0);
	}
	if (n->epoch != 0)
		add_primary(l, w, p, i);
	else if (w->left.claims > 0 && (scenario_now->claimers & 1u << i))
		add(l, MOVE_CLAIM, i, 0, 0);
	if (w->left.restarts > 0) {
		add(l, MOVE_RESTART, i, 0, 0);
		if (may_forget(w, i))
			add(l, MOVE_RESTART, i, 1, 0);
	}
	if (w->left.snapshots > 0 && n->pos < w->log_n)
		add(l, MOVE_SNAPSHOT, i, 0, 0);
	if (w->left.wipes > 0)
		add(l, MOVE_WIPE, i, 0, 0);
	if (MUTANT(TIMEOUT_MEANS_FAILED) && n->n_open > 0)
		add(l, MOVE_TIMEOUT, i, 0, 0);
}

static void
add_arrivals(struct list *l, const struct world *w)
{
	bool joins = w->read.phase == READ_BARRIER;

	if (w->left.reads == 0 || (joins && !MUTANT(BARRIER_BEFORE_READ)))
		return;
	for (unsigned i = 0; i < NODES; i++) {
		if (!(scenario_now->readers & 1u << i))
			continue;
		if (MUTANT(BARRIER_BEFORE_READ) && !joins)
			add(l, MOVE_FREE, i, 0, 0);
		if (!is_any_done(w)) /* such a read cannot miss anything */
			continue;
		if (scenario_now->by_barrier) {
			if (!joins || w->read.node == i)
				add(l, MOVE_ARRIVE, i, i, 0);
			continue;
		}
		for (unsigned via = 0; via < NODES; via++) {
			/* a primary answers by itself; a follower may ask whom it takes for one */
			if (w->node[via].epoch == 0 || (w->node[i].epoch != 0 && via != i))
				continue;
			add(l, MOVE_ARRIVE, i, via, 0);
			if (MUTANT(CACHED_CHECK) && w->now > 0)
				add(l, MOVE_ARRIVE, i, via, 1);
		}
	}
}

static void
add_reads(struct list *l, const struct world *w)
{
	const struct mread *r = &w->read;

	switch (r->phase) {
	case READ_NONE:
	case READ_BARRIER:
		add_arrivals(l, w);
		break;
	case READ_ARRIVED:
		if (r->by_barrier)
			add(l, MOVE_FREE, r->node, 0, 0);
		else
			add(l, MOVE_SAMPLE, 0, 0, 0);
		break;
	case READ_SAMPLED:
		add(l, MOVE_CHECK, 0, 0, 0);
		break;
	case READ_CHECKED:
		add(l, MOVE_POSITION, 0, 0, 0);
		break;
	default:
		if (w->node[r->node].pos >= r->position)
			add(l, MOVE_SERVE, 0, 0, 0);
		break;
	}
}

static void
add_packs_of(struct list *l, const struct world *w, unsigned i, unsigned push)
{
	const struct mnode *n = &w->node[i];
	uint8_t at = world_find(w, push);

	if (n->epoch != 0 && may_take(w, i, push)) {
		for (unsigned k = 0; k < NODES; k++) {
			add(l, MOVE_STAGE, i, push, k);
			if (n->count_epoch[push] != 0 && w->confirm[push][k][0] != 0)
				add(l, MOVE_CONFIRM, i, push, k);
		}
		if (n->count_epoch[push] == n->epoch)
			add(l, MOVE_RELEASE, i, push, 0);
	}
	if (n->copy[push] == COPY_RECEIVED)
		add(l, MOVE_FSYNC, i, push, 0);
	if (n->hold[push] != 0 && w->released[push] == n->hold[push])
		add(l, MOVE_RELEASED, i, push, 0);
	if (w->left.fetches > 0 && at != NOTHING && n->pos > at && n->copy[push] == COPY_NONE)
		add(l, MOVE_FETCH, i, push, 0);
	if (MUTANT(STAGED_DROPPED) && n->copy[push] == COPY_DURABLE)
		add(l, MOVE_DROP, i, push, 0);
}

size_t
world_moves(const struct world *w, const struct prefix *p, struct move *m, size_t max)
{
	struct list l = { m, 0, max };

	if (is_over(w))
		return 0;
	add_log(&l, w);
	for (unsigned i = 0; i < NODES; i++)
		if (scenario_now->nodes & 1u << i)
			add_node(&l, w, p, i);
	if (scenario_now->readers != 0)
		add_reads(&l, w);
	for (unsigned push = 0; push < scenario_now->pushes; push++)
		for (unsigned i = 0; i < NODES && is_staged(push); i++)
			add_packs_of(&l, w, i, push);
	return l.n;
}
