#include "shard-map/map_file.h"

#include <unistd.h>

#include <jansson.h>

#include "tests/unit/shard-map/map_test.h"

static const struct map *
sample(void)
{
	struct map_node node[3] = { make_node(1, 1, 1), make_node(2, 3, 2), make_node(5, 1, 0) };
	const struct map *empty = empty_map(4), *m;

	m = place(empty, node, 3, 2);
	map_unref(&empty);
	return m;
}

static void
check_equal(const struct map *a, const struct map *b)
{
	assert_true(a->version == b->version && a->key_seed == b->key_seed);
	assert_string_equal(a->cluster, b->cluster);
	assert_memory_equal(a->uuid, b->uuid, 16);
	assert_int_equal(a->nshards, b->nshards);
	assert_int_equal(a->replicas, b->replicas);
	assert_int_equal(a->next_node, b->next_node);
	assert_int_equal(a->nnodes, b->nnodes);
	assert_int_equal(a->nmembers, b->nmembers);
	for (uint32_t i = 0; i < a->nnodes; i++) {
		assert_int_equal(a->nodes[i].id, b->nodes[i].id);
		assert_string_equal(a->nodes[i].name, b->nodes[i].name);
		assert_string_equal(a->nodes[i].addr, b->nodes[i].addr);
		assert_string_equal(a->nodes[i].admin, b->nodes[i].admin);
		assert_string_equal(a->nodes[i].zone, b->nodes[i].zone);
		assert_int_equal(a->nodes[i].weight, b->nodes[i].weight);
		assert_int_equal(a->nodes[i].state, b->nodes[i].state);
	}
	assert_memory_equal(a->first, b->first, (a->nshards + 1) * sizeof(*a->first));
	assert_memory_equal(a->members, b->members, a->nmembers * sizeof(*a->members));
}

static void
test_round(void **state)
{
	const struct map *maps[] = { sample(), first_map(256, 5, 3), first_map(16, 4, MAP_ALL) };
	char path[] = "/tmp/gitshard-map-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	for (unsigned i = 0; i < COUNT(maps); i++) {
		struct buf text = BUF_MAX(MAP_FILE_MAX), again = BUF_MAX(MAP_FILE_MAX);
		const struct map *back = NULL;
		struct err err = { 0 };

		assert_int_equal(map_file_format(&text, maps[i], &err), 0);
		assert_int_equal(map_file_parse(&back, buf_slice(&text), &err), 0);
		check_equal(maps[i], back);
		assert_int_equal(map_file_format(&again, back, &err), 0);
		assert_string_equal(buf_str(&text), buf_str(&again));
		map_unref(&back);
		assert_int_equal(map_file_save(maps[i], path, &err), 0);
		assert_int_equal(map_file_load(&back, path, &err), 0);
		check_equal(maps[i], back);
		map_unref(&back);
		buf_release(&text);
		buf_release(&again);
		map_unref(&maps[i]);
	}
	unlink(path);
}

/* The text of a known map: a change of it is a change of the format (docs/map-format.md). */
static void
test_known(void **state)
{
	static const char want[] =
		"{\"checksum\":"
		"\"954e765244dc89d90219f72b9f8827e9ed36de95ad8513734a20bddb7e23d9c1\","
		"\"cluster\":\"test\",\"format\":1,\"key_seed\":\"0123456789abcdef\","
		"\"members\":[[1,2],[5,2],[2,1],[2,5]],"
		"\"min_reader\":1,\"next_node\":6,"
		"\"nodes\":[{\"addr\":\"10.0.0.1:7010\",\"admin\":\"10.0.0.1:7011\",\"id\":1,"
		"\"name\":\"node1\",\"state\":\"up\",\"weight\":1,\"zone\":\"zone-1\"},"
		"{\"addr\":\"10.0.0.2:7010\",\"admin\":\"10.0.0.2:7011\",\"id\":2,\"name\":"
		"\"node2\",\"state\":\"up\",\"weight\":3,\"zone\":\"zone-2\"},"
		"{\"addr\":\"10.0.0.5:7010\",\"admin\":\"10.0.0.5:7011\",\"id\":5,\"name\":"
		"\"node5\",\"state\":\"up\",\"weight\":1,\"zone\":\"\"}],"
		"\"replicas\":2,\"shards\":4,\"uuid\":\"0102030405060708090a0b0c0d0e0f10\","
		"\"version\":1}"
		"\n";
	const struct map *m = sample();
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	struct err err;

	(void)state;
	assert_int_equal(map_file_format(&text, m, &err), 0);
	assert_string_equal(buf_str(&text), want);
	buf_release(&text);
	map_unref(&m);
}

static void
test_cut(void **state)
{
	const struct map *m = sample(), *back = NULL;
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	struct err err;

	(void)state;
	assert_int_equal(map_file_format(&text, m, &err), 0);
	for (size_t n = 0; n + 1 < text.len; n++)
		assert_int_equal(map_file_parse(&back, slice_of(text.p, n), &err), ERR_BAD);
	/* One changed byte never passes. */
	for (size_t n = 0; n + 1 < text.len; n++) {
		text.p[n] ^= 1;
		assert_true(map_file_parse(&back, buf_slice(&text), &err) < 0);
		text.p[n] ^= 1;
	}
	assert_null(back);
	for (unsigned i = 1; i < 5; i++) {
		mem_fail_at(i);
		assert_int_equal(map_file_parse(&back, buf_slice(&text), &err), ERR_NOMEM);
	}
	mem_fail_at(0);
	buf_release(&text);
	map_unref(&m);
}

static const char *
ignore_sum(const struct err *err)
{
	return err->code == ERR_CORRUPT ? "checksum" : err->text;
}

/* White space and the order of keys do not matter. */
static void
test_other_shape(void **state)
{
	const struct map *m = sample(), *back = NULL;
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	struct err err;
	json_t *o;
	char *pretty;

	(void)state;
	assert_int_equal(map_file_format(&text, m, &err), 0);
	o = json_loads(buf_str(&text), 0, NULL);
	pretty = json_dumps(o, JSON_INDENT(2));
	assert_int_equal(map_file_parse(&back, slice_str(pretty), &err), 0);
	check_equal(m, back);
	map_unref(&back);
	map_unref(&m);
	free(pretty);
	json_decref(o);
	buf_release(&text);
}

struct edit {
	const char *key;
	const char *value; /* JSON; NULL: the key is taken out */
	int code;
	const char *words;
};

/* What was changed with a right checksum is still looked at: the sum is computed by a second way. */
static void
test_refused(void **state)
{
	static const struct edit edits[] = {
		{ "format", "0", ERR_VERSION, "" },
		{ "format", "\"1\"", ERR_BAD, "\"format\" must be" },
		{ "min_reader", "2", ERR_VERSION, "upgrade" },
		{ "min_reader", NULL, ERR_BAD, "min_reader" },
		{ "checksum", "5", ERR_BAD, "checksum" },
		{ "checksum", "\"00\"", ERR_CORRUPT, "checksum" },
		{ "version", "2", ERR_CORRUPT, "checksum" },
		{ "new_key", "2", ERR_CORRUPT, "checksum" },
	};
	const struct map *m = sample(), *back = NULL;
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	struct err err;

	(void)state;
	assert_int_equal(map_file_format(&text, m, &err), 0);
	for (unsigned i = 0; i < COUNT(edits); i++) {
		json_t *o = json_loads(buf_str(&text), 0, NULL);
		char *changed;

		if (edits[i].value != NULL)
			json_object_set_new(o, edits[i].key,
					    json_loads(edits[i].value, JSON_DECODE_ANY, NULL));
		else
			json_object_del(o, edits[i].key);
		changed = json_dumps(o, 0);
		if (map_file_parse(&back, slice_str(changed), &err) != edits[i].code ||
		    strstr(ignore_sum(&err), edits[i].words) == NULL)
			fail_msg("case %u: %s", i, err.text);
		free(changed);
		json_decref(o);
	}
	assert_int_equal(map_file_parse(&back, SLICE_LIT("[]"), &err), ERR_BAD);
	assert_int_equal(map_file_parse(&back, SLICE_LIT("{}"), &err), ERR_BAD);
	assert_int_equal(map_file_parse(&back, SLICE_LIT("{\"format\":1,\"format\":1}"), &err),
			 ERR_BAD);
	buf_release(&text);
	map_unref(&m);
}

static void
test_limits(void **state)
{
	struct map_node node[3] = { make_node(60001, 1, 0), make_node(60002, 1, 0),
				    make_node(60003, 1, 0) };
	const struct map *empty = empty_map(65536), *m = place(empty, node, 3, 3), *back = NULL;
	struct buf text = BUF_MAX(2 * MAP_FILE_MAX);
	char *big = mem_alloc(MAP_FILE_MAX + 1);
	struct err err;

	(void)state;
	assert_int_equal(map_file_format(&text, m, &err), ERR_TOO_BIG);
	assert_int_equal(text.len, 0);
	assert_int_equal(map_file_parse(&back, slice_of(big, MAP_FILE_MAX + 1), &err), ERR_TOO_BIG);
	assert_int_equal(map_file_load(&back, "/nonexistent/map", &err), ERR_NOT_FOUND);
	free(big);
	buf_release(&text);
	map_unref(&empty);
	map_unref(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),   cmocka_unit_test(test_known),
		cmocka_unit_test(test_cut),     cmocka_unit_test(test_other_shape),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
