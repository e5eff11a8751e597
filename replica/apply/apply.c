#include "replica/apply/apply.h"

#include <errno.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/cond.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"
#include "replica/repo/disk.h"

#define RETRY_NS CLOCK_SEC
#define TRASH_SEC (7u * 24 * 3600)

void
apply_count(struct apply *a UNUSED, uint64_t *counter, uint64_t n)
{
	__atomic_add_fetch(counter, n, __ATOMIC_RELAXED);
}

bool
apply_stopping(struct apply *a)
{
	bool stop;

	pthread_mutex_lock(&a->lock);
	stop = a->stop;
	pthread_mutex_unlock(&a->lock);
	return stop;
}

/* The engine may look without the lock, which guards its changes against the others' looks. */
struct apply_shard *
apply_find_shard(struct apply *a, uint32_t shard)
{
	struct apply_shard *s;

	HASH_FIND(hh, a->shards, &shard, sizeof(shard), s);
	return s;
}

struct apply_shard *
apply_make_shard(struct apply *a, uint32_t shard)
{
	struct apply_shard *s = apply_find_shard(a, shard);

	if (s != NULL)
		return s;
	s = MEM_NEW(struct apply_shard);
	s->shard = shard;
	s->trust = UINT64_MAX;
	runhash_init(&s->hash);
	pthread_mutex_lock(&a->lock);
	HASH_ADD(hh, a->shards, shard, sizeof(s->shard), s);
	pthread_mutex_unlock(&a->lock);
	return s;
}

void
apply_halt(struct apply *a, struct apply_shard *s, const struct err *err)
{
	s->halted = true;
	s->stuck = false;
	log_error("-", "apply.halt", "shard=%u position=%llu why=%s", s->shard,
		  (unsigned long long)s->state.next, err_text(err));
	a->opts.events.halted(s->shard, err, a->opts.events.arg);
}

static void
tell_stuck(struct apply *a, const struct err *err)
{
	struct apply_shard *s, *next;

	HASH_ITER (hh, a->shards, s, next) {
		if (!s->followed || s->halted || s->stuck)
			continue;
		s->stuck = true;
		log_error("-", "apply.stuck", "shard=%u why=%s", s->shard, err_text(err));
		a->opts.events.stuck(s->shard, err, a->opts.events.arg);
	}
}

void
apply_retry_over(struct apply *a)
{
	struct apply_shard *s, *next;

	if (!a->stuck)
		return;
	a->stuck = false;
	HASH_ITER (hh, a->shards, s, next) {
		if (!s->stuck)
			continue;
		s->stuck = false;
		log_info("-", "apply.resumed", "shard=%u", s->shard);
		a->opts.events.resumed(s->shard, a->opts.events.arg);
	}
}

bool
apply_wait_retry(struct apply *a, const struct err *err, bool extend)
{
	struct timespec until = cond_moment(RETRY_NS);
	bool over = false;

	a->stuck = true;
	tell_stuck(a, err);
	while (!over) {
		while (apply_command_run(a, true))
			;
		if (extend)
			apply_batch_extend(a);
		pthread_mutex_lock(&a->lock);
		over = a->stop || !cond_wait_until(&a->wake, &a->lock, &until);
		pthread_mutex_unlock(&a->lock);
	}
	return !apply_stopping(a);
}

/* Under the lock. */
static struct apply_item *
take_first(struct apply *a)
{
	struct apply_item *i;
	struct apply_shard *s;

	while ((i = STAILQ_FIRST(&a->items)) != NULL) {
		STAILQ_REMOVE_HEAD(&a->items, next);
		s = apply_find_shard(a, i->shard);
		if (s == NULL || !s->blocked)
			break;
		STAILQ_INSERT_TAIL(&a->held, i, next);
	}
	if (i != NULL) {
		a->queued -= i->len + sizeof(*i);
		pthread_cond_broadcast(&a->room);
	}
	return i;
}

struct apply_item *
apply_take(struct apply *a)
{
	struct apply_item *i;

	pthread_mutex_lock(&a->lock);
	i = take_first(a);
	pthread_mutex_unlock(&a->lock);
	return i;
}

void
apply_hold(struct apply *a, struct apply_item *i)
{
	struct apply_shard *s = apply_find_shard(a, i->shard);

	CHECK(s != NULL);
	if (i->decoded)
		record_release(&i->record);
	i->decoded = false;
	pthread_mutex_lock(&a->lock);
	s->blocked = true;
	STAILQ_INSERT_TAIL(&a->held, i, next);
	a->queued += i->len + sizeof(*i);
	pthread_mutex_unlock(&a->lock);
}

void
apply_hold_over(struct apply *a)
{
	struct apply_shard *s, *next;

	pthread_mutex_lock(&a->lock);
	STAILQ_CONCAT(&a->held, &a->items);
	STAILQ_CONCAT(&a->items, &a->held);
	HASH_ITER (hh, a->shards, s, next)
		s->blocked = false;
	pthread_mutex_unlock(&a->lock);
}

/* Waits for work at most so long; NULL: there may be commands, or nothing. */
static struct apply_item *
take_item(struct apply *a, uint64_t wait_ns)
{
	struct timespec until = cond_moment(wait_ns);
	struct apply_item *i;

	pthread_mutex_lock(&a->lock);
	while (wait_ns > 0 && !a->stop && STAILQ_EMPTY(&a->items) && STAILQ_EMPTY(&a->commands) &&
	       cond_wait_until(&a->wake, &a->lock, &until))
		;
	i = a->stop || !STAILQ_EMPTY(&a->commands) ? NULL : take_first(a);
	pthread_mutex_unlock(&a->lock);
	return i;
}

static void
process(struct apply *a, struct apply_item *i)
{
	if (apply_batch_add(a, i))
		return;
	CHECK(a->n > 0);
	apply_hold(a, i); /* it comes again after this batch */
	apply_batch_run(a);
}

/* A batch takes what is queued at the moment, and never waits for more. */
static void *
run(void *arg)
{
	struct apply *a = arg;
	struct apply_item *i;
	uint64_t wait_ns = 0;

	apply_tell_needs(a);
	while (!apply_stopping(a)) {
		i = take_item(a, a->n > 0 ? 0 : wait_ns);
		wait_ns = 0;
		if (i != NULL) {
			process(a, i);
			continue;
		}
		if (a->n > 0) {
			apply_batch_run(a);
			continue;
		}
		if (!apply_command_run(a, false))
			apply_folder_idle(a, &wait_ns);
	}
	apply_batch_run(a);
	return NULL;
}

static void
init_threads(struct apply *a)
{
	CHECK(pthread_mutex_init(&a->lock, NULL) == 0);
	cond_init(&a->wake);
	CHECK(pthread_cond_init(&a->room, NULL) == 0);
}

static void
init(struct apply *a, const struct apply_opts *o)
{
	a->opts = *o;
	a->root = mem_strdup(o->root);
	a->data = mem_strdup(o->data);
	a->hooks = mem_strdup(o->hooks);
	a->home = mem_strdup(o->home != NULL ? o->home : o->data);
	a->opts.root = a->root;
	a->opts.data = a->data;
	a->opts.hooks = a->hooks;
	a->opts.home = a->home;
	if (a->opts.trash_sec == 0)
		a->opts.trash_sec = TRASH_SEC;
	a->born_ms = clock_wall_ms();
	a->next_again = UINT64_MAX;
	a->next_check = clock_boot_ns() + o->projection_check_msec * CLOCK_MSEC;
	STAILQ_INIT(&a->items);
	STAILQ_INIT(&a->held);
	STAILQ_INIT(&a->commands);
	STAILQ_INIT(&a->touched);
	STAILQ_INIT(&a->touched_shards);
	init_threads(a);
}

int
apply_new(struct apply **out, struct catalog *catalog, struct repo_table *table,
	  const struct apply_opts *o, struct err *err)
{
	struct apply *a = MEM_NEW(struct apply);
	char dir[DISK_PATH];
	int rc;

	*out = NULL;
	init(a, o);
	a->catalog = catalog;
	a->table = table;
	a->peel = peel_new(a->home, a->hooks);
	rc = disk_path(dir, err, "%s/" APPLY_STAGING, a->data);
	if (rc == 0)
		rc = disk_mkdirs(dir, err);
	if (rc == 0)
		rc = disk_mkdirs(a->root, err);
	if (rc == 0)
		rc = layout_new(&a->layout, a->data, a->home, a->hooks, err);
	if (rc == 0)
		rc = apply_start(a, err);
	if (rc == 0 && (errno = pthread_create(&a->thread, NULL, run, a)) != 0)
		rc = err_errno(err, "start the apply thread");
	a->started = rc == 0;
	if (rc < 0)
		apply_free(&a);
	*out = a;
	return rc;
}

static void
drop_queue(struct apply *a)
{
	struct apply_item *i;

	STAILQ_CONCAT(&a->items, &a->held);
	while ((i = STAILQ_FIRST(&a->items)) != NULL) {
		STAILQ_REMOVE_HEAD(&a->items, next);
		apply_item_free(&i);
	}
}

void
apply_stop(struct apply *a)
{
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->wake);
	pthread_cond_broadcast(&a->room);
	pthread_mutex_unlock(&a->lock);
}

void
apply_free(struct apply **ap)
{
	struct apply *a = *ap;
	struct apply_repo *r, *rn;
	struct apply_shard *s, *sn;

	if (a == NULL)
		return;
	*ap = NULL;
	apply_stop(a);
	if (a->started)
		pthread_join(a->thread, NULL);
	drop_queue(a);
	apply_command_drop(a);
	HASH_ITER (hh, a->repos, r, rn)
		apply_repo_forget(a, r);
	HASH_ITER (hh, a->shards, s, sn) {
		HASH_DELETE(hh, a->shards, s);
		runhash_release(&s->hash);
		free(s);
	}
	free(a->batch);
	peel_free(&a->peel);
	layout_free(&a->layout);
	pthread_cond_destroy(&a->room);
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->lock);
	free(a->root);
	free(a->data);
	free(a->hooks);
	free(a->home);
	free(a);
}

int
apply_shard_state(struct apply *a, uint32_t shard, struct verdict_state *out, struct err *err)
{
	struct apply_shard *s;

	(void)err;
	memset(out, 0, sizeof(*out));
	out->shard = shard;
	pthread_mutex_lock(&a->lock);
	s = apply_find_shard(a, shard);
	if (s != NULL && s->stored.next > 0)
		*out = s->stored;
	pthread_mutex_unlock(&a->lock);
	return 0;
}

void
apply_shard_hash(struct apply *a, uint32_t shard, uint8_t out[32])
{
	struct apply_shard *s;

	memset(out, 0, 32);
	pthread_mutex_lock(&a->lock);
	s = apply_find_shard(a, shard);
	if (s != NULL)
		memcpy(out, s->stored_hash, 32);
	pthread_mutex_unlock(&a->lock);
}

unsigned
apply_shard_missing(struct apply *a, uint32_t shard)
{
	struct apply_shard *s;
	unsigned n;

	pthread_mutex_lock(&a->lock);
	s = apply_find_shard(a, shard);
	n = s != NULL ? s->missing : 0;
	pthread_mutex_unlock(&a->lock);
	return n;
}

void
apply_records(uint32_t stream, const struct commitlog_record *records, size_t n, void *arg)
{
	struct apply *a = arg;
	uint64_t now = clock_boot_ns();

	for (size_t k = 0; k < n; k++) {
		struct apply_item *i = mem_alloc(sizeof(*i) + records[k].bytes.len);

		i->shard = stream;
		i->offset = records[k].offset;
		i->read_ns = now;
		i->len = records[k].bytes.len;
		if (i->len > 0)
			memcpy(i->bytes, records[k].bytes.p, i->len);
		pthread_mutex_lock(&a->lock);
		while (a->queued > APPLY_QUEUE_BYTES && !a->stop)
			pthread_cond_wait(&a->room, &a->lock);
		if (a->stop) {
			pthread_mutex_unlock(&a->lock);
			apply_item_free(&i);
			return;
		}
		STAILQ_INSERT_TAIL(&a->items, i, next);
		a->queued += i->len + sizeof(*i);
		/* One wake-up for all of them, so that they come into one batch. */
		if (k + 1 == n || a->queued > APPLY_QUEUE_BYTES)
			pthread_cond_signal(&a->wake);
		pthread_mutex_unlock(&a->lock);
	}
}

void
apply_note_unref(struct apply_note **np)
{
	struct apply_note *n = *np;

	if (n == NULL)
		return;
	*np = NULL;
	if (__atomic_sub_fetch(&n->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	record_release(n->record);
	free(n->record);
	free(n);
}

void
apply_counts(struct apply *a, struct apply_counts *out)
{
	const uint64_t *from = (const uint64_t *)&a->counts;
	uint64_t *to = (uint64_t *)out;

	for (size_t i = 0; i < sizeof(*out) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	pthread_mutex_lock(&a->lock);
	out->queued_bytes = a->queued;
	pthread_mutex_unlock(&a->lock);
}
