#include "tests/unit/shard-map/map_test.h"

static void
test_addresses(void **state)
{
	static const struct {
		const char *addr;
		bool ok;
	} cases[] = {
		{ "127.0.0.1:80", true }, { "host.example:65535", true },
		{ "[::1]:7010", true },   { "", false },
		{ ":80", false },         { "host", false },
		{ "host:", false },       { "host:0", false },
		{ "host:65536", false },  { "host:99999999999", false },
		{ "host:8o", false },     { "::1:80", false },
		{ "[::1]", false },       { "[::1:80", false },
		{ "[]:80", false },       { "ho st:80", false },
		{ "http://h:80", false }, { "u@h:80", false },
		{ "h\n:80", false },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		if (map_check_addr(cases[i].addr) != cases[i].ok)
			fail_msg("%s", cases[i].addr);
}

static void
spoil_node(struct map_node *n, unsigned what)
{
	switch (what) {
	case 0:
		n[0].id = 0;
		break;
	case 1:
		n[1].id = 1;
		break;
	case 2:
		n[2].id = 4;
		break;
	case 3:
		n[1].name[0] = 'N';
		break;
	case 4:
		n[1].zone[0] = '-';
		break;
	case 5:
		n[1].addr[0] = '\0';
		break;
	case 6:
		n[1].admin[0] = '\0';
		break;
	case 7:
		n[1].weight = 0;
		break;
	case 8:
		n[1].state = 7;
		break;
	case 9:
		memcpy(n[1].name, n[0].name, MAP_NAME);
		break;
	case 10:
		memcpy(n[1].admin, n[0].admin, MAP_ADDR);
		break;
	}
}
static const char *const node_words[] = {
	"not in 1..65535", "not ascending",   "not below next_node", "its name must",
	"its zone must",   "not of the form", "not of the form",     "weight 0",
	"unknown state",   "two nodes are",   "same address",
};

static void
spoil_map(struct map *m, unsigned what)
{
	switch (what) {
	case 0:
		m->version = 0;
		break;
	case 1:
		m->cluster[0] = '_';
		break;
	case 2:
		memset(m->uuid, 0, 16);
		break;
	case 3:
		m->nshards = 3;
		break;
	case 4:
		m->next_node = 0;
		break;
	case 5:
		m->replicas = 3;
		break;
	case 6:
		m->members[3] = 3000;
		break;
	case 7:
		m->members[3] = m->members[2];
		break;
	case 8:
		m->nodes[m->members[0] - 1].state = MAP_NODE_DRAIN;
		break;
	case 9:
		m->first[2] = 7;
		break;
	case 10:
		m->replicas = MAP_ALL;
		break;
	}
}
static const char *const map_words[] = {
	"version is 0", "cluster's name",  "no uuid",         "power of two",
	"next_node",    "members instead", "does not exist",  "twice",
	"is drained",   "do not add up",   "members instead",
};

/* A copy that is not sealed, to be spoiled. */
static struct map *
copy(const struct map *good)
{
	struct map *m = map_alloc(good->nshards, good->nnodes, good->nmembers);

	m->version = good->version;
	memcpy(m->cluster, good->cluster, MAP_NAME);
	memcpy(m->uuid, good->uuid, 16);
	m->replicas = good->replicas;
	m->next_node = good->next_node;
	memcpy(m->nodes, good->nodes, m->nnodes * sizeof(*m->nodes));
	memcpy(m->first, good->first, (m->nshards + 1) * sizeof(*m->first));
	memcpy(m->members, good->members, m->nmembers * sizeof(*m->members));
	return m;
}

static void
check_words(struct map *m, const char *words)
{
	const struct map *dropped = m;
	struct err err = { 0 };

	assert_int_equal(map_check(m, &err), ERR_BAD);
	if (strstr(err.text, words) == NULL)
		fail_msg("%s: %s", words, err.text);
	map_unref(&dropped);
}

static void
test_words(void **state)
{
	const struct map *good = first_map(4, 3, 2);
	struct err err = { 0 };

	(void)state;
	assert_int_equal(map_check(good, &err), 0);
	for (unsigned i = 0; i < COUNT(map_words); i++) {
		struct map *m = copy(good);

		spoil_map(m, i);
		check_words(m, map_words[i]);
	}
	for (unsigned i = 0; i < COUNT(node_words); i++) {
		struct map *m = copy(good);

		spoil_node(m->nodes, i);
		check_words(m, node_words[i]);
	}
	map_unref(&good);
}

static void
test_next(void **state)
{
	struct map_node node[3] = { make_node(1, 1, 0), make_node(2, 1, 0), make_node(3, 1, 0) };
	const struct map *empty = empty_map(8), *other = empty_map(16), *a, *b, *c;
	struct err err;

	(void)state;
	a = place(empty, node, 2, 2);
	b = place(a, node, 3, 2);
	c = place(other, node, 3, 2);
	assert_int_equal(map_check_next(empty, a, &err), 0);
	assert_int_equal(map_check_next(a, b, &err), 0);
	assert_int_equal(map_check_next(empty, b, &err), ERR_CONFLICT);
	assert_int_equal(map_check_next(b, b, &err), ERR_CONFLICT);
	assert_int_equal(map_check_next(empty, c, &err), ERR_CONFLICT);
	map_unref(&c);
	map_unref(&other);
	/* An id that was given to a node is never given to another one. */
	node[1] = node[2];
	c = place(b, node, 2, 2);
	node[1] = make_node(2, 1, 0);
	{
		struct place_wish wish = { node, 3, 2 };
		const struct map *bad = NULL;

		assert_int_equal(place_make(&bad, c, &wish, &err), ERR_CONFLICT);
		assert_non_null(strstr(err.text, "was given before"));
	}
	map_unref(&a);
	map_unref(&b);
	map_unref(&c);
	map_unref(&empty);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
