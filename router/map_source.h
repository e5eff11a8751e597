/* router/map_source.h - the map, from wherever it can be had: the log, or what an earlier run kept of
 * it while the log is away.  Thread: the main loop; map_source_new blocks, before the loop runs. */
#ifndef ROUTER_MAP_SOURCE_H
#define ROUTER_MAP_SOURCE_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "gitproto/net/loop.h"
#include "shard-map/directory.h"
#include "shard-map/map.h"

struct map_source;

struct map_source_opts {
	struct loop *loop;
	const char *cluster, *log; /* borrowed until map_source_free */
	bool allow_weak;
	const char *kafka_options; /* or NULL */
	const char *cache;         /* folder, made when it is missing; NULL: none */
	/* A map; directory: lives until map_source_free, NULL while the log is away. */
	void (*on_map)(const struct map *, const struct directory *, void *arg);
	void *arg;
};
/* ERR_BAD, ERR_REFUSED, ERR_VERSION: this log will not do, now or later.  A log that is away is no
 * error: it is tried again and again. */
MUST_CHECK int map_source_new(struct map_source **out, const struct map_source_opts *,
			      struct err *);
void map_source_free(struct map_source **); /* nobody may use the directory any more */
bool map_source_from_log(const struct map_source *);
/* Appends, a line each, what is wrong for good. */
void map_source_trouble(const struct map_source *, struct buf *out);

#endif
