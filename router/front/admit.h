/* router/front/admit.h - how many requests a router serves at once, over all its loops.
 * Thread: any, lock-free. */
#ifndef ROUTER_FRONT_ADMIT_H
#define ROUTER_FRONT_ADMIT_H

#include "gitproto/base/defs.h"

/* Embedded by its owner, who outlives the loops. */
struct admit {
	unsigned max;
	unsigned active; /* atomic */
};

void admit_init(struct admit *, unsigned max);
MUST_CHECK bool admit_enter(struct admit *); /* false: too many are under way */
void admit_leave(struct admit *);
unsigned admit_active(const struct admit *);

#endif
