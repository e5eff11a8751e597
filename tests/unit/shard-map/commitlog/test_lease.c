#include "tests/unit/shard-map/commitlog/core_test.h"

#include "shard-map/commitlog/lease.h"

#define SEC UINT64_C(1000000000)
#define T0 (100 * SEC) /* some moment */

/* Node 1 and what it has read. */
struct node {
	struct verdict_state s;
	struct lease l;
};

static void
start(struct node *n, uint32_t node, uint64_t now)
{
	struct lease_self self = { .node = node, .boot = 10 * (uint64_t)node };
	uint8_t cluster[RECORD_ID];
	struct record g = genesis();

	id_of(self.incarnation, (uint8_t)node);
	id_of(cluster, 0xcc);
	verdict_init(&n->s, cluster, SHARD);
	assert_int_equal(put(&n->s, &g, NULL, NULL), VERDICT_EFFECTIVE);
	lease_init(&n->l, &self, now);
}

static enum verdict
get(struct node *n, const struct record *r, uint64_t now)
{
	int v = put(&n->s, r, NULL, NULL);

	assert_true(v >= 0);
	lease_on_read(&n->l, r, (enum verdict)v, now);
	return (enum verdict)v;
}

/* The node's own claim of epoch 1, asked for at T0, read back at once. */
static void
reign(struct node *n)
{
	struct record c = claim(1, 1, 0);

	start(n, 1, T0);
	lease_asked(&n->l, &c, T0);
	assert_false(lease_is_primary(&n->l));
	assert_int_equal(get(n, &c, T0 + 1), VERDICT_EFFECTIVE);
	assert_true(lease_is_primary(&n->l));
}

static void
ask(struct node *n, const struct record *r, uint64_t at)
{
	lease_asked(&n->l, r, at);
}

static void
counted_from_the_ask(void **state UNUSED)
{
	struct node n;
	struct record b = record_by(RECORD_BARRIER, 1, 1, 1);

	reign(&n);
	assert_true(lease_holds(&n.l, T0 + LEASE_T1_NS - 1));
	assert_false(lease_holds(&n.l, T0 + LEASE_T1_NS));
	assert_false(lease_wants_renewal(&n.l, T0 + SEC / 2));
	assert_true(lease_wants_renewal(&n.l, T0 + SEC));
	ask(&n, &b, T0 + SEC);
	ask(&n, &b, T0 + 3 * SEC); /* asked again: the first time counts */
	assert_false(lease_holds(&n.l, T0 + 2 * SEC));
	get(&n, &b, T0 + 2 * SEC); /* read back late: no longer for that */
	assert_true(lease_holds(&n.l, T0 + SEC + LEASE_T1_NS - 1));
	assert_false(lease_holds(&n.l, T0 + SEC + LEASE_T1_NS));
	assert_int_equal(lease_left_ns(&n.l, T0 + 2 * SEC), SEC / 2);
	assert_true(lease_holds(&n.l, T0)); /* a sample older than the evidence */
}

static void
what_is_no_evidence(void **state UNUSED)
{
	struct node n;
	struct record b1 = record_by(RECORD_BARRIER, 1, 1, 1);
	struct record b2 = record_by(RECORD_BARRIER, 1, 1, 2);
	struct record never = record_by(RECORD_BARRIER, 1, 1, 3), bar = free_barrier();

	reign(&n);
	ask(&n, &b1, T0 + SEC);
	ask(&n, &b2, T0 + SEC);
	get(&n, &b2, T0 + SEC);
	n.l.evidence_ns = T0;
	assert_int_equal(get(&n, &b1, T0 + SEC), VERDICT_OUT); /* overtaken */
	get(&n, &bar, T0 + SEC);
	get(&n, &never, T0 + SEC); /* one we do not remember asking for */
	assert_false(lease_holds(&n.l, T0 + LEASE_T1_NS));
}

static void
deposed(void **state UNUSED)
{
	struct node n;
	struct record late = record_by(RECORD_BARRIER, 1, 1, 1), rival = claim(2, 2, 1);

	reign(&n);
	ask(&n, &late, T0 + SEC);
	get(&n, &rival, T0 + SEC);
	assert_false(lease_is_primary(&n.l));
	assert_false(lease_holds(&n.l, T0));
	assert_int_equal(get(&n, &late, T0 + SEC), VERDICT_OUT);
	assert_false(lease_holds(&n.l, T0 + SEC));
}

/* A claim of this node's former life, read after a restart, makes no primary (R4). */
static void
former_life(void **state UNUSED)
{
	struct node n;
	struct record old = claim(1, 1, 0);

	old.reign.boot = 9;
	start(&n, 1, T0);
	assert_int_equal(get(&n, &old, T0), VERDICT_EFFECTIVE);
	assert_false(lease_is_primary(&n.l));
}

static void
yields(void **state UNUSED)
{
	struct node n;
	struct record b1 = record_by(RECORD_BARRIER, 1, 1, 1), y = record_by(RECORD_YIELD, 1, 1, 2);
	struct record b3 = record_by(RECORD_BARRIER, 1, 1, 3);

	reign(&n);
	ask(&n, &b1, T0);
	assert_true(lease_holds(&n.l, T0 + 1));
	ask(&n, &y, T0 + 2); /* landed or not: from now on nobody may trust the reign */
	assert_true(lease_is_yielding(&n.l));
	assert_false(lease_holds(&n.l, T0 + 3));
	get(&n, &b1, T0 + 4); /* asked before the yield, so the yield may stand behind it */
	assert_false(lease_holds(&n.l, T0 + 5));
	get(&n, &y, T0 + 6);
	assert_false(lease_holds(&n.l, T0 + 7));
	assert_false(lease_wants_renewal(&n.l, T0 + SEC));
	ask(&n, &b3, T0 + 8); /* taken back (R10) */
	get(&n, &b3, T0 + 9);
	assert_true(lease_holds(&n.l, T0 + 10));
	assert_false(lease_is_yielding(&n.l));
}

static void
new_reign_after_yield(void **state UNUSED)
{
	struct node n;
	struct record y = record_by(RECORD_YIELD, 1, 1, 7), other = claim(2, 2, 2);
	struct record again = claim(3, 1, 3);

	reign(&n);
	ask(&n, &y, T0);
	get(&n, &y, T0);
	get(&n, &other, T0 + SEC);
	ask(&n, &again, T0 + 4 * SEC);
	assert_int_equal(get(&n, &again, T0 + 4 * SEC), VERDICT_EFFECTIVE);
	assert_true(lease_holds(&n.l, T0 + 4 * SEC));
	assert_false(lease_is_yielding(&n.l));
}

/* R3 */
static void
may_claim(void **state UNUSED)
{
	const struct lease_claim good = { true, true }, missing = { true, false },
				 no_lock = { false, true };
	struct node n;
	struct record other = claim(1, 2, 0), own = claim(2, 1, 0), b, y;
	uint64_t base = 99, wait = 99;

	start(&n, 1, T0);
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0, &base, &wait, NULL), 0);
	assert_int_equal(base, 0); /* epoch 0: nobody to wait for */
	assert_int_equal(lease_may_claim(&n.l, &n.s, &missing, T0, &base, &wait, NULL),
			 ERR_UNAVAILABLE);
	assert_int_equal(wait, 0);

	get(&n, &other, T0 + SEC);
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + 2 * SEC, &base, &wait, NULL),
			 ERR_UNAVAILABLE);
	assert_int_equal(wait, SEC);
	b = record_by(RECORD_BARRIER, 1, 2, 1);
	get(&n, &b, T0 + 2 * SEC); /* a sign of life: the wait begins anew */
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + 4 * SEC - 1, &base, NULL, NULL),
			 ERR_UNAVAILABLE);
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + 4 * SEC, &base, NULL, NULL), 0);
	assert_int_equal(base, 2);

	y = record_by(RECORD_YIELD, 1, 2, 2);
	get(&n, &y, T0 + 5 * SEC);
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + 5 * SEC, &base, NULL, NULL), 0);
	assert_int_equal(base, 3);
	b = record_by(RECORD_BARRIER, 1, 2, 3);
	get(&n, &b, T0 + 6 * SEC); /* taken back: the last record is no yield */
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + 6 * SEC, &base, NULL, NULL),
			 ERR_UNAVAILABLE);

	own.claim.base = 4;
	own.reign.boot = 9; /* our former life reigns */
	assert_int_equal(get(&n, &own, T0 + 7 * SEC), VERDICT_EFFECTIVE);
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + 7 * SEC, &base, NULL, NULL), 0);
	assert_int_equal(base, 5);
	assert_int_equal(lease_may_claim(&n.l, &n.s, &no_lock, T0 + 7 * SEC, &base, NULL, NULL),
			 ERR_UNAVAILABLE);
	n.s.holder[0] = 1; /* the same node, but on a disk that was lost: its lock says nothing */
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + 7 * SEC, &base, NULL, NULL),
			 ERR_UNAVAILABLE);
}

static void
may_not_claim(void **state UNUSED)
{
	const struct lease_claim good = { true, true };
	struct node n;
	uint64_t base;

	start(&n, 4, T0); /* no voter */
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + 9 * SEC, &base, NULL, NULL),
			 ERR_REFUSED);
	reign(&n);
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + 9 * SEC, &base, NULL, NULL),
			 ERR_REFUSED);
}

static void
snapshot(void **state UNUSED)
{
	const struct lease_claim good = { true, true };
	struct node n;
	uint64_t base, wait;

	reign(&n);
	lease_on_snapshot(&n.l, 11, T0 + SEC);
	assert_false(lease_is_primary(&n.l));
	assert_false(lease_holds(&n.l, T0 + SEC));
	/* the reign in the state is that of an earlier boot of ours */
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + SEC, &base, &wait, NULL), 0);
	n.s.reign.node = 2;
	assert_int_equal(lease_may_claim(&n.l, &n.s, &good, T0 + SEC, &base, &wait, NULL),
			 ERR_UNAVAILABLE);
	assert_int_equal(wait, LEASE_T2_NS);
}

/* More open asks than are remembered: less evidence, never a wrong one. */
static void
many_asks(void **state UNUSED)
{
	struct node n;
	struct record r = record_by(RECORD_BARRIER, 1, 1, 0);

	reign(&n);
	for (uint64_t seq = 1; seq <= LEASE_ASKS + 10; seq++) {
		r.seq = seq;
		ask(&n, &r, T0 + seq);
	}
	r.seq = LEASE_ASKS + 5;
	get(&n, &r, T0 + SEC);
	assert_int_equal(n.l.evidence_ns, T0);
	assert_int_equal(n.l.n_asks, 0);
	r.seq = LEASE_ASKS + 20;
	ask(&n, &r, T0 + SEC);
	get(&n, &r, T0 + SEC);
	assert_int_equal(n.l.evidence_ns, T0 + SEC);
}

/* The clock is read first; what happens while it is read is before the position. */
static uint64_t
read_clock(void *arg)
{
	struct node *n = arg;
	struct record bar = free_barrier();

	put(&n->s, &bar, NULL, NULL);
	return T0 + SEC;
}

static void
strict_read(void **state UNUSED)
{
	struct node n;
	uint64_t position = 0;

	reign(&n);
	assert_true(lease_strict_read(&n.l, &n.s, read_clock, &n, &position));
	assert_int_equal(position, 3);
	n.l.evidence_ns = T0 - SEC;
	assert_false(lease_strict_read(&n.l, &n.s, read_clock, &n, &position));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counted_from_the_ask),
		cmocka_unit_test(what_is_no_evidence),
		cmocka_unit_test(deposed),
		cmocka_unit_test(former_life),
		cmocka_unit_test(yields),
		cmocka_unit_test(new_reign_after_yield),
		cmocka_unit_test(may_claim),
		cmocka_unit_test(may_not_claim),
		cmocka_unit_test(snapshot),
		cmocka_unit_test(many_asks),
		cmocka_unit_test(strict_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
