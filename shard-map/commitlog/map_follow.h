/* shard-map/commitlog/map_follow.h - the map and the directory, followed through the log.
 * Thread: map_follow_new, map_follow_free and the callbacks: the given loop; map_follow_directory
 * gives something that any thread may read.
 *
 * Which records count: map_judge.h, directory_judge.h.  The last map is also kept in a file, so that
 * a start is possible while the log is away: the first map may come from there.  Of maps that come
 * quickly one after the other only the last may be told. */
#ifndef SHARD_MAP_COMMITLOG_MAP_FOLLOW_H
#define SHARD_MAP_COMMITLOG_MAP_FOLLOW_H

#include "gitproto/base/err.h"
#include "gitproto/net/loop.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/commitlog/directory_log.h"
#include "shard-map/directory.h"
#include "shard-map/map.h"

struct map_follow;

struct map_follow_opts {
	struct commitlog *log; /* borrowed, closed after map_follow_free */
	struct loop *loop;
	const char *cluster; /* name; a map of another cluster is an error */
	const char *cache;   /* file, written on each change; NULL: none */
	/* A newer map; borrowed, map_ref it to keep it.  from_log: it was read there, now or earlier
	 * in this process; false: from the cache, the log has not answered yet. */
	void (*on_map)(const struct map *, bool from_log, void *arg);
	/* ERR_UNAVAILABLE: the log is away, ERR_OK: it is back.  ERR_CONFLICT: the cache was of
	 * another cluster, ERR_IO and ERR_FULL: it cannot be written; both go on.  Everything else
	 * ends the following: a format from the future, a log that was cut, the map of a cluster
	 * with another name.  May be NULL. */
	void (*on_trouble)(const struct err *, void *arg);
	void *arg;
};
/* on_map is never called from inside it. */
struct map_follow *map_follow_new(const struct map_follow_opts *);
void map_follow_free(struct map_follow **);

const struct map *map_follow_map(const struct map_follow *); /* NULL: none yet; borrowed */
bool map_follow_from_log(const struct map_follow *);
const struct directory *map_follow_directory(const struct map_follow *);
/* The same through the log: fresh looks, and writing.  Ends with this. */
struct directory_log *map_follow_directory_log(const struct map_follow *);

/* Blocking, for tools: the present map by reading the whole stream once; *out is NULL (and 0
 * returned) when the cluster has none. */
MUST_CHECK int map_follow_read(const struct map **out, struct commitlog *, struct err *);
/* The same for an earlier map; *out is NULL when the log holds none of this version. */
MUST_CHECK int map_follow_read_version(const struct map **out, uint64_t version, struct commitlog *,
				       struct err *);
/* The same for the exceptions of the cluster whose map this is. */
MUST_CHECK int map_follow_read_directory(struct directory *, const struct map *, struct commitlog *,
					 struct err *);

#endif
