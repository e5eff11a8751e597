#include "shard-map/ctl/map_wish.h"

#include "tests/unit/shard-map/map_test.h"

static struct opt_list
list(const char *const *v)
{
	struct opt_list l = { .v = (const char **)(uintptr_t)v };

	while (v != NULL && v[l.n] != NULL)
		l.n++;
	return l;
}

static const struct {
	const char *add[3], *drain[3], *weight[3], *replicas, *error; /* NULL: it succeeds */
	uint32_t nnodes, nreplicas;
} cases[] = {
	{ .nnodes = 3, .nreplicas = 3 },
	{ .add = { "node4=h:1,h:2" }, .nnodes = 4, .nreplicas = 3 },
	{ .add = { "a=h:1,h:2", "b=i:1,i:2,weight=7" }, .nnodes = 5, .nreplicas = 3 },
	{ .add = { "a=h:1,h:2" }, .weight = { "a=9", "node1=2" }, .nnodes = 4, .nreplicas = 3 },
	{ .drain = { "node2" }, .nnodes = 3, .nreplicas = 3 },
	{ .replicas = "2", .nnodes = 3, .nreplicas = 2 },
	{ .replicas = "all", .nnodes = 3, .nreplicas = MAP_ALL },
	{ .add = { "node1=h:1,h:2" }, .error = "--add node1=h:1,h:2: there is a node node1" },
	{ .add = { "a=h:1,h:2", "a=i:1,i:2" }, .error = "there is a node a already" },
	{ .add = { "h:2" }, .error = "name and back plane are missing" },
	{ .add = { "a=h:1" }, .error = "--add a=h:1" },
	{ .add = { "a=h:1,h:2,zone=_" }, .error = "a zone must be" },
	{ .drain = { "node9" }, .error = "--drain node9: there is no such node" },
	{ .drain = { "node1", "node2", "node3" }, .error = "no node is up" },
	{ .weight = { "node1" }, .error = "--weight node1: a weight is a number" },
	{ .weight = { "node1=0" }, .error = "a weight is a number from 1" },
	{ .weight = { "node1=10001" }, .error = "a weight is a number from 1" },
	{ .weight = { "node1=x" }, .error = "a weight is a number from 1" },
	{ .weight = { "nobody=3" }, .error = "there is no node 'nobody'" },
	{ .replicas = "0", .error = "--replicas: a number" },
	{ .replicas = "many", .error = "--replicas" },
};

static void
test_cases(void **state)
{
	const struct map *old = first_map(16, 3, 3);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct map_wish w = { list(cases[i].add), list(cases[i].drain),
				      list(cases[i].weight), cases[i].replicas };
		const struct map *m = NULL;
		struct err err = { 0 };
		int rc = map_wish_make(&m, old, &w, &err);

		if (cases[i].error != NULL) {
			assert_int_equal(rc, ERR_BAD);
			assert_null(m);
			if (strstr(err.text, cases[i].error) == NULL)
				fail_msg("case %zu: %s", i, err.text);
			continue;
		}
		if (rc < 0)
			fail_msg("case %zu: %s", i, err.text);
		assert_int_equal(m->version, old->version + 1);
		assert_int_equal(m->nnodes, cases[i].nnodes);
		assert_int_equal(m->replicas, cases[i].nreplicas);
		for (size_t k = 0; cases[i].drain[k] != NULL; k++)
			assert_int_equal(map_node_named(m, cases[i].drain[k])->state,
					 MAP_NODE_DRAIN);
		map_unref(&m);
	}
	map_unref(&old);
}

static void
test_details(void **state)
{
	static const char *const add[] = { "a=h:1,h:2,weight=4", NULL }, *const weight[] = {
		"node2=3", NULL
	};
	const struct map *old = first_map(16, 3, 3), *m = NULL;
	struct map_wish w = { list(add), list(NULL), list(weight), NULL };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(map_wish_make(&m, old, &w, &err), 0);
	assert_int_equal(map_node_named(m, "a")->id, 4); /* never an id that was given before */
	assert_int_equal(map_node_named(m, "a")->weight, 4);
	assert_int_equal(map_node_named(m, "node2")->weight, 3);
	assert_int_equal(map_node_named(old, "node2")->weight, 1);
	map_unref(&m);
	map_unref(&old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_details),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
