#include "router/back/pool.h"

#include "gitproto/base/hmap.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/sock.h"

struct entry {
	uint32_t number;
	struct node_sess *node; /* owned */
	bool wanted;            /* by the map that is being taken over */
	UT_hash_handle hh;
};

struct retired {
	struct node_sess *node; /* owned */
	LIST_ENTRY(retired) link;
};

struct pool {
	unsigned magic;
#define POOL_MAGIC 0x9001a001u
	struct pool_opts opts;
	struct entry *nodes; /* owned table */
	LIST_HEAD(, retired) retired;
};

static struct entry *
find(const struct pool *p, uint32_t number)
{
	struct entry *e;

	HASH_FIND(hh, p->nodes, &number, sizeof(number), e);
	return e;
}

/* Of a retired node nobody hears any more; its number may have a successor. */
static bool
is_current(const struct pool *p, const struct node_sess *n)
{
	const struct entry *e = find(p, node_sess_number(n));

	return e != NULL && e->node == n;
}

static void
on_shard(struct node_sess *n, const struct status_line_shard *s, void *arg)
{
	struct pool *p = OBJ_FROM(arg, struct pool, POOL_MAGIC);

	if (is_current(p, n))
		p->opts.on_shard(node_sess_number(n), s, p->opts.arg);
}

static void
on_state(struct node_sess *n, enum health_state s, void *arg)
{
	struct pool *p = OBJ_FROM(arg, struct pool, POOL_MAGIC);

	if (is_current(p, n))
		p->opts.on_state(node_sess_number(n), s, p->opts.arg);
}

static void
on_idle(struct node_sess *n, void *arg)
{
	struct pool *p = OBJ_FROM(arg, struct pool, POOL_MAGIC);
	struct retired *r;

	LIST_FOREACH (r, &p->retired, link)
		if (r->node == n)
			break;
	CHECK(r != NULL);
	LIST_REMOVE(r, link);
	node_sess_free(&r->node);
	free(r);
}

/* A map holds host:port; names are not resolved here. */
static bool
can_dial(const struct map_node *mn)
{
	struct sock_addr a;
	struct err e = { 0 };

	if (sock_parse(&a, mn->addr, &e) == 0)
		return true;
	log_error("-", "node", "name=%s cannot be reached: %s", mn->name, err_text(&e));
	return false;
}

static void
add(struct pool *p, const struct map_node *mn)
{
	struct node_sess_opts o = {
		.loop = p->opts.loop,
		.number = mn->id,
		.name = mn->name,
		.addr = mn->addr,
		.zone = mn->zone,
		.on_shard = on_shard,
		.on_state = on_state,
		.on_idle = on_idle,
		.arg = p,
	};
	struct entry *e = MEM_NEW(struct entry);

	e->number = mn->id;
	e->wanted = true;
	e->node = node_sess_new(&o);
	HASH_ADD(hh, p->nodes, number, sizeof(e->number), e);
}

static void
retire(struct pool *p, struct entry *e)
{
	struct retired *r = MEM_NEW(struct retired);
	uint32_t number = e->number;

	r->node = e->node;
	LIST_INSERT_HEAD(&p->retired, r, link);
	HASH_DEL(p->nodes, e);
	free(e);
	node_sess_retire(r->node);
	p->opts.on_state(number, HEALTH_AWAY, p->opts.arg);
}

struct pool *
pool_new(const struct pool_opts *o)
{
	struct pool *p = MEM_NEW(struct pool);

	CHECK_LOOP(o->loop);
	p->magic = POOL_MAGIC;
	p->opts = *o;
	LIST_INIT(&p->retired);
	return p;
}

void
pool_free(struct pool **pp)
{
	struct pool *p = *pp;
	struct entry *e, *next;
	struct retired *r;

	if (p == NULL)
		return;
	*pp = NULL;
	HASH_ITER (hh, p->nodes, e, next) {
		HASH_DEL(p->nodes, e);
		node_sess_free(&e->node);
		free(e);
	}
	while ((r = LIST_FIRST(&p->retired)) != NULL) {
		LIST_REMOVE(r, link);
		node_sess_free(&r->node);
		free(r);
	}
	p->magic = 0;
	free(p);
}

void
pool_set_map(struct pool *p, const struct map *m)
{
	struct entry *e, *next;

	HASH_ITER (hh, p->nodes, e, next)
		e->wanted = false;
	for (uint32_t i = 0; i < m->nnodes; i++) {
		e = find(p, m->nodes[i].id);
		if (e != NULL && strcmp(node_sess_addr(e->node), m->nodes[i].addr) == 0 &&
		    strcmp(node_sess_zone(e->node), m->nodes[i].zone) == 0)
			e->wanted = true;
	}
	HASH_ITER (hh, p->nodes, e, next)
		if (!e->wanted)
			retire(p, e);
	for (uint32_t i = 0; i < m->nnodes; i++)
		if (find(p, m->nodes[i].id) == NULL && can_dial(&m->nodes[i]))
			add(p, &m->nodes[i]);
	HASH_ITER (hh, p->nodes, e, next)
		node_sess_map(e->node, m->version);
}

struct node_sess *
pool_node(const struct pool *p, uint32_t number)
{
	struct entry *e = find(p, number);

	return e != NULL ? e->node : NULL;
}

unsigned
pool_well(const struct pool *p)
{
	unsigned n = 0;

	for (struct entry *e = p->nodes; e != NULL; e = e->hh.next)
		n += node_sess_state(e->node) == HEALTH_WELL;
	return n;
}

void
pool_each(struct pool *p, void (*fn)(struct node_sess *, void *arg), void *arg)
{
	struct entry *e, *next;

	HASH_ITER (hh, p->nodes, e, next)
		fn(e->node, arg);
}
