#include "replica/serve/pack_get.h"

#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/pack_recv.h"
#include "replica/serve/room.h"
#include "replica/serve/serve.h"
#include "replica/serve/stage_come.h"
#include "replica/serve/stage_hold.h"

#define AGAIN_MSEC 300
#define GETS_MAX 4 /* at a time */
/* A staged pack of which nothing came for so long is fetched elsewhere: its primary may be gone. */
#define STILL_NS (3 * CLOCK_SEC)

struct get {
	unsigned magic;
#define GET_MAGIC 0x6e7ee7e6u
	struct pack_gets *all; /* borrowed */
	struct apply_need need;
	struct apply_pack_files files; /* what comes: the pack, or one made anew */
	unsigned turn;                 /* which member is asked next */
	struct http_call *call;
	struct pack_recv *recv;
	struct timer *again;
	bool running;
	bool short_of_room;  /* said so */
	uint64_t come;       /* bytes of it that were here as pushed, when last looked */
	uint64_t come_at_ns; /* when that changed; 0: never looked */
	TAILQ_ENTRY(get) next;
};

/* Fetched, and on its way from staging into its repository. */
struct got {
	uint8_t repo_id[16], sha256[32]; /* of the file in staging */
	LIST_ENTRY(got) next;
};

struct pack_gets {
	struct serve *serve; /* borrowed */
	TAILQ_HEAD(, get) wants;
	LIST_HEAD(, got) got;
	unsigned running;
	struct timer *look; /* while some wait for what is on its way */
};

static void start(struct get *);

/* The very pack is asked for; an answer may bring another one. */
static void
set_files(struct get *g)
{
	g->files = (struct apply_pack_files){ .size = g->need.pack_size,
					      .idx_size = g->need.idx_size };
	memcpy(g->files.sha256, g->need.pack_sha256, 32);
	memcpy(g->files.idx_sha256, g->need.idx_sha256, 32);
}

static void
start_more(struct pack_gets *all)
{
	struct get *g, *after;

	for (g = TAILQ_FIRST(&all->wants); g != NULL && all->running < GETS_MAX; g = after) {
		after = TAILQ_NEXT(g, next);
		if (!g->running)
			start(g);
	}
}

static void
drop(struct get *g)
{
	TAILQ_REMOVE(&g->all->wants, g, next);
	pack_recv_free(&g->recv);
	http_call_free(&g->call);
	timer_free(&g->again);
	free(g);
}

static void
on_again(void *arg)
{
	struct get *g = OBJ_FROM(arg, struct get, GET_MAGIC);

	timer_free(&g->again);
	g->running = false;
	g->all->running--;
	start_more(g->all);
}

static void
fail(struct get *g, const char *why)
{
	log_debug("-", "pack-get", "shard=%" PRIu32 " why=%s", g->need.shard, why);
	pack_recv_free(&g->recv);
	http_call_free(&g->call);
	g->turn++;
	/* The others get a turn meanwhile. */
	TAILQ_REMOVE(&g->all->wants, g, next);
	TAILQ_INSERT_TAIL(&g->all->wants, g, next);
	g->again = timer_new(g->all->serve->loop, on_again, g);
	timer_set(g->again, AGAIN_MSEC);
}

/* It lies in staging. */
static void
arrived(struct get *g)
{
	struct got *got = MEM_NEW(struct got);

	memcpy(got->repo_id, g->need.repo_id, sizeof(got->repo_id));
	memcpy(got->sha256, g->files.sha256, sizeof(got->sha256));
	LIST_INSERT_HEAD(&g->all->got, got, next);
	apply_pack_arrived(g->all->serve->apply, g->need.repo_id, g->need.pack_sha256, &g->files);
	drop(g);
}

static void
on_received(const struct err *err, void *arg)
{
	struct get *g = OBJ_FROM(arg, struct get, GET_MAGIC);
	struct pack_gets *all = g->all;
	struct err why = *err;

	if (why.code != 0) {
		fail(g, err_text(&why));
		return;
	}
	replica_stats_add(RSTAT_PACKS_GOT, 0, 1);
	all->running--;
	arrived(g);
	start_more(all);
}

static bool
has_room(struct get *g)
{
	struct err err;
	int rc = room_for_pack(g->all->serve, g->files.size + g->files.idx_size, &err);

	if (rc != 0 && !g->short_of_room)
		log_warn("-", "need-room",
			 "shard=%" PRIu32 " bytes=%" PRIu64
			 " why=\"no room for a pack that a record "
			 "names; make room on this disk, it is fetched then\"",
			 g->need.shard, g->files.size);
	g->short_of_room = rc != 0;
	return rc == 0;
}

/* The very pack, or, where that was rolled up, one that was made anew of its objects and says so. */
static bool
read_files(struct get *g, const struct http_head *h)
{
	struct apply_pack_files *f = &g->files;
	bool made = http_head_get(h, "gitshard-made") != NULL;

	if (!pack_name_parse(f->sha256, &f->size, http_head_get(h, "gitshard-pack")) ||
	    !pack_name_parse(f->idx_sha256, &f->idx_size, http_head_get(h, "gitshard-idx")) ||
	    f->size > INT64_MAX / 2 || f->idx_size > INT64_MAX / 2)
		return false;
	return made || (memcmp(f->sha256, g->need.pack_sha256, 32) == 0 &&
			memcmp(f->idx_sha256, g->need.idx_sha256, 32) == 0 &&
			f->size == g->need.pack_size && f->idx_size == g->need.idx_size);
}

static void
on_call(struct http_call *call, enum http_call_event ev, void *arg)
{
	struct get *g = OBJ_FROM(arg, struct get, GET_MAGIC);
	struct pack_name n;

	if (ev == CALL_CONTINUE)
		return;
	if (ev == CALL_FAILED || http_call_response(call)->status != 200) {
		fail(g, ev == CALL_FAILED ? http_call_why(call) : "that member does not have it");
		return;
	}
	if (!read_files(g, http_call_response(call))) {
		fail(g, "that member gave another pack");
		return;
	}
	if (!has_room(g)) {
		fail(g, "no room on this disk");
		return;
	}
	n = (struct pack_name){ .size = g->files.size, .idx_size = g->files.idx_size };
	memcpy(n.sha256, g->files.sha256, 32);
	memcpy(n.idx_sha256, g->files.idx_sha256, 32);
	g->recv = pack_recv_new(g->all->serve->work, stage_holds_dir(g->all->serve->holds),
				http_call_stream(call), &n, on_received, g);
}

/* The primary of the record first, then every member in turn, without end. */
static struct http_session *
whom(struct get *g)
{
	struct serve *s = g->all->serve;
	struct shard *shard = shards_get(s->shards, g->need.shard);
	const struct verdict_state *st = shard != NULL ? shard_state(shard) : NULL;
	unsigned n = st != NULL ? (unsigned)st->n_voters + st->n_learners : 0;
	uint32_t node = g->need.from_node;

	if (g->turn > 0 && n > 0)
		node = st->members[g->turn % n].node;
	return node != s->self ? peers_get_bulk(s->peers, node) : NULL;
}

/* Is it on its way as it was pushed, and does it come on? */
static bool
is_coming(struct get *g)
{
	uint64_t now = clock_boot_ns(), got;

	if (!stage_come_find(g->all->serve->comes, g->need.pack_sha256, &got))
		return false;
	if (g->come_at_ns == 0 || got != g->come) {
		g->come = got;
		g->come_at_ns = now;
	}
	return now - g->come_at_ns < STILL_NS;
}

/* Needs no fetching: nobody wants it any more, or it is here, or it comes. */
static bool
settle(struct get *g)
{
	struct serve *s = g->all->serve;
	struct repo *repo = repo_find_id(s->repos, g->need.repo_id);
	uint8_t sha256[32];

	if (repo == NULL) { /* deleted meanwhile */
		memcpy(sha256, g->need.pack_sha256, sizeof(sha256));
		drop(g);
		stage_hold_fetched(s->holds, sha256);
		return true;
	}
	repo_unref(&repo);
	if (stage_hold_has(s->holds, g->need.pack_sha256)) {
		arrived(g);
		return true;
	}
	if (!is_coming(g))
		return false;
	timer_set(g->all->look, AGAIN_MSEC);
	return true;
}

static void
start(struct get *g)
{
	struct http_session *to;
	struct http_head *h;
	char text[PACK_NAME_TEXT], hex[33];

	set_files(g);
	if (settle(g))
		return;
	to = whom(g);
	g->running = true;
	g->all->running++;
	if (to == NULL || !has_room(g)) {
		fail(g, to == NULL ? "no session to that member" : "no room on this disk");
		return;
	}
	h = http_head_new();
	http_head_request(h, "GET", "/gs/pack");
	http_head_addf(h, "gitshard-shard", "%" PRIu32, g->need.shard);
	hex_encode(hex, g->need.repo_id, 16);
	http_head_addf(h, "gitshard-repo", "%s", hex);
	pack_name_format(text, g->need.pack_sha256, g->need.pack_size);
	http_head_addf(h, "gitshard-pack", "%s", text);
	g->call = http_call_new(to, h, false, on_call, g);
	http_head_free(&h);
}

static void
on_look(void *arg)
{
	start_more(arg);
}

void
pack_get_look(struct pack_gets *all)
{
	if (!TAILQ_EMPTY(&all->wants))
		timer_set(all->look, 0);
}

void
pack_get(struct pack_gets *all, const struct apply_need *need)
{
	struct get *g;

	TAILQ_FOREACH (g, &all->wants, next)
		if (memcmp(g->need.repo_id, need->repo_id, 16) == 0 &&
		    memcmp(g->need.pack_sha256, need->pack_sha256, 32) == 0)
			return;
	g = MEM_NEW(struct get);
	g->magic = GET_MAGIC;
	g->all = all;
	g->need = *need;
	TAILQ_INSERT_TAIL(&all->wants, g, next);
	start_more(all);
}

void
pack_get_on_whole(struct pack_gets *all, const uint8_t repo_id[16])
{
	struct got *g, *after;

	for (g = LIST_FIRST(&all->got); g != NULL; g = after) {
		after = LIST_NEXT(g, next);
		if (memcmp(g->repo_id, repo_id, 16) != 0)
			continue;
		stage_hold_fetched(all->serve->holds, g->sha256);
		LIST_REMOVE(g, next);
		free(g);
	}
}

struct pack_gets *
pack_gets_new(struct serve *s)
{
	struct pack_gets *all = MEM_NEW(struct pack_gets);

	all->serve = s;
	TAILQ_INIT(&all->wants);
	LIST_INIT(&all->got);
	all->look = timer_new(s->loop, on_look, all);
	return all;
}

void
pack_gets_free(struct pack_gets **ap)
{
	struct pack_gets *all = *ap;

	if (all == NULL)
		return;
	*ap = NULL;
	while (!LIST_EMPTY(&all->got)) {
		struct got *g = LIST_FIRST(&all->got);

		LIST_REMOVE(g, next);
		free(g);
	}
	while (!TAILQ_EMPTY(&all->wants))
		drop(TAILQ_FIRST(&all->wants));
	timer_free(&all->look);
	free(all);
}

unsigned
pack_gets_open(const struct pack_gets *all, uint32_t shard)
{
	const struct get *g;
	unsigned n = 0;

	TAILQ_FOREACH (g, &all->wants, next)
		n += g->need.shard == shard;
	return n;
}

bool
pack_get_wants(const struct pack_gets *all, const uint8_t sha256[32])
{
	const struct get *g;
	const struct got *f;

	TAILQ_FOREACH (g, &all->wants, next)
		if (memcmp(g->need.pack_sha256, sha256, 32) == 0 ||
		    memcmp(g->files.sha256, sha256, 32) == 0)
			return true;
	LIST_FOREACH (f, &all->got, next)
		if (memcmp(f->sha256, sha256, 32) == 0)
			return true;
	return false;
}

bool
pack_get_is_fetching(const struct pack_gets *all, const uint8_t repo_id[16],
		     const uint8_t sha256[32])
{
	const struct get *g;

	TAILQ_FOREACH (g, &all->wants, next)
		if (g->running && memcmp(g->need.repo_id, repo_id, 16) == 0 &&
		    memcmp(g->need.pack_sha256, sha256, 32) == 0)
			return true;
	return false;
}

uint64_t
pack_gets_left(const struct pack_gets *all)
{
	const struct get *g;
	uint64_t n = 0;

	TAILQ_FOREACH (g, &all->wants, next)
		n += g->recv != NULL ? pack_recv_left(g->recv) : 0;
	return n;
}
