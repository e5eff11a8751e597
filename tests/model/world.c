#include "tests/model/world.h"

#include "gitproto/base/check.h"

#define TICK LEASE_T2_NS

enum mutant mutant_now;
const struct scenario *scenario_now;

static const uint8_t cluster[RECORD_ID] = { 0xcc };
static const uint8_t repo_id[RECORD_ID] = { 0xaa };

uint64_t
world_ns(uint8_t tick_and_1)
{
	return tick_and_1 * TICK;
}

struct record_member
world_member(unsigned node, unsigned inc)
{
	return (struct record_member){ node + 1, { (uint8_t)(inc + 1) } };
}

uint8_t
world_ref(unsigned push)
{
	if (push == REC_UPDATE_DOOMED || (scenario_now->same_repo & 1u << push))
		return 0;
	return (uint8_t)(1 + push);
}

/* --- records as the shipped functions know them, valid until the next call --- */

static void
fill_members(struct record_members *m, struct record_member *space, uint8_t set, uint8_t spare)
{
	size_t n = 0;

	for (unsigned i = 0; i < NODES; i++)
		if (set & 1u << i)
			space[n++] = world_member(i, spare == i + 1 ? NODES : i);
	*m = (struct record_members){ .voters = space, .n_voters = n };
}

static void
fill_update(struct record_update *u, const struct mrec *m)
{
	static const char *const names[] = { "refs/heads/a", "refs/heads/b", "refs/heads/c",
					     "refs/heads/d" };
	static struct record_ref ref;
	static struct record_pack pack;
	bool doomed = m->a == REC_UPDATE_DOOMED;

	ref = (struct record_ref){ names[world_ref(m->a)], { 20, { m->b } }, { 20, { 0 } } };
	ref.new.b[0] = doomed ? 0x7e : (uint8_t)(m->a + 1);
	memset(&pack, 0, sizeof(pack));
	pack.sha256[0] = (uint8_t)(m->a + 1);
	u->oid_len = 20;
	memcpy(u->id, repo_id, RECORD_ID);
	u->push[0] = (uint8_t)(m->a + 1);
	u->config = m->c;
	u->refs = &ref;
	u->n_refs = 1;
	if (!doomed && (scenario_now->staged & 1u << m->a)) {
		u->packs = &pack;
		u->n_packs = 1;
	}
}

struct record
world_record(const struct mrec *m)
{
	static struct record_member space[NODES];
	struct record r;

	memset(&r, 0, sizeof(r));
	r.type = m->type;
	r.free = m->free;
	memcpy(r.cluster, cluster, RECORD_ID);
	r.txn[0] = m->node;
	r.txn[1] = m->boot;
	r.txn[2] = m->id;
	r.txn[3] = m->free;
	r.reign = (struct record_reign){ m->epoch, m->boot, m->node };
	r.seq = m->seq;
	if (r.type == RECORD_GENESIS) {
		r.genesis.format = 1;
		fill_members(&r.genesis.members, space, (1u << NODES) - 1, 0);
	} else if (r.type == RECORD_CLAIM) {
		r.claim.incarnation[0] = (uint8_t)(m->a + 1);
		r.claim.base = m->b;
	} else if (r.type == RECORD_CONFIG) {
		r.config.base = m->b;
		fill_members(&r.config.members, space, m->a, m->c);
	} else if (r.type == RECORD_UPDATE) {
		fill_update(&r.update, m);
	}
	return r;
}

/* --- content: what the effective records up to a position have made --- */

static int
find_repo(const uint8_t id[RECORD_ID] UNUSED, uint8_t *oid_len, void *arg UNUSED)
{
	*oid_len = 20;
	return 1;
}

static int
find_ref(const uint8_t id[RECORD_ID] UNUSED, const char *name, struct record_oid *out, void *arg)
{
	const uint8_t *values = arg;

	*out = (struct record_oid){ 20, { values[name[11] - 'a'] } };
	return 0;
}

static int
never(void)
{
	return 0;
}

static int
find_conflict(const uint8_t id[RECORD_ID] UNUSED, const char *name UNUSED,
	      bool (*ignore)(const char *, void *) UNUSED, void *ignore_arg UNUSED,
	      void *arg UNUSED)
{
	return never();
}

int
world_judge(const struct prefix *p, unsigned offset, const struct record *r)
{
	struct verdict_content content = { .repo = find_repo,
					   .ref = find_ref,
					   .ref_conflict = find_conflict,
					   .arg = (void *)p->value[offset] };

	return verdict_check(&p->state[offset], offset, r, &content, NULL);
}

void
world_prefix(struct prefix *p, const struct world *w)
{
	if (w->log_n < LOG_MAX)
		p->state[w->log_n + 1].next = 0; /* says: not known yet */
	verdict_init(&p->state[0], cluster, 0);
	memset(p->value[0], 0, sizeof(p->value[0]));
	for (unsigned i = 0; i < w->log_n; i++) {
		const struct mrec *m = &w->log[i];
		struct record r = world_record(m);

		p->state[i + 1] = p->state[i];
		memcpy(p->value[i + 1], p->value[i], sizeof(p->value[0]));
		verdict_advance(&p->state[i + 1], i, &r, w->verdicts[i]);
		if (m->type == RECORD_UPDATE && w->verdicts[i] == VERDICT_EFFECTIVE)
			p->value[i + 1][world_ref(m->a)] = (uint8_t)(m->a + 1);
	}
}

uint8_t
world_find(const struct world *w, unsigned push)
{
	for (unsigned i = 0; i < w->log_n; i++)
		if (w->log[i].type == RECORD_UPDATE && w->log[i].a == push &&
		    w->verdicts[i] == VERDICT_EFFECTIVE)
			return (uint8_t)i;
	return NOTHING;
}

/* --- a node's lease --- */

void
world_lease(struct lease *l, const struct world *w, unsigned node)
{
	const struct mnode *n = &w->node[node];
	struct lease_self self = { .node = node + 1, .boot = n->boot };

	memcpy(self.incarnation, world_member(node, n->inc).incarnation, RECORD_ID);
	lease_init(l, &self, world_ns(n->last_read));
	l->epoch = n->epoch;
	l->evidence_ns = world_ns(n->evidence);
	l->yield_asked = n->yielded;
	l->yield_epoch = n->yield_epoch;
	l->yield_seq = n->yield_seq;
	l->n_asks = n->n_asks;
	for (unsigned i = 0; i < n->n_asks; i++)
		l->asks[i] =
			(struct lease_ask){ n->asks[i][0], n->asks[i][1], world_ns(n->asks[i][2]) };
}

void
world_keep_lease(struct world *w, unsigned node, const struct lease *l)
{
	struct mnode *n = &w->node[node];

	n->last_read = (uint8_t)(l->last_read_ns / TICK);
	n->epoch = (uint8_t)l->epoch;
	n->evidence = (uint8_t)(l->evidence_ns / TICK);
	n->yielded = l->yield_asked;
	n->yield_epoch = (uint8_t)l->yield_epoch;
	n->yield_seq = (uint8_t)l->yield_seq;
	n->n_asks = (uint8_t)l->n_asks;
	memset(n->asks, 0, sizeof(n->asks));
	for (unsigned i = 0; i < l->n_asks; i++) {
		n->asks[i][0] = (uint8_t)l->asks[i].epoch;
		n->asks[i][1] = (uint8_t)l->asks[i].seq;
		n->asks[i][2] = (uint8_t)(l->asks[i].ns / TICK);
	}
}

void
world_begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->left = scenario_now->budget;
	w->log[0] = (struct mrec){ .type = RECORD_GENESIS };
	w->log[1] = (struct mrec){ .type = RECORD_CLAIM, .node = 1, .boot = 1, .epoch = 1 };
	w->verdicts[0] = w->verdicts[1] = VERDICT_EFFECTIVE;
	w->log_n = 2;
	for (unsigned i = 0; i < NODES; i++) {
		w->node[i].pos = 2;
		w->node[i].boot = 1;
		w->node[i].inc = (uint8_t)i;
		w->node[i].last_read = 1;
	}
	w->node[0].next_id = w->node[0].next_seq = 1;
	w->node[0].epoch = 1;
	w->node[0].evidence = 1;
}

const char *
world_step(struct world *to, const struct world *from, const struct prefix *p, struct move m,
	   bool *possible)
{
	const char *broken = NULL;

	*to = *from;
	*possible = true;
	switch (m.kind) {
	case MOVE_CLAIM:
	case MOVE_PUSH:
	case MOVE_DOOMED:
	case MOVE_BARRIER:
	case MOVE_YIELD:
	case MOVE_CONFIG:
		*possible = asks_step(to, p, m);
		break;
	case MOVE_TICK:
	case MOVE_LAND:
	case MOVE_READ:
	case MOVE_RESTART:
	case MOVE_SNAPSHOT:
	case MOVE_WIPE:
	case MOVE_DELIVERED:
	case MOVE_TIMEOUT:
		broken = life_step(to, p, m);
		break;
	case MOVE_ARRIVE:
	case MOVE_SAMPLE:
	case MOVE_CHECK:
	case MOVE_POSITION:
	case MOVE_SERVE:
	case MOVE_FREE:
		broken = reads_step(to, p, m, possible);
		break;
	default:
		broken = packs_step(to, p, m, possible);
		break;
	}
	if (*possible && broken == NULL && scenario_now->staged != 0)
		broken = world_check_packs(to, p);
	return broken;
}
