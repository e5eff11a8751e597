/* What the tests of this room share: wishes and maps made from a few numbers. */
#ifndef TESTS_UNIT_SHARD_MAP_MAP_TEST_H
#define TESTS_UNIT_SHARD_MAP_MAP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gitproto/base/err.h"
#include "gitproto/base/mem.h"
#include "shard-map/map.h"
#include "shard-map/map_check.h"
#include "shard-map/place.h"

/* A node as the tests see it: zone 0 is no zone. */
UNUSED static struct map_node
make_node(uint32_t id, uint32_t weight, unsigned zone)
{
	struct map_node n = { .id = id, .weight = weight, .state = MAP_NODE_UP };

	snprintf(n.name, sizeof(n.name), "node%u", id);
	snprintf(n.addr, sizeof(n.addr), "10.0.%u.%u:7010", id / 256, id % 256);
	snprintf(n.admin, sizeof(n.admin), "10.0.%u.%u:7011", id / 256, id % 256);
	if (zone > 0)
		snprintf(n.zone, sizeof(n.zone), "zone-%u", zone);
	return n;
}

UNUSED static const struct map *
empty_map(uint32_t nshards)
{
	static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

	return map_new_empty("test", uuid, UINT64_C(0x0123456789abcdef), nshards);
}

/* place_make that must succeed. */
UNUSED static const struct map *
place(const struct map *old, const struct map_node *nodes, uint32_t n, uint32_t replicas)
{
	struct place_wish wish = { nodes, n, replicas };
	const struct map *m = NULL;
	struct err err = { 0 };

	if (place_make(&m, old, &wish, &err) < 0)
		fail_msg("place_make: %s", err.text);
	return m;
}

/* n nodes of weight 1 without zones, ids from 1. */
UNUSED static const struct map *
first_map(uint32_t nshards, uint32_t n, uint32_t replicas)
{
	struct map_node *nodes = mem_array(n, sizeof(*nodes));
	const struct map *empty = empty_map(nshards), *m;

	for (uint32_t i = 0; i < n; i++)
		nodes[i] = make_node(i + 1, 1, 0);
	m = place(empty, nodes, n, replicas);
	map_unref(&empty);
	free(nodes);
	return m;
}

#endif
