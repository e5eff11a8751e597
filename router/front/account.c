#include "router/front/account.h"

#include <inttypes.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/rnd.h"

void
account_begin(struct account *a)
{
	*a = (struct account){ .began_ns = clock_boot_ns() };
	snprintf(a->id, sizeof(a->id), "%016" PRIx64, rnd_u64());
}

void
account_end(const struct account *a, struct stats *st, const struct http_xchg *x,
	    enum front_stats_kind kind, const char *repo, bool gone)
{
	uint64_t usec = (clock_boot_ns() - a->began_ns) / 1000;
	bool ok = a->whole && !gone;
	char shard[16] = "-";

	if (a->asked > 0)
		snprintf(shard, sizeof(shard), "%u", a->shard);
	front_stats_done(st, kind, a->status, !ok, usec);
	stats_add(st, FRONT_STATS_BYTES, 0, a->in);
	stats_add(st, FRONT_STATS_BYTES, 1, a->out);
	log_info(a->id, "request",
		 "peer=%s method=%s kind=%s repo=%s shard=%s node=%u status=%d in=%" PRIu64
		 " out=%" PRIu64 " ms=%" PRIu64 ".%03u retries=%u end=%s",
		 http_xchg_peer(x), http_xchg_request(x)->method, front_stats_kind_word(kind),
		 repo != NULL ? repo : "-", shard, a->node, a->status, a->in, a->out, usec / 1000,
		 (unsigned)(usec % 1000), a->asked > 0 ? a->asked - 1 : 0,
		 ok               ? "ok"
		 : a->status == 0 ? "gone"
				  : "cut");
}
