#include "replica/serve/strict_read.h"

#include <inttypes.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/serve.h"

/* A primary that does not answer for so long is not asked again for a while: barriers serve. */
#define ASK_MSEC 1000
#define SHUN_NS (2 * CLOCK_SEC)

struct read {
	shard_read_fn *done;
	void *arg;
	STAILQ_ENTRY(read) next;
};
STAILQ_HEAD(read_list, read);

/* The asks of one shard: one under way, and those that came since. */
struct asker {
	unsigned magic;
#define ASKER_MAGIC 0xa5c3a5c3u
	struct strict_reads *all; /* borrowed */
	struct shard *shard;      /* borrowed */
	struct http_call *call;   /* owned; NULL: none under way */
	struct timer *timer;      /* owned */
	uint64_t shun_until;      /* clock_boot_ns */
	uint32_t asked;           /* node */
	struct read_list sent, waiting;
	LIST_ENTRY(asker) next;
};

struct strict_reads {
	struct serve *serve; /* borrowed */
	LIST_HEAD(, asker) askers;
};

static void ask(struct asker *);

static struct asker *
asker_of(struct strict_reads *r, struct shard *s)
{
	struct asker *a;

	LIST_FOREACH (a, &r->askers, next)
		if (a->shard == s)
			return a;
	a = MEM_NEW(struct asker);
	a->magic = ASKER_MAGIC;
	a->all = r;
	a->shard = s;
	STAILQ_INIT(&a->sent);
	STAILQ_INIT(&a->waiting);
	LIST_INSERT_HEAD(&r->askers, a, next);
	return a;
}

static void
finish(struct read_list *list, int rc, uint64_t offset)
{
	struct read *r;

	while ((r = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, next);
		r->done(rc, offset, r->arg);
		free(r);
	}
}

/* All of the list go the third way, which needs no primary. */
static void
take_barrier(struct asker *a, struct read_list *list)
{
	struct read *r;

	while ((r = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, next);
		replica_stats_read(READ_WAY_BARRIER);
		shard_read_barrier(a->shard, r->done, r->arg);
		free(r);
	}
}

static void
give_up(struct asker *a)
{
	struct read_list list = STAILQ_HEAD_INITIALIZER(list);

	a->shun_until = clock_boot_ns() + SHUN_NS;
	http_call_free(&a->call);
	timer_stop(a->timer);
	STAILQ_CONCAT(&list, &a->sent);
	STAILQ_CONCAT(&list, &a->waiting);
	take_barrier(a, &list);
}

static void
on_timeout(void *arg)
{
	give_up(OBJ_FROM(arg, struct asker, ASKER_MAGIC));
}

static void
on_answer_body(struct stream *s, enum stream_event ev, void *arg)
{
	struct asker *a = OBJ_FROM(arg, struct asker, ASKER_MAGIC);
	struct read_list list = STAILQ_HEAD_INITIALIZER(list);
	struct slice in = stream_peek(s, 64);
	uint64_t epoch, offset;
	char text[64];

	if (ev == STREAM_DEAD || in.len >= sizeof(text)) {
		give_up(a);
		return;
	}
	if (!stream_peer_ended(s))
		return;
	memcpy(text, in.p, in.len);
	text[in.len] = '\0';
	if (sscanf(text, "%" SCNu64 " %" SCNu64, &epoch, &offset) != 2) {
		give_up(a);
		return;
	}
	http_call_free(&a->call);
	timer_stop(a->timer);
	STAILQ_CONCAT(&list, &a->sent);
	if (!STAILQ_EMPTY(&a->waiting))
		ask(a);
	finish(&list, 0, offset);
}

static void
on_answer(struct http_call *call, enum http_call_event ev, void *arg)
{
	struct asker *a = OBJ_FROM(arg, struct asker, ASKER_MAGIC);

	if (ev == CALL_CONTINUE)
		return;
	if (ev == CALL_FAILED || http_call_response(call)->status != 200) {
		give_up(a);
		return;
	}
	stream_on(http_call_stream(call), on_answer_body, a);
	on_answer_body(http_call_stream(call), STREAM_READABLE, a);
}

/* Everyone who waits is in this ask: nothing of it has been sent yet. */
static void
ask(struct asker *a)
{
	struct serve *s = a->all->serve;
	struct http_session *to = peers_get(s->peers, shard_primary(a->shard));
	struct http_head *head;

	if (to == NULL) {
		give_up(a);
		return;
	}
	STAILQ_CONCAT(&a->sent, &a->waiting);
	head = http_head_new();
	http_head_request(head, "GET", "/gs/position");
	http_head_addf(head, "gitshard-shard", "%" PRIu32, shard_index(a->shard));
	http_head_addf(head, "gitshard-epoch", "%" PRIu64, shard_epoch(a->shard));
	if (a->timer == NULL)
		a->timer = timer_new(s->loop, on_timeout, a);
	timer_set(a->timer, ASK_MSEC);
	a->call = http_call_new(to, head, false, on_answer, a);
	http_head_free(&head);
}

void
strict_read(struct strict_reads *all, struct shard *s, shard_read_fn *done, void *arg)
{
	struct asker *a;
	struct read *r;
	uint32_t primary = shard_primary(s);

	if (shard_is_primary(s)) {
		replica_stats_read(READ_WAY_LEASE);
		shard_read_primary(s, done, arg);
		return;
	}
	a = asker_of(all, s);
	if (primary == 0 || primary == all->serve->self || clock_boot_ns() < a->shun_until ||
	    peers_get(all->serve->peers, primary) == NULL) {
		replica_stats_read(READ_WAY_BARRIER);
		shard_read_barrier(s, done, arg);
		return;
	}
	replica_stats_read(READ_WAY_ASK);
	r = MEM_NEW(struct read);
	r->done = done;
	r->arg = arg;
	STAILQ_INSERT_TAIL(&a->waiting, r, next);
	if (a->call == NULL)
		ask(a);
}

struct strict_reads *
strict_reads_new(struct serve *s)
{
	struct strict_reads *r = MEM_NEW(struct strict_reads);

	r->serve = s;
	LIST_INIT(&r->askers);
	return r;
}

void
strict_reads_free(struct strict_reads **rp)
{
	struct strict_reads *r = *rp;
	struct asker *a;

	if (r == NULL)
		return;
	*rp = NULL;
	while ((a = LIST_FIRST(&r->askers)) != NULL) {
		LIST_REMOVE(a, next);
		http_call_free(&a->call);
		timer_free(&a->timer);
		finish(&a->sent, ERR_UNAVAILABLE, 0);
		finish(&a->waiting, ERR_UNAVAILABLE, 0);
		free(a);
	}
	free(r);
}

/* --- the primary's side ------------------------------------------------------------------ */

struct answer {
	struct serve *serve;
	struct http_xchg *xchg; /* NULL: the asker went away */
	struct shard *shard;
};

static void
on_asker_gone(void *arg)
{
	struct answer *a = arg;

	a->xchg = NULL;
}

static void
on_position(int rc, uint64_t offset, void *arg)
{
	struct answer *a = arg;
	struct err err;
	char text[64];
	int n;

	if (a->xchg == NULL) {
		free(a);
		return;
	}
	http_xchg_on_close(a->xchg, NULL, NULL);
	if (rc != 0) {
		err_set(&err, rc, "no proof that this node still is primary");
		serve_refuse(a->serve, a->xchg, a->shard, &err);
	} else {
		n = snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 "\n", shard_epoch(a->shard),
			     offset);
		http_xchg_reply(a->xchg, 200, NULL, "text/plain", slice_of(text, (size_t)n));
	}
	free(a);
}

void
strict_read_answer(struct serve *s, struct http_xchg *x, struct shard *shard)
{
	struct answer *a = MEM_NEW(struct answer);

	a->serve = s;
	a->xchg = x;
	a->shard = shard;
	http_xchg_on_close(x, on_asker_gone, a);
	shard_read_primary(shard, on_position, a);
}
