#include "router/route/route.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "router/route/read_pick.h"
#include "router/route/write_pick.h"

struct route {
	unsigned magic;
#define ROUTE_MAGIC 0x4007e001u
	char *zone; /* owned; "": none */
	struct table table;
	struct shards *shards; /* owned */
	struct pool *pool;     /* owned */
};

static void
on_shard(uint32_t node, const struct status_line_shard *said, void *arg)
{
	struct route *t = OBJ_FROM(arg, struct route, ROUTE_MAGIC);

	shards_heard(t->shards, node, said);
}

static void
on_state(uint32_t node, enum health_state state, void *arg)
{
	struct route *t = OBJ_FROM(arg, struct route, ROUTE_MAGIC);

	if (state == HEALTH_AWAY)
		shards_forget(t->shards, node);
}

struct route *
route_new(struct loop *loop, const char *zone)
{
	struct route *t = MEM_NEW(struct route);
	struct pool_opts po = {
		.loop = loop, .on_shard = on_shard, .on_state = on_state, .arg = t
	};

	t->magic = ROUTE_MAGIC;
	t->zone = mem_strdup(zone != NULL ? zone : "");
	t->shards = shards_new();
	t->pool = pool_new(&po);
	return t;
}

void
route_free(struct route **tp)
{
	struct route *t = *tp;

	if (t == NULL)
		return;
	*tp = NULL;
	pool_free(&t->pool);
	shards_free(&t->shards);
	table_release(&t->table);
	free(t->zone);
	t->magic = 0;
	free(t);
}

void
route_set_map(struct route *t, const struct map *m, const struct directory *d)
{
	table_set(&t->table, m, d);
	shards_resize(t->shards, m->nshards);
	pool_set_map(t->pool, m);
}

uint64_t
route_map_version(const struct route *t)
{
	return table_version(&t->table);
}

uint32_t
route_shard(const struct route *t, struct slice repo)
{
	return table_shard(&t->table, repo);
}

void
route_tried_add(struct route_tried *d, uint32_t node)
{
	if (d->n < ROUTE_TRIED_MAX)
		d->node[d->n++] = node;
}

static bool
was_tried(const struct route_tried *d, uint32_t node)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->node[i] == node)
			return true;
	/* so many in vain: enough for this round */
	return d->n == ROUTE_TRIED_MAX;
}

/* Records between what the node has applied and the furthest that anybody has read. */
static uint64_t
lag_of(const struct route *t, uint32_t shard, const struct status_line_shard *said)
{
	uint64_t most = shards_position(t->shards, shard);

	return most > said->applied ? most - said->applied : 0;
}

/* false: it cannot serve a read at all */
static bool
look_at(const struct route *t, uint32_t shard, uint32_t node, struct read_pick_member *out)
{
	const struct status_line_shard *said = shards_member(t->shards, shard, node);
	const struct node_sess *n = pool_node(t->pool, node);

	if (n == NULL)
		return false;
	*out = (struct read_pick_member){ .node = node, .load = node_sess_load(n) };
	out->connected = node_sess_state(n) != HEALTH_AWAY;
	/* One that has stopped the shard is asked when there is nobody else: it says why. */
	out->well = node_sess_state(n) == HEALTH_WELL &&
		    (said == NULL || said->role != STATUS_LINE_HALTED);
	out->full = said != NULL && said->role != STATUS_LINE_LEARNER;
	out->near = t->zone[0] == '\0' || strcmp(t->zone, node_sess_zone(n)) == 0;
	out->lag = said != NULL ? lag_of(t, shard, said) : 0;
	return true;
}

struct node_sess *
route_read(struct route *t, uint32_t shard, uint64_t sticky, uint64_t random,
	   const struct route_tried *tried)
{
	struct read_pick_member all[READ_PICK_MAX];
	const uint32_t *members;
	uint32_t n, picked;
	size_t k = 0;

	members = table_members(&t->table, shard, &n);
	for (uint32_t i = 0; i < n && k < READ_PICK_MAX; i++)
		if (!was_tried(tried, members[i]) && look_at(t, shard, members[i], &all[k]))
			k++;
	picked = read_pick(all, k, sticky, random);
	return picked != 0 ? pool_node(t->pool, picked) : NULL;
}

struct node_sess *
route_write(struct route *t, uint32_t shard, const struct route_tried *tried)
{
	struct write_pick_member all[READ_PICK_MAX];
	const uint32_t *members;
	uint32_t n, picked, primary = shards_primary(t->shards, shard, NULL);
	size_t k = 0;
	bool primary_is_member = false;

	members = table_members(&t->table, shard, &n);
	for (uint32_t i = 0; i < n; i++)
		primary_is_member |= members[i] == primary;
	/* The map is the wish: while a shard moves, one that is no longer wished may still lead. */
	for (uint32_t i = 0; i <= n && k < READ_PICK_MAX; i++) {
		uint32_t node = i < n ? members[i] : primary_is_member ? 0 : primary;
		const struct node_sess *s = node != 0 ? pool_node(t->pool, node) : NULL;

		if (s == NULL)
			continue;
		all[k++] = (struct write_pick_member){
			.node = node,
			.connected = node_sess_state(s) != HEALTH_AWAY,
			.well = node_sess_state(s) == HEALTH_WELL,
			.tried = was_tried(tried, node),
		};
	}
	picked = write_pick(all, k, primary);
	return picked != 0 ? pool_node(t->pool, picked) : NULL;
}

struct shards *
route_shards(struct route *t)
{
	return t->shards;
}

struct pool *
route_pool(struct route *t)
{
	return t->pool;
}
