/* shard-map/ctl/map_moves.h - what moves between two maps, for people and programs.
 * Thread: main.  Pure, but for the memory it makes. */
#ifndef SHARD_MAP_CTL_MAP_MOVES_H
#define SHARD_MAP_CTL_MAP_MOVES_H

#include <jansson.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "shard-map/map.h"

struct map_moves_row {
	uint32_t shard;
	uint32_t from, to; /* node ids; 0: none, a copy more or less than before */
	bool primary;      /* who is preferred changes; otherwise a copy moves */
};
struct map_moves_node {
	uint32_t id;
	const struct map_node *node;                /* borrowed from the newer map that has it */
	bool added, gone;                           /* in one of the maps only */
	uint32_t before, after;                     /* shards it holds a copy of */
	uint32_t preferred_before, preferred_after; /* shards it is preferred primary of */
};
struct map_moves {
	const struct map *from, *to;  /* borrowed */
	struct map_moves_row *rows;   /* owned; by shard, copies before primaries */
	struct map_moves_node *nodes; /* owned; by id */
	size_t nrows, nnodes;
	size_t moved, added, removed, primaries; /* rows by what they are */
};
/* Maps of one cluster (uuid, number of shards), sealed, which live longer.  ERR_BAD otherwise. */
MUST_CHECK int map_moves_make(struct map_moves *, const struct map *from, const struct map *to,
			      struct err *);
void map_moves_release(struct map_moves *);

/* A sentence, the nodes' counts, every move. */
void map_moves_text(struct buf *out, const struct map_moves *);
/* {versions, counts, "nodes": [...], "moves": [{shard, what, from, to}]}; docs/operations.md. */
json_t *map_moves_json(const struct map_moves *);

#endif
