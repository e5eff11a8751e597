#include "shard-map/ctl/init_nodes.h"

#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/units.h"
#include "shard-map/ctl/ask_all.h"
#include "shard-map/ctl/print.h"
#include "shard-map/map_check.h"

#define FORM "NAME=HOST:PORT,ADMIN_HOST:PORT[,zone=ZONE][,weight=WEIGHT]"

static int
copy_word(char *out, size_t size, struct slice s)
{
	if (s.len >= size)
		return ERR_BAD;
	snprintf(out, size, "%.*s", SLICE_ARG(s));
	return 0;
}

static int
parse_extra(struct map_node *n, struct slice part, struct err *err)
{
	char value[32];
	int64_t weight = 0;

	if (slice_begins(part, SLICE_LIT("zone="))) {
		if (copy_word(n->zone, sizeof(n->zone), slice_skip(part, 5)) == 0 &&
		    map_name_ok(n->zone))
			return 0;
		return err_set(err, ERR_BAD, "a zone must be 1 to 63 of a-z, 0-9 and '-'");
	}
	if (slice_begins(part, SLICE_LIT("weight="))) {
		if (copy_word(value, sizeof(value), slice_skip(part, 7)) == 0 &&
		    units_int(&weight, value, NULL) == 0 && weight >= 1 &&
		    weight <= MAP_MAX_WEIGHT) {
			n->weight = (uint32_t)weight;
			return 0;
		}
		return err_set(err, ERR_BAD, "a weight must be a number from 1 to %u",
			       MAP_MAX_WEIGHT);
	}
	return err_set(err, ERR_BAD, "'%.*s' is not understood; write " FORM,
		       SLICE_ARG(slice_head(part, 60)));
}

int
init_nodes_parse_one(struct map_node *n, const char *spec, struct err *err)
{
	struct slice rest = slice_str(spec), part = slice_cut(&rest, ','), name = SLICE_NONE;
	int rc = 0;

	*n = (struct map_node){ .weight = 1, .state = MAP_NODE_UP };
	if (slice_find(part, '=') >= 0) {
		name = slice_cut(&part, '=');
		if (copy_word(n->name, sizeof(n->name), name) < 0 || !map_name_ok(n->name))
			rc = err_set(err, ERR_BAD, "a name must be 1 to 63 of a-z, 0-9 and '-'");
		else if (copy_word(n->addr, sizeof(n->addr), part) < 0 || !map_check_addr(n->addr))
			rc = err_set(err, ERR_BAD, "'%.*s' is no back-plane address; write " FORM,
				     SLICE_ARG(slice_head(part, 60)));
		part = slice_cut(&rest, ',');
	}
	if (rc == 0 &&
	    (copy_word(n->admin, sizeof(n->admin), part) < 0 || !map_check_addr(n->admin)))
		rc = err_set(err, ERR_BAD, "'%.*s' is no admin address; write " FORM,
			     SLICE_ARG(slice_head(part, 60)));
	while (rc == 0 && rest.len > 0)
		rc = parse_extra(n, slice_cut(&rest, ','), err);
	return rc;
}

int
init_nodes_parse(struct init_nodes *in, const struct opt_list *specs, struct err *err)
{
	int rc = 0;

	*in = (struct init_nodes){ 0 };
	if (specs->n == 0)
		return err_set(err, ERR_BAD, "name the nodes: --node " FORM);
	if (specs->n > MAP_MAX_NODES)
		return err_set(err, ERR_BAD, "more than %u nodes", MAP_MAX_NODES);
	in->n = (uint32_t)specs->n;
	in->nodes = mem_array(in->n, sizeof(*in->nodes));
	in->incarnations = mem_array(in->n, sizeof(*in->incarnations));
	for (uint32_t i = 0; i < in->n && rc == 0; i++) {
		rc = init_nodes_parse_one(&in->nodes[i], specs->v[i], err);
		if (rc < 0)
			err_prefix(err, "--node %.100s", specs->v[i]);
	}
	return rc;
}

void
init_nodes_release(struct init_nodes *in)
{
	free(in->nodes);
	free(in->incarnations);
	*in = (struct init_nodes){ 0 };
}

/* A node that did not say on the command line where its back plane is says it itself. */
static int
take_addresses(struct map_node *n, const json_t *id, struct err *err)
{
	const char *name = print_get(id, "node", ""), *listen = print_get(id, "listen", "");

	if (n->name[0] == '\0') {
		if (strlen(name) >= sizeof(n->name) || strlen(listen) >= sizeof(n->addr))
			return err_set(err, ERR_BAD, "its name or address is too long");
		memcpy(n->name, name, strlen(name) + 1);
		memcpy(n->addr, listen, strlen(listen) + 1);
	}
	if (strcmp(n->name, name) != 0)
		return err_set(err, ERR_REFUSED, "it is node '%s', not '%s'; check the addresses",
			       name, n->name);
	if (!map_check_addr(n->addr) || strncmp(n->addr, "0.0.0.0:", 8) == 0 ||
	    strncmp(n->addr, "[::]:", 5) == 0)
		return err_set(err, ERR_BAD,
			       "it listens on '%s', which others cannot call; write --node "
			       "%s=HOST:PORT,%s",
			       n->addr, n->name, n->admin);
	return 0;
}

static int
take_identity(struct map_node *n, uint8_t incarnation[16], const struct ask *a, const char *cluster,
	      struct err *err)
{
	const char *its = print_get(a->json, "cluster", "");
	const char *hex = print_get(a->json, "incarnation", "");

	if (a->err.code < 0)
		return err_set(err, a->err.code,
			       "%s; is it started, and is this its admin address?",
			       err_text(&a->err));
	if (strcmp(its, cluster) != 0)
		return err_set(err, ERR_REFUSED, "it is of cluster '%s', not of '%s'", its,
			       cluster);
	if (hex_decode(incarnation, 16, slice_str(hex)) < 0)
		return err_set(err, ERR_BAD, "it names no incarnation; is it a gitshard-replica?");
	return take_addresses(n, a->json, err);
}

/* By name, with the incarnations; n is small. */
static void
sort(struct init_nodes *in)
{
	for (uint32_t i = 1; i < in->n; i++)
		for (uint32_t j = i; j > 0 && strcmp(in->nodes[j - 1].name, in->nodes[j].name) > 0;
		     j--) {
			struct map_node n = in->nodes[j];
			uint8_t inc[16];

			memcpy(inc, in->incarnations[j], 16);
			in->nodes[j] = in->nodes[j - 1];
			memcpy(in->incarnations[j], in->incarnations[j - 1], 16);
			in->nodes[j - 1] = n;
			memcpy(in->incarnations[j - 1], inc, 16);
		}
	for (uint32_t i = 0; i < in->n; i++)
		in->nodes[i].id = i + 1;
}

static int
check_different(const struct init_nodes *in, struct err *err)
{
	for (uint32_t i = 0; i < in->n; i++)
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(in->nodes[i].name, in->nodes[j].name) == 0)
				return err_set(err, ERR_BAD, "two nodes are called %s",
					       in->nodes[i].name);
			if (memcmp(in->incarnations[i], in->incarnations[j], 16) == 0)
				return err_set(err, ERR_BAD,
					       "nodes %s and %s have the same incarnation: one's "
					       "disk is a copy of the other's; empty one of them",
					       in->nodes[j].name, in->nodes[i].name);
		}
	return 0;
}

int
init_nodes_ask(struct init_nodes *in, const char *cluster, uint64_t timeout_ms, struct err *err)
{
	struct ask *asks = mem_array(in->n, sizeof(*asks));
	int rc = 0;

	for (uint32_t i = 0; i < in->n; i++)
		asks[i] = (struct ask){ .addr = in->nodes[i].admin,
					.method = "GET",
					.target = "/v1/identity" };
	ask_all(asks, in->n, timeout_ms);
	for (uint32_t i = 0; i < in->n && rc == 0; i++) {
		rc = take_identity(&in->nodes[i], in->incarnations[i], &asks[i], cluster, err);
		if (rc < 0)
			err_prefix(err, "node %s at %s", in->nodes[i].name, in->nodes[i].admin);
	}
	ask_release(asks, in->n);
	free(asks);
	if (rc < 0)
		return rc;
	sort(in);
	return check_different(in, err);
}
