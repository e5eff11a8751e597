/* router/admin/admin.h - the admin listener of a router: /healthz /readyz /metrics /status
 * (docs/node-api.md).  Thread: the main loop. */
#ifndef ROUTER_ADMIN_ADMIN_H
#define ROUTER_ADMIN_ADMIN_H

#include "gitproto/net/http_server.h"
#include "router/admin/health_report.h"
#include "router/front/admit.h"
#include "router/front/front_stats.h"

struct admin;

struct admin_opts {
	struct loop *loop;
	const char *listen;
	bool insecure;
	const char *cluster; /* borrowed until admin_free, like all below */
	struct stats *stats;
	const struct admit *admit;
	/* Has all loops add to the report, then calls done(darg) on this loop.  A report that is
	 * still under way when the loops have ended is forgotten: done is not called. */
	void (*gather)(struct health_report *, loop_fn *done, void *darg, void *arg);
	/* Appends why the router takes no requests, a line each. */
	void (*trouble)(struct buf *out, void *arg);
	bool (*draining)(void *arg);
	bool (*map_from_log)(void *arg);
	void *arg;
};
MUST_CHECK int admin_new(struct admin **out, const struct admin_opts *, struct err *);
void admin_free(struct admin **); /* the router's loops have ended */
const char *admin_addr(const struct admin *);

#endif
