#include "shard-map/commitlog/lease.h"

#include "gitproto/base/check.h"
#include "shard-map/commitlog/mutant.h"

/* Clocks may run up to 14 % apart: then the last moment of a lease still lies before the first
 * moment of a claim (R6). */
#define RATIO_OK(t1, t2) ((t2)*86 > (t1)*114)
_Static_assert(RATIO_OK(LEASE_T1_NS, LEASE_T2_NS), "T2/T1 > (1+rho)/(1-rho), rho = 0.14");

void
lease_init(struct lease *l, const struct lease_self *self, uint64_t now_ns)
{
	memset(l, 0, sizeof(*l));
	l->self = *self;
	if (l->self.t1_ns == 0)
		l->self.t1_ns = LEASE_T1_NS;
	if (l->self.t2_ns == 0)
		l->self.t2_ns = LEASE_T2_NS;
	if (MUTANT(T1_ABOVE_T2))
		l->self.t1_ns = l->self.t2_ns + LEASE_T1_NS;
	else
		CHECK(RATIO_OK(l->self.t1_ns, l->self.t2_ns));
	l->last_read_ns = now_ns;
}

void
lease_on_snapshot(struct lease *l, uint64_t new_boot, uint64_t now_ns)
{
	struct lease_self self = l->self;

	CHECK(new_boot != self.boot);
	self.boot = new_boot;
	lease_init(l, &self, now_ns);
}

bool
lease_is_primary(const struct lease *l)
{
	return l->epoch != 0;
}

/* Yields are compared within a reign: one of a former reign of this boot is not in order any more
 * and exempts nobody from waiting. */
static bool
is_above_yields(const struct lease *l, uint64_t epoch, uint64_t seq)
{
	if (!l->yield_asked || epoch > l->yield_epoch)
		return true;
	return epoch == l->yield_epoch && seq > l->yield_seq;
}

void
lease_asked(struct lease *l, const struct record *r, uint64_t before_ns)
{
	CHECK(record_has_reign(r) && r->reign.node == l->self.node &&
	      r->reign.boot == l->self.boot);
	if (r->type == RECORD_YIELD) {
		CHECK(!l->yield_asked || r->reign.epoch > l->yield_epoch || r->seq > l->yield_seq);
		l->yield_asked = true;
		l->yield_epoch = r->reign.epoch;
		l->yield_seq = r->seq;
		/* what was evidence up to now is below this yield */
		if (!MUTANT(LEASE_THROUGH_YIELD) && !MUTANT(EVIDENCE_OLDER_THAN_YIELD))
			l->evidence_ns = 0;
	}
	for (unsigned i = 0; i < l->n_asks; i++)
		if (l->asks[i].epoch == r->reign.epoch && l->asks[i].seq == r->seq)
			return;
	if (l->n_asks < LEASE_ASKS)
		l->asks[l->n_asks++] = (struct lease_ask){ r->reign.epoch, r->seq, before_ns };
}

/* When (epoch, seq) was asked first, 0 when that is not known; forgets it and all before it. */
static uint64_t
take_ask(struct lease *l, uint64_t epoch, uint64_t seq)
{
	uint64_t ns = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < l->n_asks; i++) {
		const struct lease_ask *a = &l->asks[i];

		if (a->epoch == epoch && a->seq == seq)
			ns = a->ns;
		else if (a->epoch > epoch || (a->epoch == epoch && a->seq > seq))
			l->asks[n++] = *a;
	}
	memset(l->asks + n, 0, (l->n_asks - n) * sizeof(l->asks[0]));
	l->n_asks = n;
	return ns;
}

void
lease_on_read(struct lease *l, const struct record *r, enum verdict v, uint64_t read_ns)
{
	bool own = r->reign.node == l->self.node && r->reign.boot == l->self.boot;
	uint64_t asked_ns;

	if (v == VERDICT_FREE || v == VERDICT_OUT || !record_has_reign(r)) {
		if (v == VERDICT_OUT && record_has_reign(r) && MUTANT(BASE_COUNTS_OUT))
			l->last_read_ns = read_ns;
		return;
	}
	if (r->type != RECORD_CLAIM || !MUTANT(CLAIM_NO_RECORD))
		l->last_read_ns = read_ns;
	if (r->type == RECORD_CLAIM) { /* a valid one: it ends every reign before it */
		l->epoch = own ? r->reign.epoch : 0;
		l->evidence_ns = 0;
	}
	if (!own || l->epoch != r->reign.epoch)
		return;
	asked_ns = take_ask(l, r->reign.epoch, r->seq);
	if (asked_ns == 0)
		return;
	if (MUTANT(LEASE_FROM_READ_BACK))
		asked_ns = read_ns;
	if (is_above_yields(l, r->reign.epoch, r->seq) ||
	    (MUTANT(LEASE_THROUGH_YIELD) && r->type == RECORD_YIELD) ||
	    (MUTANT(EVIDENCE_OLDER_THAN_YIELD) && r->type != RECORD_YIELD))
		l->evidence_ns = MAX(l->evidence_ns, asked_ns);
}

uint64_t
lease_left_ns(const struct lease *l, uint64_t now_ns)
{
	uint64_t until;

	if (l->epoch == 0 || l->evidence_ns == 0)
		return 0;
	until = l->evidence_ns + l->self.t1_ns;
	return now_ns < until ? until - now_ns : 0;
}

bool
lease_holds(const struct lease *l, uint64_t now_ns)
{
	return lease_left_ns(l, now_ns) > 0;
}

bool
lease_wants_renewal(const struct lease *l, uint64_t now_ns)
{
	return lease_is_primary(l) && !lease_is_yielding(l) &&
	       lease_left_ns(l, now_ns) + LEASE_RENEW_NS <= l->self.t1_ns;
}

bool
lease_is_yielding(const struct lease *l)
{
	/* taken back: evidence above the yield was read back */
	return l->epoch != 0 && l->yield_asked && l->yield_epoch == l->epoch && l->evidence_ns == 0;
}

bool
lease_strict_read(const struct lease *l, const struct verdict_state *s,
		  uint64_t (*clock_ns)(void *), void *arg, uint64_t *position)
{
	uint64_t now_ns = clock_ns(arg);

	if (!lease_holds(l, now_ns))
		return false;
	*position = s->next;
	return true;
}

/* R3 (b) */
static bool
needs_no_wait(const struct lease *l, const struct verdict_state *s, const struct lease_claim *c)
{
	if (s->reign.epoch == 0 || s->last_type == RECORD_YIELD)
		return true;
	return s->reign.node == l->self.node && s->reign.boot != l->self.boot &&
	       memcmp(s->holder, l->self.incarnation, RECORD_ID) == 0 && c->owns_lock;
}

int
lease_may_claim(const struct lease *l, const struct verdict_state *s, const struct lease_claim *c,
		uint64_t now_ns, uint64_t *base, uint64_t *wait_ns, struct err *why)
{
	uint64_t waited = now_ns > l->last_read_ns ? now_ns - l->last_read_ns : 0;

	if (wait_ns != NULL)
		*wait_ns = 0;
	if (!s->genesis || !verdict_is_voter(s, l->self.node, l->self.incarnation))
		return err_set(why, ERR_REFUSED, "this node is no voter of the shard");
	if (lease_is_primary(l))
		return err_set(why, ERR_REFUSED, "this node is the primary already");
	if (!c->whole && !MUTANT(CLAIM_WITHOUT_PACKS))
		return err_set(why, ERR_UNAVAILABLE, "packs are missing here");
	if (!needs_no_wait(l, s, c) && waited < l->self.t2_ns && !MUTANT(CLAIM_WITHOUT_WAIT)) {
		if (wait_ns != NULL)
			*wait_ns = l->self.t2_ns - waited;
		return err_set(why, ERR_UNAVAILABLE,
			       "the present primary may still answer reads for %llu ms",
			       (unsigned long long)((l->self.t2_ns - waited) / 1000000 + 1));
	}
	*base = s->last_offset;
	return 0;
}
