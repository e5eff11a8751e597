/* replica/repo/replica_stats.h - the counters of a storage node, one table for the process.
 * Thread: any after replica_stats_init. */
#ifndef REPLICA_REPO_REPLICA_STATS_H
#define REPLICA_REPO_REPLICA_STATS_H

#include "gitproto/base/buf.h"

enum replica_stat {
	RSTAT_READS,       /* strict reads; set: enum read_way */
	RSTAT_FETCHES,     /* set: enum fetch_kind */
	RSTAT_PUSHES,      /* set: enum push_end */
	RSTAT_PUSH_TIME,   /* microseconds from the request to its answer */
	RSTAT_STAGED,      /* bytes of packs staged here */
	RSTAT_PACKS_SENT,  /* packs given to peers */
	RSTAT_PACKS_GOT,   /* missing packs fetched from peers */
	RSTAT_REPACKS,     /* set: enum repack_end */
	RSTAT_REPACK_TIME, /* microseconds */
	RSTAT_PACK_BYTES,  /* of packs and indexes sent; set: enum pack_to */
	RSTAT_STAGE_ENDS,  /* copies of decided pushes that were ended on their way */
	RSTAT_COUNT
};
enum read_way { READ_WAY_LEASE, READ_WAY_ASK, READ_WAY_BARRIER };
enum repack_end { REPACK_END_OK, REPACK_END_FAILED };
enum pack_to { PACK_TO_VOTER, PACK_TO_MEMBER };
enum fetch_kind { FETCH_KIND_INFO_REFS, FETCH_KIND_LS_REFS, FETCH_KIND_UPLOAD_PACK };
enum push_end { PUSH_END_OK, PUSH_END_REFUSED, PUSH_END_FAILED };

void replica_stats_init(void);
void replica_stats_add(enum replica_stat, unsigned set, uint64_t n);
void replica_stats_observe(enum replica_stat, uint64_t v);
static inline void
replica_stats_read(enum read_way way)
{
	replica_stats_add(RSTAT_READS, way, 1);
}
void replica_stats_text(struct buf *); /* Prometheus */

#endif
