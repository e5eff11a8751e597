/* Records land, are read, have a fate; processes end and begin; disks are lost. */
#include "tests/model/world.h"

#include "gitproto/base/check.h"

static const char *
tell_fate(struct world *w, unsigned node, unsigned push, enum fate f)
{
	static const uint8_t told[] = { [FATE_COMMITTED] = TOLD_DONE,
					[FATE_DEAD] = TOLD_FAILED,
					[FATE_UNKNOWN] = TOLD_UNKNOWN };
	bool effective = world_find(w, push) != NOTHING;

	if (w->told[push] != TOLD_NOTHING)
		return "one push was told two outcomes";
	w->told[push] = told[f];
	if (f == FATE_COMMITTED) {
		w->acked_at[push] = (uint8_t)(node + 1);
		if (!effective)
			return "an acknowledged push is not in the log's effective history";
	}
	if (f == FATE_DEAD)
		w->released[push] = w->node[node].epoch;
	if (f == FATE_DEAD && effective)
		return "a push that was told failed is effective";
	return NULL;
}

struct fates {
	struct world *w;
	unsigned node;
	const char *broken;
};

static void
on_fate(const struct fate_entry *e, enum fate f, uint64_t offset UNUSED, void *arg)
{
	struct fates *fates = arg;
	const char *broken = tell_fate(fates->w, fates->node, (unsigned)(uintptr_t)e->tag, f);

	if (fates->broken == NULL)
		fates->broken = broken;
}

static const char *
read_fates(struct world *w, unsigned node, const struct record *r, enum verdict v)
{
	struct mnode *n = &w->node[node];
	struct fate_entry space[OPEN_MAX];
	struct fate_list l = { .e = space, .n = n->n_open, .cap = OPEN_MAX };
	struct record_reign self = { 0, n->boot, node + 1 };
	struct fates fates = { w, node, NULL };

	memset(space, 0, sizeof(space));
	for (unsigned i = 0; i < n->n_open; i++) {
		space[i] = (struct fate_entry){ .epoch = n->open[i][0],
						.seq = n->open[i][1],
						.tag = (void *)(uintptr_t)n->open[i][3] };
		space[i].txn[0] = (uint8_t)(node + 1);
		space[i].txn[1] = n->boot;
		space[i].txn[2] = n->open[i][2];
	}
	fate_on_read(&l, &self, w->node[node].pos, r, v, on_fate, &fates);
	memset(n->open, 0, sizeof(n->open));
	n->n_open = (uint8_t)l.n;
	for (unsigned i = 0; i < l.n; i++) {
		const struct fate_entry *e = &space[l.at + i];

		n->open[i][0] = (uint8_t)e->epoch;
		n->open[i][1] = (uint8_t)e->seq;
		n->open[i][2] = e->txn[2];
		n->open[i][3] = (uint8_t)(uintptr_t)e->tag;
	}
	return fates.broken;
}

static const char *
read_next(struct world *w, const struct prefix *p, unsigned node, uint8_t stamp)
{
	struct mnode *n = &w->node[node];
	const struct mrec *m = &w->log[n->pos];
	struct record r = world_record(m);
	enum verdict v = w->verdicts[n->pos];
	uint8_t was = n->epoch;
	const char *broken;
	struct lease l;

	if (world_judge(p, n->pos, &r) != (int)v)
		return "two nodes disagree about a verdict";
	world_lease(&l, w, node);
	lease_on_read(&l, &r, v, world_ns(stamp));
	world_keep_lease(w, node, &l);
	if (v == VERDICT_EFFECTIVE && r.type == RECORD_YIELD)
		n->saw_yield = 1;
	if (v == VERDICT_EFFECTIVE && r.type == RECORD_CLAIM)
		n->saw_yield = 0;
	if (n->epoch != was && n->epoch != 0) {
		n->next_seq = 1;
		if (!world_is_whole(w, node, m->b + 1u))
			return "a primary lacks the pack of an effective push";
	}
	broken = read_fates(w, node, &r, v);
	packs_on_read(w, p, node, &r, m, v);
	n->pos++;
	if (broken == NULL && m->free && w->read.phase == READ_BARRIER && w->read.node == node &&
	    m->node == node + 1 && m->boot == n->boot && m->id == w->read.barrier_id) {
		broken = reads_verify(w, n->pos);
		memset(&w->read, 0, sizeof(w->read));
	}
	return broken;
}

/* --- the log, and the life of processes --- */

static const char *
land(struct world *w, const struct prefix *p, unsigned i, bool keep)
{
	struct mrec m = w->pend[i];
	struct record r = world_record(&m);
	unsigned at = w->log_n;
	int v = world_judge(p, at, &r);

	CHECK(v >= 0);
	if (!keep) {
		memmove(&w->pend[i], &w->pend[i + 1], (w->pend_n - i - 1u) * sizeof(m));
		w->pend_n--;
		memset(&w->pend[w->pend_n], 0, sizeof(m));
	}
	w->log[at] = m;
	w->verdicts[at] = (uint8_t)v;
	w->log_n++;
	if (v != VERDICT_EFFECTIVE || m.type != RECORD_UPDATE || m.a == REC_UPDATE_DOOMED)
		return v == VERDICT_EFFECTIVE && m.type == RECORD_UPDATE
			       ? "an update without the present value took effect"
			       : NULL;
	if (m.b != p->value[at][world_ref(m.a)])
		return "a push took effect over another that it had not seen";
	for (unsigned k = 0; k < at; k++)
		if (w->log[k].type == RECORD_UPDATE && w->log[k].a == m.a &&
		    w->verdicts[k] == VERDICT_EFFECTIVE)
			return "a push took effect twice";
	if (w->told[m.a] == TOLD_FAILED)
		return "a push that was told failed took effect";
	return NULL;
}

static void
restart(struct world *w, unsigned node)
{
	struct mnode *n = &w->node[node], was = *n;

	memset(n->asks, 0, sizeof(n->asks));
	memset(n->open, 0, sizeof(n->open));
	memset(n->count_epoch, 0, sizeof(n->count_epoch));
	memset(n->confirmed, 0, sizeof(n->confirmed));
	n->evidence = n->yielded = n->yield_epoch = n->yield_seq = n->n_asks = n->n_open = 0;
	n->epoch = n->next_seq = n->next_id = n->saw_yield = 0;
	n->boot++;
	n->last_read = w->now + 1; /* loading the state counts as reading it */
	for (unsigned i = 0; i < PUSHES; i++)
		if (n->copy[i] == COPY_RECEIVED)
			n->copy[i] = n->hold[i] = 0;
	if ((MUTANT(RESUME_BY_SEQ) || MUTANT(RESUME_BY_TXN)) && was.epoch != 0) {
		n->boot = was.boot;
		n->epoch = was.epoch;
		n->next_id = was.next_id;
	}
	reads_forget(w, node);
}

/* The mutants that go on with a reign count from the last record that was read. */
static void
resume(struct world *w, const struct prefix *p, unsigned node)
{
	struct mnode *n = &w->node[node];

	if (n->epoch != 0)
		n->next_seq = (uint8_t)(p->state[n->pos].last_seq + 1);
}

/* The state comes back from its bytes as it was. */
static const char *
install_snapshot(struct world *w, const struct prefix *p, unsigned node)
{
	struct mnode *n = &w->node[node];
	struct buf b = BUF_MAX(4096);
	struct verdict_state s;
	const char *broken = NULL;

	for (unsigned i = 0; i < n->n_open; i++)
		(void)tell_fate(w, node, n->open[i][3], FATE_UNKNOWN);
	n->pos = w->log_n;
	restart(w, node);
	verdict_state_encode(&b, &p->state[n->pos]);
	if (verdict_state_decode(&s, buf_slice(&b), NULL) != 0 ||
	    memcmp(&s, &p->state[n->pos], sizeof(s)) != 0)
		broken = "a state is not what was stored";
	buf_release(&b);
	return broken;
}

static const char *
wipe(struct world *w, unsigned node)
{
	struct mnode *n = &w->node[node];

	memset(n->copy, 0, sizeof(n->copy));
	memset(n->hold, 0, sizeof(n->hold));
	n->pos = 0;
	n->epoch = 0;
	restart(w, node);
	if (!MUTANT(WIPED_KEEPS_IDENTITY)) {
		w->gone |= (uint8_t)(1u << n->inc);
		n->inc = NODES;
	}
	return NULL;
}

static const char *
deliver(struct world *w, unsigned offset)
{
	const struct mrec *m = &w->log[offset];
	struct mnode *n = &w->node[m->node - 1];

	if (MUTANT(LEASE_FROM_DELIVERY)) {
		for (unsigned i = 0; i < n->n_asks; i++)
			if (n->asks[i][0] == m->epoch && n->asks[i][1] == m->seq)
				n->evidence = MAX(n->evidence, n->asks[i][2]);
		return NULL;
	}
	for (unsigned i = 0; i < n->n_open; i++) {
		uint8_t push = n->open[i][3];

		if (n->open[i][2] != m->id || n->boot != m->boot)
			continue;
		memmove(n->open[i], n->open[i + 1], (n->n_open - i - 1u) * sizeof(n->open[0]));
		n->n_open--;
		memset(n->open[n->n_open], 0, sizeof(n->open[0]));
		return tell_fate(w, m->node - 1u, push, FATE_COMMITTED);
	}
	return NULL;
}

static const char *
time_out(struct world *w, unsigned node)
{
	struct mnode *n = &w->node[node];
	uint8_t push = n->open[0][3];

	memmove(n->open[0], n->open[1], (n->n_open - 1u) * sizeof(n->open[0]));
	n->n_open--;
	memset(n->open[n->n_open], 0, sizeof(n->open[0]));
	return tell_fate(w, node, push, FATE_DEAD);
}

const char *
life_step(struct world *w, const struct prefix *p, struct move m)
{
	switch (m.kind) {
	case MOVE_TICK:
		w->left.ticks--;
		w->now++;
		return NULL;
	case MOVE_LAND:
		if (m.b)
			w->left.dups--;
		return land(w, p, m.a, m.b != 0);
	case MOVE_READ:
		return read_next(w, p, m.a, (uint8_t)(m.b ? w->now : w->now + 1));
	case MOVE_RESTART:
		w->left.restarts--;
		w->node[m.a].pos -= m.b;
		restart(w, m.a);
		resume(w, p, m.a);
		return NULL;
	case MOVE_SNAPSHOT:
		w->left.snapshots--;
		return install_snapshot(w, p, m.a);
	case MOVE_WIPE:
		w->left.wipes--;
		return wipe(w, m.a);
	case MOVE_DELIVERED:
		return deliver(w, m.a);
	default:
		return time_out(w, m.a);
	}
}
