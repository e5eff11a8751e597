#include "replica/serve/names_ask.h"

#include <inttypes.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "replica/serve/serve.h"

#define BUSY 423       /* somebody holds the name */
#define CALL_MSEC 4000 /* for one member */
#define AGAIN_MSEC 50  /* before all are asked once more */

struct names_ask {
	unsigned magic;
#define NAMES_ASK_MAGIC 0x4a3ea5c0u
	struct serve *serve; /* borrowed */
	uint32_t shard;
	struct smart_path_repo repo;
	bool queue;
	uint64_t deadline_ns;
	uint32_t at;            /* member that is asked next */
	struct http_call *call; /* owned */
	struct timer *timer;    /* owned */
	bool local;             /* this node's own names are asked */
	names_ask_fn *done;     /* NULL: freed while local */
	void *arg;
};

static void go_on(struct names_ask *);

static void
on_timer(void *arg)
{
	go_on(OBJ_FROM(arg, struct names_ask, NAMES_ASK_MAGIC));
}

static void
on_call(struct http_call *call, enum http_call_event ev, void *arg)
{
	struct names_ask *a = OBJ_FROM(arg, struct names_ask, NAMES_ASK_MAGIC);
	int status = ev == CALL_HEAD ? http_call_response(call)->status : 0;

	if (ev == CALL_CONTINUE)
		return;
	if (status == 204 || status == 409 || status == BUSY) {
		timer_stop(a->timer);
		a->done(status == 204 ? 0 : status == 409 ? ERR_EXISTS : ERR_CONFLICT, a->arg);
		return;
	}
	timer_set(a->timer, a->at == 0 ? AGAIN_MSEC : 0);
}

static void
on_local(struct name *n UNUSED, const struct err *err, void *arg)
{
	struct names_ask *a = OBJ_FROM(arg, struct names_ask, NAMES_ASK_MAGIC);

	a->local = false;
	if (a->done == NULL) {
		names_ask_free(&a);
	} else if (err->code == 0 || err->code == ERR_EXISTS || err->code == ERR_CONFLICT) {
		timer_stop(a->timer);
		a->done(err->code, a->arg);
	} else {
		timer_set(a->timer, AGAIN_MSEC);
	}
}

static void
call(struct names_ask *a, struct http_session *to)
{
	struct http_head *h = http_head_new();

	http_head_request(h, "GET", "/gs/name");
	http_head_addf(h, "gitshard-shard", "%" PRIu32, a->shard);
	http_head_addf(h, "gitshard-name", "%s", a->repo.path);
	http_head_addf(h, "gitshard-queue", "%s", a->queue ? "yes" : "no");
	a->call = http_call_new(to, h, false, on_call, a);
	http_head_free(&h);
}

/* One member after the other: only the primary answers. */
static void
go_on(struct names_ask *a)
{
	struct shard *here = shards_get(a->serve->shards, a->shard);
	struct http_session *to = NULL;
	uint32_t n;
	const uint32_t *member = map_members(a->serve->map, a->shard, &n);

	http_call_free(&a->call);
	if (clock_boot_ns() >= a->deadline_ns) {
		a->done(ERR_UNAVAILABLE, a->arg);
		return;
	}
	if (here != NULL && shard_is_primary(here)) {
		a->local = true;
		names_is_free(a->serve->names, here, &a->repo, a->queue, on_local, a);
		return;
	}
	for (uint32_t i = 0; i < n && to == NULL; i++) {
		uint32_t node = member[a->at % n];

		a->at = (a->at + 1) % n;
		if (node != a->serve->self)
			to = peers_get(a->serve->peers, node);
	}
	timer_set(a->timer, to != NULL ? CALL_MSEC : AGAIN_MSEC);
	if (to != NULL)
		call(a, to);
}

struct names_ask *
names_ask_new(struct serve *s, uint32_t shard, const struct smart_path_repo *repo, bool queue,
	      uint64_t deadline_ns, names_ask_fn *done, void *arg)
{
	struct names_ask *a = MEM_NEW(struct names_ask);

	a->magic = NAMES_ASK_MAGIC;
	a->serve = s;
	a->shard = shard;
	a->repo = *repo;
	a->queue = queue;
	a->deadline_ns = deadline_ns;
	a->done = done;
	a->arg = arg;
	a->timer = timer_new(s->loop, on_timer, a);
	timer_set(a->timer, 0);
	return a;
}

void
names_ask_free(struct names_ask **ap)
{
	struct names_ask *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	http_call_free(&a->call);
	timer_free(&a->timer);
	a->done = NULL;
	if (!a->local)
		free(a);
}

/* ---- the answer ------------------------------------------------------------------------------ */

struct answer {
	struct serve *serve;
	struct http_xchg *xchg; /* NULL: gone */
	struct shard *shard;
	bool waits;
};

static void
on_close(void *arg)
{
	struct answer *a = arg;

	a->xchg = NULL;
	if (!a->waits)
		free(a);
}

static void
on_known(struct name *n UNUSED, const struct err *err, void *arg)
{
	struct answer *a = arg;

	a->waits = false;
	if (a->xchg == NULL)
		free(a);
	else if (err->code == 0 || err->code == ERR_CONFLICT)
		http_xchg_reply(a->xchg, err->code == 0 ? 204 : BUSY, NULL, NULL, SLICE_NONE);
	else
		serve_refuse(a->serve, a->xchg, a->shard, err);
}

void
names_answer(struct serve *s, struct http_xchg *x, struct shard *shard)
{
	const char *name = http_head_get(http_xchg_request(x), "gitshard-name");
	const char *queue = http_head_get(http_xchg_request(x), "gitshard-queue");
	struct smart_path_repo repo;
	struct answer *a;
	struct err err;

	if (smart_path_repo_parse(&repo, name != NULL ? slice_str(name) : SLICE_NONE, &err) != 0) {
		serve_refuse(s, x, shard, &err);
		return;
	}
	a = MEM_NEW(struct answer);
	a->serve = s;
	a->xchg = x;
	a->shard = shard;
	a->waits = true;
	http_xchg_on_close(x, on_close, a);
	names_is_free(s->names, shard, &repo, queue != NULL && strcmp(queue, "yes") == 0, on_known,
		      a);
}
