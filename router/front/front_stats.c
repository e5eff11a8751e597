#include "router/front/front_stats.h"

enum outcome { OUT_2XX, OUT_3XX, OUT_4XX, OUT_5XX, OUT_CUT, OUT_GONE, OUT_N };

#define KIND(k)                                                               \
	"kind=\"" k "\",code=\"2xx\"", "kind=\"" k "\",code=\"3xx\"",         \
		"kind=\"" k "\",code=\"4xx\"", "kind=\"" k "\",code=\"5xx\"", \
		"kind=\"" k "\",code=\"cut\"", "kind=\"" k "\",code=\"gone\""

static const char *const words[FRONT_STATS_NKINDS] = {
	[FRONT_STATS_ADVERTISE_FETCH] = "advertise-fetch",
	[FRONT_STATS_ADVERTISE_PUSH] = "advertise-push",
	[FRONT_STATS_FETCH] = "fetch",
	[FRONT_STATS_PUSH] = "push",
	[FRONT_STATS_OTHER] = "other",
};

/* In the order of enum front_stats_kind. */
static const char *const request_sets[] = { KIND("advertise-fetch"), KIND("advertise-push"),
					    KIND("fetch"),           KIND("push"),
					    KIND("other"),           NULL };
static const char *const kind_sets[] = { "kind=\"advertise-fetch\"", "kind=\"advertise-push\"",
					 "kind=\"fetch\"",           "kind=\"push\"",
					 "kind=\"other\"",           NULL };
/* In the order of enum retry_reason. */
static const char *const retry_sets[] = { "reason=\"wrong_node\"", "reason=\"busy\"",
					  "reason=\"lost\"",       "reason=\"silent\"",
					  "reason=\"slow\"",       "reason=\"no_node\"",
					  "reason=\"log_away\"",   NULL };
static const char *const byte_sets[] = { "direction=\"in\"", "direction=\"out\"", NULL };

static const struct stats_row rows[FRONT_STATS_NROWS] = {
	[FRONT_STATS_REQUESTS] = { "gitshard_router_requests_total", STATS_COUNTER,
				   "requests that ended, by kind and answer; cut: the answer "
				   "broke off; gone: the client left before one",
				   .sets = request_sets },
	[FRONT_STATS_RETRIES] = { "gitshard_router_retries_total", STATS_COUNTER,
				  "attempts at a node that were made again, by reason",
				  .sets = retry_sets },
	[FRONT_STATS_BYTES] = { "gitshard_router_bytes_total", STATS_COUNTER,
				"bytes of bodies, from and to clients", .sets = byte_sets },
	[FRONT_STATS_ACTIVE] = { "gitshard_router_requests_active", STATS_GAUGE,
				 "requests under way" },
	[FRONT_STATS_REFUSED] = { "gitshard_router_refused_total", STATS_COUNTER,
				  "requests refused because too many are under way" },
	[FRONT_STATS_MAP] = { "gitshard_router_map_version", STATS_GAUGE,
			      "version of the map in use; 0: none" },
	[FRONT_STATS_TIME] = { "gitshard_router_request_seconds", STATS_HIST,
			       "time from a request's head to the last byte of its answer",
			       .sets = kind_sets, .bounds = STATS_USEC, .per_unit = 1000000 },
};

const char *
front_stats_kind_word(enum front_stats_kind k)
{
	return words[k];
}

struct stats *
front_stats_new(void)
{
	return stats_new(rows, FRONT_STATS_NROWS);
}

static enum outcome
outcome_of(int status, bool cut)
{
	if (status == 0)
		return OUT_GONE;
	if (cut)
		return OUT_CUT;
	if (status < 400)
		return status < 300 ? OUT_2XX : OUT_3XX;
	return status < 500 ? OUT_4XX : OUT_5XX;
}

void
front_stats_done(struct stats *st, enum front_stats_kind k, int status, bool cut, uint64_t usec)
{
	stats_add(st, FRONT_STATS_REQUESTS, (unsigned)k * OUT_N + outcome_of(status, cut), 1);
	stats_observe(st, FRONT_STATS_TIME, k, usec);
}
