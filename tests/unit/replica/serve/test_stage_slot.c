/* Slots of voters: nobody takes another's, who waits comes in order, who lingers makes room. */
#include "replica/serve/stage_slot.h"

#include "gitproto/base/mem.h"
#include "tests/unit/gitproto/net/net_test.h"

#define SLOTS 4u
#define PEERS 2u

struct send {
	struct stage_slot slot;
	struct stage_slots *all;
	uint64_t left;
	unsigned come, ended;
};

struct world {
	struct loop *loop;
	struct stage_slots *slots;
	struct send slow[12], fast[12];
};

static uint64_t
left(void *arg)
{
	return ((struct send *)arg)->left;
}

static void
on_event(enum stage_slot_event ev, void *arg)
{
	struct send *s = arg;

	if (ev == STAGE_SLOT_COME) {
		s->come++;
		return;
	}
	s->ended++;
	stage_slot_give(s->all, &s->slot);
}

static void
send_init(struct world *p, struct send *s, uint32_t node)
{
	s->all = p->slots;
	s->slot.node = node;
	s->slot.on_event = on_event;
	s->slot.left = left;
	s->slot.arg = s;
}

static int
begin(void **state)
{
	struct world *p = MEM_NEW(struct world);

	p->loop = loop_new("test");
	p->slots = stage_slots_new(p->loop, PEERS * SLOTS * STAGE_SLOT_BYTES);
	stage_slots_set_peers(p->slots, PEERS);
	for (unsigned i = 0; i < COUNT(p->slow); i++) {
		send_init(p, &p->slow[i], 2);
		send_init(p, &p->fast[i], 3);
	}
	*state = p;
	return 0;
}

static int
end(void **state)
{
	struct world *p = *state;

	for (unsigned i = 0; i < COUNT(p->slow); i++) {
		if (p->slow[i].slot.state != STAGE_SLOT_LINGERS)
			stage_slot_give(p->slots, &p->slow[i].slot);
		stage_slot_give(p->slots, &p->fast[i].slot);
	}
	stage_slots_free(&p->slots);
	for (unsigned i = 0; i < COUNT(p->slow); i++)
		assert_int_equal(p->slow[i].slot.state, STAGE_SLOT_NONE);
	loop_free(&p->loop);
	free(p);
	return 0;
}

static struct stage_slot_counts
counts(const struct world *p)
{
	struct stage_slot_counts n;

	stage_slots_count(p->slots, &n);
	return n;
}

static void
test_share(void **state)
{
	struct world *p = *state;

	assert_int_equal(stage_slots_each(p->slots), SLOTS);
	stage_slots_set_peers(p->slots, 2 * PEERS);
	assert_int_equal(stage_slots_each(p->slots), SLOTS / 2);
	stage_slots_set_peers(p->slots, 1000); /* at least one each */
	assert_int_equal(stage_slots_each(p->slots), 1);
	stage_slots_set_peers(p->slots, 0);
	assert_int_equal(stage_slots_each(p->slots), PEERS * SLOTS);
}

/* The slow voter is full; the other takes as many as ever. */
static void
test_slow_one_holds_up_itself(void **state)
{
	struct world *p = *state;

	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(stage_slot_take(p->slots, &p->slow[i].slot), i < SLOTS);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < SLOTS; i++) {
			assert_true(stage_slot_take(p->slots, &p->fast[i].slot));
			if (i == SLOTS - 1)
				for (unsigned k = 0; k < SLOTS; k++)
					stage_slot_give(p->slots, &p->fast[k].slot);
		}
	assert_int_equal(counts(p).sending, SLOTS);
	assert_int_equal(counts(p).waiting, 12 - SLOTS);
}

static void
test_first_come_first_served(void **state)
{
	struct world *p = *state;

	for (unsigned i = 0; i < SLOTS + 4; i++)
		assert_int_equal(stage_slot_take(p->slots, &p->slow[i].slot), i < SLOTS);
	stage_slot_give(p->slots, &p->slow[SLOTS + 1].slot); /* gives up waiting */
	stage_slot_give(p->slots, &p->slow[0].slot);
	stage_slot_give(p->slots, &p->slow[1].slot);
	assert_false(stage_slot_take(p->slots, &p->slow[0].slot)); /* others were first */
	run_msec(p->loop, 5);
	assert_int_equal(p->slow[SLOTS].come, 1);
	assert_int_equal(p->slow[SLOTS + 1].come, 0);
	assert_int_equal(p->slow[SLOTS + 2].come, 1);
	assert_int_equal(p->slow[SLOTS + 3].come, 0);
	assert_int_equal(p->slow[0].come, 0);
	assert_int_equal(counts(p).sending, SLOTS);
}

/* Half of the slots at most; who has most to send goes first, and those that wait come in. */
static void
test_who_lingers_makes_room(void **state)
{
	struct world *p = *state;

	for (unsigned i = 0; i < SLOTS + 2; i++)
		assert_int_equal(stage_slot_take(p->slots, &p->slow[i].slot), i < SLOTS);
	for (unsigned i = 0; i < SLOTS; i++)
		p->slow[i].left = i == 1 ? 1000 : 10 * (i + 1);
	for (unsigned i = 0; i < SLOTS; i++)
		stage_slot_linger(p->slots, &p->slow[i].slot);
	assert_int_equal(counts(p).lingering, SLOTS / 2);
	assert_int_equal(p->slow[0].ended + p->slow[2].ended, 0);
	assert_int_equal(p->slow[1].ended, 1);
	assert_int_equal(p->slow[3].ended, 1); /* the very one that began to linger */
	run_msec(p->loop, 5);
	assert_int_equal(p->slow[SLOTS].come + p->slow[SLOTS + 1].come, 2);
	assert_int_equal(counts(p).sending, 2);
	assert_int_equal(counts(p).waiting, 0);
}

/* With one slot nothing lingers. */
static void
test_one_slot(void **state)
{
	struct world *p = *state;

	stage_slots_set_peers(p->slots, 1000);
	assert_true(stage_slot_take(p->slots, &p->slow[0].slot));
	assert_false(stage_slot_take(p->slots, &p->slow[1].slot));
	stage_slot_linger(p->slots, &p->slow[0].slot);
	assert_int_equal(p->slow[0].ended, 1);
	run_msec(p->loop, 5);
	assert_int_equal(p->slow[1].come, 1);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_share),
		T(test_slow_one_holds_up_itself),
		T(test_first_come_first_served),
		T(test_who_lingers_makes_room),
		T(test_one_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
