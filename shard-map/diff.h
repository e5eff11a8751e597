/* shard-map/diff.h - what moves between two maps of one cluster.  Thread: any.  Pure. */
#ifndef SHARD_MAP_DIFF_H
#define SHARD_MAP_DIFF_H

#include "shard-map/map.h"

enum diff_kind {
	DIFF_JOIN,   /* node becomes a member */
	DIFF_LEAVE,  /* node ceases to be one */
	DIFF_PREFER, /* node becomes the preferred primary */
};
struct diff_row {
	uint32_t shard;
	uint32_t node;
	enum diff_kind kind;
};
struct diff {
	struct diff_row *rows; /* owned; by shard, then kind, then node */
	size_t n;
	size_t joins, leaves, prefers;
};
/* Both maps sealed, with the same number of shards (CHECK). */
void diff_make(struct diff *out, const struct map *from, const struct map *to);
void diff_release(struct diff *);

#endif
