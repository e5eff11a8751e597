#include "tests/unit/shard-map/commitlog/core_test.h"

#include "gitproto/base/mem.h"
#include "shard-map/commitlog/fate.h"

static const struct record_reign self = { 0, 10, 1 };

/* What was told, as text: "c5@9 d6 u7". */
struct told {
	char text[200];
	struct fate_list *list;    /* asks one more from inside the callback */
	const struct record *more; /* NULL: not */
};

static void
on_fate(const struct fate_entry *e, enum fate f, uint64_t offset, void *arg)
{
	struct told *t = arg;
	size_t n = strlen(t->text);

	snprintf(t->text + n, sizeof(t->text) - n, "%s%c%llu", n > 0 ? " " : "", "ocdu"[f],
		 (unsigned long long)e -> seq);
	n = strlen(t->text);
	if (offset > 0)
		snprintf(t->text + n, sizeof(t->text) - n, "@%llu", (unsigned long long)offset);
	if (t->more != NULL) {
		assert_int_equal(fate_asked(t->list, t->more, 1, NULL, NULL), 0);
		t->more = NULL;
	}
}

static void
read_one(struct fate_list *l, const struct record *r, enum verdict v, const char *want)
{
	struct told t = { .text = "" };

	fate_on_read(l, &self, 9, r, v, on_fate, &t);
	assert_string_equal(t.text, want);
}

/* Five updates of reign 1 are asked for, seq 1 to 5. */
static void
ask_five(struct fate_list *l, struct record r[5])
{
	fate_init(l);
	for (unsigned i = 0; i < 5; i++) {
		r[i] = record_by(RECORD_UPDATE, 1, 1, i + 1);
		assert_int_equal(fate_asked(l, &r[i], 100 + i, NULL, NULL), 0);
	}
}

static void
own_record(void **state UNUSED)
{
	struct fate_list l;
	struct record r[5];

	ask_five(&l, r);
	assert_int_equal(fate_oldest_ns(&l), 100);
	read_one(&l, &r[0], VERDICT_EFFECTIVE, "c1@9");
	read_one(&l, &r[0], VERDICT_OUT, ""); /* its second copy: decided long ago */
	read_one(&l, &r[1], VERDICT_DEAD, "d2@9");
	assert_int_equal(fate_oldest_ns(&l), 102);
	read_one(&l, &r[2], VERDICT_OUT, "d3@9");
	assert_int_equal(fate_open(&l), 2);
	fate_release(&l);
}

static void
later_record_decides(void **state UNUSED)
{
	struct fate_list l;
	struct record r[5];

	ask_five(&l, r);
	read_one(&l, &r[3], VERDICT_DEAD, "d1 d2 d3 d4@9"); /* in order, not effective: trap 1 */
	read_one(&l, &r[4], VERDICT_EFFECTIVE, "c5@9");
	assert_int_equal(fate_open(&l), 0);
	assert_int_equal(fate_oldest_ns(&l), 0);
	fate_release(&l);
}

static void
what_proves_nothing(void **state UNUSED)
{
	struct fate_list l;
	struct record r[5], other = record_by(RECORD_BARRIER, 1, 2, 9);
	struct record out = record_by(RECORD_BARRIER, 1, 1, 9), bar = free_barrier();
	struct record before = record_by(RECORD_BARRIER, 1, 1, 9), late = claim(2, 2, 1);

	ask_five(&l, r);
	read_one(&l, &other, VERDICT_EFFECTIVE, "");
	read_one(&l, &out, VERDICT_OUT, ""); /* not in order: an older one may still be */
	bar.reign = r[0].reign;
	read_one(&l, &bar, VERDICT_FREE, "");
	before.reign.boot = 11; /* an earlier life of this node */
	read_one(&l, &before, VERDICT_EFFECTIVE, "");
	memcpy(before.txn, r[0].txn, RECORD_ID);
	read_one(&l, &late, VERDICT_OUT, ""); /* an invalid claim */
	assert_int_equal(fate_open(&l), 5);
	read_one(&l, &late, VERDICT_EFFECTIVE, "d1 d2 d3 d4 d5");
	fate_release(&l);
}

static void
claims(void **state UNUSED)
{
	struct fate_list l;
	struct record c1 = claim(2, 1, 1), c2 = claim(2, 1, 5), rival = claim(2, 3, 5);

	fate_init(&l);
	assert_int_equal(fate_asked(&l, &c1, 1, NULL, NULL), 0);
	assert_int_equal(fate_asked(&l, &c2, 2, NULL, NULL), 0);
	read_one(&l, &c1, VERDICT_OUT, "d0@9");
	read_one(&l, &c2, VERDICT_EFFECTIVE, "c0@9");
	assert_int_equal(fate_asked(&l, &c1, 1, NULL, NULL), 0);
	assert_int_equal(fate_asked(&l, &c2, 2, NULL, NULL), 0);
	read_one(&l, &c2, VERDICT_EFFECTIVE, "d0 c0@9"); /* the epoch is taken: by itself */
	assert_int_equal(fate_asked(&l, &c1, 1, NULL, NULL), 0);
	read_one(&l, &rival, VERDICT_EFFECTIVE, "d0");
	fate_release(&l);
}

static void
snapshot_and_not_sent(void **state UNUSED)
{
	struct fate_list l;
	struct record r[5];
	struct told t = { .text = "" };
	void *tag = NULL;
	int mine;

	ask_five(&l, r);
	assert_true(fate_not_sent(&l, r[2].txn, &tag));
	assert_false(fate_not_sent(&l, r[2].txn, &tag));
	fate_on_snapshot(&l, on_fate, &t);
	assert_string_equal(t.text, "u1 u2 u4 u5");
	assert_int_equal(fate_asked(&l, &r[0], 1, &mine, NULL), 0);
	assert_true(fate_not_sent(&l, r[0].txn, &tag));
	assert_ptr_equal(tag, &mine);
	fate_release(&l);
}

/* The callback appends anew what died: that one is not judged by the record that was just read. */
static void
asks_from_inside(void **state UNUSED)
{
	struct fate_list l;
	struct record r[5], more = record_by(RECORD_UPDATE, 1, 1, 6);
	struct told t = { .text = "", .list = &l, .more = &more };

	ask_five(&l, r);
	fate_on_read(&l, &self, 9, &r[4], VERDICT_EFFECTIVE, on_fate, &t);
	assert_string_equal(t.text, "d1 d2 d3 d4 c5@9");
	assert_int_equal(fate_open(&l), 1);
	read_one(&l, &more, VERDICT_EFFECTIVE, "c6@9");
	fate_release(&l);
}

/* A long queue that is answered from the front stays small in memory, and is bounded. */
static void
long_queue(void **state UNUSED)
{
	struct fate_list l;
	struct told t = { .text = "" };
	struct record r = record_by(RECORD_UPDATE, 1, 1, 0);

	fate_init(&l);
	for (uint64_t seq = 1; seq <= 10000; seq++) {
		r.seq = seq;
		memcpy(r.txn, &seq, sizeof(seq));
		assert_int_equal(fate_asked(&l, &r, seq, NULL, NULL), 0);
		if (seq <= 20)
			continue;
		r.seq = seq - 20;
		memcpy(r.txn, &r.seq, sizeof(r.seq));
		t.text[0] = '\0';
		fate_on_read(&l, &self, 9, &r, VERDICT_EFFECTIVE, on_fate, &t);
		assert_int_equal(t.text[0], 'c');
	}
	assert_int_equal(fate_open(&l), 20);
	assert_int_equal(fate_at(&l, 0)->seq, 9981);
	assert_int_equal(fate_at(&l, 19)->seq, 10000);
	assert_true(l.cap < 200);
	for (uint64_t seq = 10001; l.n < FATE_MAX; seq++) {
		r.seq = seq;
		assert_int_equal(fate_asked(&l, &r, seq, NULL, NULL), 0);
	}
	assert_int_equal(fate_asked(&l, &r, 1, NULL, NULL), ERR_UNAVAILABLE);
	fate_release(&l);
	mem_fail_at(1);
	assert_int_equal(fate_asked(&l, &r, 1, NULL, NULL), ERR_UNAVAILABLE);
	mem_fail_at(0);
	fate_release(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_record),
		cmocka_unit_test(later_record_decides),
		cmocka_unit_test(what_proves_nothing),
		cmocka_unit_test(claims),
		cmocka_unit_test(snapshot_and_not_sent),
		cmocka_unit_test(asks_from_inside),
		cmocka_unit_test(long_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
