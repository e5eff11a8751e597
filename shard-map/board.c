#include "shard-map/board.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

/* A search visits shards, zones of shards and nodes at most once each; it is a search for an
 * augmenting path in the flow  shard -> (lo places of each zone | places above) -> node, so whatever
 * path it finds can be walked as a whole without breaking a rule. */
struct board_search {
	uint32_t round;
	uint32_t *zone_seen;  /* owned: [shard][zone] round */
	uint32_t *shard_seen; /* owned: [shard] reached as a whole */
	uint32_t *extra_seen; /* owned: [shard] reached at its places above lo */
	uint32_t *node_seen;  /* owned: [node] */
	uint32_t *via_shard;  /* owned: [node] got it there */
	uint32_t *via_node;   /* owned: [node] from this one; BOARD_NONE: the place was free */
	uint32_t *queue;      /* owned: [node] */
	uint32_t nqueue;
	bool direct;
};

static void
free_search(struct board_search *s)
{
	if (s == NULL)
		return;
	free(s->zone_seen);
	free(s->shard_seen);
	free(s->extra_seen);
	free(s->node_seen);
	free(s->via_shard);
	free(s->via_node);
	free(s->queue);
	free(s);
}

void
board_free(struct board **board)
{
	struct board *b = *board;

	*board = NULL;
	if (b == NULL)
		return;
	free(b->has);
	free(b->was);
	free(b->in_zone);
	free(b->extra);
	free(b->held);
	free(b->node);
	free(b->zone);
	free(b->count);
	free(b->receives);
	free_search(b->search);
	free(b);
}

static struct board_search *
new_search(uint32_t nshards, uint32_t nnodes, uint32_t nzones)
{
	struct board_search *s = MEM_NEW(struct board_search);
	size_t cell = sizeof(uint32_t);

	s->zone_seen = mem_try_alloc((size_t)nshards * nzones * cell);
	s->shard_seen = mem_try_alloc(nshards * cell);
	s->extra_seen = mem_try_alloc(nshards * cell);
	s->node_seen = mem_array(nnodes, cell);
	s->via_shard = mem_array(nnodes, cell);
	s->via_node = mem_array(nnodes, cell);
	s->queue = mem_array(nnodes, cell);
	if (s->zone_seen != NULL && s->shard_seen != NULL && s->extra_seen != NULL)
		return s;
	free_search(s);
	return NULL;
}

struct board *
board_new(uint32_t nshards, uint32_t nnodes, uint32_t nzones, uint32_t replicas)
{
	struct board *b = MEM_NEW(struct board);
	size_t cells = (size_t)nshards * nzones;

	b->nshards = nshards;
	b->nnodes = nnodes;
	b->nzones = nzones;
	b->replicas = replicas;
	b->words = (nnodes + 63) / 64;
	b->has = mem_try_alloc((size_t)nshards * b->words * sizeof(*b->has));
	b->was = mem_try_alloc((size_t)nshards * b->words * sizeof(*b->was));
	b->in_zone = mem_try_alloc(cells * sizeof(*b->in_zone));
	b->extra = mem_try_alloc(nshards * sizeof(*b->extra));
	b->held = mem_try_alloc(nshards * sizeof(*b->held));
	b->node = mem_array(nnodes, sizeof(*b->node));
	b->zone = mem_array(nzones, sizeof(*b->zone));
	b->count = mem_array(nnodes, sizeof(*b->count));
	b->receives = mem_array(nnodes, sizeof(*b->receives));
	b->search = new_search(nshards, nnodes, nzones);
	if (b->has == NULL || b->was == NULL || b->in_zone == NULL || b->extra == NULL ||
	    b->held == NULL || b->search == NULL)
		board_free(&b);
	return b;
}

static uint16_t *
zone_cell(const struct board *b, uint32_t shard, uint32_t zone)
{
	return &b->in_zone[(size_t)shard * b->nzones + zone];
}

void
board_set_quotas(struct board *b)
{
	uint32_t lo = 0;

	for (uint32_t z = 0; z < b->nzones; z++)
		lo += b->zone[z].lo;
	CHECK(lo <= b->replicas);
	b->extra_max = b->replicas - lo;
	for (uint32_t s = 0; s < b->nshards; s++) {
		b->extra[s] = 0;
		for (uint32_t z = 0; z < b->nzones; z++) {
			uint32_t n = *zone_cell(b, s, z);

			b->extra[s] += n > b->zone[z].lo ? (uint16_t)(n - b->zone[z].lo) : 0;
		}
	}
}

static bool
bit(const uint64_t *set, uint32_t words, uint32_t shard, uint32_t node)
{
	return set[(size_t)shard * words + node / 64] >> node % 64 & 1;
}

bool
board_has(const struct board *b, uint32_t shard, uint32_t node)
{
	return bit(b->has, b->words, shard, node);
}

bool
board_was(const struct board *b, uint32_t shard, uint32_t node)
{
	return bit(b->was, b->words, shard, node);
}

void
board_add(struct board *b, uint32_t shard, uint32_t node)
{
	uint32_t zone = b->node[node].zone;

	CHECK(!board_has(b, shard, node));
	b->has[(size_t)shard * b->words + node / 64] |= UINT64_C(1) << node % 64;
	b->extra[shard] += *zone_cell(b, shard, zone) >= b->zone[zone].lo;
	++*zone_cell(b, shard, zone);
	b->held[shard]++;
	b->count[node]++;
}

void
board_drop(struct board *b, uint32_t shard, uint32_t node)
{
	uint32_t zone = b->node[node].zone;

	CHECK(board_has(b, shard, node));
	b->has[(size_t)shard * b->words + node / 64] &= ~(UINT64_C(1) << node % 64);
	b->extra[shard] -= *zone_cell(b, shard, zone) > b->zone[zone].lo;
	--*zone_cell(b, shard, zone);
	b->held[shard]--;
	b->count[node]--;
}

static bool
zone_has_room(const struct board *b, uint32_t shard, uint32_t zone, uint32_t extra)
{
	uint32_t n = *zone_cell(b, shard, zone);

	return n < b->zone[zone].lo || (n < b->zone[zone].hi && extra < b->extra_max);
}

bool
board_may_add(const struct board *b, uint32_t shard, uint32_t node)
{
	return !board_has(b, shard, node) &&
	       zone_has_room(b, shard, b->node[node].zone, b->extra[shard]);
}

bool
board_may_swap(const struct board *b, uint32_t shard, uint32_t out, uint32_t in)
{
	uint32_t from = b->node[out].zone, to = b->node[in].zone;
	uint32_t freed = *zone_cell(b, shard, from) > b->zone[from].lo;

	if (!board_has(b, shard, out) || board_has(b, shard, in))
		return false;
	return from == to || zone_has_room(b, shard, to, b->extra[shard] - freed);
}

/* ---- chains ---------------------------------------------------------------------------------- */

/* All nodes of this zone that could take a place of the shard. */
static void
reach_zone(struct board *b, uint32_t shard, uint32_t zone, uint32_t from)
{
	struct board_search *s = b->search;
	uint32_t *seen = &s->zone_seen[(size_t)shard * b->nzones + zone];

	if (*seen == s->round)
		return;
	*seen = s->round;
	for (uint32_t i = 0; i < b->nnodes; i++) {
		if (b->node[i].zone != zone || s->node_seen[i] == s->round ||
		    board_has(b, shard, i))
			continue;
		if (s->direct && !b->receives[i] && !board_was(b, shard, i))
			continue;
		s->node_seen[i] = s->round;
		s->via_shard[i] = shard;
		s->via_node[i] = from;
		s->queue[s->nqueue++] = i;
	}
}

static void reach_extra(struct board *, uint32_t shard, uint32_t from);

/* A place of the shard is free that belongs to no zone yet. */
static void
reach_shard(struct board *b, uint32_t shard, uint32_t from)
{
	struct board_search *s = b->search;

	if (s->shard_seen[shard] == s->round)
		return;
	s->shard_seen[shard] = s->round;
	for (uint32_t z = 0; z < b->nzones; z++)
		if (*zone_cell(b, shard, z) < b->zone[z].lo)
			reach_zone(b, shard, z, from);
	if (b->extra[shard] < b->extra_max)
		reach_extra(b, shard, from);
}

/* A place above lo is free. */
static void
reach_extra(struct board *b, uint32_t shard, uint32_t from)
{
	struct board_search *s = b->search;

	if (s->extra_seen[shard] == s->round)
		return;
	s->extra_seen[shard] = s->round;
	for (uint32_t z = 0; z < b->nzones; z++) {
		uint32_t n = *zone_cell(b, shard, z);

		if (n >= b->zone[z].lo && n < b->zone[z].hi)
			reach_zone(b, shard, z, from);
	}
	reach_shard(b, shard, from);
}

/* keep: what the node held before all moving is not given up. */
static void
reach_from_node(struct board *b, uint32_t node, bool keep)
{
	uint32_t zone = b->node[node].zone;

	for (uint32_t shard = 0; shard < b->nshards; shard++) {
		if (!board_has(b, shard, node) || (keep && board_was(b, shard, node)))
			continue;
		reach_zone(b, shard, zone, node);
		if (*zone_cell(b, shard, zone) > b->zone[zone].lo)
			reach_extra(b, shard, node);
		else
			reach_shard(b, shard, node);
	}
}

/* Walks the chain from its end: each node on it gets the place that the one before it gives up. */
static void
walk(struct board *b, uint32_t node, uint32_t begin)
{
	struct board_search *s = b->search;

	while (node != BOARD_NONE && node != begin) {
		uint32_t shard = s->via_shard[node], before = s->via_node[node];

		if (before != BOARD_NONE)
			board_drop(b, shard, before);
		board_add(b, shard, node);
		node = before;
	}
}

bool
board_exchange(struct board *b, uint32_t shard, uint32_t from, bool direct)
{
	struct board_search *s = b->search;

	s->round++;
	s->nqueue = 0;
	s->direct = direct;
	if (shard != BOARD_NONE) {
		reach_shard(b, shard, BOARD_NONE);
	} else {
		s->node_seen[from] = s->round;
		reach_from_node(b, from, false);
	}
	for (uint32_t i = 0; i < s->nqueue; i++) {
		uint32_t node = s->queue[i];

		if (b->count[node] < b->node[node].quota) {
			walk(b, node, from);
			return true;
		}
		reach_from_node(b, node, direct);
	}
	return false;
}
