/* router/front/front_stats.h - counter rows of the router.  Thread: any (stats.h). */
#ifndef ROUTER_FRONT_FRONT_STATS_H
#define ROUTER_FRONT_FRONT_STATS_H

#include "gitproto/base/stats.h"
#include "router/back/retry.h"

/* What a request wants, as people and metrics call it. */
enum front_stats_kind {
	FRONT_STATS_ADVERTISE_FETCH,
	FRONT_STATS_ADVERTISE_PUSH,
	FRONT_STATS_FETCH,
	FRONT_STATS_PUSH,
	FRONT_STATS_OTHER,
	FRONT_STATS_NKINDS
};
const char *front_stats_kind_word(enum front_stats_kind);

enum front_stats_row {
	FRONT_STATS_REQUESTS, /* front_stats_done */
	FRONT_STATS_RETRIES,  /* set: enum retry_reason */
	FRONT_STATS_BYTES,    /* set: 0 from clients, 1 to clients */
	FRONT_STATS_ACTIVE,
	FRONT_STATS_REFUSED, /* by admission */
	FRONT_STATS_MAP,
	FRONT_STATS_TIME, /* set: enum front_stats_kind; usec */
	FRONT_STATS_NROWS
};

struct stats *front_stats_new(void);
/* A request is over: status of the answer, 0 when the client left before one; cut: the answer did
 * not reach its end. */
void front_stats_done(struct stats *, enum front_stats_kind, int status, bool cut, uint64_t usec);

#endif
