#include "shard-map/commitlog/commitlog_subs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gitproto/base/buf.h"

struct heard {
	struct commitlog_subs *subs;
	struct buf text; /* "stream:first+n" for records, "stream!error" for troubles */
	bool renew;      /* unsubscribe and subscribe again from 100, inside the callback */
};

static void on_trouble(uint32_t stream, const struct err *err, void *arg);

static void
on_records(uint32_t stream, const struct commitlog_record *r, size_t n, void *arg)
{
	struct heard *h = arg;

	buf_addf(&h->text, "%u:%u+%zu ", stream, (unsigned)r->offset, n);
	if (h->renew) {
		commitlog_subs_remove(h->subs, stream);
		commitlog_subs_add(h->subs, stream, 100, on_records, on_trouble, h);
	}
}

static void
on_trouble(uint32_t stream, const struct err *err, void *arg)
{
	struct heard *h = arg;

	buf_addf(&h->text, "%u!%s ", stream, err_name(err->code));
}

/* Streams 1 .. n from offset 10 on, the records 10 .. 14 of any. */
static const struct commitlog_record five[] = {
	{ 10, { NULL, 0 } }, { 11, { NULL, 0 } }, { 12, { NULL, 0 } },
	{ 13, { NULL, 0 } }, { 14, { NULL, 0 } },
};

static void
begin(struct heard *h, uint32_t n)
{
	h->subs = commitlog_subs_new();
	h->text = BUF_MAX(1000);
	h->renew = false;
	commitlog_subs_own(h->subs);
	for (uint32_t i = 1; i <= n; i++)
		commitlog_subs_add(h->subs, i, 10, on_records, on_trouble, h);
}

static void
expect(struct heard *h, const char *text)
{
	assert_string_equal(buf_str(&h->text), text);
	buf_clear(&h->text);
}

static void
end(struct heard *h)
{
	commitlog_subs_free(&h->subs);
	buf_release(&h->text);
}

static struct commitlog_subs_turn
take_turn(struct heard *h)
{
	struct commitlog_subs_turn turn;

	assert_true(commitlog_subs_behind(h->subs, &turn));
	return turn;
}

static bool
all_in_step(struct heard *h)
{
	struct commitlog_subs_turn turn;

	return !commitlog_subs_behind(h->subs, &turn);
}

static void
test_turns(void **state UNUSED)
{
	struct commitlog_subs_turn turn;
	struct heard h;

	begin(&h, 2);
	turn = take_turn(&h);
	assert_int_equal(turn.stream, 1);
	assert_int_equal(turn.from, 10);
	commitlog_subs_catch_up(h.subs, &turn, five, 2, true);
	turn = take_turn(&h);
	assert_int_equal(turn.stream, 2);
	commitlog_subs_catch_up(h.subs, &turn, NULL, 0, false);
	turn = take_turn(&h);
	assert_int_equal(turn.stream, 1);
	assert_int_equal(turn.from, 12);
	commitlog_subs_catch_up(h.subs, &turn, five + 2, 1, false);
	assert_true(all_in_step(&h));
	expect(&h, "1:10+2 1:12+1 ");
	end(&h);
}

static void
test_tail(void **state UNUSED)
{
	struct commitlog_subs_turn turn;
	struct heard h;

	begin(&h, 1);
	commitlog_subs_tail(h.subs, 1, five, 5); /* behind: comes by its own reading */
	commitlog_subs_tail(h.subs, 9, five, 5); /* nobody's */
	expect(&h, "");
	turn = take_turn(&h);
	commitlog_subs_catch_up(h.subs, &turn, five, 2, false);
	assert_true(commitlog_subs_in_step(h.subs, 1));
	commitlog_subs_tail(h.subs, 1, five, 2); /* had */
	commitlog_subs_tail(h.subs, 1, five, 3); /* the last one is new */
	expect(&h, "1:10+2 1:12+1 ");
	commitlog_subs_compare(h.subs, 1, 13);
	assert_true(commitlog_subs_in_step(h.subs, 1));
	commitlog_subs_tail(h.subs, 1, five + 4, 1); /* 13 is missing */
	assert_false(commitlog_subs_in_step(h.subs, 1));
	turn = take_turn(&h);
	assert_int_equal(turn.from, 13);
	commitlog_subs_catch_up(h.subs, &turn, five + 3, 2, false);
	commitlog_subs_compare(h.subs, 1, 16); /* 15 went by */
	assert_int_equal(take_turn(&h).from, 15);
	expect(&h, "1:13+2 ");
	end(&h);
}

static void
test_away_and_back(void **state UNUSED)
{
	struct err io = { ERR_IO, "" }, gone = { ERR_NOT_FOUND, "" }, bad = { ERR_CORRUPT, "" };
	struct commitlog_subs_turn turn;
	struct heard h;

	begin(&h, 2);
	commitlog_subs_fail_all(h.subs, &io);
	commitlog_subs_fail_all(h.subs, &io); /* once a spell */
	expect(&h, "1!unavailable 2!unavailable ");
	turn = take_turn(&h);
	commitlog_subs_fail(h.subs, &turn, &io);
	commitlog_subs_catch_up(h.subs, &turn, five, 1, false);
	commitlog_subs_fail(h.subs, &turn, &io);
	expect(&h, "1!ok 1:10+1 1!unavailable ");
	commitlog_subs_fail(h.subs, &turn, &gone);
	commitlog_subs_fail(h.subs, &turn, &gone); /* it is over */
	expect(&h, "1!not_found ");
	commitlog_subs_fail_all(h.subs, &bad);
	commitlog_subs_fail_all(h.subs, &bad);
	expect(&h, "2!corrupt ");
	assert_true(all_in_step(&h));
	end(&h);
}

/* What was read for one subscription is not handed to the next one of the same stream. */
static void
test_renewed(void **state UNUSED)
{
	struct err io = { ERR_IO, "" };
	struct commitlog_subs_turn old, turn;
	struct heard h;

	begin(&h, 1);
	h.renew = true;
	old = take_turn(&h);
	commitlog_subs_catch_up(h.subs, &old, five, 1, false);
	expect(&h, "1:10+1 ");
	assert_false(commitlog_subs_in_step(h.subs, 1));
	commitlog_subs_catch_up(h.subs, &old, five + 1, 1, false);
	commitlog_subs_fail(h.subs, &old, &io);
	expect(&h, "");
	turn = take_turn(&h);
	assert_int_equal(turn.from, 100);
	assert_true(turn.serial != old.serial);
	commitlog_subs_remove(h.subs, 1);
	commitlog_subs_remove(h.subs, 1);
	assert_true(all_in_step(&h));
	end(&h);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_away_and_back),
		cmocka_unit_test(test_renewed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
