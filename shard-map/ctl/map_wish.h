/* shard-map/ctl/map_wish.h - the next map, from the present one and what an operator wishes.
 * Thread: main.  Pure: nothing is sent anywhere. */
#ifndef SHARD_MAP_CTL_MAP_WISH_H
#define SHARD_MAP_CTL_MAP_WISH_H

#include "gitproto/base/err.h"
#include "gitproto/base/opt.h"
#include "shard-map/map.h"

struct map_wish {
	struct opt_list add;    /* NAME=BACKPLANE,ADMIN[,zone=Z][,weight=W] */
	struct opt_list drain;  /* NAME: it shall hold nothing */
	struct opt_list weight; /* NAME=W */
	const char *replicas;   /* a number, or all; NULL: as it is */
};
/* *out: version old->version + 1, sealed, yours (map_unref).  ERR_BAD names the option. */
MUST_CHECK int map_wish_make(const struct map **out, const struct map *old, const struct map_wish *,
			     struct err *);
/* "3" or "all" (MAP_ALL).  ERR_BAD. */
MUST_CHECK int map_wish_replicas(uint32_t *out, const char *text, struct err *);

#endif
