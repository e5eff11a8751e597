#include "shard-map/ctl/map_moves.h"

#include <inttypes.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "shard-map/ctl/print.h"
#include "shard-map/diff.h"

/* ---- made ------------------------------------------------------------------------------------ */

static void
add_row(struct map_moves *m, uint32_t shard, uint32_t from, uint32_t to, bool primary)
{
	m->rows[m->nrows++] = (struct map_moves_row){ shard, from, to, primary };
	if (primary)
		m->primaries++;
	else if (from == 0)
		m->added++;
	else if (to == 0)
		m->removed++;
	else
		m->moved++;
}

/* The rows of one shard: who joins takes the place of who leaves, as far as both are there. */
static size_t
pair_shard(struct map_moves *m, const struct diff_row *rows, size_t n)
{
	uint32_t shard = rows[0].shard, nold;
	const uint32_t *old = map_members(m->from, shard, &nold);
	size_t joins = 0, leaves = 0, all;

	while (joins < n && rows[joins].shard == shard && rows[joins].kind == DIFF_JOIN)
		joins++;
	all = joins;
	while (all < n && rows[all].shard == shard && rows[all].kind == DIFF_LEAVE)
		all++;
	leaves = all - joins;
	for (size_t i = 0; i < MAX(joins, leaves); i++)
		add_row(m, shard, i < leaves ? rows[joins + i].node : 0,
			i < joins ? rows[i].node : 0, false);
	if (all < n && rows[all].shard == shard)
		add_row(m, shard, nold > 0 ? old[0] : 0, rows[all++].node, true);
	return all;
}

static void
make_rows(struct map_moves *m)
{
	struct diff d;

	diff_make(&d, m->from, m->to);
	m->rows = mem_array(MAX(d.n, 1), sizeof(*m->rows)); /* a pair is one row: never more */
	for (size_t i = 0; i < d.n;)
		i += pair_shard(m, d.rows + i, d.n - i);
	diff_release(&d);
}

static void
add_node(struct map_moves *m, uint32_t id)
{
	const struct map_node *old = map_node(m->from, id), *new = map_node(m->to, id);

	m->nodes[m->nnodes++] = (struct map_moves_node){
		.id = id, .node = new != NULL ? new : old, .added = old == NULL, .gone = new == NULL
	};
}

static void
make_nodes(struct map_moves *m)
{
	const struct map *a = m->from, *b = m->to;
	uint32_t i = 0, j = 0;

	m->nodes = mem_array((size_t)MAX(a->nnodes + b->nnodes, 1), sizeof(*m->nodes));
	while (i < a->nnodes || j < b->nnodes) { /* both ascend by id */
		uint32_t x = i < a->nnodes ? a->nodes[i].id : UINT32_MAX;
		uint32_t y = j < b->nnodes ? b->nodes[j].id : UINT32_MAX;

		add_node(m, MIN(x, y));
		i += x <= y;
		j += y <= x;
	}
}

static struct map_moves_node *
find(struct map_moves *m, uint32_t id)
{
	for (size_t i = 0; i < m->nnodes; i++)
		if (m->nodes[i].id == id)
			return &m->nodes[i];
	CHECK(!"a member is a node of its map");
	return NULL;
}

static void
count_shards(struct map_moves *m)
{
	for (uint32_t s = 0; s < m->to->nshards; s++) {
		uint32_t n;
		const uint32_t *member = map_members(m->from, s, &n);

		for (uint32_t i = 0; i < n; i++) {
			find(m, member[i])->before++;
			find(m, member[i])->preferred_before += i == 0;
		}
		member = map_members(m->to, s, &n);
		for (uint32_t i = 0; i < n; i++) {
			find(m, member[i])->after++;
			find(m, member[i])->preferred_after += i == 0;
		}
	}
}

int
map_moves_make(struct map_moves *m, const struct map *from, const struct map *to, struct err *err)
{
	*m = (struct map_moves){ .from = from, .to = to };
	if (memcmp(from->uuid, to->uuid, sizeof(from->uuid)) != 0)
		return err_set(err, ERR_BAD, "these are maps of two clusters, %s and %s",
			       from->cluster, to->cluster);
	if (from->nshards != to->nshards)
		return err_set(err, ERR_BAD, "the maps have %u and %u shards", from->nshards,
			       to->nshards);
	make_rows(m);
	make_nodes(m);
	count_shards(m);
	return 0;
}

void
map_moves_release(struct map_moves *m)
{
	free(m->rows);
	free(m->nodes);
	*m = (struct map_moves){ 0 };
}

/* ---- told ------------------------------------------------------------------------------------ */

static const char *
state(const struct map_moves_node *n)
{
	if (n->gone)
		return "gone";
	if (n->added)
		return "new";
	return n->node->state == MAP_NODE_UP ? "up" : "drain";
}

static const char *
name_of(const struct map_moves *m, uint32_t id)
{
	const struct map_node *n = map_node(m->to, id);

	if (n == NULL && id != 0)
		n = map_node(m->from, id);
	return n != NULL ? n->name : NULL;
}

static void
add_node_table(struct buf *out, const struct map_moves *m)
{
	static const char *const titles[] = { "NODE",   "STATE", "ZONE",      "WEIGHT",
					      "SHARDS", "AFTER", "PREFERRED", "AFTER" };
	struct print_table *t = print_table_new(titles, COUNT(titles));

	for (size_t i = 0; i < m->nnodes; i++) {
		const struct map_moves_node *n = &m->nodes[i];

		print_cell(t, "%s", n->node->name);
		print_cell(t, "%s", state(n));
		print_cell(t, "%s", n->node->zone);
		print_cell(t, "%u", n->node->weight);
		print_cell(t, "%u", n->before);
		print_cell(t, "%u", n->after);
		print_cell(t, "%u", n->preferred_before);
		print_cell(t, "%u", n->preferred_after);
	}
	print_table_end(out, &t);
}

static void
add_row_table(struct buf *out, const struct map_moves *m)
{
	static const char *const titles[] = { "SHARD", "WHAT", "FROM", "TO" };
	struct print_table *t = print_table_new(titles, COUNT(titles));

	for (size_t i = 0; i < m->nrows; i++) {
		const struct map_moves_row *r = &m->rows[i];
		const char *from = name_of(m, r->from), *to = name_of(m, r->to);

		print_cell(t, "%u", r->shard);
		print_cell(t, "%s", r->primary ? "primary" : "copy");
		print_cell(t, "%s", from != NULL ? from : "");
		print_cell(t, "%s", to != NULL ? to : "");
	}
	print_table_end(out, &t);
}

void
map_moves_text(struct buf *out, const struct map_moves *m)
{
	buf_addf(out,
		 "map version %" PRIu64 " to %" PRIu64 ": of %u copies of %u shards %zu move, %zu "
		 "are added, %zu removed; %zu shards prefer another primary\n\n",
		 m->from->version, m->to->version, m->from->nmembers, m->from->nshards, m->moved,
		 m->added, m->removed, m->primaries);
	add_node_table(out, m);
	if (m->nrows == 0)
		return;
	buf_add_byte(out, '\n');
	add_row_table(out, m);
}

static json_t *
node_json(const struct map_moves_node *n)
{
	return json_pack("{s:i, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "id", (int)n->id, "name",
			 n->node->name, "state", state(n), "zone", n->node->zone, "weight",
			 (int)n->node->weight, "shards_before", (int)n->before, "shards_after",
			 (int)n->after, "preferred_before", (int)n->preferred_before,
			 "preferred_after", (int)n->preferred_after);
}

json_t *
map_moves_json(const struct map_moves *m)
{
	json_t *nodes = json_array(), *moves = json_array();

	for (size_t i = 0; i < m->nnodes; i++)
		json_array_append_new(nodes, node_json(&m->nodes[i]));
	for (size_t i = 0; i < m->nrows; i++)
		json_array_append_new(moves, json_pack("{s:i, s:s, s:s?, s:s?}", "shard",
						       (int)m->rows[i].shard, "what",
						       m->rows[i].primary ? "primary" : "copy",
						       "from", name_of(m, m->rows[i].from), "to",
						       name_of(m, m->rows[i].to)));
	return json_pack("{s:I, s:I, s:i, s:I, s:I, s:I, s:I, s:o, s:o}", "from_version",
			 (json_int_t)m->from->version, "to_version", (json_int_t)m->to->version,
			 "shards", (int)m->from->nshards, "moved", (json_int_t)m->moved, "added",
			 (json_int_t)m->added, "removed", (json_int_t)m->removed, "primaries",
			 (json_int_t)m->primaries, "nodes", nodes, "moves", moves);
}
