/* replica/admin/admin.h - the admin listener of a node: health, metrics, status, repositories
 * (docs/node-api.md).  Thread: loop. */
#ifndef REPLICA_ADMIN_ADMIN_H
#define REPLICA_ADMIN_ADMIN_H

#include "gitproto/net/http_server.h"
#include "replica/serve/serve.h"

struct admin {
	struct serve *serve;                 /* borrowed, as all below */
	const char *cluster, *node, *listen; /* listen: of the back plane, as bound */
	uint64_t start;
	struct repacks *repacks; /* borrowed; NULL: switched off */
	struct commitlog *log;
	bool (*ready)(struct buf *why, void *arg); /* false: why gets a line per reason */
	bool (*draining)(void *arg);
	const struct err *(*log_trouble)(void *arg); /* NULL: none */
	bool (*log_away)(void *arg);                 /* trouble that has lasted */
	void *arg;
};
/* Handler of the listener; arg is the struct admin. */
void admin_handle(struct http_xchg *, void *arg);

#endif
