/* tests/unit/replica/apply/world.h - a node's data side with a log in memory, for the tests of the
 * apply engine.  One shard, this node its only voter and primary. */
#ifndef TESTS_UNIT_REPLICA_APPLY_WORLD_H
#define TESTS_UNIT_REPLICA_APPLY_WORLD_H

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply.h"
#include "gitproto/base/fsio.h"
#include "replica/repo/disk.h"

#define SHARD 3
#define LOG_MAX 4500
#define WAIT_SEC 120 /* patience */

struct world {
	char dir[64];
	struct catalog *catalog;
	struct repo_table *table;
	struct apply *apply;
	struct catalog_identity id;
	uint64_t refs_max;
	/* the log */
	struct buf log[LOG_MAX];
	uint64_t next;
	uint8_t hash[LOG_MAX][32]; /* after each */
	uint64_t seq;
	/* what was told, under the lock */
	pthread_mutex_t lock;
	pthread_cond_t told;
	uint64_t applied, decided; /* offsets below these */
	uint8_t verdict[LOG_MAX];
	char why[LOG_MAX][160];
	unsigned decided_twice, needs, wholes, halts, resumes, loads;
	int load_rc;
	struct apply_need need;
	struct err halt;
};

static const uint8_t cluster[16] = "cluster-uuid-16";
static const uint8_t incarnation[16] = "incarnation--16";
static const uint8_t repo1[16] = { 1 }, repo2[16] = { 2 };

static UNUSED void
on_decided(struct apply_note **notes, size_t n, void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < n; i++) {
		if (notes[i]->shard != SHARD) {
			apply_note_unref(&notes[i]);
			continue;
		}
		assert_memory_equal(notes[i]->hash, w->hash[notes[i]->offset], 32);
		assert_true(notes[i]->read_ns > 0);
		w->decided_twice += notes[i]->offset < w->decided;
		w->decided = notes[i]->offset + 1;
		w->verdict[notes[i]->offset] = (uint8_t)notes[i]->verdict;
		snprintf(w->why[notes[i]->offset], sizeof(w->why[0]), "%s", notes[i]->why);
		apply_note_unref(&notes[i]);
	}
	pthread_cond_broadcast(&w->told);
	pthread_mutex_unlock(&w->lock);
}

static UNUSED void
on_applied(uint32_t shard, uint64_t next, void *arg)
{
	struct world *w = arg;

	if (shard != SHARD)
		return;
	pthread_mutex_lock(&w->lock);
	assert_true(next > w->applied);
	w->applied = next;
	pthread_cond_broadcast(&w->told);
	pthread_mutex_unlock(&w->lock);
}

static UNUSED void
on_need(const struct apply_need *need, void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	w->needs++;
	w->need = *need;
	pthread_cond_broadcast(&w->told);
	pthread_mutex_unlock(&w->lock);
}

static UNUSED void
on_whole(const uint8_t repo_id[16] UNUSED, void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	w->wholes++;
	pthread_cond_broadcast(&w->told);
	pthread_mutex_unlock(&w->lock);
}

static UNUSED void
on_halted(uint32_t shard UNUSED, const struct err *err, void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	w->halts++;
	w->halt = *err;
	pthread_cond_broadcast(&w->told);
	pthread_mutex_unlock(&w->lock);
}

static UNUSED void
on_resumed(uint32_t shard UNUSED, void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	w->resumes++;
	pthread_cond_broadcast(&w->told);
	pthread_mutex_unlock(&w->lock);
}

static UNUSED void
on_loaded(struct repo *repo UNUSED, int rc, void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	w->loads++;
	w->load_rc = rc;
	pthread_cond_broadcast(&w->told);
	pthread_mutex_unlock(&w->lock);
}

/* Waits until cond holds; w->lock is not held. */
#define WAIT_FOR(w, cond)                                                                 \
	do {                                                                              \
		struct timespec until_;                                                   \
		clock_gettime(CLOCK_REALTIME, &until_);                                   \
		until_.tv_sec += WAIT_SEC;                                                \
		pthread_mutex_lock(&(w)->lock);                                           \
		while (!(cond))                                                           \
			if (pthread_cond_timedwait(&(w)->told, &(w)->lock, &until_) != 0) \
				fail_msg("%s did not come true (halt: %s)", #cond,        \
					 (w)->halt.text);                                 \
		pthread_mutex_unlock(&(w)->lock);                                         \
	} while (0)

static UNUSED void
world_open(struct world *w)
{
	char root[128], data[128];
	struct apply_opts o = { .hooks = "/our/hooks",
				.refs_max_bytes = w->refs_max,
				.projection_check_msec = 3600 * 1000 };
	struct verdict_state state;
	struct err err = { 0 };

	snprintf(root, sizeof(root), "%s/repos", w->dir);
	snprintf(data, sizeof(data), "%s/data", w->dir);
	o.root = root;
	o.data = data;
	o.events = (struct apply_events){ on_decided, on_applied, on_need, on_whole, on_halted,
					  on_halted,  on_resumed, NULL,    NULL,     w };
	if (catalog_open(&w->catalog, data, "demo", "n1", &w->id, &err) < 0)
		fail_msg("%s", err.text);
	w->table = repo_table_new(root);
	if (apply_new(&w->apply, w->catalog, w->table, &o, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(apply_shard_state(w->apply, SHARD, &state, &err), 0);
	w->applied = w->decided = state.next;
	apply_follow(w->apply, SHARD, cluster);
}

static UNUSED void
world_close(struct world *w)
{
	apply_free(&w->apply);
	repo_table_free(&w->table);
	catalog_close(&w->catalog);
}

static UNUSED struct world *
world_new(void)
{
	struct world *w = MEM_NEW(struct world);

	snprintf(w->dir, sizeof(w->dir), "/tmp/gs-apply-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->told, NULL);
	for (unsigned i = 0; i < LOG_MAX; i++)
		w->log[i] = BUF_MAX(RECORD_MAX);
	world_open(w);
	return w;
}

static UNUSED void
world_free(struct world *w)
{
	world_close(w);
	for (unsigned i = 0; i < LOG_MAX; i++)
		buf_release(&w->log[i]);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->told);
	assert_int_equal(fsio_remove_tree(w->dir, NULL), 0);
	free(w);
}

/* Hands the records from offset `from` on to the engine. */
static UNUSED void
world_feed(struct world *w, uint64_t from)
{
	struct commitlog_record r[64];

	while (from < w->next) {
		size_t n = 0;

		for (; n < COUNT(r) && from < w->next; n++, from++)
			r[n] = (struct commitlog_record){ from, buf_slice(&w->log[from]) };
		apply_records(SHARD, r, n, w->apply);
	}
}

/* Puts a record at the end of the log, without handing it over; its offset. */
static UNUSED uint64_t
world_log(struct world *w, struct record *r)
{
	uint64_t at = w->next++;
	struct err err = { 0 };

	assert_true(at < LOG_MAX);
	memcpy(r->cluster, cluster, 16);
	r->shard = SHARD;
	memcpy(r->txn, &at, sizeof(at));
	if (r->seen == 0) {
		r->seen = at > 0 ? at - 1 : RECORD_SEEN_NONE;
		if (at > 0)
			memcpy(r->seen_hash, w->hash[at - 1], 32);
	}
	if (record_has_reign(r) && r->reign.epoch == 0) {
		r->reign = (struct record_reign){ .epoch = 1, .boot = 77, .node = 1 };
		r->seq = r->type == RECORD_CLAIM ? 0 : ++w->seq;
	}
	if (record_encode(&w->log[at], r, &err) < 0)
		fail_msg("%s", err.text);
	record_chain(w->hash[at], at > 0 ? w->hash[at - 1] : (const uint8_t[32]){ 0 },
		     buf_slice(&w->log[at]));
	return at;
}

static UNUSED uint64_t
world_append(struct world *w, struct record *r)
{
	uint64_t at = world_log(w, r);

	world_feed(w, at);
	return at;
}

/* Appends, waits until it is applied, and compares the verdict. */
static UNUSED void
world_expect(struct world *w, struct record *r, enum verdict v)
{
	uint64_t at = world_append(w, r);

	WAIT_FOR(w, w->applied > at);
	if (w->verdict[at] != v)
		fail_msg("record %llu is %s: %s", (unsigned long long)at,
			 verdict_name((enum verdict)w->verdict[at]), w->why[at]);
}

static UNUSED void
world_begin(struct world *w)
{
	struct record_member me = { .node = 1 };
	struct record g = { .type = RECORD_GENESIS }, c = { .type = RECORD_CLAIM };

	memcpy(me.incarnation, incarnation, 16);
	g.genesis = (struct record_genesis){
		.format = 1,
		.shards = 16,
		.cluster_name = "demo",
		.members = { .voters = &me, .n_voters = 1, .single = true }
	};
	memcpy(c.claim.incarnation, incarnation, 16);
	world_expect(w, &g, VERDICT_EFFECTIVE);
	world_expect(w, &c, VERDICT_EFFECTIVE);
}

static UNUSED struct record
make_create(const uint8_t id[16], const char *path, enum oid_format f)
{
	struct record r = { .type = RECORD_CREATE };

	memcpy(r.create.id, id, 16);
	r.create.oid_len = (uint8_t)oid_size(f);
	r.create.path = path;
	r.create.head = "refs/heads/main";
	return r;
}

/* The output of a shell command in ring of 4, without its last line feed. */
static const char *sh(const char *fmt, ...) PRINTF_LIKE(1, 2);
static UNUSED const char *
sh(const char *fmt, ...)
{
	static char out[4][1 << 16];
	static unsigned at;
	char line[8192], *o = out[at++ % 4];
	va_list ap;
	FILE *f;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	f = popen(line, "r");
	assert_non_null(f);
	n = fread(o, 1, sizeof(out[0]) - 1, f);
	o[n] = 0;
	if (pclose(f) != 0)
		fail_msg("failed: %s", line);
	if (n > 0 && o[n - 1] == '\n')
		o[n - 1] = 0;
	return o;
}

#endif
