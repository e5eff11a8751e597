/* router/router.h - the instance: start, reload, drain, stop.  Thread: main.
 *
 * The main thread has a loop of its own for signals, the admin listener and the map; N workers serve
 * clients.  Workers learn of the map by post and share nothing but counters. */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "gitproto/base/err.h"
#include "router/router_conf.h"

struct router;

struct router_opts {
	const struct router_conf *conf; /* borrowed until router_free */
	/* SIGHUP: what can change while it runs is to be read again. */
	void (*reload)(void *arg);
	void *arg;
};
/* All is bound and open when it returns, nothing runs yet. */
MUST_CHECK int router_new(struct router **out, const struct router_opts *, struct err *);
/* Serves until SIGTERM (drains for up to 30 s; a second one ends it at once) or SIGINT. */
void router_run(struct router *);
void router_free(struct router **);

#endif
