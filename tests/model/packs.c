/* Staged packs (R8) in the model: shipping, fsync, confirmations that come late, releases, and what
 * a lost disk leaves. */
#include "tests/model/world.h"

#include "gitproto/base/check.h"

static void
push_id(uint8_t id[RECORD_ID], unsigned push)
{
	memset(id, 0, RECORD_ID);
	id[0] = (uint8_t)(push + 1);
}

/* The reign of an epoch: there is one valid claim of each. */
static struct record_reign
reign_of(const struct world *w, uint8_t epoch)
{
	for (unsigned i = 0; i < w->log_n; i++)
		if (w->log[i].type == RECORD_CLAIM && w->verdicts[i] == VERDICT_EFFECTIVE &&
		    w->log[i].epoch == epoch)
			return (struct record_reign){ epoch, w->log[i].boot, w->log[i].node };
	return (struct record_reign){ 0 };
}

static struct staging_hold
hold_of(const struct world *w, unsigned node, unsigned push)
{
	struct staging_hold h;

	memset(&h, 0, sizeof(h));
	push_id(h.push, push);
	h.sha256[0] = (uint8_t)(push + 1);
	h.reign = reign_of(w, w->node[node].hold[push]);
	return h;
}

bool
world_is_whole(const struct world *w, unsigned node, unsigned upto)
{
	for (unsigned i = 0; i < upto && i < w->log_n; i++) {
		uint8_t push = w->log[i].a;

		if (w->log[i].type == RECORD_UPDATE && w->verdicts[i] == VERDICT_EFFECTIVE &&
		    push != REC_UPDATE_DOOMED && (scenario_now->staged & 1u << push) &&
		    w->node[node].copy[push] != COPY_KEPT)
			return false;
	}
	return true;
}

/* P1 with disks counted: what an effective record names lies on at least two disks of present
 * voters, or on one less for each of them that is known to be lost. */
const char *
world_check_packs(const struct world *w, const struct prefix *before)
{
	const struct verdict_state *s = &before->state[w->log_n];
	struct verdict_state next;

	if (s->next != w->log_n) { /* a record landed with this move */
		struct record r = world_record(&w->log[w->log_n - 1]);

		next = before->state[w->log_n - 1];
		verdict_advance(&next, w->log_n - 1u, &r, w->verdicts[w->log_n - 1]);
		s = &next;
	}
	for (unsigned push = 0; push < scenario_now->pushes; push++) {
		unsigned copies = 0, lost = 0;

		if (!(scenario_now->staged & 1u << push) || world_find(w, push) == NOTHING)
			continue;
		for (unsigned i = 0; i < NODES; i++) {
			struct record_member now = world_member(i, w->node[i].inc);

			copies += verdict_is_voter(s, now.node, now.incarnation) &&
				  w->node[i].copy[push] >= COPY_DURABLE;
			for (unsigned inc = 0; inc < INCS; inc++) {
				struct record_member m = world_member(i, inc);

				lost += (w->gone & 1u << inc) &&
					verdict_is_voter(s, m.node, m.incarnation);
			}
		}
		if (copies + lost < 2)
			return "a pack that an effective push names is durable on too few voters";
	}
	return NULL;
}

void
packs_on_read(struct world *w, const struct prefix *p UNUSED, unsigned node, const struct record *r,
	      const struct mrec *m UNUSED, enum verdict v)
{
	struct mnode *n = &w->node[node];

	for (unsigned push = 0; push < scenario_now->pushes; push++) {
		struct staging_hold h;
		enum staging_fate f;

		if (n->copy[push] != COPY_RECEIVED && n->copy[push] != COPY_DURABLE)
			continue;
		h = hold_of(w, node, push);
		f = staging_on_read(&h, r, v);
		if (f == STAGING_KEEP)
			continue;
		n->copy[push] = f == STAGING_ADOPT ? COPY_KEPT : COPY_NONE;
		n->hold[push] = 0;
	}
}

static void
confirm(struct world *w, unsigned node, unsigned push)
{
	w->confirm[push][node][0] = w->node[node].hold[push];
	w->confirm[push][node][1] = w->node[node].inc;
}

/* The primary sends the pack to a member, itself included. */
static bool
stage(struct world *w, const struct prefix *p, unsigned primary, unsigned push, unsigned member)
{
	struct mnode *from = &w->node[primary], *to = &w->node[member];
	struct record_reign reign = { from->epoch, from->boot, primary + 1 };

	if (to->copy[push] == COPY_KEPT || to->hold[push] == from->epoch ||
	    !staging_may_hold(&p->state[to->pos], &reign))
		return false;
	if (from->count_epoch[push] != from->epoch) {
		from->count_epoch[push] = from->epoch;
		if (!MUTANT(OLD_CONFIRMATION))
			from->confirmed[push] = 0;
	}
	w->owner[push] = (uint8_t)(primary + 1);
	to->hold[push] = from->epoch;
	if (to->copy[push] == COPY_NONE)
		to->copy[push] = COPY_RECEIVED;
	if (to->copy[push] == COPY_DURABLE || MUTANT(COPY_BEFORE_FSYNC))
		confirm(w, member, push);
	return true;
}

static void
make_staging(struct staging *s, const struct world *w, unsigned primary, unsigned push)
{
	const struct mnode *n = &w->node[primary];
	struct record_reign reign = reign_of(w, n->count_epoch[push]);
	uint8_t id[RECORD_ID];

	push_id(id, push);
	staging_init(s, id, &reign);
	for (unsigned inc = 0; inc < INCS; inc++)
		if (n->confirmed[push] & 1u << inc) {
			unsigned owner = inc;

			for (unsigned i = 0; i < NODES && inc == NODES; i++)
				if (w->node[i].inc == NODES)
					owner = i;
			s->confirmed[s->n++] = world_member(owner, inc);
		}
}

static bool
count(struct world *w, const struct prefix *p, unsigned primary, unsigned push, unsigned member)
{
	struct mnode *n = &w->node[primary];
	struct record_reign reign = reign_of(w, w->confirm[push][member][0]);
	uint8_t inc = w->confirm[push][member][1], id[RECORD_ID];
	struct record_member who = world_member(member, inc);
	struct staging s;

	if (n->confirmed[push] & 1u << inc)
		return false;
	make_staging(&s, w, primary, push);
	push_id(id, push);
	if (!staging_confirm(&s, &p->state[n->pos], &reign, id, &who))
		return false;
	n->confirmed[push] |= (uint8_t)(1u << inc);
	return true;
}

bool
packs_enough(const struct world *w, const struct prefix *p, unsigned primary, unsigned push)
{
	struct staging s;

	if (w->node[primary].count_epoch[push] == 0)
		return false;
	make_staging(&s, w, primary, push);
	return staging_enough(&s, &p->state[w->node[primary].pos]);
}

static bool
get_released(struct world *w, unsigned member, unsigned push)
{
	struct mnode *n = &w->node[member];
	struct staging_hold h = hold_of(w, member, push);
	struct record_reign reign = reign_of(w, w->released[push]);

	if (staging_on_release(&h, &reign, h.push) != STAGING_DROP)
		return false;
	n->copy[push] = COPY_NONE;
	n->hold[push] = 0;
	return true;
}

static bool
fetch(struct world *w, unsigned member, unsigned push)
{
	for (unsigned i = 0; i < NODES; i++)
		if (i != member && w->node[i].copy[push] >= COPY_DURABLE) {
			w->left.fetches--;
			w->node[member].copy[push] = COPY_KEPT;
			return true;
		}
	return false;
}

const char *
packs_step(struct world *w, const struct prefix *p, struct move m, bool *possible)
{
	switch (m.kind) {
	case MOVE_STAGE:
		*possible = stage(w, p, m.a, m.b, m.c);
		break;
	case MOVE_FSYNC:
		w->node[m.a].copy[m.b] = COPY_DURABLE;
		confirm(w, m.a, m.b);
		break;
	case MOVE_CONFIRM:
		*possible = count(w, p, m.a, m.b, m.c);
		break;
	case MOVE_RELEASE: /* it will never be appended */
		w->asked[m.b] = 1;
		w->released[m.b] = w->node[m.a].epoch;
		break;
	case MOVE_RELEASED:
		*possible = get_released(w, m.a, m.b);
		break;
	case MOVE_FETCH:
		*possible = fetch(w, m.a, m.b);
		break;
	default: /* the mutant that forgets staged packs by age */
		w->node[m.a].copy[m.b] = COPY_NONE;
		w->node[m.a].hold[m.b] = 0;
		break;
	}
	return NULL;
}
