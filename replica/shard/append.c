/* replica/shard/append.c - how a shard's records are asked of the log, and what is learned of it.
 * seq is given and the append asked for in one step on the loop's thread, so that the order of the
 * calls is the order of seq (protocol section 1). */
#include <inttypes.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "replica/shard/shard_impl.h"
#include "replica/shard/shard_open.h"

/* What comes back from a log thread; found again by number, never by pointer. */
struct appended {
	struct shards *all; /* lives longer than the log */
	uint32_t shard;
	uint8_t txn[16];
	bool free_record, claim;
	enum commitlog_outcome outcome;
	struct err err;
};

static void
on_loop(void *arg)
{
	struct appended *a = arg;
	struct shard *s = shards_get(a->all, a->shard);
	void *tag = NULL;

	if (s == NULL || a->outcome == COMMITLOG_AT || a->free_record) {
		free(a);
		return;
	}
	log_warn("-", "append", "shard=%" PRIu32 " outcome=%s why=%s", a->shard,
		 a->outcome == COMMITLOG_NOT ? "not" : "unknown",
		 log_value(err_text(&a->err), strlen(err_text(&a->err))));
	/* One that may be lost for ever is followed by another with the same base: at most one of
	 * them is valid (R2). */
	if (a->claim)
		s->claiming = false;
	/* Only "certainly never sent" decides anything here; the rest is read (R5). */
	if (a->outcome == COMMITLOG_NOT && fate_not_sent(&s->fates, a->txn, &tag)) {
		struct append *ap = tag;

		if (ap != NULL)
			append_settle(s, &ap, SHARD_DEAD, 0, err_text(&a->err));
	}
	free(a);
}

static void
on_appended(enum commitlog_outcome outcome, uint64_t offset UNUSED, const struct err *err,
	    void *arg)
{
	struct appended *a = arg;

	a->outcome = outcome;
	if (err != NULL)
		a->err = *err;
	loop_post_owned(a->all->opts.loop, on_loop, a, free);
}

static void
fill_head(struct shard *s, struct record *r)
{
	memcpy(r->cluster, s->all->cluster, sizeof(r->cluster));
	r->shard = s->index;
	r->wall_ms = clock_wall_ms();
	r->seen = s->state.next > 0 ? s->state.next - 1 : RECORD_SEEN_NONE;
	if (s->state.next > 0)
		memcpy(r->seen_hash, s->hash, sizeof(r->seen_hash));
}

static void
ask(struct shard *s, const struct record *r, struct slice bytes, bool free_record)
{
	struct appended *a = MEM_NEW(struct appended);

	a->all = s->all;
	a->shard = s->index;
	a->free_record = free_record;
	a->claim = r->type == RECORD_CLAIM;
	memcpy(a->txn, r->txn, sizeof(a->txn));
	commitlog_append(s->all->opts.log, s->index, bytes, on_appended, a);
}

int
append_reign(struct shard *s, struct record *r, struct append *tag, struct err *err)
{
	bool claim = r->type == RECORD_CLAIM;
	struct buf b = BUF_MAX(RECORD_MAX);
	uint64_t now;
	int rc;

	fill_head(s, r);
	rnd_bytes(r->txn, sizeof(r->txn));
	r->reign.node = s->all->self;
	r->reign.boot = s->all->opts.boot;
	r->reign.epoch = claim ? s->state.reign.epoch + 1 : s->lease.epoch;
	r->seq = claim ? 0 : s->next_seq;
	rc = record_encode(&b, r, err);
	now = clock_boot_ns();
	if (tag != NULL) {
		tag->type = r->type;
		tag->asked_ns = now;
		memcpy(tag->txn, r->txn, sizeof(tag->txn));
	}
	if (rc == 0)
		rc = fate_asked(&s->fates, r, now, tag, err);
	if (rc == 0) {
		if (!claim)
			s->next_seq++;
		lease_asked(&s->lease, r, now);
		ask(s, r, buf_slice(&b), false);
	}
	buf_release(&b);
	return rc;
}

void
append_free_record(struct shard *s, struct record *r)
{
	struct buf b = BUF_MAX(RECORD_MAX);

	if (s->all->stopped)
		return;
	fill_head(s, r);
	CHECK(record_encode(&b, r, NULL) == 0);
	ask(s, r, buf_slice(&b), true);
	buf_release(&b);
}

void
append_barrier(struct shard *s)
{
	struct record r = { .type = RECORD_BARRIER };
	struct append *tag = MEM_NEW(struct append);
	struct err err;

	s->barrier_ns = clock_boot_ns();
	if (append_reign(s, &r, tag, &err) == 0)
		return;
	log_warn("-", "barrier", "shard=%" PRIu32 " why=%s", s->index,
		 log_value(err_text(&err), strlen(err_text(&err))));
	append_free(&tag);
}

void
append_free(struct append **ap)
{
	if (*ap != NULL)
		free((*ap)->repo);
	free(*ap);
	*ap = NULL;
}

/* What was long unknown is told when it is known, so that nobody has to ask for it. */
static void
log_resolved(const struct shard *s, const struct append *a, enum shard_fate fate, uint64_t offset)
{
	static const char *const words[] = { "committed", "dead", "unknown" };
	uint64_t ns = clock_boot_ns() - a->asked_ns;
	char txn[2 * RECORD_ID + 1];

	if (ns < SHARD_OPEN_NS)
		return;
	hex_encode(txn, a->txn, RECORD_ID);
	log_info(a->request, "resolved",
		 "shard=%" PRIu32 " type=%s repo=%s txn=%s outcome=%s offset=%" PRIu64
		 " ms=%" PRIu64,
		 s->index, record_type_name(a->type), a->repo != NULL ? a->repo : "-", txn,
		 words[fate], offset, ns / CLOCK_MSEC);
}

/* done may do anything to the shard. */
void
append_settle(struct shard *s, struct append **ap, enum shard_fate fate, uint64_t offset,
	      const char *why)
{
	struct append *a = *ap;

	*ap = NULL;
	if (a->done != NULL) {
		log_resolved(s, a, fate, offset);
		a->done(fate, offset, why, a->arg);
	}
	append_free(&a);
}
