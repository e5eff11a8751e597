/* router/route/write_pick.h - which member is asked for a write.  Thread: any.  Pure.
 *
 * The primary, as far as known.  When none is known the members are asked in the order of the map,
 * each once a round: the primary among them takes it, the others say 421 and what they know. */
#ifndef ROUTER_ROUTE_WRITE_PICK_H
#define ROUTER_ROUTE_WRITE_PICK_H

#include "gitproto/base/defs.h"

struct write_pick_member {
	uint32_t node;
	bool connected;
	bool well;
	bool tried; /* in this round of this request */
};

/* primary: 0 when unknown.  The node, or 0: there is nobody to be asked now, wait for news. */
uint32_t write_pick(const struct write_pick_member *, size_t n, uint32_t primary);

#endif
