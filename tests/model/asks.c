/* Nodes that ask for appends: a primary's records, and claims. */
#include "tests/model/world.h"

#include "gitproto/base/check.h"

#define DOOMED_VALUE 0x7f /* that no ref ever has */

bool
world_ask(struct world *w, struct mrec *m)
{
	struct mnode *n = &w->node[m->node - 1];
	unsigned i = w->pend_n;

	if (w->pend_n == PEND_MAX)
		return false;
	m->boot = n->boot;
	m->id = n->next_id++;
	if (!m->free) {
		struct record r = world_record(m);
		struct lease l;

		world_lease(&l, w, m->node - 1u);
		lease_asked(&l, &r, world_ns(w->now + 1));
		world_keep_lease(w, m->node - 1u, &l);
	}
	for (; i > 0 && memcmp(&w->pend[i - 1], m, sizeof(*m)) > 0; i--)
		w->pend[i] = w->pend[i - 1];
	w->pend[i] = *m;
	w->pend_n++;
	return true;
}

/* The next record of a primary's reign. */
static bool
ask_reign(struct world *w, unsigned node, uint8_t type, uint8_t a, uint8_t b, uint8_t c)
{
	struct mnode *n = &w->node[node];
	struct mrec m = { .type = type,
			  .node = (uint8_t)(node + 1),
			  .epoch = n->epoch,
			  .seq = n->next_seq,
			  .a = a,
			  .b = b,
			  .c = c };

	n->next_seq++;
	return world_ask(w, &m);
}

static bool
ask_claim(struct world *w, const struct prefix *p, unsigned node)
{
	struct mnode *n = &w->node[node];
	struct verdict_state s = p->state[n->pos];
	struct lease_claim facts = { .owns_lock = true, .whole = world_is_whole(w, node, n->pos) };
	struct mrec m = { .type = RECORD_CLAIM,
			  .node = (uint8_t)(node + 1),
			  .epoch = (uint8_t)(s.reign.epoch + 1),
			  .a = n->inc };
	struct lease l;
	uint64_t base;

	if (MUTANT(STICKY_YIELD) && n->saw_yield)
		s.last_type = RECORD_YIELD;
	world_lease(&l, w, node);
	if (lease_may_claim(&l, &s, &facts, world_ns(w->now + 1), &base, NULL, NULL) < 0)
		return false;
	m.b = (uint8_t)base;
	/* asked for once is enough: it may be lost, late or double as it is */
	for (unsigned i = 0; i < w->pend_n; i++)
		if (w->pend[i].type == RECORD_CLAIM && w->pend[i].node == m.node &&
		    w->pend[i].boot == n->boot && w->pend[i].epoch == m.epoch &&
		    w->pend[i].b == m.b)
			return false;
	return world_ask(w, &m);
}

static bool
ask_push(struct world *w, const struct prefix *p, unsigned node, unsigned push)
{
	struct mnode *n = &w->node[node];
	uint8_t *open = n->open[n->n_open], ref = world_ref(push);

	if (n->n_open == OPEN_MAX)
		return false;
	for (unsigned i = 0; i < n->n_open; i++)
		if (world_ref(n->open[i][3]) == ref)
			return false; /* the repository's lock is held */
	open[0] = n->epoch;
	open[1] = n->next_seq;
	open[2] = n->next_id;
	open[3] = (uint8_t)push;
	n->n_open++;
	w->asked[push] = 1;
	w->owner[push] = (uint8_t)(node + 1);
	return ask_reign(w, node, RECORD_UPDATE, (uint8_t)push, p->value[n->pos][ref],
			 (uint8_t)p->state[n->pos].config);
}

static bool
ask_config(struct world *w, const struct prefix *p, unsigned node, uint8_t set)
{
	struct mnode *n = &w->node[node];
	const struct verdict_state *s = &p->state[n->pos];
	struct staging_report reports[NODES];
	struct record r;
	struct mrec m = { .type = RECORD_CONFIG, .a = set, .b = (uint8_t)s->last_offset };
	size_t count = 0;

	for (unsigned i = 0; i < NODES; i++) {
		if (w->node[i].inc == NODES)
			m.c = (uint8_t)(i + 1);
		if (w->node[i].pos > m.b && world_is_whole(w, i, m.b + 1u))
			reports[count++] =
				(struct staging_report){ world_member(i, w->node[i].inc), m.b };
	}
	if (!(set & 1u << node))
		return false;
	r = world_record(&m);
	if (!staging_config_enough(&r.config.members, m.b, reports, count))
		return false;
	return ask_reign(w, node, RECORD_CONFIG, m.a, m.b, m.c);
}

bool
asks_step(struct world *w, const struct prefix *p, struct move m)
{
	switch (m.kind) {
	case MOVE_CLAIM:
		w->left.claims--;
		return ask_claim(w, p, m.a);
	case MOVE_PUSH:
		return ask_push(w, p, m.a, m.b);
	case MOVE_DOOMED:
		w->left.doomed--;
		return ask_reign(w, m.a, RECORD_UPDATE, REC_UPDATE_DOOMED, DOOMED_VALUE,
				 (uint8_t)p->state[w->node[m.a].pos].config);
	case MOVE_BARRIER:
		w->left.barriers--;
		return ask_reign(w, m.a, RECORD_BARRIER, 0, 0, 0);
	case MOVE_YIELD:
		w->left.yields--;
		return ask_reign(w, m.a, RECORD_YIELD, 0, 0, 0);
	default:
		w->left.configs--;
		return ask_config(w, p, m.a, m.b);
	}
}
