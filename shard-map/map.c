#include "shard-map/map.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "shard-map/key.h"

static void
free_map(struct map *m)
{
	if (m == NULL)
		return;
	free(m->nodes);
	free(m->first);
	free(m->members);
	free(m->by_id);
	free(m);
}

/* Zeroed room for n things; never NULL for n = 0. */
static void *
room(uint32_t n, size_t size)
{
	return mem_try_alloc((n > 0 ? n : 1) * size);
}

struct map *
map_alloc(uint32_t nshards, uint32_t nnodes, uint32_t nmembers)
{
	struct map *m;

	if (nshards > MAP_MAX_SHARDS || nnodes > MAP_MAX_NODES ||
	    nmembers > (uint64_t)MAP_MAX_SHARDS * MAP_MAX_NODES)
		return NULL;
	m = mem_try_alloc(sizeof(*m));
	if (m == NULL)
		return NULL;
	m->format = MAP_FORMAT;
	m->refs = 1;
	m->nshards = nshards;
	m->nnodes = nnodes;
	m->nmembers = nmembers;
	m->nodes = room(nnodes, sizeof(*m->nodes));
	m->first = room(nshards + 1, sizeof(*m->first));
	m->members = room(nmembers, sizeof(*m->members));
	if (m->nodes != NULL && m->first != NULL && m->members != NULL)
		return m;
	free_map(m);
	return NULL;
}

struct map *
map_new_empty(const char *cluster, const uint8_t uuid[16], uint64_t key_seed, uint32_t nshards)
{
	struct map *m = map_alloc(nshards, 0, 0);

	CHECK(m != NULL && strlen(cluster) < MAP_NAME);
	memcpy(m->cluster, cluster, strlen(cluster) + 1);
	memcpy(m->uuid, uuid, sizeof(m->uuid));
	m->key_seed = key_seed;
	m->next_node = 1;
	map_seal(m);
	return m;
}

void
map_seal(struct map *m)
{
	CHECK(m->next_node >= 1 && m->next_node <= MAP_MAX_NODE_ID + 1);
	CHECK(m->by_id == NULL);
	m->by_id = mem_array(m->next_node, sizeof(*m->by_id));
	for (uint32_t i = 0; i < m->nnodes; i++) {
		CHECK(m->nodes[i].id >= 1 && m->nodes[i].id < m->next_node);
		CHECK(i == 0 || m->nodes[i].id > m->nodes[i - 1].id);
		m->by_id[m->nodes[i].id] = (uint16_t)(i + 1);
	}
	CHECK(m->first[0] == 0 && m->first[m->nshards] == m->nmembers);
	for (uint32_t s = 0; s < m->nshards; s++)
		CHECK(m->first[s] <= m->first[s + 1]);
}

/* The count is the only thing that changes in a sealed map. */
static unsigned *
refs(const struct map *m)
{
	return &((struct map *)(uintptr_t)m)->refs;
}

const struct map *
map_ref(const struct map *m)
{
	__atomic_add_fetch(refs(m), 1, __ATOMIC_RELAXED);
	return m;
}

void
map_unref(const struct map **m)
{
	const struct map *old = *m;

	*m = NULL;
	if (old != NULL && __atomic_sub_fetch(refs(old), 1, __ATOMIC_ACQ_REL) == 0)
		free_map((struct map *)(uintptr_t)old);
}

const struct map_node *
map_node(const struct map *m, uint32_t id)
{
	uint16_t at = id < m->next_node ? m->by_id[id] : 0;

	return at > 0 ? &m->nodes[at - 1] : NULL;
}

const struct map_node *
map_node_named(const struct map *m, const char *name)
{
	for (uint32_t i = 0; i < m->nnodes; i++)
		if (strcmp(m->nodes[i].name, name) == 0)
			return &m->nodes[i];
	return NULL;
}

const uint32_t *
map_members(const struct map *m, uint32_t shard, uint32_t *n)
{
	CHECK(shard < m->nshards);
	*n = m->first[shard + 1] - m->first[shard];
	return m->members + m->first[shard];
}

bool
map_is_member(const struct map *m, uint32_t shard, uint32_t node)
{
	uint32_t n;
	const uint32_t *member = map_members(m, shard, &n);

	for (uint32_t i = 0; i < n; i++)
		if (member[i] == node)
			return true;
	return false;
}

uint32_t
map_shard_of(const struct map *m, struct slice repo)
{
	return key_shard(repo, m->key_seed, m->nshards);
}

bool
map_name_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= MAP_NAME || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if ((s[i] < 'a' || s[i] > 'z') && (s[i] < '0' || s[i] > '9') && s[i] != '-')
			return false;
	return true;
}
