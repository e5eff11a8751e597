#include "replica/serve/stage_come.h"

#include <inttypes.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/fsio.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/pack_get.h"
#include "replica/serve/pack_recv.h"
#include "replica/serve/room.h"
#include "replica/serve/serve.h"
#include "replica/serve/stage_hold_impl.h"
#include "replica/serve/stage_slot.h"

/* One pack on its way to us. */
struct coming {
	unsigned magic;
#define COMING_MAGIC 0xc0314601u
	struct stage_comes *all; /* borrowed */
	struct http_xchg *xchg;  /* borrowed until its close */
	struct shard *shard;
	struct hold *hold; /* borrowed: in the list */
	struct pack_recv *recv;
	uint64_t bytes;
	/* The .hold file, written when the pack is here: */
	char path[1200];
	struct buf text; /* its content */
	bool writing;    /* by a worker, or waiting for its turn */
	struct err err;
	STAILQ_ENTRY(coming) next_write;
	LIST_ENTRY(coming) next;
};

struct stage_comes {
	struct serve *serve; /* borrowed */
	LIST_HEAD(, coming) list;
	/* One .hold file is written at a time, with what holds there are then: none overwrites a
	 * newer one. */
	STAILQ_HEAD(, coming) to_write;
};

struct stage_comes *
stage_comes_new(struct serve *serve)
{
	struct stage_comes *s = MEM_NEW(struct stage_comes);

	s->serve = serve;
	LIST_INIT(&s->list);
	STAILQ_INIT(&s->to_write);
	return s;
}

/* It came, or will not: a need that waited for it goes on.  NULL: the hold stays. */
static void
end_coming(struct coming *c, struct stage_holds *drop_hold_of)
{
	if (drop_hold_of != NULL)
		stage_hold_end(drop_hold_of, c->hold);
	LIST_REMOVE(c, next);
	c->hold = NULL;
	pack_get_look(c->all->serve->wants);
}

static void
free_coming(struct coming *c)
{
	buf_release(&c->text);
	free(c);
}

void
stage_comes_free(struct stage_comes **sp)
{
	struct stage_comes *s = *sp;
	struct coming *c;

	if (s == NULL)
		return;
	*sp = NULL;
	while ((c = LIST_FIRST(&s->list)) != NULL) { /* a worker ended with it under way */
		LIST_REMOVE(c, next);
		free_coming(c);
	}
	free(s);
}

bool
stage_come_find(const struct stage_comes *s, const uint8_t sha256[32], uint64_t *got)
{
	const struct coming *c;

	LIST_FOREACH (c, &s->list, next)
		if (memcmp(c->hold->h.sha256, sha256, 32) == 0) {
			*got = c->bytes - (c->recv != NULL ? pack_recv_left(c->recv) : 0);
			return true;
		}
	return false;
}

unsigned
stage_comes_count(const struct stage_comes *s)
{
	const struct coming *c;
	unsigned n = 0;

	LIST_FOREACH (c, &s->list, next)
		n++;
	return n;
}

uint64_t
stage_comes_left(const struct stage_comes *s)
{
	const struct coming *c;
	uint64_t n = 0;

	LIST_FOREACH (c, &s->list, next)
		n += c->recv != NULL ? pack_recv_left(c->recv) : 0;
	return n;
}

static unsigned
coming_from(const struct stage_comes *s, uint32_t node)
{
	const struct coming *c;
	unsigned n = 0;

	LIST_FOREACH (c, &s->list, next)
		n += c->xchg != NULL && c->hold->h.reign.node == node;
	return n;
}

static void write_next(struct stage_comes *);

static void
on_recv_gone(void *arg)
{
	struct coming *c = OBJ_FROM(arg, struct coming, COMING_MAGIC);

	end_coming(c, c->all->serve->holds);
	free_coming(c);
}

static void
on_coming_gone(void *arg)
{
	struct coming *c = OBJ_FROM(arg, struct coming, COMING_MAGIC);

	c->xchg = NULL;
	if (c->writing)
		return; /* the worker's end frees it; not confirmed: the primary heard nothing */
	if (c->recv != NULL)
		pack_recv_drop(&c->recv, on_recv_gone, c);
	else
		free_coming(c);
}

static void
refuse(struct coming *c, const struct err *err)
{
	end_coming(c, c->all->serve->holds);
	if (c->xchg != NULL)
		serve_refuse(c->all->serve, c->xchg, c->shard, err);
	else
		free_coming(c);
}

static void
write_hold(void *arg)
{
	struct coming *c = arg;

	c->err.code = fsio_write(c->path, buf_slice(&c->text), 0600, &c->err);
}

static void
on_written(void *arg)
{
	struct coming *c = OBJ_FROM(arg, struct coming, COMING_MAGIC);
	struct stage_comes *s = c->all;
	char text[40];

	c->writing = false;
	STAILQ_REMOVE_HEAD(&s->to_write, next_write);
	/* The log may have moved on while the pack came in (R8: confirmed in this reign). */
	if (c->err.code == 0 && !staging_may_hold(shard_state(c->shard), &c->hold->h.reign))
		err_set(&c->err, ERR_WRONG_NODE, "that reign is over");
	if (c->err.code == 0 && (c->xchg == NULL || c->hold->released))
		err_set(&c->err, ERR_CLOSED, "the primary gave that push up");
	if (c->err.code != 0) {
		refuse(c, &c->err);
		write_next(s);
		return;
	}
	FAULT("stage.confirmed");
	c->hold->confirmed = true;
	end_coming(c, NULL);
	replica_stats_add(RSTAT_STAGED, 0, c->bytes);
	hex_encode(text, s->serve->incarnation, 16);
	text[32] = '\n';
	http_xchg_reply(c->xchg, 200, NULL, "text/plain", slice_of(text, 33));
	write_next(s);
}

static void
write_next(struct stage_comes *s)
{
	struct coming *c = STAILQ_FIRST(&s->to_write);
	char hex[65];

	if (c == NULL)
		return;
	hex_encode(hex, c->hold->h.sha256, 32);
	snprintf(c->path, sizeof(c->path), "%s/%s.hold", stage_holds_dir(s->serve->holds), hex);
	buf_init(&c->text, STAGE_HOLD_FILE_MAX);
	stage_hold_encode(&c->text, s->serve->holds, c->hold->h.sha256);
	work_do(s->serve->work, write_hold, on_written, c);
}

static void
on_received(const struct err *err, void *arg)
{
	struct coming *c = OBJ_FROM(arg, struct coming, COMING_MAGIC);
	struct err why = *err; /* it dies with the recv */
	bool idle = STAILQ_EMPTY(&c->all->to_write);

	pack_recv_free(&c->recv);
	if (why.code != 0) {
		refuse(c, &why);
		return;
	}
	c->writing = true;
	STAILQ_INSERT_TAIL(&c->all->to_write, c, next_write);
	if (idle)
		write_next(c->all);
}

/* Place and disk for one more? */
static int
may_come(const struct stage_comes *s, const struct staging_hold *h, const uint8_t repo[16],
	 const struct pack_name *n, struct err *err)
{
	/* Its head came late: the line is slow, and the push was decided meanwhile. */
	if (pack_get_is_fetching(s->serve->wants, repo, h->sha256))
		return err_set(err, ERR_CONFLICT,
			       "a record has named that pack, it is being fetched");
	if (n->size > INT64_MAX / 2 || n->idx_size > INT64_MAX / 2)
		return err_set(err, ERR_BAD, "a pack of that size is beyond reason");
	if (coming_from(s, h->reign.node) >= stage_slots_each(s->serve->slots))
		return err_set(err, ERR_UNAVAILABLE,
			       "this voter takes in as many packs of node %" PRIu32
			       " as its node.stage_budget allows",
			       h->reign.node);
	return room_for_pack(s->serve, n->size + n->idx_size, err);
}

void
stage_come_receive(struct stage_comes *s, struct http_xchg *x, struct shard *shard)
{
	const struct http_head *req = http_xchg_request(x);
	const char *repo_text = http_head_get(req, "gitshard-repo");
	struct pack_name name;
	struct staging_hold h;
	struct coming *c;
	struct err err;
	uint8_t repo[16];
	int rc = stage_hold_parse(&h, &name.size, req, &err);

	if (rc == 0 && (repo_text == NULL || hex_decode(repo, 16, slice_str(repo_text)) != 0))
		rc = err_set(&err, ERR_BAD, "gitshard-repo is missing or malformed");
	if (rc == 0 &&
	    !pack_name_parse(name.idx_sha256, &name.idx_size, http_head_get(req, "gitshard-idx")))
		rc = err_set(&err, ERR_BAD, "gitshard-idx is missing or malformed");
	if (rc == 0 && !staging_may_hold(shard_state(shard), &h.reign))
		rc = err_set(&err, ERR_WRONG_NODE, "that reign is over");
	if (rc == 0)
		rc = may_come(s, &h, repo, &name, &err);
	if (rc != 0) {
		serve_refuse(s->serve, x, shard, &err);
		return;
	}
	memcpy(name.sha256, h.sha256, sizeof(name.sha256));
	c = MEM_NEW(struct coming);
	c->magic = COMING_MAGIC;
	c->all = s;
	c->xchg = x;
	c->shard = shard;
	c->bytes = name.size + name.idx_size;
	c->hold = stage_hold_add(s->serve->holds, shard_index(shard), repo, &h);
	LIST_INSERT_HEAD(&s->list, c, next);
	http_xchg_on_close(x, on_coming_gone, c);
	c->recv = pack_recv_new(s->serve->work, stage_holds_dir(s->serve->holds),
				http_xchg_stream(x), &name, on_received, c);
}
