#include "replica/serve/peers.h"

#include <string.h>
#include <sys/queue.h>

#include "gitproto/base/mem.h"

/* A PING waits behind what is in the buffers of both kernels, a megabyte perhaps, on a slow line. */
#define BULK_PING_MSEC 15000

struct peer {
	uint32_t node;
	char *addr;                   /* owned */
	struct http_session *session; /* owned */
	struct http_session *bulk;    /* owned */
	LIST_ENTRY(peer) next;
};

struct peers {
	struct loop *loop; /* borrowed */
	LIST_HEAD(, peer) all;
};

static struct peer *
find(struct peers *ps, uint32_t node)
{
	struct peer *p;

	LIST_FOREACH (p, &ps->all, next)
		if (p->node == node)
			return p;
	return NULL;
}

static void
drop(struct peer *p)
{
	LIST_REMOVE(p, next);
	http_session_free(&p->session);
	http_session_free(&p->bulk);
	free(p->addr);
	free(p);
}

struct peers *
peers_new(struct loop *loop)
{
	struct peers *ps = MEM_NEW(struct peers);

	ps->loop = loop;
	LIST_INIT(&ps->all);
	return ps;
}

void
peers_free(struct peers **psp)
{
	struct peers *ps = *psp;

	if (ps == NULL)
		return;
	*psp = NULL;
	while (!LIST_EMPTY(&ps->all))
		drop(LIST_FIRST(&ps->all));
	free(ps);
}

void
peers_put(struct peers *ps, uint32_t node, const char *addr)
{
	struct peer *p = find(ps, node);
	struct http_session_opts o = { .addr = addr };

	if (p != NULL && strcmp(p->addr, addr) == 0)
		return;
	if (p != NULL)
		drop(p);
	p = MEM_NEW(struct peer);
	p->node = node;
	p->addr = mem_strdup(addr);
	p->session = http_session_new(ps->loop, &o);
	o.ping_msec = BULK_PING_MSEC;
	p->bulk = http_session_new(ps->loop, &o);
	LIST_INSERT_HEAD(&ps->all, p, next);
}

void
peers_drop(struct peers *ps, uint32_t node)
{
	struct peer *p = find(ps, node);

	if (p != NULL)
		drop(p);
}

struct http_session *
peers_get(struct peers *ps, uint32_t node)
{
	struct peer *p = find(ps, node);

	return p != NULL ? p->session : NULL;
}

struct http_session *
peers_get_bulk(struct peers *ps, uint32_t node)
{
	struct peer *p = find(ps, node);

	return p != NULL ? p->bulk : NULL;
}
