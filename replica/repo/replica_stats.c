#include "replica/repo/replica_stats.h"

#include "gitproto/base/stats.h"

static const struct stats_row rows[RSTAT_COUNT] = {
	[RSTAT_READS] = { "gitshard_strict_reads_total", STATS_COUNTER,
			  "strict reads by the way they were proved fresh",
			  .sets = (const char *const[]){ "way=\"lease\"", "way=\"ask\"",
							 "way=\"barrier\"", NULL } },
	[RSTAT_FETCHES] = { "gitshard_fetches_total", STATS_COUNTER, "read requests answered",
			    .sets = (const char *const[]){ "kind=\"info_refs\"", "kind=\"ls_refs\"",
							   "kind=\"upload_pack\"", NULL } },
	[RSTAT_PUSHES] = { "gitshard_pushes_total", STATS_COUNTER, "pushes by their end",
			   .sets = (const char *const[]){ "end=\"ok\"", "end=\"refused\"",
							  "end=\"failed\"", NULL } },
	[RSTAT_PUSH_TIME] = { "gitshard_push_seconds", STATS_HIST,
			      "time of a push on the node, from its head to the end of git",
			      .bounds = STATS_USEC, .per_unit = 1000000 },
	[RSTAT_STAGED] = { "gitshard_staged_bytes_total", STATS_COUNTER,
			   "bytes of packs staged for other primaries" },
	[RSTAT_PACKS_SENT] = { "gitshard_packs_sent_total", STATS_COUNTER,
			       "packs given to other members that missed them" },
	[RSTAT_PACKS_GOT] = { "gitshard_packs_fetched_total", STATS_COUNTER,
			      "missing packs fetched from other members" },
	[RSTAT_REPACKS] = { "gitshard_repacks_total", STATS_COUNTER,
			    "repacks that changed something, by their end",
			    .sets = (const char *const[]){ "end=\"ok\"", "end=\"failed\"", NULL } },
	[RSTAT_REPACK_TIME] = { "gitshard_repack_seconds", STATS_HIST, "time of a repack",
				.bounds = STATS_USEC, .per_unit = 1000000 },
	[RSTAT_PACK_BYTES] = { "gitshard_pack_bytes_sent_total", STATS_COUNTER,
			       "bytes of packs sent: to voters as pushed, to members that missed "
			       "them",
			       .sets = (const char *const[]){ "to=\"voter\"", "to=\"member\"",
							      NULL } },
	[RSTAT_STAGE_ENDS] = { "gitshard_stage_ended_total", STATS_COUNTER,
			       "copies to slow voters ended on their way, their push being "
			       "decided" },
};

static struct stats *stats; /* made once, before any thread; lives as long as the process */

void
replica_stats_init(void)
{
	stats = stats_new(rows, COUNT(rows));
}

void
replica_stats_add(enum replica_stat row, unsigned set, uint64_t n)
{
	stats_add(stats, row, set, n);
}

void
replica_stats_observe(enum replica_stat row, uint64_t v)
{
	stats_observe(stats, row, 0, v);
}

void
replica_stats_text(struct buf *out)
{
	stats_text(out, stats);
}
