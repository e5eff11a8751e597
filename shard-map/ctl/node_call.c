#include "shard-map/ctl/node_call.h"

#include <stdio.h>
#include <unistd.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"

#define AGAIN_MSEC 100 /* between two rounds while a shard has no primary */

/* All nodes that are up, members of the shard first. */
static uint32_t
order_nodes(uint32_t *order, const struct map *m, uint32_t shard)
{
	uint32_t n;
	const uint32_t *member = map_members(m, shard, &n);

	memcpy(order, member, n * sizeof(*order));
	for (uint32_t i = 0; i < m->nnodes; i++)
		if (!map_is_member(m, shard, m->nodes[i].id))
			order[n++] = m->nodes[i].id;
	return n;
}

static bool
was_not_now(const struct ask *a)
{
	return a->err.code == ERR_UNAVAILABLE || a->err.code == ERR_WRONG_NODE;
}

/* What a round of asking came to. */
struct asking {
	struct err err; /* of the last one; what nodes said goes before what could not be reached */
	bool said;      /* by a node */
	bool done;      /* by err, or without one */
};

static void
ask_one(struct asking *g, json_t **out, const struct map_node *node, struct ask a,
	uint64_t timeout_ms)
{
	a.addr = node->admin;
	ask_all(&a, 1, timeout_ms);
	if (a.err.code == 0) {
		*out = json_incref(a.json);
		g->err.code = ERR_OK;
		g->done = true;
	} else if (was_not_now(&a)) {
		if (a.status > 0 || !g->said) {
			g->err = a.err;
			g->said = a.status > 0;
			err_prefix(&g->err, "node %s at %s", node->name, node->admin);
		}
	} else {
		g->err = a.err;
		g->done = true;
		if (a.status == 0)
			err_set(&g->err, ERR_UNKNOWN,
				"node %s was asked and did not answer (%s): it may have been done "
				"or "
				"not; look with `shardctl repo list`, then try again",
				node->name, err_text(&a.err));
	}
	ask_release(&a, 1);
}

int
node_call(json_t **out, const struct map *m, uint32_t shard, const char *method, const char *target,
	  const char *body, uint64_t timeout_ms, struct err *err)
{
	uint64_t end = clock_boot_ns() + timeout_ms * CLOCK_MSEC, now;
	uint32_t *order = mem_array(m->nnodes, sizeof(*order));
	uint32_t n = order_nodes(order, m, shard);
	struct ask what = { .method = method, .target = target, .body = body };
	struct asking g = { 0 };

	*out = NULL;
	while (!g.done && (now = clock_boot_ns()) < end) {
		for (uint32_t i = 0; i < n && !g.done && now < end; i++) {
			ask_one(&g, out, map_node(m, order[i]), what, (end - now) / CLOCK_MSEC + 1);
			now = clock_boot_ns();
		}
		if (!g.done)
			usleep(AGAIN_MSEC * 1000);
	}
	free(order);
	if (!g.done) {
		err_prefix(&g.err, "no node could do it in time; look with: shardctl status; last");
		g.err.code = ERR_TIMEOUT;
	}
	if (g.err.code < 0)
		*err = g.err;
	return g.err.code;
}

struct ask *
node_call_all(const struct map *m, const char *target, uint64_t timeout_ms)
{
	struct ask *asks = mem_array(m->nnodes, sizeof(*asks));

	for (uint32_t i = 0; i < m->nnodes; i++)
		asks[i] = (struct ask){ .addr = m->nodes[i].admin,
					.method = "GET",
					.target = target };
	ask_all(asks, m->nnodes, timeout_ms);
	return asks;
}

unsigned
node_call_silent(const struct map *m, const struct ask *asks)
{
	unsigned silent = 0;

	for (uint32_t i = 0; i < m->nnodes; i++)
		if (asks[i].err.code < 0) {
			fprintf(stderr, "shardctl: node %s at %s gave no answer: %s\n",
				m->nodes[i].name, m->nodes[i].admin, err_text(&asks[i].err));
			silent++;
		}
	return silent;
}
