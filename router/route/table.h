/* router/route/table.h - a snapshot of the map with the directory, swapped on change: repository to
 * shard to members.  Thread: loop, one struct a loop.  Lookups allocate nothing and take no lock. */
#ifndef ROUTER_ROUTE_TABLE_H
#define ROUTER_ROUTE_TABLE_H

#include "shard-map/directory.h"
#include "shard-map/map.h"

/* Read its fields freely. */
struct table {
	const struct map *map;             /* owned reference; NULL: none came yet */
	const struct directory *directory; /* borrowed, until the loop has ended; may be NULL */
};

/* Takes a reference of m. */
void table_set(struct table *, const struct map *m, const struct directory *);
void table_release(struct table *);
/* repo: "owner/name", lower case.  There is a map (CHECK). */
uint32_t table_shard(const struct table *, struct slice repo);
const uint32_t *table_members(const struct table *, uint32_t shard, uint32_t *n);
uint64_t table_version(const struct table *); /* 0: no map */

#endif
