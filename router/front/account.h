/* router/front/account.h - what is known of a request when it is over: one line in the log, and the
 * counters.  Thread: loop. */
#ifndef ROUTER_FRONT_ACCOUNT_H
#define ROUTER_FRONT_ACCOUNT_H

#include "gitproto/net/http_server.h"
#include "router/front/front_stats.h"

/* Embedded by the request, which fills it on its way. */
struct account {
	char id[17];       /* of the request, 16 hex digits */
	uint64_t began_ns; /* clock_boot_ns */
	uint32_t shard;    /* when asked > 0 */
	uint32_t node;     /* the last one that was asked; 0: none */
	unsigned asked;    /* nodes, one that was asked twice counts twice */
	int status;        /* of the answer; 0: none was given */
	bool whole;        /* the answer reached its end */
	uint64_t in, out;  /* bytes of bodies, from and to the client */
};

void account_begin(struct account *);
/* repo: NULL when the request named none; gone: the client was not there at the end. */
void account_end(const struct account *, struct stats *, const struct http_xchg *,
		 enum front_stats_kind, const char *repo, bool gone);

#endif
