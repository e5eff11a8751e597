#include "shard-map/ctl/cmd_map.h"

#include <inttypes.h>

#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/units.h"
#include "shard-map/ctl/init_nodes.h"
#include "shard-map/ctl/map_init.h"
#include "shard-map/ctl/map_wish.h"
#include "shard-map/ctl/print.h"
#include "shard-map/map_file.h"

#define IDENTITY_MSEC 5000 /* to wait for a node that is asked who it is */
#define SHARDS 256
#define REPLICAS 3

/* The map's own text is JSON. */
static int
print_map_json(const struct map *m, struct err *err)
{
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	int rc = map_file_format(&text, m, err);
	json_t *o;

	if (rc == 0) {
		o = json_loadb((const char *)text.p, text.len, 0, NULL);
		rc = o != NULL ? print_json(o, err)
			       : err_set(err, ERR_NOMEM, "no memory for the map");
	}
	buf_release(&text);
	return rc;
}

static void
add_nodes(struct buf *out, const struct map *m)
{
	static const char *const titles[] = { "ID",         "NODE",  "STATE",  "ZONE",     "WEIGHT",
					      "BACK PLANE", "ADMIN", "SHARDS", "PREFERRED" };
	struct print_table *t = print_table_new(titles, COUNT(titles));

	for (uint32_t i = 0; i < m->nnodes; i++) {
		const struct map_node *n = &m->nodes[i];
		uint32_t shards = 0, preferred = 0;

		for (uint32_t s = 0; s < m->nshards; s++) {
			shards += map_is_member(m, s, n->id);
			preferred +=
				m->first[s] < m->first[s + 1] && m->members[m->first[s]] == n->id;
		}
		print_cell(t, "%u", n->id);
		print_cell(t, "%s", n->name);
		print_cell(t, "%s", n->state == MAP_NODE_UP ? "up" : "drain");
		print_cell(t, "%s", n->zone);
		print_cell(t, "%u", n->weight);
		print_cell(t, "%s", n->addr);
		print_cell(t, "%s", n->admin);
		print_cell(t, "%u", shards);
		print_cell(t, "%u", preferred);
	}
	print_table_end(out, &t);
}

static int
print_map(const struct map *m, bool json, struct err *err)
{
	struct buf out = BUF_MAX(16 * 1024 * 1024);
	char uuid[33], replicas[16] = "all";
	int rc;

	if (json)
		return print_map_json(m, err);
	hex_encode(uuid, m->uuid, 16);
	if (m->replicas != MAP_ALL)
		snprintf(replicas, sizeof(replicas), "%u", m->replicas);
	buf_addf(&out,
		 "cluster %s (%s), map version %" PRIu64 ": %u nodes, %u shards, replicas %s\n\n",
		 m->cluster, uuid, m->version, m->nnodes, m->nshards, replicas);
	add_nodes(&out, m);
	rc = print_text(&out, err);
	buf_release(&out);
	return rc;
}

int
cmd_map_show(struct ctl *c, struct err *err)
{
	int rc = ctl_load_map(c, err);

	return rc < 0 ? rc : print_map(c->map, c->json, err);
}

static int
parse_numbers(struct map_init *in, const struct ctl_opts *o, struct err *err)
{
	int64_t n = SHARDS;

	if (o->shards != NULL && units_int(&n, o->shards, err) < 0)
		return err_prefix(err, "--shards");
	if (n < 1 || n > MAP_MAX_SHARDS || (n & (n - 1)) != 0)
		return err_set(err, ERR_BAD, "--shards: %" PRId64 " is no power of two up to %u", n,
			       MAP_MAX_SHARDS);
	in->shards = (uint32_t)n;
	in->replicas = REPLICAS;
	return o->replicas != NULL ? map_wish_replicas(&in->replicas, o->replicas, err) : 0;
}

int
cmd_map_init(struct ctl *c, struct err *err)
{
	struct map_init in = { .cluster = c->conf.cluster };
	uint64_t timeout = c->timeout_ms > 0 ? c->timeout_ms : IDENTITY_MSEC;
	struct init_nodes nodes;
	int rc = init_nodes_parse(&nodes, &c->opts.nodes, err);

	if (rc == 0)
		rc = parse_numbers(&in, &c->opts, err);
	if (rc == 0 && !map_name_ok(in.cluster))
		rc = err_set(err, ERR_BAD,
			     "the cluster's name must be 1 to 63 of a-z, 0-9 and '-'");
	if (rc < 0)
		c->usage = true;
	if (rc == 0 && c->opts.create_topics)
		rc = ctl_create_topics(c, in.shards, err);
	if (rc == 0)
		rc = ctl_open_log(c, true, err);
	if (rc == 0)
		rc = init_nodes_ask(&nodes, in.cluster, timeout, err);
	if (rc == 0) {
		in.nodes = nodes.nodes;
		in.incarnations = (const uint8_t(*)[16])nodes.incarnations;
		in.nnodes = nodes.n;
		rc = map_init_run(&c->map, c->log, &in, err);
	}
	if (rc == 0)
		rc = print_map(c->map, c->json, err);
	init_nodes_release(&nodes);
	return rc;
}
