#include "replica/serve/turn.h"

#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "replica/serve/serve.h"

#define RENEW_MSEC (TURN_MSEC / 3)
#define ANSWER_MSEC 2000

struct holder { /* as the primary knows it */
	uint32_t shard, node;
	uint64_t until; /* clock_boot_ns */
	LIST_ENTRY(holder) next;
};

struct turns {
	struct serve *serve; /* borrowed */
	LIST_HEAD(, holder) held;
};

struct turn {
	unsigned magic;
#define TURN_MAGIC 0x70c470c4u
	struct turns *all;   /* borrowed */
	struct shard *shard; /* borrowed */
	struct http_call *call;
	struct timer *timer; /* for the answer; then to renew */
	turn_fn *told;       /* NULL once told */
	void *arg;
	bool held;
};

/* --- the primary's side --------------------------------------------------------------------- */

static bool
take(struct turns *t, uint32_t shard, uint32_t node)
{
	uint64_t now = clock_boot_ns();
	struct holder *h;

	LIST_FOREACH (h, &t->held, next)
		if (h->shard == shard)
			break;
	if (h != NULL && h->node != node && now < h->until)
		return false;
	if (h == NULL) {
		h = MEM_NEW(struct holder);
		h->shard = shard;
		LIST_INSERT_HEAD(&t->held, h, next);
	}
	h->node = node;
	h->until = now + TURN_MSEC * CLOCK_MSEC;
	return true;
}

static void
give(struct turns *t, uint32_t shard, uint32_t node)
{
	struct holder *h;

	LIST_FOREACH (h, &t->held, next)
		if (h->shard == shard && h->node == node)
			break;
	if (h == NULL)
		return;
	LIST_REMOVE(h, next);
	free(h);
}

void
turn_answer(struct serve *s, struct http_xchg *x, struct shard *shard)
{
	const struct http_head *req = http_xchg_request(x);
	const char *node_text = http_head_get(req, "gitshard-node");
	const char *what = http_head_get(req, "gitshard-turn");
	uint32_t node = 0;
	struct err err;

	if (node_text == NULL || sscanf(node_text, "%" SCNu32, &node) != 1 || node == 0) {
		err_set(&err, ERR_BAD, "gitshard-node is missing or malformed");
		serve_refuse(s, x, shard, &err);
		return;
	}
	if (what != NULL && strcmp(what, "give") == 0) {
		give(s->turns, shard_index(shard), node);
		http_xchg_reply(x, 204, NULL, NULL, SLICE_NONE);
		return;
	}
	/* No refusal that is worth a log line: it is asked again. */
	http_xchg_reply(x,
			!shard_is_primary(shard)                   ? 421
			: take(s->turns, shard_index(shard), node) ? 204
								   : 409,
			NULL, NULL, SLICE_NONE);
}

/* --- the asker's side ----------------------------------------------------------------------- */

static void
tell(struct turn *t, enum turn_word word)
{
	turn_fn *told = t->told;

	t->held |= word == TURN_YES;
	t->told = NULL;
	if (told != NULL)
		told(word, t->arg);
}

static void on_timer(void *arg);

static void
on_answer(struct http_call *call, enum http_call_event ev, void *arg)
{
	struct turn *t = OBJ_FROM(arg, struct turn, TURN_MAGIC);
	enum turn_word word = TURN_NOBODY;

	if (ev == CALL_CONTINUE)
		return;
	if (ev == CALL_HEAD && http_call_response(call)->status == 204)
		word = TURN_YES;
	else if (ev == CALL_HEAD && http_call_response(call)->status == 409)
		word = TURN_NO;
	http_call_free(&t->call);
	timer_set(t->timer, RENEW_MSEC);
	tell(t, word);
}

static struct http_call *
call(struct turns *all, struct shard *shard, bool give_back, http_call_fn *fn, void *arg)
{
	struct http_session *to = peers_get(all->serve->peers, shard_primary(shard));
	struct http_head *h;
	struct http_call *c;

	if (to == NULL)
		return NULL;
	h = http_head_new();
	http_head_request(h, "POST", "/gs/turn");
	http_head_addf(h, "gitshard-shard", "%" PRIu32, shard_index(shard));
	http_head_addf(h, "gitshard-node", "%" PRIu32, all->serve->self);
	if (give_back)
		http_head_addf(h, "gitshard-turn", "give");
	c = http_call_new(to, h, false, fn, arg);
	http_head_free(&h);
	return c;
}

static void
ask(struct turn *t)
{
	bool yes;

	if (shard_is_primary(t->shard)) {
		yes = take(t->all, shard_index(t->shard), t->all->serve->self);
		timer_set(t->timer, RENEW_MSEC);
		tell(t, yes ? TURN_YES : TURN_NO);
		return;
	}
	t->call = call(t->all, t->shard, false, on_answer, t);
	timer_set(t->timer, t->call != NULL ? ANSWER_MSEC : RENEW_MSEC);
	if (t->call == NULL)
		tell(t, TURN_NOBODY);
}

/* No answer, or time to renew. */
static void
on_timer(void *arg)
{
	struct turn *t = OBJ_FROM(arg, struct turn, TURN_MAGIC);
	bool was_asked = t->call != NULL;

	http_call_free(&t->call);
	if (was_asked && t->told != NULL) {
		tell(t, TURN_NOBODY);
		return;
	}
	if (t->held)
		ask(t);
}

struct turn *
turn_ask(struct turns *all, struct shard *shard, turn_fn *told, void *arg)
{
	struct turn *t = MEM_NEW(struct turn);

	t->magic = TURN_MAGIC;
	t->all = all;
	t->shard = shard;
	t->told = told;
	t->arg = arg;
	t->timer = timer_new(all->serve->loop, on_timer, t);
	ask(t);
	return t;
}

/* What frees itself when the primary has heard it; lost, the turn lapses. */
static void
on_given(struct http_call *c, enum http_call_event ev, void *arg UNUSED)
{
	if (ev != CALL_CONTINUE)
		http_call_free(&c);
}

void
turn_give(struct turn **tp)
{
	struct turn *t = *tp;

	if (t == NULL)
		return;
	*tp = NULL;
	if (t->held && shard_is_primary(t->shard))
		give(t->all, shard_index(t->shard), t->all->serve->self);
	else if (t->held)
		call(t->all, t->shard, true, on_given, NULL);
	http_call_free(&t->call);
	timer_free(&t->timer);
	free(t);
}

struct turns *
turns_new(struct serve *s)
{
	struct turns *t = MEM_NEW(struct turns);

	t->serve = s;
	LIST_INIT(&t->held);
	return t;
}

void
turns_free(struct turns **tp)
{
	struct turns *t = *tp;
	struct holder *h;

	if (t == NULL)
		return;
	*tp = NULL;
	while ((h = LIST_FIRST(&t->held)) != NULL) {
		LIST_REMOVE(h, next);
		free(h);
	}
	free(t);
}
