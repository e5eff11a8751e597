#include "shard-map/commitlog/fate.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/mutant.h"

void
fate_init(struct fate_list *l)
{
	memset(l, 0, sizeof(*l));
}

void
fate_release(struct fate_list *l)
{
	free(l->e);
	fate_init(l);
}

size_t
fate_open(const struct fate_list *l)
{
	return l->n;
}

const struct fate_entry *
fate_at(const struct fate_list *l, size_t i)
{
	CHECK(i < l->n);
	return &l->e[l->at + i];
}

uint64_t
fate_oldest_ns(const struct fate_list *l)
{
	return l->n > 0 ? l->e[l->at].asked_ns : 0;
}

/* Room for one more behind the last. */
static int
make_room(struct fate_list *l, struct err *err)
{
	size_t cap = MAX(16, 2 * l->n);
	struct fate_entry *e;

	if (l->at + l->n < l->cap)
		return 0;
	if (l->at > l->n) { /* mostly used up in front: move instead of growing */
		memmove(l->e, l->e + l->at, l->n * sizeof(*e));
		l->at = 0;
		return 0;
	}
	e = mem_try_alloc(cap * sizeof(*e));
	if (e == NULL)
		return err_set(err, ERR_UNAVAILABLE, "no memory to remember an append");
	if (l->n > 0)
		memcpy(e, l->e + l->at, l->n * sizeof(*e));
	free(l->e);
	*l = (struct fate_list){ .e = e, .n = l->n, .cap = cap };
	return 0;
}

int
fate_asked(struct fate_list *l, const struct record *r, uint64_t now_ns, void *tag, struct err *err)
{
	struct fate_entry *e;
	int rc;

	CHECK(record_has_reign(r));
	if (l->n >= FATE_MAX)
		return err_set(err, ERR_UNAVAILABLE, "%u appends are unanswered by the log",
			       FATE_MAX);
	rc = make_room(l, err);
	if (rc < 0)
		return rc;
	e = &l->e[l->at + l->n++];
	*e = (struct fate_entry){ r->reign.epoch, r->seq, now_ns, tag, { 0 } };
	memcpy(e->txn, r->txn, RECORD_ID);
	return 0;
}

static void
take_out(struct fate_list *l, size_t i)
{
	struct fate_entry *e = l->e + l->at;

	if (i == 0)
		l->at++;
	else
		memmove(e + i, e + i + 1, (l->n - i - 1) * sizeof(*e));
	l->n--;
	if (l->n == 0)
		l->at = 0;
}

bool
fate_not_sent(struct fate_list *l, const uint8_t txn[RECORD_ID], void **tag)
{
	for (size_t i = 0; i < l->n; i++) {
		struct fate_entry *e = &l->e[l->at + i];

		if (memcmp(e->txn, txn, RECORD_ID) != 0)
			continue;
		*tag = e->tag;
		take_out(l, i);
		return true;
	}
	return false;
}

/* What a record that was read says about an open append; FATE_OPEN: nothing. */
static enum fate
judge(const struct fate_entry *e, bool own, const struct record *r, enum verdict v)
{
	bool same = memcmp(e->txn, r->txn, RECORD_ID) == 0;

	if (MUTANT(RESUME_BY_SEQ))
		same = own && e->epoch == r->reign.epoch && e->seq == r->seq;
	if (same && record_has_reign(r))
		return v == VERDICT_EFFECTIVE || MUTANT(ACK_WITHOUT_VERDICT) ? FATE_COMMITTED
									     : FATE_DEAD;
	if (v == VERDICT_FREE)
		return MUTANT(FREE_BARRIER_DECIDES) && own ? FATE_DEAD : FATE_OPEN;
	if (v == VERDICT_OUT || !record_has_reign(r))
		return FATE_OPEN;
	/* a valid claim of a higher epoch; an append that was itself a claim is dead as well once
	 * its epoch is taken by another claim */
	if (r->type == RECORD_CLAIM &&
	    (r->reign.epoch > e->epoch || (r->reign.epoch == e->epoch && e->seq == 0)))
		return FATE_DEAD;
	return own && r->reign.epoch == e->epoch && r->seq > e->seq ? FATE_DEAD : FATE_OPEN;
}

void
fate_on_read(struct fate_list *l, const struct record_reign *self, uint64_t offset,
	     const struct record *r, enum verdict v, fate_fn *fn, void *arg)
{
	size_t open = l->n; /* fn may ask for more: those are later than this record */
	bool own = r->reign.node == self->node && r->reign.boot == self->boot;
	bool claim = r->type == RECORD_CLAIM && v == VERDICT_EFFECTIVE;

	if (!own && !claim)
		return;
	for (size_t i = 0, seen = 0; seen < open; seen++) {
		struct fate_entry e = l->e[l->at + i];
		enum fate f = judge(&e, own, r, v);
		bool same = memcmp(e.txn, r->txn, RECORD_ID) == 0;

		if (f == FATE_OPEN && own && e.epoch == r->reign.epoch && e.seq > r->seq)
			return; /* so are all behind it: a busy reign has thousands open */
		if (f == FATE_OPEN) {
			i++;
			continue;
		}
		take_out(l, i);
		fn(&e, f, same ? offset : 0, arg);
	}
}

void
fate_on_snapshot(struct fate_list *l, fate_fn *fn, void *arg)
{
	for (size_t open = l->n; open > 0; open--) {
		struct fate_entry e = l->e[l->at];

		take_out(l, 0);
		fn(&e, FATE_UNKNOWN, 0, arg);
	}
}
