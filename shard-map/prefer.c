#include "shard-map/prefer.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "shard-map/rank.h"

#define NONE UINT32_MAX

/* Nodes are indices in m->nodes here.  Each node should be first of lo or hi shards: its members
 * divided by the members of a shard.  Numbers in {lo, hi} that add up exist always; they are found
 * by moving a "first" along chains: x gives shard s to its member y, y another one to z. */
struct preferring {
	const struct map *m;
	uint32_t *index;                        /* owned: [node id] */
	uint32_t *first;                        /* owned: [shard] who is first, NONE */
	uint32_t *count;                        /* owned: [node] shards it is first of */
	uint32_t *lo, *hi;                      /* owned: [node] */
	uint32_t *queue, *via_shard, *via_node; /* owned: [node] of a search */
	bool *seen;                             /* owned: [node] */
	uint32_t nqueue;
};

static void
begin(struct preferring *p, const struct map *m)
{
	uint32_t n = m->nnodes;

	p->m = m;
	p->index = mem_array(m->next_node, sizeof(uint32_t));
	p->first = mem_array(m->nshards, sizeof(uint32_t));
	p->count = mem_array(n, sizeof(uint32_t));
	p->lo = mem_array(n, sizeof(uint32_t));
	p->hi = mem_array(n, sizeof(uint32_t));
	p->queue = mem_array(n, sizeof(uint32_t));
	p->via_shard = mem_array(n, sizeof(uint32_t));
	p->via_node = mem_array(n, sizeof(uint32_t));
	p->seen = mem_array(n, sizeof(bool));
	for (uint32_t i = 0; i < n; i++)
		p->index[m->nodes[i].id] = i;
}

static void
end(struct preferring *p)
{
	free(p->index);
	free(p->first);
	free(p->count);
	free(p->lo);
	free(p->hi);
	free(p->queue);
	free(p->via_shard);
	free(p->via_node);
	free(p->seen);
}

static void
set_first(struct preferring *p, uint32_t shard, uint32_t node)
{
	if (p->first[shard] != NONE)
		p->count[p->first[shard]]--;
	p->first[shard] = node;
	p->count[node]++;
}

static void
set_bounds(struct preferring *p)
{
	uint32_t each = p->m->first[1] - p->m->first[0];
	uint32_t *holds = p->hi;

	for (uint32_t i = 0; i < p->m->nmembers; i++)
		holds[p->index[p->m->members[i]]]++;
	for (uint32_t i = 0; i < p->m->nnodes; i++) {
		p->lo[i] = holds[i] / each;
		p->hi[i] = (holds[i] + each - 1) / each;
	}
}

static void
keep_old(struct preferring *p, const uint32_t *old)
{
	for (uint32_t s = 0; s < p->m->nshards; s++) {
		p->first[s] = NONE;
		for (uint32_t i = p->m->first[s]; i < p->m->first[s + 1]; i++)
			if (p->m->members[i] == old[s])
				set_first(p, s, p->index[old[s]]);
	}
}

static uint64_t
rank(const struct preferring *p, uint32_t node, uint32_t shard)
{
	return rank_of(p->m->nodes[node].id, shard, p->m->key_seed);
}

/* Member of the shard with the highest rank whose count is below its limit; NONE. */
static uint32_t
best_below(const struct preferring *p, uint32_t shard, const uint32_t *limit)
{
	uint32_t best = NONE;

	for (uint32_t i = p->m->first[shard]; i < p->m->first[shard + 1]; i++) {
		uint32_t node = p->index[p->m->members[i]];

		if (p->count[node] < limit[node] &&
		    (best == NONE || rank(p, node, shard) > rank(p, best, shard)))
			best = node;
	}
	return best;
}

static void
reach(struct preferring *p, uint32_t shard, uint32_t from)
{
	for (uint32_t i = p->m->first[shard]; i < p->m->first[shard + 1]; i++) {
		uint32_t node = p->index[p->m->members[i]];

		if (p->seen[node])
			continue;
		p->seen[node] = true;
		p->via_shard[node] = shard;
		p->via_node[node] = from;
		p->queue[p->nqueue++] = node;
	}
}

static void
reach_from(struct preferring *p, uint32_t node)
{
	for (uint32_t s = 0; s < p->m->nshards; s++)
		if (p->first[s] == node)
			reach(p, s, node);
}

/* Shortest chain from a shard without a first one (or, NONE, from node) to a node that is below its
 * limit; false: none. */
static bool
chain(struct preferring *p, uint32_t shard, uint32_t from, const uint32_t *limit)
{
	memset(p->seen, 0, p->m->nnodes * sizeof(*p->seen));
	p->nqueue = 0;
	if (shard != NONE) {
		reach(p, shard, NONE);
	} else {
		p->seen[from] = true;
		reach_from(p, from);
	}
	for (uint32_t i = 0; i < p->nqueue; i++) {
		uint32_t node = p->queue[i];

		if (p->count[node] >= limit[node]) {
			reach_from(p, node);
			continue;
		}
		while (node != NONE && node != from) {
			set_first(p, p->via_shard[node], node);
			node = p->via_node[node];
		}
		return true;
	}
	return false;
}

static void
fill(struct preferring *p, uint32_t shard)
{
	uint32_t node = best_below(p, shard, p->lo);

	if (node == NONE)
		node = best_below(p, shard, p->hi);
	if (node != NONE)
		set_first(p, shard, node);
	else
		CHECK(chain(p, shard, NONE, p->hi));
}

static void
level(struct preferring *p)
{
	for (uint32_t s = 0; s < p->m->nshards; s++)
		if (p->first[s] == NONE)
			fill(p, s);
	for (uint32_t i = 0; i < p->m->nnodes; i++)
		while (p->count[i] > p->hi[i])
			CHECK(chain(p, NONE, i, p->lo) || chain(p, NONE, i, p->hi));
	for (uint32_t i = 0; i < p->m->nnodes; i++)
		while (p->count[i] > p->lo[i] && chain(p, NONE, i, p->lo))
			continue;
	for (uint32_t i = 0; i < p->m->nnodes; i++)
		CHECK(p->count[i] >= p->lo[i] && p->count[i] <= p->hi[i]);
}

/* Insertion sort: a shard has few members. */
static void
sort_members(const struct preferring *p, uint32_t *member, uint32_t n, uint32_t shard)
{
	uint64_t seed = p->m->key_seed;

	for (uint32_t i = 1; i < n; i++)
		for (uint32_t j = i; j > 0; j--) {
			uint32_t a = member[j - 1], b = member[j];
			uint32_t first = p->m->nodes[p->first[shard]].id;

			if (a == first || (b != first && rank_before(rank_of(a, shard, seed), a,
								     rank_of(b, shard, seed), b)))
				break;
			member[j - 1] = b;
			member[j] = a;
		}
}

void
prefer_order(struct map *m, const uint32_t *old)
{
	struct preferring p = { 0 };

	begin(&p, m);
	set_bounds(&p);
	keep_old(&p, old);
	level(&p);
	for (uint32_t s = 0; s < m->nshards; s++)
		sort_members(&p, m->members + m->first[s], m->first[s + 1] - m->first[s], s);
	end(&p);
}
