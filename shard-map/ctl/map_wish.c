#include "shard-map/ctl/map_wish.h"

#include "gitproto/base/mem.h"
#include "gitproto/base/units.h"
#include "shard-map/ctl/init_nodes.h"
#include "shard-map/place.h"

struct wishing {
	const struct map *old;
	struct map_node *nodes; /* owned; ids ascending */
	uint32_t n;
};

static struct map_node *
named(struct wishing *w, const char *name)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (strcmp(w->nodes[i].name, name) == 0)
			return &w->nodes[i];
	return NULL;
}

static int
add(struct wishing *w, const char *spec, struct err *err)
{
	struct map_node *n = &w->nodes[w->n];
	int rc = init_nodes_parse_one(n, spec, err);

	if (rc == 0 && n->name[0] == '\0')
		rc = err_set(err, ERR_BAD,
			     "the new node's name and back plane are missing; write "
			     "NAME=HOST:PORT,ADMIN_HOST:PORT");
	if (rc == 0 && named(w, n->name) != NULL)
		rc = err_set(err, ERR_BAD, "there is a node %s already", n->name);
	if (rc < 0)
		return err_prefix(err, "--add %.100s", spec);
	n->id = w->old->next_node + (w->n - w->old->nnodes);
	w->n++;
	return 0;
}

static int
drain(struct wishing *w, const char *name, struct err *err)
{
	struct map_node *n = named(w, name);

	if (n == NULL)
		return err_set(err, ERR_BAD, "--drain %.100s: there is no such node", name);
	n->state = MAP_NODE_DRAIN;
	return 0;
}

static int
weigh(struct wishing *w, const char *spec, struct err *err)
{
	struct slice rest = slice_str(spec), name = slice_cut(&rest, '=');
	char text[MAP_NAME];
	struct map_node *n;
	int64_t weight = 0;

	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(name));
	n = name.len < sizeof(text) ? named(w, text) : NULL;
	if (n == NULL)
		return err_set(err, ERR_BAD, "--weight %.100s: there is no node '%s'; write NAME=W",
			       spec, text);
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(rest));
	if (units_int(&weight, text, NULL) < 0 || weight < 1 || weight > MAP_MAX_WEIGHT)
		return err_set(err, ERR_BAD, "--weight %.100s: a weight is a number from 1 to %u",
			       spec, MAP_MAX_WEIGHT);
	n->weight = (uint32_t)weight;
	return 0;
}

int
map_wish_replicas(uint32_t *out, const char *text, struct err *err)
{
	int64_t n = 0;

	*out = MAP_ALL;
	if (strcmp(text, "all") == 0)
		return 0;
	if (units_int(&n, text, err) < 0)
		return err_prefix(err, "--replicas");
	if (n < 1 || n > MAP_MAX_NODES)
		return err_set(err, ERR_BAD, "--replicas: a number from 1 to %u, or all",
			       MAP_MAX_NODES);
	*out = (uint32_t)n;
	return 0;
}

/* Each option of one kind, in the order given; additions first, so that a new node can be weighed. */
static int
each(struct wishing *w, const struct opt_list *list,
     int (*take)(struct wishing *, const char *, struct err *), struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < list->n && rc == 0; i++)
		rc = take(w, list->v[i], err);
	return rc;
}

int
map_wish_make(const struct map **out, const struct map *old, const struct map_wish *wish,
	      struct err *err)
{
	struct wishing w = { .old = old, .n = old->nnodes };
	struct place_wish p = { .replicas = old->replicas };
	int rc = 0;

	*out = NULL;
	if (old->nnodes + wish->add.n > MAP_MAX_NODES)
		return err_set(err, ERR_BAD, "--add: more than %u nodes", MAP_MAX_NODES);
	if (wish->replicas != NULL)
		rc = map_wish_replicas(&p.replicas, wish->replicas, err);
	w.nodes = mem_array(old->nnodes + wish->add.n, sizeof(*w.nodes));
	memcpy(w.nodes, old->nodes, old->nnodes * sizeof(*w.nodes));
	if (rc == 0)
		rc = each(&w, &wish->add, add, err);
	if (rc == 0)
		rc = each(&w, &wish->drain, drain, err);
	if (rc == 0)
		rc = each(&w, &wish->weight, weigh, err);
	p.nodes = w.nodes;
	p.nnodes = w.n;
	if (rc == 0)
		rc = place_make(out, old, &p, err);
	free(w.nodes);
	return rc;
}
