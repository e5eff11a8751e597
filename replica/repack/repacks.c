#include "replica/repack/repacks.h"

#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include <uthash.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/repack/repack.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/turn.h"

#define TICK_MSEC 100
#define ROUND_NS (3600 * CLOCK_SEC)
#define FAIL_NS (60 * CLOCK_SEC) /* doubled with each failure, up to an hour */
#define FAIL_DOUBLINGS 6u
#define DENIED_NS (100 * CLOCK_MSEC)
/* Without a primary, nobody says whose turn it is.  After a while it is everybody's: with few packs for
 * all is better served than by order. */
#define NOBODY_NS CLOCK_SEC
#define NOBODY_TRIES 5u
#define BYTES_DUE (16u * 1024 * 1024)
#define NICE 10

struct entry {
	UT_hash_handle hh; /* by id */
	uint8_t id[16];
	size_t fresh;   /* packs that came since the last look, and those left out of order then */
	uint64_t bytes; /* of what came since */
	size_t packs;   /* at the last look */
	uint64_t not_before; /* clock_boot_ns */
	uint64_t rest_until; /* the same; over at once when packs come fast */
	unsigned failures;   /* in a row */
	unsigned nobody;     /* the same: nobody gave a turn */
	bool due;
	TAILQ_ENTRY(entry) next;
};

struct repacks {
	unsigned magic;
#define REPACKS_MAGIC 0x4e9ac45u
	struct serve *serve; /* borrowed */
	size_t min_packs;
	struct entry *all; /* hash */
	TAILQ_HEAD(, entry) due;
	size_t n_due;
	struct timer *tick;
	struct loop_task go; /* the turn was told */
	/* of the one under way: */
	struct entry *now;
	struct repo *repo; /* owned reference */
	struct turn *turn;
	struct repack *repack;
	uint64_t began;
	enum turn_word word;
	bool stopped;
	/* the slow round over all */
	uint8_t (*round)[16]; /* owned */
	size_t round_at, round_n;
	uint64_t next_round;
	/* for status */
	uint64_t n_done, n_failed, failed_at;
	char failed_repo[256], why[256], path[256];
};

static void
put_due(struct repacks *r, struct entry *e)
{
	if (e->due)
		return;
	e->due = true;
	r->n_due++;
	TAILQ_INSERT_TAIL(&r->due, e, next);
}

static void
drop_due(struct repacks *r, struct entry *e)
{
	if (!e->due)
		return;
	e->due = false;
	r->n_due--;
	TAILQ_REMOVE(&r->due, e, next);
}

static struct entry *
entry_of(struct repacks *r, const uint8_t id[16])
{
	struct entry *e;

	HASH_FIND(hh, r->all, id, 16, e);
	if (e != NULL)
		return e;
	e = MEM_NEW(struct entry);
	memcpy(e->id, id, sizeof(e->id));
	HASH_ADD(hh, r->all, id, sizeof(e->id), e);
	return e;
}

static void
forget(struct repacks *r, struct entry *e)
{
	drop_due(r, e);
	HASH_DEL(r->all, e);
	free(e);
}

static void begin_next(struct repacks *);

void
repacks_packed(struct repacks *r, const uint8_t repo_id[16], uint64_t bytes)
{
	struct entry *e = entry_of(r, repo_id);

	e->fresh++;
	e->bytes += bytes;
	if (e != r->now && (e->fresh >= r->min_packs || e->bytes >= BYTES_DUE)) {
		put_due(r, e);
		begin_next(r);
	}
}

/* --- one repository ------------------------------------------------------------------------- */

static void
end_now(struct repacks *r)
{
	turn_give(&r->turn);
	repack_free(&r->repack);
	repo_unref(&r->repo);
	r->now = NULL;
}

static void
note_failure(struct repacks *r, struct entry *e, const struct err *err)
{
	r->n_failed++;
	r->failed_at = clock_boot_ns();
	snprintf(r->failed_repo, sizeof(r->failed_repo), "%s", r->path);
	snprintf(r->why, sizeof(r->why), "%s", err_text(err));
	e->not_before = r->failed_at + (FAIL_NS << MIN(e->failures, FAIL_DOUBLINGS));
	e->failures++;
	replica_stats_add(RSTAT_REPACKS, REPACK_END_FAILED, 1);
	log_warn("-", "repack", "repo=%s failed=%s", log_value(r->path, strlen(r->path)),
		 log_value(err_text(err), strlen(err_text(err))));
}

static void
note_success(struct repacks *r, struct entry *e, const struct repack_result *res)
{
	uint64_t took = clock_boot_ns() - r->began;

	e->failures = 0;
	e->packs = res->after;
	e->fresh += res->left;
	e->rest_until = clock_boot_ns() + 2 * took;
	if (res->merged == 0 && !res->indexed)
		return;
	r->n_done++;
	replica_stats_add(RSTAT_REPACKS, REPACK_END_OK, 1);
	replica_stats_observe(RSTAT_REPACK_TIME, took / 1000);
	log_info("-", "repack", "repo=%s packs=%zu left=%zu merged=%zu indexed=%d ms=%" PRIu64,
		 log_value(r->path, strlen(r->path)), res->before, res->after, res->merged,
		 res->indexed, took / 1000000);
}

static void
on_repacked(const struct repack_result *result, void *arg)
{
	struct repacks *r = OBJ_FROM(arg, struct repacks, REPACKS_MAGIC);
	struct repack_result copy = *result, *res = &copy; /* the repack is freed below */
	struct entry *e = r->now;

	if (res->err.code == ERR_NOT_FOUND || res->err.code == ERR_UNAVAILABLE) {
		end_now(r);
		forget(r, e);
	} else {
		if (res->err.code == ERR_CONFLICT) /* it waits for packs: later */
			e->not_before = clock_boot_ns() + CLOCK_SEC;
		else if (res->err.code != 0 && !r->stopped)
			note_failure(r, e, &res->err);
		else if (res->err.code == 0)
			note_success(r, e, res);
		end_now(r);
		if (res->err.code == ERR_CONFLICT || e->fresh >= r->min_packs)
			put_due(r, e);
	}
	begin_next(r);
}

static void
start_repack(struct repacks *r)
{
	struct entry *e = r->now;
	struct repack_opts o = { .min_packs = r->min_packs, .nice = NICE };

	/* Being nice while pushes come faster than that helps nobody. */
	if (e->packs + e->fresh > 3 * r->min_packs)
		o.nice = 0;
	r->began = clock_boot_ns();
	e->fresh = 0;
	e->bytes = 0;
	r->repack = repack_new(r->serve, r->repo, &o, on_repacked, r);
}

static void
on_go(void *arg)
{
	struct repacks *r = OBJ_FROM(arg, struct repacks, REPACKS_MAGIC);
	struct entry *e = r->now;

	if (e == NULL || r->repack != NULL)
		return;
	e->nobody = r->word == TURN_NOBODY ? e->nobody + 1 : 0;
	if ((r->word == TURN_YES || e->nobody > NOBODY_TRIES) && !r->stopped) {
		start_repack(r);
		return;
	}
	e->not_before = clock_boot_ns() + (e->nobody > 0 ? NOBODY_NS : DENIED_NS);
	end_now(r);
	put_due(r, e);
	begin_next(r);
}

static void
on_turn(enum turn_word word, void *arg)
{
	struct repacks *r = OBJ_FROM(arg, struct repacks, REPACKS_MAGIC);

	r->word = word;
	loop_task_put(r->serve->loop, &r->go);
}

static bool
may_begin(const struct repacks *r, const struct entry *e, uint64_t now)
{
	return now >= e->not_before && (now >= e->rest_until || e->fresh >= 2 * r->min_packs);
}

static struct entry *
pick(struct repacks *r)
{
	uint64_t now = clock_boot_ns();
	struct entry *e;

	TAILQ_FOREACH (e, &r->due, next)
		if (may_begin(r, e, now))
			return e;
	return NULL;
}

/* The path for log and status, as it is now. */
static void
copy_path(struct repacks *r)
{
	pthread_mutex_lock(&r->repo->shared.lock);
	snprintf(r->path, sizeof(r->path), "%s", r->repo->shared.path);
	pthread_mutex_unlock(&r->repo->shared.lock);
}

static void
begin_next(struct repacks *r)
{
	struct entry *e;
	struct shard *s;

	if (r->now != NULL || r->stopped)
		return;
	while ((e = pick(r)) != NULL) {
		drop_due(r, e);
		r->repo = repo_find_id(r->serve->repos, e->id);
		s = r->repo != NULL ? shards_get(r->serve->shards, r->repo->shard) : NULL;
		if (s != NULL)
			break;
		repo_unref(&r->repo);
		forget(r, e);
	}
	if (e == NULL)
		return;
	copy_path(r);
	r->now = e;
	r->turn = turn_ask(r->serve->turns, s, on_turn, r);
}

/* --- the slow round ------------------------------------------------------------------------- */

static void
begin_round(struct repacks *r)
{
	struct repo **all = repo_table_all(r->serve->repos, &r->round_n);

	free(r->round);
	r->round = mem_array(MAX(r->round_n, (size_t)1), sizeof(*r->round));
	for (size_t i = 0; i < r->round_n; i++) {
		memcpy(r->round[i], all[i]->id, sizeof(r->round[i]));
		repo_unref(&all[i]);
	}
	free(all);
	r->round_at = 0;
	r->next_round = clock_boot_ns() + ROUND_NS;
}

static void
on_tick(void *arg)
{
	struct repacks *r = OBJ_FROM(arg, struct repacks, REPACKS_MAGIC);

	timer_set(r->tick, TICK_MSEC);
	if (r->round_at == r->round_n && clock_boot_ns() >= r->next_round)
		begin_round(r);
	else if (r->round_at < r->round_n && r->n_due == 0 && r->now == NULL)
		put_due(r, entry_of(r, r->round[r->round_at++]));
	begin_next(r);
}

struct repacks *
repacks_new(struct serve *s, size_t min_packs)
{
	struct repacks *r = MEM_NEW(struct repacks);

	r->magic = REPACKS_MAGIC;
	r->serve = s;
	r->min_packs = min_packs;
	TAILQ_INIT(&r->due);
	loop_task_init(&r->go, on_go, r);
	r->next_round = clock_boot_ns() + 2 * CLOCK_SEC;
	r->tick = timer_new(s->loop, on_tick, r);
	timer_set(r->tick, TICK_MSEC);
	return r;
}

void
repacks_stop(struct repacks *r)
{
	r->stopped = true;
	timer_stop(r->tick);
	if (r->repack != NULL)
		repack_stop(r->repack);
}

void
repacks_free(struct repacks **rp)
{
	struct repacks *r = *rp;
	struct entry *e, *next;

	if (r == NULL)
		return;
	*rp = NULL;
	end_now(r);
	timer_free(&r->tick);
	loop_task_revoke(r->serve->loop, &r->go);
	HASH_ITER (hh, r->all, e, next)
		forget(r, e);
	free(r->round);
	free(r);
}

void
repacks_get_state(const struct repacks *r, struct repacks_state *out)
{
	uint64_t now = clock_boot_ns();
	const struct entry *e;

	*out = (struct repacks_state){ .waiting = r->n_due,
				       .done = r->n_done,
				       .failed = r->n_failed,
				       .failed_repo = r->failed_repo,
				       .why = r->why,
				       .failed_msec = (now - r->failed_at) / CLOCK_MSEC };
	if (r->repack != NULL) {
		out->step = repack_step(r->repack);
		out->repo = r->path;
		out->msec = (now - r->began) / CLOCK_MSEC;
	}
	for (e = r->all; e != NULL; e = e->hh.next)
		out->most = MAX(out->most, e->packs + e->fresh);
}
