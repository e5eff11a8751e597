#include "shard-map/place.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "shard-map/board.h"
#include "shard-map/map_check.h"
#include "shard-map/prefer.h"
#include "shard-map/rank.h"

struct placing {
	const struct map *old;
	const struct place_wish *wish;
	uint32_t replicas;   /* that can be had */
	uint32_t *up;        /* owned: [index on the board] place in wish->nodes */
	uint32_t *index;     /* owned: [node id] index on the board, BOARD_NONE */
	uint32_t nids;       /* of index */
	struct board *board; /* owned */
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Numbers the zones of nodes that are up, in the order of their names: so it does not depend on ids.
 * Returns how many there are. */
static uint32_t
number_zones(const struct placing *p, uint32_t *zone, uint32_t n)
{
	const char **names = mem_array(n, sizeof(*names));
	uint32_t different = 0;

	for (uint32_t i = 0; i < n; i++)
		names[i] = p->wish->nodes[p->up[i]].zone;
	qsort(names, n, sizeof(*names), by_name);
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || strcmp(names[i], names[different - 1]) != 0)
			names[different++] = names[i];
	for (uint32_t i = 0; i < n; i++) {
		const char *name = p->wish->nodes[p->up[i]].zone;
		const char **at = bsearch(&name, names, different, sizeof(*names), by_name);

		CHECK(at != NULL);
		zone[i] = (uint32_t)(at - names);
	}
	free(names);
	return different;
}

static uint64_t
rank(const struct placing *p, uint32_t node, uint32_t shard)
{
	return rank_of(p->wish->nodes[p->up[node]].id, shard, p->old->key_seed);
}

static int
check_wish(const struct place_wish *w, struct err *err)
{
	if (w->nnodes > MAP_MAX_NODES)
		return err_set(err, ERR_BAD, "%u nodes are more than %u", w->nnodes, MAP_MAX_NODES);
	for (uint32_t i = 0; i < w->nnodes; i++) {
		const struct map_node *n = &w->nodes[i];

		if (n->id < 1 || n->id > MAP_MAX_NODE_ID || (i > 0 && n->id <= n[-1].id))
			return err_set(err, ERR_BAD, "node ids are not ascending in 1..%u",
				       MAP_MAX_NODE_ID);
		if (n->weight < 1 || n->weight > MAP_MAX_WEIGHT)
			return err_set(err, ERR_BAD, "node %s: weight %u is not in 1..%u", n->name,
				       n->weight, MAP_MAX_WEIGHT);
	}
	return 0;
}

static int
begin(struct placing *p, struct err *err)
{
	const struct map_node *nodes = p->wish->nodes;
	uint32_t n = 0, nzones, *zone;

	p->up = mem_array(p->wish->nnodes, sizeof(*p->up));
	p->nids = MAP_MAX_NODE_ID + 1;
	p->index = mem_array(p->nids, sizeof(*p->index));
	memset(p->index, 0xff, p->nids * sizeof(*p->index));
	for (uint32_t i = 0; i < p->wish->nnodes; i++)
		if (nodes[i].state == MAP_NODE_UP) {
			p->index[nodes[i].id] = n;
			p->up[n++] = i;
		}
	if (n == 0)
		return err_set(err, ERR_BAD, "no node is up: there is nowhere to place shards");
	p->replicas = p->wish->replicas == MAP_ALL ? n : MIN(n, p->wish->replicas);
	zone = mem_array(n, sizeof(*zone));
	nzones = number_zones(p, zone, n);
	p->board = board_new(p->old->nshards, n, nzones, p->replicas);
	for (uint32_t i = 0; i < n && p->board != NULL; i++)
		p->board->node[i] = (struct quota_node){ .zone = zone[i],
							 .weight = nodes[p->up[i]].weight,
							 .tie = rank(p, i, UINT32_MAX) };
	free(zone);
	return p->board != NULL ? 0 : err_set(err, ERR_NOMEM, "no memory to place shards");
}

static void
end(struct placing *p)
{
	free(p->up);
	free(p->index);
	board_free(&p->board);
}

/* The old members that stay, and from them the quotas. */
static void
take_over(struct placing *p)
{
	struct board *b = p->board;

	for (uint32_t s = 0; s < b->nshards; s++) {
		uint32_t n;
		const uint32_t *member = map_members(p->old, s, &n);

		for (uint32_t i = 0; i < n; i++)
			if (p->index[member[i]] != BOARD_NONE)
				board_add(b, s, p->index[member[i]]);
	}
	memcpy(b->was, b->has, (size_t)b->nshards * b->words * sizeof(*b->has));
	for (uint32_t i = 0; i < b->nnodes; i++)
		b->node[i].has = b->count[i];
	quota_fill(b->node, b->nnodes, b->zone, b->nzones, b->nshards, b->replicas);
	board_set_quotas(b);
}

/* Is this member one of those that a rule forbids to all be here? */
static bool
too_many(const struct board *b, uint32_t shard, uint32_t node)
{
	uint32_t zone = b->node[node].zone;
	uint32_t n = b->in_zone[(size_t)shard * b->nzones + zone];

	if (!board_has(b, shard, node))
		return false;
	if (n > b->zone[zone].hi)
		return true;
	return b->extra[shard] > b->extra_max && n > b->zone[zone].lo;
}

static int64_t
surplus(const struct board *b, uint32_t node)
{
	return (int64_t)b->count[node] - b->node[node].quota;
}

/* Fewer replicas, or other zones, than before: the fullest nodes let go. */
static void
shrink(struct placing *p, uint32_t shard)
{
	struct board *b = p->board;

	for (;;) {
		uint32_t worst = BOARD_NONE;

		for (uint32_t i = 0; i < b->nnodes; i++) {
			if (!too_many(b, shard, i))
				continue;
			if (worst == BOARD_NONE || surplus(b, i) > surplus(b, worst) ||
			    (surplus(b, i) == surplus(b, worst) &&
			     rank(p, i, shard) < rank(p, worst, shard)))
				worst = i;
		}
		if (worst == BOARD_NONE)
			return;
		board_drop(b, shard, worst);
	}
}

/* Free places of a shard go to its highest ranks among the nodes below quota. */
static void
fill(struct placing *p, uint32_t shard)
{
	struct board *b = p->board;

	while (b->held[shard] < b->replicas) {
		uint32_t best = BOARD_NONE;
		uint64_t most = 0;

		for (uint32_t i = 0; i < b->nnodes; i++) {
			if (surplus(b, i) >= 0 || !board_may_add(b, shard, i))
				continue;
			if (best == BOARD_NONE || rank(p, i, shard) > most) {
				best = i;
				most = rank(p, i, shard);
			}
		}
		if (best == BOARD_NONE)
			return; /* a chain will do it */
		board_add(b, shard, best);
	}
}

struct choice {
	uint64_t rank;
	uint32_t shard;
};

static int
by_rank(const void *a, const void *b)
{
	const struct choice *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return (x->shard > y->shard) - (x->shard < y->shard);
}

/* Member of the shard that is most above its quota and may give its place to node. */
static uint32_t
giver(const struct placing *p, uint32_t shard, uint32_t node)
{
	const struct board *b = p->board;
	uint32_t best = BOARD_NONE;

	for (uint32_t i = 0; i < b->nnodes; i++) {
		if (surplus(b, i) <= 0 || !board_may_swap(b, shard, i, node))
			continue;
		if (best == BOARD_NONE || surplus(b, i) > surplus(b, best) ||
		    (surplus(b, i) == surplus(b, best) && rank(p, i, shard) < rank(p, best, shard)))
			best = i;
	}
	return best;
}

/* A node below its quota takes the shards that rank it highest from nodes above theirs. */
static void
receive(struct placing *p, uint32_t node, struct choice *choices)
{
	struct board *b = p->board;

	for (uint32_t s = 0; s < b->nshards; s++)
		choices[s] = (struct choice){ rank(p, node, s), s };
	qsort(choices, b->nshards, sizeof(*choices), by_rank);
	for (uint32_t i = 0; i < b->nshards && surplus(b, node) < 0; i++) {
		uint32_t shard = choices[i].shard;
		uint32_t from = board_has(b, shard, node) ? BOARD_NONE : giver(p, shard, node);

		if (from != BOARD_NONE) {
			board_drop(b, shard, from);
			board_add(b, shard, node);
		}
	}
}

/* What no single move could do; true: all is placed. */
static bool
exchange(struct placing *p, bool direct)
{
	struct board *b = p->board;
	bool all = true;

	for (uint32_t s = 0; s < b->nshards; s++) {
		while (b->held[s] < b->replicas && board_exchange(b, s, BOARD_NONE, direct))
			continue;
		all = all && b->held[s] == b->replicas;
	}
	for (uint32_t i = 0; i < b->nnodes; i++) {
		while (surplus(b, i) > 0 && board_exchange(b, BOARD_NONE, i, direct))
			continue;
		all = all && surplus(b, i) <= 0;
	}
	return all;
}

static void
settle(struct placing *p)
{
	struct board *b = p->board;
	struct choice *choices = mem_array(b->nshards, sizeof(*choices));

	for (uint32_t s = 0; s < b->nshards; s++)
		shrink(p, s);
	for (uint32_t i = 0; i < b->nnodes; i++)
		b->receives[i] = surplus(b, i) < 0;
	for (uint32_t s = 0; s < b->nshards; s++)
		fill(p, s);
	for (uint32_t i = 0; i < b->nnodes; i++)
		if (surplus(b, i) < 0)
			receive(p, i, choices);
	free(choices);
	if (!exchange(p, true))
		CHECK(exchange(p, false) && "quotas can always be met");
}

static struct map *
build(const struct placing *p)
{
	const struct map *old = p->old;
	const struct board *b = p->board;
	struct map *m = map_alloc(b->nshards, p->wish->nnodes, b->nshards * b->replicas);
	uint32_t at = 0;

	if (m == NULL)
		return NULL;
	m->version = old->version + 1;
	memcpy(m->cluster, old->cluster, sizeof(m->cluster));
	memcpy(m->uuid, old->uuid, sizeof(m->uuid));
	m->key_seed = old->key_seed;
	m->replicas = p->wish->replicas;
	m->next_node = MAX(old->next_node, p->wish->nodes[p->wish->nnodes - 1].id + 1);
	memcpy(m->nodes, p->wish->nodes, p->wish->nnodes * sizeof(*m->nodes));
	for (uint32_t s = 0; s < b->nshards; s++) {
		m->first[s] = at;
		for (uint32_t i = 0; i < b->nnodes; i++)
			if (board_has(b, s, i))
				m->members[at++] = m->nodes[p->up[i]].id;
	}
	m->first[b->nshards] = at;
	CHECK(at == m->nmembers);
	return m;
}

static void
prefer(const struct placing *p, struct map *m)
{
	uint32_t *first = mem_array(m->nshards, sizeof(*first));

	for (uint32_t s = 0; s < m->nshards; s++) {
		uint32_t n;
		const uint32_t *member = map_members(p->old, s, &n);

		first[s] = n > 0 ? member[0] : 0;
	}
	prefer_order(m, first);
	free(first);
}

int
place_make(const struct map **out, const struct map *old, const struct place_wish *wish,
	   struct err *err)
{
	struct placing p = { .old = old, .wish = wish };
	const struct map *sealed;
	struct map *m = NULL;
	int rc = check_wish(wish, err);

	if (rc == 0)
		rc = begin(&p, err);
	if (rc == 0) {
		take_over(&p);
		settle(&p);
		m = build(&p);
		if (m == NULL)
			rc = err_set(err, ERR_NOMEM, "no memory for the new map");
	}
	if (rc == 0) {
		prefer(&p, m);
		map_seal(m);
		rc = map_check(m, err);
		if (rc == 0)
			rc = map_check_next(old, m, err);
		sealed = m;
		if (rc == 0)
			*out = sealed;
		else
			map_unref(&sealed);
	}
	end(&p);
	return rc;
}
