#include "replica/shard/shard.h"

#include <inttypes.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "replica/shard/shard_impl.h"
#include "replica/shard/shard_open.h"

#define TICK_MSEC 100
/* An append whose fate is open so long gets a barrier behind it, which decides it (R5). */
#define RESOLVE_NS SHARD_OPEN_NS

#define START_AGAIN_NS (5 * CLOCK_SEC)

static void on_tick(void *);
static void tell_changes(void *);

struct shards *
shards_new(const struct shards_opts *opts)
{
	struct shards *all = MEM_NEW(struct shards);

	all->opts = *opts;
	loop_task_init(&all->changes, tell_changes, all);
	all->tick = timer_new(opts->loop, on_tick, all);
	timer_set(all->tick, TICK_MSEC);
	return all;
}

static void
on_stopped(const struct fate_entry *e, enum fate fate UNUSED, uint64_t offset UNUSED, void *arg)
{
	struct append *a = e->tag;

	if (a != NULL)
		append_settle(arg, &a, SHARD_UNKNOWN, 0, "the node stops");
}

/* Whoever is told may ask again at once: that is refused, so nothing comes back. */
void
shards_stop(struct shards *all)
{
	struct shard *s;
	struct append *a;

	all->stopped = true;
	timer_stop(all->tick);
	for (size_t i = 0; i < all->n; i++) {
		s = all->list[i];
		if (!s->halted)
			err_set(&s->halt, ERR_UNAVAILABLE, "the node stops");
		s->halted = true;
		shard_read_fail_all(s);
		while ((a = TAILQ_FIRST(&s->committing)) != NULL) {
			TAILQ_REMOVE(&s->committing, a, next);
			append_settle(s, &a, SHARD_UNKNOWN, 0, "the node stops");
		}
		fate_on_snapshot(&s->fates, on_stopped, s);
	}
}

void
shards_free(struct shards **allp)
{
	struct shards *all = *allp;

	if (all == NULL)
		return;
	*allp = NULL;
	shards_stop(all);
	for (size_t i = 0; i < all->n; i++) {
		fate_release(&all->list[i]->fates);
		shard_read_release(all->list[i]);
		free(all->list[i]);
	}
	loop_task_revoke(all->opts.loop, &all->changes);
	timer_free(&all->tick);
	free(all->by_index);
	free(all->list);
	free(all);
}

void
shards_set_self(struct shards *all, uint32_t node, const uint8_t cluster[16])
{
	CHECK(all->self == 0 || all->self == node);
	all->self = node;
	memcpy(all->cluster, cluster, sizeof(all->cluster));
}

static void
place(struct shards *all, struct shard *s)
{
	if (s->index >= all->n_index) {
		size_t n = MAX((size_t)s->index + 1, 2 * all->n_index);

		all->by_index = mem_resize(all->by_index, n * sizeof(*all->by_index));
		memset(all->by_index + all->n_index, 0,
		       (n - all->n_index) * sizeof(*all->by_index));
		all->n_index = n;
	}
	all->by_index[s->index] = s;
	all->list = mem_resize(all->list, (all->n + 1) * sizeof(*all->list));
	all->list[all->n++] = s;
}

/* R13: each start shows its number in every stream, so that an old copy of the disk is found.  Asked for
 * until it is read back: a start that the log does not know could be made twice. */
static void
append_start(struct shard *s)
{
	struct record r = { .type = RECORD_START };

	r.start.node = s->all->self;
	r.start.number = s->all->opts.start;
	memcpy(r.start.incarnation, s->all->opts.incarnation, sizeof(r.start.incarnation));
	memcpy(r.txn, s->start_txn, sizeof(r.txn));
	s->start_ns = clock_boot_ns();
	append_free_record(s, &r);
}

struct shard *
shards_add(struct shards *all, uint32_t index, const struct verdict_state *state,
	   const uint8_t hash[32])
{
	struct lease_self self = { .node = all->self, .boot = all->opts.boot };
	struct shard *s = shards_get(all, index);

	if (s != NULL)
		return s;
	CHECK(all->self != 0);
	s = MEM_NEW(struct shard);
	s->magic = SHARD_MAGIC;
	s->all = all;
	s->index = index;
	s->state = *state;
	memcpy(s->hash, hash, sizeof(s->hash));
	s->applied = state->next;
	s->log_end = UINT64_MAX; /* until it was asked for */
	TAILQ_INIT(&s->lease_waits);
	TAILQ_INIT(&s->barrier_sent);
	TAILQ_INIT(&s->barrier_next);
	TAILQ_INIT(&s->applies);
	TAILQ_INIT(&s->committing);
	TAILQ_INIT(&s->open_changes);
	fate_init(&s->fates);
	memcpy(self.incarnation, all->opts.incarnation, sizeof(self.incarnation));
	lease_init(&s->lease, &self, clock_boot_ns());
	place(all, s);
	rnd_bytes(s->start_txn, sizeof(s->start_txn));
	append_start(s);
	shard_changed(s);
	return s;
}

struct shard *
shards_get(struct shards *all, uint32_t index)
{
	return index < all->n_index ? all->by_index[index] : NULL;
}

size_t
shards_count(const struct shards *all)
{
	return all->n;
}

struct shard *
shards_at(struct shards *all, size_t i)
{
	CHECK(i < all->n);
	return all->list[i];
}

static void
tell_changes(void *arg)
{
	struct shards *all = arg;

	for (size_t i = 0; i < all->n; i++)
		if (all->list[i]->told) {
			all->list[i]->told = false;
			all->opts.changed(all->list[i], all->opts.arg);
		}
}

void
shard_changed(struct shard *s)
{
	s->told = true;
	loop_task_put(s->all->opts.loop, &s->all->changes);
}

/* --- reigns -------------------------------------------------------------------------------- */

/* Automatic fail-over is not made here: the preferred member claims at creation, and a primary
 * claims again after its own restart. */
static bool
has_reason_to_claim(const struct shard *s)
{
	if (s->state.reign.epoch == 0)
		return s->preferred;
	return s->state.reign.node == s->all->self &&
	       memcmp(s->state.holder, s->all->opts.incarnation, 16) == 0 &&
	       s->state.reign.boot != s->all->opts.boot;
}

void
shard_try_claim(struct shard *s)
{
	struct lease_claim known = { .owns_lock = true };
	struct record r = { .type = RECORD_CLAIM };
	struct err err;

	if (s->claiming || s->halted || s->all->log_away || !s->state.genesis ||
	    s->state.next < s->log_end || !has_reason_to_claim(s))
		return;
	known.whole = s->missing == 0 && s->applied >= s->state.next;
	if (lease_may_claim(&s->lease, &s->state, &known, clock_boot_ns(), &r.claim.base, NULL,
			    NULL) != 0)
		return;
	memcpy(r.claim.incarnation, s->all->opts.incarnation, sizeof(r.claim.incarnation));
	s->claiming = true;
	if (append_reign(s, &r, NULL, &err) != 0) {
		s->claiming = false;
		log_warn("-", "claim", "shard=%" PRIu32 " why=%s", s->index,
			 log_value(err_text(&err), strlen(err_text(&err))));
		return;
	}
	log_info("-", "claim", "shard=%" PRIu32 " epoch=%" PRIu64 " base=%" PRIu64, s->index,
		 s->state.reign.epoch + 1, r.claim.base);
}

/* --- notes ---------------------------------------------------------------------------------- */

static void
on_fate(const struct fate_entry *e, enum fate fate, uint64_t offset, void *arg)
{
	struct shard *s = OBJ_FROM(arg, struct shard, SHARD_MAGIC);
	struct append *a = e->tag;

	if (a == NULL) {
		s->claiming = false;
		return;
	}
	if (fate == FATE_COMMITTED) {
		a->offset = offset;
		TAILQ_INSERT_TAIL(&s->committing, a, next);
		return;
	}
	append_settle(s, &a, fate == FATE_DEAD ? SHARD_DEAD : SHARD_UNKNOWN, offset,
		      s->why != NULL && s->why[0] != '\0'
			      ? s->why
			      : "another record took its place; push again");
}

/* R13.  A number that is this start's own, and not this start's record, is one that was made twice. */
static void
look_at_start(struct shard *s, const struct record *r)
{
	uint64_t own = s->all->opts.start;
	struct err err;

	if (memcmp(r->start.incarnation, s->all->opts.incarnation, 16) != 0 ||
	    r->start.number < own)
		return;
	if (r->start.number == own && memcmp(r->txn, s->start_txn, RECORD_ID) == 0) {
		s->start_ns = 0;
		return;
	}
	err_set(&err, ERR_CORRUPT,
		"the log knows start %" PRIu64 " of this disk already, and this is start %" PRIu64
		": it is an old copy; wipe the data and root directories and let it be refilled",
		r->start.number, own);
	s->all->opts.fatal(&err, s->all->opts.arg);
}

void
shards_on_note(struct shards *all, uint32_t index, const struct shard_note *n)
{
	struct shard *s = shards_get(all, index);
	struct record_reign self = { .node = all->self, .boot = all->opts.boot };
	bool was_primary;
	uint64_t epoch;

	if (s == NULL || n->offset < s->state.next)
		return;
	CHECK(n->offset == s->state.next);
	was_primary = lease_is_primary(&s->lease);
	epoch = s->state.reign.epoch;
	verdict_advance(&s->state, n->offset, n->record, n->verdict);
	memcpy(s->hash, n->hash, sizeof(s->hash));
	lease_on_read(&s->lease, n->record, n->verdict, n->read_ns);
	if (!was_primary && lease_is_primary(&s->lease)) {
		s->next_seq = 1;
		log_info("-", "primary", "shard=%" PRIu32 " epoch=%" PRIu64 " offset=%" PRIu64,
			 index, s->lease.epoch, n->offset);
	} else if (was_primary && !lease_is_primary(&s->lease)) {
		log_warn("-", "deposed", "shard=%" PRIu32 " epoch=%" PRIu64 " by=%" PRIu32, index,
			 s->state.reign.epoch, s->state.reign.node);
	}
	if (n->verdict == VERDICT_EFFECTIVE)
		shard_read_note(s, n->offset, n->record);
	s->why = n->why;
	fate_on_read(&s->fates, &self, n->offset, n->record, n->verdict, on_fate, s);
	s->why = NULL;
	if (n->record->type == RECORD_START)
		look_at_start(s, n->record);
	if (n->verdict == VERDICT_FREE)
		shard_read_on_free(s, n->offset, n->record->txn);
	else
		shard_read_on_evidence(s);
	if (epoch != s->state.reign.epoch || n->verdict != VERDICT_FREE)
		shard_changed(s);
	shard_try_claim(s);
}

void
shards_on_halt(struct shards *all, uint32_t index, const struct err *why)
{
	struct shard *s = shards_get(all, index);

	if (s == NULL)
		return;
	s->halted = why != NULL;
	if (why != NULL) {
		s->halt = *why;
		/* What was not read or applied by now may be long in coming: others may serve. */
		shard_read_fail_all(s);
	}
	shard_changed(s);
	shard_try_claim(s);
}

void
shards_on_stuck(struct shards *all, uint32_t index, const struct err *why)
{
	struct shard *s = shards_get(all, index);

	if (s == NULL)
		return;
	s->stuck = why != NULL;
	if (why != NULL)
		s->stuck_why = *why;
	shard_read_look(s);
	shard_changed(s);
	shard_try_claim(s);
}

void
shards_on_read(struct shards *all, uint32_t index)
{
	struct shard *s = shards_get(all, index);

	if (s != NULL)
		shard_read_look(s);
}

void
shards_set_log_away(struct shards *all, bool away)
{
	all->log_away = away;
	for (size_t i = 0; away && i < all->n; i++)
		shard_read_fail_proofs(all->list[i]);
}

/* The callbacks of shards before this one, and of its own reads, take time: each look has a sample
 * of its own. */
static void
tick_shard(struct shard *s)
{
	uint64_t oldest, now;

	shard_read_tick(s, clock_boot_ns());
	oldest = fate_oldest_ns(&s->fates);
	now = clock_boot_ns();
	if (lease_is_primary(&s->lease) && !lease_is_yielding(&s->lease) && !s->halted &&
	    !s->all->log_away && oldest != 0 && now - oldest > RESOLVE_NS &&
	    now - s->barrier_ns > RESOLVE_NS)
		append_barrier(s);
	if (s->start_ns != 0 && now - s->start_ns > START_AGAIN_NS && !s->halted &&
	    !s->all->log_away)
		append_start(s);
	shard_read_keep_fresh(s);
	shard_try_claim(s);
}

static void
on_tick(void *arg)
{
	struct shards *all = arg;

	for (size_t i = 0; i < all->n; i++)
		tick_shard(all->list[i]);
	timer_set(all->tick, TICK_MSEC);
}

int
shard_append(struct shard *s, struct record *r, const struct shard_asker *asker, struct err *err)
{
	struct append *a;
	int rc;

	if (s->halted)
		return err_set(err, ERR_UNAVAILABLE,
			       "shard %" PRIu32 " is stopped on this node: %s", s->index,
			       err_text(&s->halt));
	if (!lease_is_primary(&s->lease))
		return err_set(err, ERR_WRONG_NODE,
			       "this node is not the primary of shard %" PRIu32 "; push again",
			       s->index);
	if (s->stuck)
		return err_set(err, s->stuck_why.code == ERR_FULL ? ERR_FULL : ERR_UNAVAILABLE,
			       "the storage node cannot write: %s; nothing was changed, push again "
			       "when its operator has mended it",
			       err_text(&s->stuck_why));
	if (s->all->log_away)
		return err_set(err, ERR_LOG_AWAY,
			       "the commit log is away; nothing was changed, push again when it is "
			       "back");
	if (lease_is_yielding(&s->lease))
		return err_set(err, ERR_UNAVAILABLE,
			       "shard %" PRIu32 " is being handed over; push again", s->index);
	a = MEM_NEW(struct append);
	a->done = asker->done;
	a->arg = asker->arg;
	a->repo = asker->repo != NULL ? mem_strdup(asker->repo) : NULL;
	snprintf(a->request, sizeof(a->request), "%s",
		 asker->request != NULL ? asker->request : "-");
	rc = append_reign(s, r, a, err);
	if (rc != 0)
		append_free(&a);
	return rc;
}

/* --- what others ask ------------------------------------------------------------------------ */

void
shard_set_preferred(struct shard *s, bool preferred)
{
	s->preferred = preferred;
	shard_try_claim(s);
}

void
shard_set_log_end(struct shard *s, uint64_t next)
{
	s->log_end = next;
	shard_try_claim(s);
}

void
shard_set_missing(struct shard *s, unsigned packs)
{
	s->missing = packs;
	shard_try_claim(s);
}

uint32_t
shard_index(const struct shard *s)
{
	return s->index;
}

uint64_t
shard_position(const struct shard *s)
{
	return s->state.next;
}

uint64_t
shard_applied(const struct shard *s)
{
	return s->applied;
}

uint64_t
shard_epoch(const struct shard *s)
{
	return s->state.reign.epoch;
}

const struct verdict_state *
shard_state(const struct shard *s)
{
	return &s->state;
}

bool
shard_is_voter(const struct shard *s)
{
	const struct verdict_state *st = &s->state;

	for (unsigned i = 0; i < st->n_voters; i++)
		if (st->members[i].node == s->all->self &&
		    memcmp(st->members[i].incarnation, s->all->opts.incarnation, 16) == 0)
			return true;
	return false;
}

bool
shard_is_primary(const struct shard *s)
{
	return lease_is_primary(&s->lease) && !s->halted;
}

struct record_reign
shard_reign(const struct shard *s)
{
	return (struct record_reign){ .epoch = s->lease.epoch,
				      .boot = s->all->opts.boot,
				      .node = s->all->self };
}

uint32_t
shard_primary(const struct shard *s)
{
	return s->state.reign.epoch > 0 ? s->state.reign.node : 0;
}

const struct err *
shard_halted(const struct shard *s)
{
	return s->halted ? &s->halt : NULL;
}

const struct err *
shard_stuck(const struct shard *s)
{
	return s->stuck ? &s->stuck_why : NULL;
}

uint64_t
shard_lease_left_ns(const struct shard *s)
{
	return lease_left_ns(&s->lease, clock_boot_ns());
}

unsigned
shard_unresolved(const struct shard *s)
{
	return (unsigned)fate_open(&s->fates);
}

unsigned
shard_missing(const struct shard *s)
{
	return s->missing;
}
