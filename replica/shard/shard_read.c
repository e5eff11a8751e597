/* replica/shard/shard_read.c - strict reads at a shard's own hand (R7, ways 1 and 3), and waiting
 * for records to be applied. */
#include <inttypes.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "replica/shard/shard_impl.h"

#define BARRIER_AGAIN_NS (1 * CLOCK_SEC) /* a free barrier not read back by then is sent anew */
#define RENEW_AGAIN_NS (200 * CLOCK_MSEC)

static uint64_t
now_ns(void *arg UNUSED)
{
	return clock_boot_ns();
}

static void
add(struct read_waits *list, shard_read_fn *done, void *arg)
{
	struct read_wait *w = MEM_NEW(struct read_wait);

	w->done = done;
	w->arg = arg;
	w->asked_ns = clock_boot_ns();
	TAILQ_INSERT_TAIL(list, w, next);
}

static void
finish(struct read_waits *list, int rc, uint64_t offset)
{
	struct read_waits mine = TAILQ_HEAD_INITIALIZER(mine);
	struct read_wait *w;

	/* A done function may add to the list again. */
	TAILQ_CONCAT(&mine, list, next);
	while ((w = TAILQ_FIRST(&mine)) != NULL) {
		TAILQ_REMOVE(&mine, w, next);
		w->done(rc, offset, w->arg);
		free(w);
	}
}

/* A barrier that is under way already serves everyone who waits for the lease: R7 looks at the
 * clock again after it was read back. */
static void
want_evidence(struct shard *s)
{
	if (clock_boot_ns() - s->barrier_ns > RENEW_AGAIN_NS && !lease_is_yielding(&s->lease))
		append_barrier(s);
}

void
shard_read_primary(struct shard *s, shard_read_fn *done, void *arg)
{
	uint64_t position;

	if (!lease_is_primary(&s->lease) || s->halted) {
		done(ERR_WRONG_NODE, 0, arg);
		return;
	}
	if (s->all->opts.lease_reads &&
	    lease_strict_read(&s->lease, &s->state, now_ns, NULL, &position)) {
		if (lease_wants_renewal(&s->lease, clock_boot_ns()))
			want_evidence(s);
		done(0, position, arg);
		return;
	}
	if (!s->all->opts.lease_reads) {
		shard_read_barrier(s, done, arg);
		return;
	}
	if (s->all->log_away) {
		done(ERR_UNAVAILABLE, 0, arg);
		return;
	}
	add(&s->lease_waits, done, arg);
	want_evidence(s);
}

void
shard_read_on_evidence(struct shard *s)
{
	uint64_t position;

	if (TAILQ_EMPTY(&s->lease_waits))
		return;
	if (!lease_is_primary(&s->lease))
		finish(&s->lease_waits, ERR_WRONG_NODE, 0);
	else if (lease_strict_read(&s->lease, &s->state, now_ns, NULL, &position))
		finish(&s->lease_waits, 0, position);
}

/* The one under way, once more if it was sent before: it may be lost, or only slow, and whichever
 * copy is read first serves.  Nobody joins it then. */
static void
ask_barrier(struct shard *s)
{
	struct record r = { .type = RECORD_BARRIER, .free = true };

	memcpy(r.txn, s->barrier_txn, sizeof(r.txn));
	s->barrier_sent_ns = clock_boot_ns();
	append_free_record(s, &r);
}

static void
send_barrier(struct shard *s)
{
	TAILQ_CONCAT(&s->barrier_sent, &s->barrier_next, next);
	rnd_bytes(s->barrier_txn, sizeof(s->barrier_txn));
	s->barrier_first_ns = clock_boot_ns();
	ask_barrier(s);
}

void
shard_read_barrier(struct shard *s, shard_read_fn *done, void *arg)
{
	if (s->halted || s->all->log_away) { /* nothing is read that could answer it */
		done(ERR_UNAVAILABLE, 0, arg);
		return;
	}
	add(&s->barrier_next, done, arg);
	if (s->barrier_sent_ns == 0)
		send_barrier(s);
}

void
shard_read_on_free(struct shard *s, uint64_t offset, const uint8_t txn[16])
{
	struct read_waits mine = TAILQ_HEAD_INITIALIZER(mine);

	if (s->barrier_sent_ns == 0 || memcmp(txn, s->barrier_txn, 16) != 0)
		return;
	s->barrier_sent_ns = 0;
	s->fresh_ns = s->barrier_first_ns;
	TAILQ_CONCAT(&mine, &s->barrier_sent, next);
	if (!TAILQ_EMPTY(&s->barrier_next))
		send_barrier(s);
	finish(&mine, 0, offset + 1);
}

/* Has a moment (0: never) been so long ago?  A fresh sample: callbacks may have taken their time. */
static bool
is_past(uint64_t ns, uint64_t age)
{
	return ns != 0 && clock_boot_ns() - ns > age;
}

static void
expire(struct read_waits *list, uint64_t before)
{
	struct read_waits late = TAILQ_HEAD_INITIALIZER(late);
	struct read_wait *w;

	while ((w = TAILQ_FIRST(list)) != NULL && w->asked_ns < before) {
		TAILQ_REMOVE(list, w, next);
		TAILQ_INSERT_TAIL(&late, w, next);
	}
	finish(&late, ERR_UNAVAILABLE, 0);
}

/* Is there a record below the target that changes what is waited for, and is not applied? */
static bool
is_open(const struct shard *s, const struct apply_wait *w)
{
	const struct open_change *c;

	TAILQ_FOREACH (c, &s->open_changes, next) {
		if (c->offset >= w->target)
			return false;
		if (w->repo == NULL || memcmp(c->repo_id, w->repo->id, sizeof(c->repo_id)) == 0)
			return true;
	}
	return false;
}

/* 0, what went wrong, or 1: wait on. */
static int
judge_wait(const struct shard *s, const struct apply_wait *w, uint64_t now)
{
	bool read = s->state.next >= w->target || s->applied >= w->target;
	bool open = s->applied < w->target && is_open(s, w);
	bool whole = read && !open;

	if (whole && w->repo != NULL) {
		pthread_mutex_lock(&w->repo->shared.lock);
		whole = w->repo->shared.missing == 0;
		pthread_mutex_unlock(&w->repo->shared.lock);
	}
	if (whole)
		return 0;
	if (now >= w->deadline_ns)
		return ERR_TIMEOUT;
	return open && s->stuck ? ERR_UNAVAILABLE : 1;
}

/* Ready ones are told; those without hope too. */
static void
look_at_applies(struct shard *s, uint64_t now)
{
	struct apply_wait *w, *after;
	TAILQ_HEAD(, apply_wait) ready = TAILQ_HEAD_INITIALIZER(ready);

	for (w = TAILQ_FIRST(&s->applies); w != NULL; w = after) {
		after = TAILQ_NEXT(w, next);
		w->rc = judge_wait(s, w, now);
		if (w->rc > 0)
			continue;
		TAILQ_REMOVE(&s->applies, w, next);
		TAILQ_INSERT_TAIL(&ready, w, next);
	}
	while ((w = TAILQ_FIRST(&ready)) != NULL) {
		TAILQ_REMOVE(&ready, w, next);
		w->done(w->rc, w->arg);
		repo_unref(&w->repo);
		free(w);
	}
}

void
shard_read_look(struct shard *s)
{
	look_at_applies(s, clock_boot_ns());
}

static void
add_change(struct shard *s, uint64_t offset, const uint8_t repo_id[16])
{
	struct open_change *c = MEM_NEW(struct open_change);

	c->offset = offset;
	memcpy(c->repo_id, repo_id, sizeof(c->repo_id));
	TAILQ_INSERT_TAIL(&s->open_changes, c, next);
}

void
shard_read_note(struct shard *s, uint64_t offset, const struct record *r)
{
	switch (r->type) {
	case RECORD_CREATE:
		add_change(s, offset, r->create.id);
		break;
	case RECORD_DELETE:
		add_change(s, offset, r->del.id);
		break;
	case RECORD_RENAME:
		add_change(s, offset, r->rename.id);
		break;
	case RECORD_UPDATE:
		add_change(s, offset, r->update.id);
		break;
	case RECORD_META:
		add_change(s, offset, r->meta.id);
		break;
	default:
		break;
	}
}

static void
drop_changes(struct shard *s, uint64_t below)
{
	struct open_change *c;

	while ((c = TAILQ_FIRST(&s->open_changes)) != NULL && c->offset < below) {
		TAILQ_REMOVE(&s->open_changes, c, next);
		free(c);
	}
}

void
shard_read_release(struct shard *s)
{
	drop_changes(s, UINT64_MAX);
}

void
shard_wait(struct shard *s, struct repo *repo, uint64_t target, uint64_t deadline_ns,
	   shard_wait_fn *done, void *arg)
{
	struct apply_wait *w;

	if (s->all->stopped) {
		done(ERR_UNAVAILABLE, arg);
		return;
	}
	w = MEM_NEW(struct apply_wait);
	w->repo = repo != NULL ? repo_ref(repo) : NULL;
	w->target = target;
	w->deadline_ns = deadline_ns;
	w->done = done;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&s->applies, w, next);
	look_at_applies(s, clock_boot_ns());
}

void
shards_on_applied(struct shards *all, uint32_t index, uint64_t next)
{
	struct shard *s = shards_get(all, index);
	struct append *a;

	if (s == NULL || next <= s->applied)
		return;
	s->applied = next;
	drop_changes(s, next);
	/* Committed in the order of their offsets. */
	while ((a = TAILQ_FIRST(&s->committing)) != NULL && a->offset < next) {
		TAILQ_REMOVE(&s->committing, a, next);
		append_settle(s, &a, SHARD_COMMITTED, a->offset, NULL);
	}
	look_at_applies(s, clock_boot_ns());
	shard_changed(s);
	shard_try_claim(s);
}

void
shards_on_whole(struct shards *all, uint32_t index)
{
	struct shard *s = shards_get(all, index);

	if (s != NULL)
		look_at_applies(s, clock_boot_ns());
}

void
shard_read_tick(struct shard *s, uint64_t now)
{
	uint64_t wait = s->all->opts.read_msec * CLOCK_MSEC;
	uint64_t before = now > wait ? now - wait : 0;

	if (!TAILQ_EMPTY(&s->lease_waits)) {
		shard_read_on_evidence(s);
		if (!TAILQ_EMPTY(&s->lease_waits))
			want_evidence(s);
	}
	expire(&s->lease_waits, before);
	expire(&s->barrier_sent, before);
	expire(&s->barrier_next, before);
	if (s->barrier_sent_ns != 0 && TAILQ_EMPTY(&s->barrier_sent)) {
		s->barrier_sent_ns = 0; /* nobody waits for that one any more */
		if (!TAILQ_EMPTY(&s->barrier_next))
			send_barrier(s);
	}
	if (is_past(s->barrier_sent_ns, BARRIER_AGAIN_NS))
		ask_barrier(s);
	look_at_applies(s, now);
}

/* Own records read back, asked for at that time: what was acknowledged before stood before them. */
uint64_t
shard_fresh_ns(const struct shard *s)
{
	return lease_is_primary(&s->lease) ? MAX(s->fresh_ns, s->lease.evidence_ns) : s->fresh_ns;
}

static void
on_fresh(int rc UNUSED, uint64_t offset UNUSED, void *arg UNUSED)
{
}

void
shard_read_keep_fresh(struct shard *s)
{
	uint64_t third = s->all->opts.fresh_msec * CLOCK_MSEC / 3;

	if (third == 0 || s->halted || s->all->log_away || s->barrier_sent_ns != 0 ||
	    !s->state.genesis || clock_boot_ns() - shard_fresh_ns(s) < third)
		return;
	shard_read_barrier(s, on_fresh, NULL);
}

void
shard_read_fail_proofs(struct shard *s)
{
	finish(&s->lease_waits, ERR_UNAVAILABLE, 0);
	finish(&s->barrier_sent, ERR_UNAVAILABLE, 0);
	finish(&s->barrier_next, ERR_UNAVAILABLE, 0);
}

void
shard_read_fail_all(struct shard *s)
{
	shard_read_fail_proofs(s);
	look_at_applies(s, UINT64_MAX);
}
