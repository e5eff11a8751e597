/* gitproto/base/stats.h - counters, gauges and histograms as table rows, and their Prometheus text.
 * Thread: any; counting is lock-free.  stats_new and stats_free by the owner alone.
 *
 *	enum { ST_REQUESTS, ST_READ_TIME };
 *	static const struct stats_row rows[] = {
 *		[ST_REQUESTS] = { "gitshard_requests_total", STATS_COUNTER, "requests that began",
 *				  .sets = (const char *const[]){ "kind=\"read\"",
								 "kind=\"write\"", NULL } },
 *		[ST_READ_TIME] = { "gitshard_read_seconds", STATS_HIST, "time of a strict read",
 *				   .bounds = STATS_USEC, .per_unit = 1000000 },
 *	};
 *	stats_add(st, ST_REQUESTS, 0, 1);	0: the place in sets, 0 without sets
 *	stats_observe(st, ST_READ_TIME, 0, usec);
 */
#ifndef GITPROTO_BASE_STATS_H
#define GITPROTO_BASE_STATS_H

#include "gitproto/base/buf.h"

enum stats_kind { STATS_COUNTER, STATS_GAUGE, STATS_HIST };

struct stats_row {
	const char *name; /* [a-z_:][a-z0-9_:]*; a counter's ends in _total */
	enum stats_kind kind;
	const char *help;        /* one line */
	const char *const *sets; /* ready label texts, NULL at the end; NULL: no labels */
	const uint64_t *bounds;  /* histogram: upper bounds, ascending, 0 at the end */
	uint64_t per_unit;       /* printed value = counted value / per_unit; 0 counts as 1 */
};

extern const uint64_t STATS_USEC[];  /* 100 us to 60 s, in microseconds: per_unit 1000000 */
extern const uint64_t STATS_BYTES[]; /* 1 KiB to 4 GiB */

struct stats;
struct stats *stats_new(const struct stats_row *, unsigned n); /* rows: borrowed until free */
void stats_free(struct stats **);

void stats_add(struct stats *, unsigned row, unsigned set, uint64_t n); /* counter */
void stats_set(struct stats *, unsigned row, unsigned set, int64_t v);  /* gauge */
void stats_move(struct stats *, unsigned row, unsigned set, int64_t by);
void stats_observe(struct stats *, unsigned row, unsigned set, uint64_t v); /* histogram */
/* Value of a counter or gauge; of a histogram: how many were observed. */
int64_t stats_get(const struct stats *, unsigned row, unsigned set);

/* Appends all rows in Prometheus' text format 0.0.4. */
void stats_text(struct buf *out, const struct stats *);

#endif
