#include "replica/serve/pack_get.h"

#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/pack_recv.h"
#include "replica/serve/serve.h"
#include "replica/serve/stage_hold.h"

#define AGAIN_MSEC 300
#define GETS_MAX 4 /* at a time */

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
};

static void start(struct get *);

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

static void
on_received(const struct err *err, void *arg)
{
	struct get *g = OBJ_FROM(arg, struct get, GET_MAGIC);
	struct pack_gets *all = g->all;
	struct err why = *err;
	struct got *got;

	if (why.code != 0) {
		fail(g, err_text(&why));
		return;
	}
	replica_stats_add(RSTAT_PACKS_GOT, 0, 1);
	got = MEM_NEW(struct got);
	memcpy(got->repo_id, g->need.repo_id, sizeof(got->repo_id));
	memcpy(got->sha256, g->files.sha256, sizeof(got->sha256));
	LIST_INSERT_HEAD(&all->got, got, next);
	apply_pack_arrived(all->serve->apply, g->need.repo_id, g->need.pack_sha256, &g->files);
	all->running--;
	drop(g);
	start_more(all);
}

/* The very pack, or, where that was rolled up, one that was made anew of its objects and says so. */
static bool
read_files(struct get *g, const struct http_head *h)
{
	struct apply_pack_files *f = &g->files;
	bool made = http_head_get(h, "gitshard-made") != NULL;

	if (!pack_name_parse(f->sha256, &f->size, http_head_get(h, "gitshard-pack")) ||
	    !pack_name_parse(f->idx_sha256, &f->idx_size, http_head_get(h, "gitshard-idx")))
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
	return node != s->self ? peers_get(s->peers, node) : NULL;
}

static void
start(struct get *g)
{
	struct http_session *to = whom(g);
	struct repo *repo = repo_find_id(g->all->serve->repos, g->need.repo_id);
	struct http_head *h;
	char text[PACK_NAME_TEXT], hex[33];

	if (repo == NULL) { /* deleted meanwhile: nobody needs it */
		drop(g);
		return;
	}
	repo_unref(&repo);
	g->running = true;
	g->all->running++;
	if (to == NULL) {
		fail(g, "no session to that member");
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
