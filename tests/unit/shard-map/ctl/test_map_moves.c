#include "shard-map/ctl/map_moves.h"

#include "shard-map/ctl/map_wish.h"
#include "tests/unit/shard-map/map_test.h"

#define SHARDS 64u

static const struct map *
next(const struct map *old, const char *add, const char *drain, const char *replicas)
{
	struct map_wish w = { { &add, add != NULL }, { &drain, drain != NULL }, { 0 }, replicas };
	const struct map *m = NULL;
	struct err err = { 0 };

	if (map_wish_make(&m, old, &w, &err) < 0)
		fail_msg("%s", err.text);
	return m;
}

/* Carried out on a list of (shard, node), the moves lead from the one map to the other. */
static void
check_moves(const struct map_moves *m)
{
	static bool held[SHARDS][16];
	uint32_t n;

	memset(held, 0, sizeof(held));
	for (uint32_t s = 0; s < SHARDS; s++) {
		const uint32_t *member = map_members(m->from, s, &n);

		for (uint32_t i = 0; i < n; i++)
			held[s][member[i]] = true;
	}
	for (size_t i = 0; i < m->nrows; i++) {
		const struct map_moves_row *r = &m->rows[i];

		if (r->primary) {
			assert_int_equal(r->to, map_members(m->to, r->shard, &n)[0]);
			continue;
		}
		if (r->from != 0)
			assert_true(held[r->shard][r->from]);
		held[r->shard][r->from] = false;
		assert_false(held[r->shard][r->to]);
		held[r->shard][r->to] = r->to != 0;
	}
	for (uint32_t s = 0; s < SHARDS; s++)
		for (uint32_t id = 1; id < 16; id++)
			assert_int_equal(held[s][id], map_is_member(m->to, s, id));
}

static void
check_counts(const struct map_moves *m)
{
	size_t before = 0, after = 0, preferred = 0;

	for (size_t i = 0; i < m->nnodes; i++) {
		before += m->nodes[i].before;
		after += m->nodes[i].after;
		preferred += m->nodes[i].preferred_after;
	}
	assert_int_equal(before, m->from->nmembers);
	assert_int_equal(after, m->to->nmembers);
	assert_int_equal(preferred, SHARDS);
	assert_int_equal(m->moved + m->added + m->removed + m->primaries, m->nrows);
	assert_int_equal(after - before, m->added - m->removed);
}

static const struct {
	const char *add, *drain, *replicas;
	size_t moved, added, removed;
	const char *words[3];
} cases[] = {
	{ .words = { "of 192 copies of 64 shards 0 move, 0 are added, 0 removed" } },
	{ .add = "node9=h:1,h:2", .moved = 38, .words = { "38 move", "new", "copy" } },
	/* Members of one shard in different zones: each shard gets one there. */
	{ .add = "node9=h:1,h:2,zone=far", .moved = 64, .words = { "64 move", "new    far" } },
	{ .drain = "node3", .moved = 48, .words = { "drain" } },
	{ .replicas = "4", .added = 64, .words = { "64 are added" } },
	{ .replicas = "2", .removed = 64, .words = { "64 removed" } },
};

static void
test_cases(void **state)
{
	const struct map *old = first_map(SHARDS, 4, 3);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct map *new = next(old, cases[i].add, cases[i].drain, cases[i].replicas);
		struct buf out = BUF_MAX(65536);
		struct map_moves m;
		struct err err = { 0 };
		json_t *o;

		assert_int_equal(map_moves_make(&m, old, new, &err), 0);
		check_moves(&m);
		check_counts(&m);
		assert_int_equal(m.moved, cases[i].moved);
		assert_int_equal(m.added, cases[i].added);
		assert_int_equal(m.removed, cases[i].removed);
		map_moves_text(&out, &m);
		for (size_t k = 0; k < 3 && cases[i].words[k] != NULL; k++)
			if (strstr(buf_str(&out), cases[i].words[k]) == NULL)
				fail_msg("'%s' is not in:\n%s", cases[i].words[k], buf_str(&out));
		o = map_moves_json(&m);
		assert_int_equal(json_array_size(json_object_get(o, "moves")), m.nrows);
		assert_int_equal(json_array_size(json_object_get(o, "nodes")), m.nnodes);
		assert_int_equal(json_integer_value(json_object_get(o, "moved")), m.moved);
		json_decref(o);
		buf_release(&out);
		map_moves_release(&m);
		map_unref(&new);
	}
	map_unref(&old);
}

/* Backwards: a node that the newer map does not know. */
static void
test_gone(void **state)
{
	const struct map *old = first_map(SHARDS, 4, 3), *new = next(old, "n9=h:1,h:2", NULL, NULL);
	struct buf out = BUF_MAX(65536);
	struct map_moves m;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(map_moves_make(&m, new, old, &err), 0);
	check_moves(&m);
	assert_int_equal(m.nnodes, 5);
	assert_true(m.nodes[4].gone && m.nodes[4].after == 0);
	map_moves_text(&out, &m);
	assert_non_null(strstr(buf_str(&out), "n9     gone"));
	buf_release(&out);
	map_moves_release(&m);
	map_unref(&new);
	map_unref(&old);
}

static void
test_refused(void **state)
{
	static const uint8_t uuid[16] = { 9 };
	const struct map *a = first_map(8, 3, 3), *b = first_map(16, 3, 3);
	const struct map *c = map_new_empty("other", uuid, 1, 8);
	struct map_moves m;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(map_moves_make(&m, a, b, &err), ERR_BAD);
	assert_non_null(strstr(err.text, "8 and 16 shards"));
	map_moves_release(&m);
	assert_int_equal(map_moves_make(&m, a, c, &err), ERR_BAD);
	assert_non_null(strstr(err.text, "two clusters, test and other"));
	map_moves_release(&m);
	map_unref(&a);
	map_unref(&b);
	map_unref(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
