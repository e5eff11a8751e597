#include "router/admin/health_report.h"

#include "gitproto/base/mem.h"

static struct report_node *
node_row(struct health_report *r, uint32_t number)
{
	for (size_t i = 0; i < r->nnodes; i++)
		if (r->nodes[i].number == number)
			return &r->nodes[i];
	r->nodes = mem_resize(r->nodes, (r->nnodes + 1) * sizeof(*r->nodes));
	memset(&r->nodes[r->nnodes], 0, sizeof(*r->nodes));
	r->nodes[r->nnodes].number = number;
	return &r->nodes[r->nnodes++];
}

static void
add_node(struct node_sess *n, void *arg)
{
	struct report_node *row = node_row(arg, node_sess_number(n));
	uint64_t rtt = node_sess_rtt_usec(n);

	snprintf(row->name, sizeof(row->name), "%s", node_sess_name(n));
	snprintf(row->addr, sizeof(row->addr), "%s", node_sess_addr(n));
	row->well += node_sess_state(n) == HEALTH_WELL;
	if (rtt != 0 && (row->rtt_usec == 0 || rtt < row->rtt_usec))
		row->rtt_usec = rtt;
}

static void
add_shards(struct health_report *r, const struct shards *t)
{
	uint32_t n = shards_count(t);

	if (n > r->nshards) {
		r->shards = mem_resize(r->shards, n * sizeof(*r->shards));
		memset(r->shards + r->nshards, 0, (n - r->nshards) * sizeof(*r->shards));
		r->nshards = n;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint64_t epoch;
		uint32_t primary = shards_primary(t, i, &epoch);

		if (epoch > r->shards[i].epoch ||
		    (epoch == r->shards[i].epoch && r->shards[i].primary == 0))
			r->shards[i] = (struct report_shard){ primary, epoch };
	}
}

void
health_report_add(struct health_report *r, struct route *t)
{
	uint64_t version = route_map_version(t);

	r->map_version = r->loops == 0 ? version : MIN(r->map_version, version);
	r->loops++;
	r->lonely += pool_well(route_pool(t)) == 0;
	pool_each(route_pool(t), add_node, r);
	add_shards(r, route_shards(t));
}

void
health_report_release(struct health_report *r)
{
	free(r->nodes);
	free(r->shards);
	*r = (struct health_report){ 0 };
}

void
health_report_metrics(struct buf *out, const struct health_report *r)
{
	buf_add_str(out, "# HELP gitshard_router_node_connected share of the router's loops that "
			 "hear this node\n"
			 "# TYPE gitshard_router_node_connected gauge\n");
	for (size_t i = 0; i < r->nnodes; i++)
		buf_addf(out, "gitshard_router_node_connected{node=\"%s\"} %.3g\n",
			 r->nodes[i].name, (double)r->nodes[i].well / MAX(r->loops, 1u));
	buf_add_str(out, "# HELP gitshard_router_shards_led shards whose primary is known\n"
			 "# TYPE gitshard_router_shards_led gauge\n");
	size_t led = 0;

	for (size_t i = 0; i < r->nshards; i++)
		led += r->shards[i].primary != 0;
	buf_addf(out, "gitshard_router_shards_led %zu\n", led);
}

void
health_report_trouble(struct buf *out, const struct health_report *r)
{
	if (r->map_version == 0)
		buf_add_str(out, "no map of the cluster is known yet\n");
	else if (r->lonely > 0)
		buf_addf(out, "%u of %u loops hear no node\n", r->lonely, r->loops);
}
