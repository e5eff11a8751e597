#include "replica/serve/stage_slot.h"

#include <string.h>

#include "gitproto/base/mem.h"

TAILQ_HEAD(slot_list, stage_slot);

/* The slots of one voter.  Kept once made: there are as many as nodes. */
struct voter {
	uint32_t node;
	struct slot_list has, lingers, waits;
	unsigned n_has, n_lingers, n_waits;
	TAILQ_ENTRY(voter) next;
};

struct stage_slots {
	unsigned magic;
#define STAGE_SLOTS_MAGIC 0x57a65107u
	struct loop *loop; /* borrowed */
	uint64_t budget;
	unsigned peers;
	TAILQ_HEAD(, voter) voters;
	struct loop_task task; /* gives free slots to who waits */
};

static struct voter *
voter_of(struct stage_slots *s, uint32_t node)
{
	struct voter *v;

	TAILQ_FOREACH (v, &s->voters, next)
		if (v->node == node)
			return v;
	v = MEM_NEW(struct voter);
	v->node = node;
	TAILQ_INIT(&v->has);
	TAILQ_INIT(&v->lingers);
	TAILQ_INIT(&v->waits);
	TAILQ_INSERT_TAIL(&s->voters, v, next);
	return v;
}

unsigned
stage_slots_each(const struct stage_slots *s)
{
	uint64_t n = s->budget / s->peers / STAGE_SLOT_BYTES;

	return (unsigned)MAX(MIN(n, (uint64_t)100000), (uint64_t)1);
}

static bool
has_room(const struct stage_slots *s, const struct voter *v)
{
	return v->n_has + v->n_lingers < stage_slots_each(s);
}

static void
take(struct voter *v, struct stage_slot *t)
{
	t->state = STAGE_SLOT_HAS;
	TAILQ_INSERT_TAIL(&v->has, t, next);
	v->n_has++;
}

static void
leave(struct voter *v, struct stage_slot *t)
{
	switch (t->state) {
	case STAGE_SLOT_NONE:
		return;
	case STAGE_SLOT_WAITS:
		TAILQ_REMOVE(&v->waits, t, next);
		v->n_waits--;
		break;
	case STAGE_SLOT_HAS:
		TAILQ_REMOVE(&v->has, t, next);
		v->n_has--;
		break;
	case STAGE_SLOT_LINGERS:
		TAILQ_REMOVE(&v->lingers, t, next);
		v->n_lingers--;
		break;
	}
	t->state = STAGE_SLOT_NONE;
}

static void
serve_waiting(void *arg)
{
	struct stage_slots *s = OBJ_FROM(arg, struct stage_slots, STAGE_SLOTS_MAGIC);
	struct stage_slot *t;
	struct voter *v;

	TAILQ_FOREACH (v, &s->voters, next)
		while ((t = TAILQ_FIRST(&v->waits)) != NULL && has_room(s, v)) {
			leave(v, t);
			take(v, t);
			t->on_event(STAGE_SLOT_COME, t->arg);
		}
}

struct stage_slots *
stage_slots_new(struct loop *loop, uint64_t budget)
{
	struct stage_slots *s = MEM_NEW(struct stage_slots);

	s->magic = STAGE_SLOTS_MAGIC;
	s->loop = loop;
	s->budget = budget;
	s->peers = 1;
	TAILQ_INIT(&s->voters);
	loop_task_init(&s->task, serve_waiting, s);
	return s;
}

void
stage_slots_free(struct stage_slots **sp)
{
	struct stage_slots *s = *sp;
	struct stage_slot *t;
	struct voter *v;

	if (s == NULL)
		return;
	loop_task_revoke(s->loop, &s->task);
	while ((v = TAILQ_FIRST(&s->voters)) != NULL) {
		while ((t = TAILQ_FIRST(&v->lingers)) != NULL)
			t->on_event(STAGE_SLOT_END, t->arg);
		CHECK(v->n_has == 0 && v->n_waits == 0);
		TAILQ_REMOVE(&s->voters, v, next);
		free(v);
	}
	*sp = NULL; /* END finds it by this pointer */
	free(s);
}

void
stage_slots_set_peers(struct stage_slots *s, unsigned peers)
{
	s->peers = MAX(peers, 1u);
	loop_task_put(s->loop, &s->task);
}

bool
stage_slot_take(struct stage_slots *s, struct stage_slot *t)
{
	struct voter *v = voter_of(s, t->node);

	CHECK(t->state == STAGE_SLOT_NONE);
	if (v->n_waits == 0 && has_room(s, v)) {
		take(v, t);
		return true;
	}
	t->state = STAGE_SLOT_WAITS;
	TAILQ_INSERT_TAIL(&v->waits, t, next);
	v->n_waits++;
	return false;
}

void
stage_slot_linger(struct stage_slots *s, struct stage_slot *t)
{
	struct voter *v = voter_of(s, t->node);
	struct stage_slot *l, *most = NULL;

	CHECK(t->state == STAGE_SLOT_HAS);
	leave(v, t);
	t->state = STAGE_SLOT_LINGERS;
	TAILQ_INSERT_TAIL(&v->lingers, t, next);
	v->n_lingers++;
	if (v->n_lingers <= stage_slots_each(s) / 2)
		return;
	TAILQ_FOREACH (l, &v->lingers, next)
		if (most == NULL || l->left(l->arg) > most->left(most->arg))
			most = l;
	most->on_event(STAGE_SLOT_END, most->arg);
}

void
stage_slot_give(struct stage_slots *s, struct stage_slot *t)
{
	struct voter *v = voter_of(s, t->node);

	leave(v, t);
	if (v->n_waits > 0)
		loop_task_put(s->loop, &s->task);
}

void
stage_slots_count(const struct stage_slots *s, struct stage_slot_counts *n)
{
	const struct voter *v;

	memset(n, 0, sizeof(*n));
	TAILQ_FOREACH (v, &s->voters, next) {
		n->sending += v->n_has;
		n->lingering += v->n_lingers;
		n->waiting += v->n_waits;
	}
}
