#include "shard-map/map_check.h"

#include <inttypes.h>

#include "gitproto/base/mem.h"

bool
map_check_addr(const char *s)
{
	const char *colon = strrchr(s, ':');
	unsigned port = 0;
	size_t host;

	if (colon == NULL || colon == s || strlen(s) >= MAP_ADDR)
		return false;
	host = (size_t)(colon - s);
	if (s[0] == '[' ? s[host - 1] != ']' || host < 4 : memchr(s, ':', host) != NULL)
		return false;
	for (size_t i = 0; i < host; i++)
		if (s[i] <= ' ' || s[i] > '~' || strchr("/?#@\"\\", s[i]) != NULL)
			return false;
	for (const char *p = colon + 1; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || port > 65535)
			return false;
		port = port * 10 + (unsigned)(*p - '0');
	}
	return port >= 1 && port <= 65535;
}

static int
check_node(const struct map *m, uint32_t i, struct err *err)
{
	const struct map_node *n = &m->nodes[i];

	if (n->id < 1 || n->id > MAP_MAX_NODE_ID)
		return err_set(err, ERR_BAD, "node id %u is not in 1..%u", n->id, MAP_MAX_NODE_ID);
	if (i > 0 && n->id <= m->nodes[i - 1].id)
		return err_set(err, ERR_BAD, "node ids are not ascending at %u", n->id);
	if (n->id >= m->next_node)
		return err_set(err, ERR_BAD, "node id %u is not below next_node %u", n->id,
			       m->next_node);
	if (!map_name_ok(n->name))
		return err_set(err, ERR_BAD,
			       "node %u: its name must be 1 to 63 of a-z, 0-9 and '-'", n->id);
	if (n->zone[0] != '\0' && !map_name_ok(n->zone))
		return err_set(err, ERR_BAD,
			       "node %s: its zone must be empty or 1 to 63 of a-z, 0-9 and '-'",
			       n->name);
	if (!map_check_addr(n->addr) || !map_check_addr(n->admin))
		return err_set(err, ERR_BAD, "node %s: '%s' is not of the form host:port", n->name,
			       map_check_addr(n->addr) ? n->admin : n->addr);
	if (n->weight < 1 || n->weight > MAP_MAX_WEIGHT)
		return err_set(err, ERR_BAD, "node %s: weight %u is not in 1..%u", n->name,
			       n->weight, MAP_MAX_WEIGHT);
	if (n->state != MAP_NODE_UP && n->state != MAP_NODE_DRAIN)
		return err_set(err, ERR_BAD, "node %s: unknown state", n->name);
	for (uint32_t j = 0; j < i; j++) {
		if (strcmp(m->nodes[j].name, n->name) == 0)
			return err_set(err, ERR_BAD, "two nodes are called %s", n->name);
		if (strcmp(m->nodes[j].addr, n->addr) == 0 ||
		    strcmp(m->nodes[j].admin, n->admin) == 0)
			return err_set(err, ERR_BAD, "nodes %s and %s have the same address",
				       m->nodes[j].name, n->name);
	}
	return 0;
}

static const struct map_node *
find_node(const struct map *m, uint32_t id)
{
	uint32_t low = 0, high = m->nnodes;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (m->nodes[mid].id == id)
			return &m->nodes[mid];
		if (m->nodes[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static int
check_shard(const struct map *m, uint32_t s, uint32_t want, struct err *err)
{
	const uint32_t *member = m->members + m->first[s];
	uint32_t n = m->first[s + 1] - m->first[s];

	if (n != want)
		return err_set(err, ERR_BAD, "shard %u has %u members instead of %u", s, n, want);
	for (uint32_t i = 0; i < n; i++) {
		const struct map_node *node = find_node(m, member[i]);

		if (node == NULL)
			return err_set(err, ERR_BAD, "shard %u names node %u, which does not exist",
				       s, member[i]);
		if (node->state != MAP_NODE_UP)
			return err_set(err, ERR_BAD, "shard %u names node %s, which is drained", s,
				       node->name);
		for (uint32_t j = 0; j < i; j++)
			if (member[j] == member[i])
				return err_set(err, ERR_BAD, "shard %u names node %s twice", s,
					       node->name);
	}
	return 0;
}

static int
check_head(const struct map *m, struct err *err)
{
	static const uint8_t none[16];

	if (m->version < 1)
		return err_set(err, ERR_BAD, "the version is 0");
	if (!map_name_ok(m->cluster))
		return err_set(err, ERR_BAD,
			       "the cluster's name must be 1 to 63 of a-z, 0-9 and '-'");
	if (memcmp(m->uuid, none, sizeof(none)) == 0)
		return err_set(err, ERR_BAD, "the cluster has no uuid");
	if (m->nshards < 1 || m->nshards > MAP_MAX_SHARDS || (m->nshards & (m->nshards - 1)) != 0)
		return err_set(err, ERR_BAD, "%u shards are not a power of two up to %u",
			       m->nshards, MAP_MAX_SHARDS);
	if (m->next_node < 1 || m->next_node > MAP_MAX_NODE_ID + 1)
		return err_set(err, ERR_BAD, "next_node %u is not in 1..%u", m->next_node,
			       MAP_MAX_NODE_ID + 1);
	if (m->first[0] != 0 || m->first[m->nshards] != m->nmembers)
		return err_set(err, ERR_BAD, "the lists of members do not add up");
	for (uint32_t s = 0; s < m->nshards; s++)
		if (m->first[s] > m->first[s + 1])
			return err_set(err, ERR_BAD, "the lists of members do not add up");
	return 0;
}

int
map_check(const struct map *m, struct err *err)
{
	uint32_t up = 0, want;
	int rc = check_head(m, err);

	for (uint32_t i = 0; i < m->nnodes && rc == 0; i++) {
		rc = check_node(m, i, err);
		up += m->nodes[i].state == MAP_NODE_UP;
	}
	if (rc == 0 && up == 0)
		rc = err_set(err, ERR_BAD, "no node is up");
	want = m->replicas == MAP_ALL ? up : MIN(m->replicas, up);
	for (uint32_t s = 0; s < m->nshards && rc == 0; s++)
		rc = check_shard(m, s, want, err);
	return rc;
}

int
map_check_next(const struct map *now, const struct map *next, struct err *err)
{
	if (next->version != now->version + 1)
		return err_set(err, ERR_CONFLICT, "version %" PRIu64 " does not follow %" PRIu64,
			       next->version, now->version);
	if (strcmp(now->cluster, next->cluster) != 0 ||
	    memcmp(now->uuid, next->uuid, sizeof(now->uuid)) != 0)
		return err_set(err, ERR_CONFLICT, "it is the map of another cluster");
	if (now->key_seed != next->key_seed || now->nshards != next->nshards)
		return err_set(err, ERR_CONFLICT, "another key seed or number of shards");
	if (next->next_node < now->next_node)
		return err_set(err, ERR_CONFLICT, "next_node went back");
	for (uint32_t i = 0; i < next->nnodes; i++) {
		const struct map_node *n = &next->nodes[i], *old = find_node(now, n->id);

		if (n->id < now->next_node && (old == NULL || strcmp(old->name, n->name) != 0))
			return err_set(err, ERR_CONFLICT,
				       "node id %u was given before, and not to %s", n->id,
				       n->name);
	}
	return 0;
}
