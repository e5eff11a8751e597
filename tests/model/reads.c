/* Strict reads (R7) in the model: the three steps at the primary with pauses between them, asked by
 * another node or by itself, and the free barrier of anybody. */
#include "tests/model/world.h"

#include "gitproto/base/check.h"

static uint8_t
acknowledged(const struct world *w)
{
	uint8_t bits = 0;

	for (unsigned i = 0; i < scenario_now->pushes; i++)
		if (w->told[i] == TOLD_DONE)
			bits |= (uint8_t)(1u << i);
	return bits;
}

const char *
reads_verify(const struct world *w, uint8_t position)
{
	for (unsigned i = 0; i < scenario_now->pushes; i++)
		if ((w->read.acked & 1u << i) && world_find(w, i) >= position)
			return "a strict read missed a push that was acknowledged before it began";
	return NULL;
}

void
reads_forget(struct world *w, unsigned node)
{
	if (w->read.phase != READ_NONE && (w->read.node == node || w->read.via == node))
		memset(&w->read, 0, sizeof(w->read));
}

static void
arrive(struct world *w, struct move m)
{
	struct mread *r = &w->read;

	w->left.reads--;
	r->acked = acknowledged(w);
	r->node = m.a;
	r->via = m.b;
	if (r->phase == READ_BARRIER)
		return; /* the mutant: it joins a barrier that was asked for before */
	r->phase = READ_ARRIVED;
	r->by_barrier = scenario_now->by_barrier;
	if (MUTANT(CACHED_CHECK) && m.c) { /* the time when the loop began its turn */
		r->sample = w->now;
		r->phase = READ_SAMPLED;
	}
}

/* The order of lease_strict_read, one step a move; the mutant takes the position first. */
static void
sample(struct world *w)
{
	if (MUTANT(POSITION_FIRST))
		w->read.position = w->node[w->read.via].pos;
	w->read.sample = w->now + 1;
	w->read.phase = READ_SAMPLED;
}

static void
check(struct world *w)
{
	struct lease l;

	world_lease(&l, w, w->read.via);
	if (lease_holds(&l, world_ns(w->read.sample)))
		w->read.phase = READ_CHECKED;
	else
		memset(&w->read, 0, sizeof(w->read)); /* waits, or is refused: never stale */
}

/* What the mutant names: the highest offset that this primary has acknowledged in its reign. */
static uint8_t
highest_acknowledged(const struct world *w, unsigned via)
{
	uint8_t high = 0;

	for (unsigned i = 0; i < scenario_now->pushes; i++) {
		uint8_t at = world_find(w, i);

		if (w->acked_at[i] == via + 1 && at != NOTHING &&
		    w->log[at].epoch == w->node[via].epoch)
			high = MAX(high, (uint8_t)(at + 1));
	}
	return high;
}

static void
take_position(struct world *w)
{
	struct mread *r = &w->read;

	if (!MUTANT(POSITION_FIRST))
		r->position = w->node[r->via].pos;
	if (MUTANT(ACKNOWLEDGED_NAMED))
		r->position = highest_acknowledged(w, r->via);
	r->phase = READ_NAMED;
}

static bool
ask_barrier(struct world *w, unsigned node)
{
	struct mrec m = { .type = RECORD_BARRIER, .free = 1, .node = (uint8_t)(node + 1) };

	w->read.node = w->read.via = (uint8_t)node;
	w->read.phase = READ_BARRIER;
	w->read.barrier_id = w->node[node].next_id;
	return world_ask(w, &m);
}

const char *
reads_step(struct world *w, const struct prefix *p UNUSED, struct move m, bool *possible)
{
	const char *broken = NULL;

	switch (m.kind) {
	case MOVE_ARRIVE:
		arrive(w, m);
		break;
	case MOVE_SAMPLE:
		sample(w);
		break;
	case MOVE_CHECK:
		check(w);
		break;
	case MOVE_POSITION:
		take_position(w);
		break;
	case MOVE_SERVE: /* its node has read, and applied, up to the position */
		broken = reads_verify(w, w->node[w->read.node].pos);
		memset(&w->read, 0, sizeof(w->read));
		break;
	default:
		*possible = ask_barrier(w, m.a);
		break;
	}
	return broken;
}
