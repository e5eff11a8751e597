/* shard-map/map.h - the map: nodes, shards, and which nodes are wished to hold which shard.
 * Thread: any; a map does not change once it is sealed, references are counted.
 * Lookups: O(1), no allocation, no lock.
 *
 * The map is the wish.  What is (members, primary, epoch) stands in each shard's own stream. */
#ifndef SHARD_MAP_MAP_H
#define SHARD_MAP_MAP_H

#include "gitproto/base/slice.h"

#define MAP_NAME 64  /* bytes of a node, zone or cluster name, its NUL included */
#define MAP_ADDR 128 /* bytes of "host:port", its NUL included */
#define MAP_MAX_NODES 512u
#define MAP_MAX_NODE_ID 65535u
#define MAP_MAX_SHARDS 65536u
#define MAP_MAX_WEIGHT 10000u
#define MAP_ALL 0u /* as replication factor: every node holds every shard */
#define MAP_FORMAT 1u

enum map_node_state {
	MAP_NODE_UP,
	MAP_NODE_DRAIN, /* known, and wished to hold nothing */
};

struct map_node {
	uint32_t id;          /* 1 .. MAP_MAX_NODE_ID, never given to another node */
	char name[MAP_NAME];  /* [a-z0-9-], unique */
	char addr[MAP_ADDR];  /* back plane, "host:port" or "[v6]:port" */
	char admin[MAP_ADDR]; /* admin listener */
	char zone[MAP_NAME];  /* [a-z0-9-] or empty: what fails together */
	uint32_t weight;      /* 1 .. MAP_MAX_WEIGHT: share of the shards */
	enum map_node_state state;
};

/* Read its fields freely; write them only between map_alloc and map_seal. */
struct map {
	uint32_t format;  /* of the text it came from; above MAP_FORMAT: read, never rewrite */
	uint64_t version; /* 1 is the first; 0: the empty one it is made from */
	char cluster[MAP_NAME];
	uint8_t uuid[16];   /* of the cluster */
	uint64_t key_seed;  /* see key.h */
	uint32_t nshards;   /* a power of two */
	uint32_t replicas;  /* wished members of a shard, or MAP_ALL */
	uint32_t next_node; /* the id that the next new node gets */
	uint32_t nnodes;
	uint32_t nmembers;
	struct map_node *nodes; /* ascending by id */
	uint32_t *first;   /* nshards + 1 places in members: shard s has first[s] .. first[s+1]-1 */
	uint32_t *members; /* node ids; the first one of a shard is its preferred primary */
	uint16_t *by_id;   /* set by map_seal: next_node places, index in nodes + 1 */
	unsigned refs;     /* atomic */
};

/* A map with room for so much, all zero; NULL when memory is gone or a limit above is passed. */
MUST_CHECK struct map *map_alloc(uint32_t nshards, uint32_t nnodes, uint32_t nmembers);
/* The empty map of a new cluster: version 0, no nodes, shards without members. */
struct map *map_new_empty(const char *cluster, const uint8_t uuid[16], uint64_t key_seed,
			  uint32_t nshards);
/* Builds the index; from here on the map is constant.  Ids must be ascending, below next_node, and
 * the places in `first` ascending up to nmembers (map_check says so in words, this CHECKs). */
void map_seal(struct map *);

const struct map *map_ref(const struct map *);
void map_unref(const struct map **); /* frees with the last one; sets the pointer NULL */

const struct map_node *map_node(const struct map *, uint32_t id); /* NULL: no such node */
const struct map_node *map_node_named(const struct map *, const char *name); /* O(nodes) */
/* Members of a shard (shard < nshards), borrowed from the map. */
const uint32_t *map_members(const struct map *, uint32_t shard, uint32_t *n);
bool map_is_member(const struct map *, uint32_t shard, uint32_t node);
/* By the hash alone; directory_shard (directory.h) knows the exceptions. */
uint32_t map_shard_of(const struct map *, struct slice repo);

/* A name of a node, a zone or a cluster: 1..63 of [a-z0-9-], no '-' at either end. */
bool map_name_ok(const char *);

#endif
