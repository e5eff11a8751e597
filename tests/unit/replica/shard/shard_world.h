/* tests/unit/replica/shard/shard_world.h - shards over a real file log: a feeder stands for the apply
 * engine, judges what the log hands over and tells it to the shard.  Thread: main (the loop's). */
#ifndef TESTS_UNIT_REPLICA_SHARD_SHARD_WORLD_H
#define TESTS_UNIT_REPLICA_SHARD_SHARD_WORLD_H

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "gitproto/base/fsio.h"
#include "gitproto/base/rnd.h"
#include "replica/shard/shard.h"
#include "tests/unit/gitproto/net/net_test.h"

#define SHARD 3
static const uint8_t cluster[16] = { 0xcc };

/* The clock: the machine's, and what a test put before it. */
static _Atomic(uint64_t) ahead, stopped_at;

static uint64_t
clock_ahead(void *arg UNUSED)
{
	struct timespec t;

	if (stopped_at != 0)
		return stopped_at + ahead;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * CLOCK_SEC + (uint64_t)t.tv_nsec + ahead;
}

/* From now on only a test moves it on: a slow disk ends no lease. */
UNUSED static void
stop_clock(void)
{
	stopped_at = clock_ahead(NULL) - ahead;
}

/* One process start of a node. */
struct node {
	struct loop *loop;
	struct commitlog *log;
	struct shards *shards;
	struct shard *shard;
	struct verdict_state state; /* of the feeder */
	uint8_t hash[32];
	uint64_t boot;
	bool holds;         /* what is read waits in `held` */
	bool holds_applied; /* read, but not told to be applied */
	bool taken;         /* paths of creates are */
	struct fed *held, **held_end;
	unsigned fatal, changes, free_barriers, effective, starts;
	uint8_t last_free[16];
	bool same_free; /* the last two free barriers had one txn */
};

struct fed {
	struct node *node;
	struct fed *next;
	uint64_t offset, read_ns;
	size_t len;
	uint8_t bytes[];
};

static int
yes_repo(const uint8_t id[16] UNUSED, uint8_t *oid_len, void *arg UNUSED)
{
	*oid_len = 20;
	return 1;
}

static int
no_id(const uint8_t id[16] UNUSED, void *arg UNUSED)
{
	return 0;
}

static int
is_taken(const char *path UNUSED, void *arg)
{
	return ((struct node *)arg)->taken;
}

static int
no_ref(const uint8_t id[16] UNUSED, const char *name UNUSED, struct record_oid *out,
       void *arg UNUSED)
{
	memset(out, 0, sizeof(*out));
	return 0;
}

static int
no_conflict(const uint8_t id[16] UNUSED, const char *name UNUSED,
	    bool (*ignore)(const char *, void *) UNUSED, void *ignore_arg UNUSED, void *arg UNUSED)
{
	return 0;
}

static void
count_record(struct node *n, const struct record *r, int verdict)
{
	n->effective += verdict == VERDICT_EFFECTIVE && r->type == RECORD_CREATE;
	n->starts += r->type == RECORD_START;
	if (r->type != RECORD_BARRIER || !r->free)
		return;
	n->free_barriers++;
	n->same_free = memcmp(n->last_free, r->txn, 16) == 0;
	memcpy(n->last_free, r->txn, 16);
}

static void
feed_one(struct fed *f)
{
	struct node *n = f->node;
	struct verdict_content c = { yes_repo, no_id, is_taken, no_ref, no_conflict, n };
	struct slice bytes = slice_of(f->bytes, f->len);
	struct record r;
	struct err why = { 0 };
	int verdict;

	assert_int_equal(record_decode(&r, bytes, NULL), 0);
	record_chain(n->hash, n->hash, bytes);
	verdict = verdict_check(&n->state, f->offset, &r, &c, &why);
	assert_true(verdict >= 0);
	verdict_advance(&n->state, f->offset, &r, (enum verdict)verdict);
	count_record(n, &r, verdict);
	shards_on_note(n->shards, SHARD,
		       &(struct shard_note){ .offset = f->offset,
					     .read_ns = f->read_ns,
					     .verdict = (enum verdict)verdict,
					     .record = &r,
					     .hash = n->hash,
					     .why = why.text });
	if (!n->holds_applied)
		shards_on_applied(n->shards, SHARD, n->state.next);
	record_release(&r);
	free(f);
}

static void
on_fed(void *arg)
{
	struct fed *f = arg;

	if (!f->node->holds) {
		feed_one(f);
		return;
	}
	*f->node->held_end = f;
	f->node->held_end = &f->next;
}

static void
on_records(uint32_t stream UNUSED, const struct commitlog_record *recs, size_t n, void *arg)
{
	for (size_t i = 0; i < n; i++) {
		struct fed *f = mem_alloc(sizeof(*f) + recs[i].bytes.len);

		f->node = arg;
		f->offset = recs[i].offset;
		f->read_ns = clock_boot_ns();
		f->len = recs[i].bytes.len;
		memcpy(f->bytes, recs[i].bytes.p, f->len);
		loop_post(f->node->loop, on_fed, f);
	}
}

static void
on_trouble(uint32_t stream UNUSED, const struct err *err UNUSED, void *arg UNUSED)
{
}

UNUSED static void
node_release(struct node *n)
{
	struct fed *f;

	n->holds = false;
	while ((f = n->held) != NULL) {
		n->held = f->next;
		feed_one(f);
	}
	n->held_end = &n->held;
}

/* Tells that all that was read is applied. */
UNUSED static void
node_apply(struct node *n)
{
	n->holds_applied = false;
	shards_on_applied(n->shards, SHARD, n->state.next);
}

static void
on_changed(struct shard *s UNUSED, void *arg)
{
	((struct node *)arg)->changes++;
}

static void
on_fatal(const struct err *err UNUSED, void *arg)
{
	((struct node *)arg)->fatal++;
}

struct world {
	struct loop *loop;
	char dir[64], url[128];
	struct commitlog *log; /* to look and to begin the stream */
};

static struct commitlog *
open_log(const char *url)
{
	struct commitlog_opts o = { .cluster = "test", .create = true, .allow_weak = true };
	struct commitlog *log;
	struct err err = { 0 };

	o.append_msec = 2000;
	if (commitlog_open(&log, url, &o, &err) != 0)
		fail_msg("%s", err_text(&err));
	return log;
}

static void
on_written(enum commitlog_outcome outcome, uint64_t offset UNUSED, const struct err *err UNUSED,
	   void *arg)
{
	atomic_store((_Atomic(int) *)arg, outcome == COMMITLOG_AT ? 1 : 2);
}

/* Genesis: nodes 1, 2, 3 with the incarnations 1, 2, 3 are voters. */
static void
begin_stream(struct world *w)
{
	static struct record_member members[3];
	struct record r = { .type = RECORD_GENESIS, .shard = SHARD, .seen = RECORD_SEEN_NONE };
	struct buf b = BUF_MAX(RECORD_MAX);
	_Atomic(int) done = 0;

	for (uint8_t i = 0; i < 3; i++) {
		members[i].node = i + 1u;
		members[i].incarnation[0] = i + 1;
	}
	memcpy(r.cluster, cluster, 16);
	rnd_bytes(r.txn, sizeof(r.txn));
	r.genesis = (struct record_genesis){ .format = 1, .shards = 16, .cluster_name = "test" };
	r.genesis.members = (struct record_members){ .voters = members, .n_voters = 3 };
	r.genesis.uuid[0] = 9;
	assert_int_equal(record_encode(&b, &r, NULL), 0);
	commitlog_append(w->log, SHARD, buf_slice(&b), on_written, &done);
	while (done == 0)
		usleep(100);
	assert_int_equal(done, 1);
	buf_release(&b);
}

UNUSED static int
world_begin(void **state)
{
	struct world *w = MEM_NEW(struct world);

	ahead = 0;
	stopped_at = 0;
	clock_inject(clock_ahead, NULL);
	w->loop = loop_new("test");
	snprintf(w->dir, sizeof(w->dir), "/tmp/gitshard-shard-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->url, sizeof(w->url), "file:%s/log.db", w->dir);
	w->log = open_log(w->url);
	begin_stream(w);
	*state = w;
	return 0;
}

UNUSED static int
world_end(void **state)
{
	struct world *w = *state;

	commitlog_close(&w->log);
	loop_free(&w->loop);
	assert_int_equal(fsio_remove_tree(w->dir, NULL), 0);
	clock_inject(NULL, NULL);
	free(w);
	return 0;
}

static uint64_t
log_next(struct world *w)
{
	uint64_t first, next;

	assert_int_equal(commitlog_ends(w->log, SHARD, &first, &next, NULL), 0);
	return next;
}

struct node_opts {
	uint8_t node;       /* its number and incarnation */
	const char *faults; /* "lost=500": of its handle on the log */
	uint64_t read_msec, fresh_msec, start;
	bool no_lease;
};

UNUSED static struct node *
node_begin(struct world *w, const struct node_opts *o)
{
	struct node *n = MEM_NEW(struct node);
	struct shards_opts so = { .loop = w->loop, .changed = on_changed, .fatal = on_fatal };
	uint64_t before = log_next(w);
	char url[256];

	snprintf(url, sizeof(url), "%s%s%s%s", o->faults != NULL ? "fault:7," : "",
		 o->faults != NULL ? o->faults : "", o->faults != NULL ? ":" : "", w->url);
	n->loop = w->loop;
	n->log = open_log(url);
	n->held_end = &n->held;
	so.log = n->log;
	so.incarnation[0] = o->node;
	so.start = o->start > 0 ? o->start : 1;
	rnd_bytes(&so.boot, sizeof(so.boot));
	so.lease_reads = !o->no_lease;
	so.read_msec = o->read_msec > 0 ? o->read_msec : 15000;
	so.fresh_msec = o->fresh_msec;
	so.arg = n;
	n->boot = so.boot;
	n->shards = shards_new(&so);
	shards_set_self(n->shards, o->node, cluster);
	verdict_init(&n->state, cluster, SHARD);
	n->shard = shards_add(n->shards, SHARD, &n->state, n->hash);
	commitlog_read(n->log, SHARD, 0, on_records, on_trouble, n);
	/* Its start record is in the log before anything else of it is. */
	while (o->faults == NULL && log_next(w) == before)
		usleep(100);
	shard_set_log_end(n->shard, log_next(w));
	return n;
}

static void
set_flag(void *arg)
{
	*(bool *)arg = true;
}

/* As the replica stops: waiters are told, the log ends, what was posted by then is taken. */
UNUSED static void
node_end(struct node **np)
{
	struct node *n = *np;
	bool posted = false;

	*np = NULL;
	shards_stop(n->shards);
	commitlog_close(&n->log);
	loop_post(n->loop, set_flag, &posted);
	assert_true(run_until(n->loop, is_set, &posted));
	node_release(n);
	shards_free(&n->shards);
	free(n);
}

static bool
is_primary(void *arg)
{
	return shard_is_primary(((struct node *)arg)->shard);
}

UNUSED static void
wait_primary(struct node *n)
{
	assert_true(run_until(n->loop, is_primary, n));
}

struct reach {
	struct node *node;
	uint64_t position;
};

static bool
has_reached(void *arg)
{
	struct reach *r = arg;

	return shard_position(r->node->shard) >= r->position;
}

/* Everything that is in the log now has been read by n. */
UNUSED static void
wait_read(struct world *w, struct node *n)
{
	struct reach r = { n, log_next(w) };

	assert_true(run_until(n->loop, has_reached, &r));
}

struct log_end {
	struct world *w;
	uint64_t next;
};

static bool
has_grown(void *arg)
{
	struct log_end *e = arg;

	return log_next(e->w) >= e->next;
}

/* Until the log has so many records. */
UNUSED static void
wait_log(struct world *w, struct node *n, uint64_t next)
{
	struct log_end e = { w, next };

	assert_true(run_until(n->loop, has_grown, &e));
}

/* An append, and what was told of it. */
struct told {
	unsigned times;
	enum shard_fate fate;
	uint64_t offset;
	char why[200];
};

static void
on_told(enum shard_fate fate, uint64_t offset, const char *why, void *arg)
{
	struct told *t = arg;

	t->times++;
	t->fate = fate;
	t->offset = offset;
	snprintf(t->why, sizeof(t->why), "%s", why != NULL ? why : "");
}

UNUSED static int
append_create(struct node *n, struct told *t, struct err *err)
{
	struct record r = { .type = RECORD_CREATE };
	struct shard_asker asker = { .done = on_told, .arg = t, .repo = "o/r", .request = "aaaa" };

	memset(t, 0, sizeof(*t));
	rnd_bytes(r.create.id, 16);
	r.create.oid_len = 20;
	r.create.path = "o/r";
	r.create.head = "refs/heads/main";
	return shard_append(n->shard, &r, &asker, err);
}

UNUSED static bool
was_told(void *arg)
{
	return ((struct told *)arg)->times > 0;
}

#endif
