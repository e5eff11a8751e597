#include "replica/serve/status_feed.h"

#include <inttypes.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "replica/serve/serve.h"

#define BEAT_MSEC 250
#define CHANGE_MSEC 20
#define MAX_TEXT (16u << 20)

struct listener {
	unsigned magic;
#define LISTENER_MAGIC 0x115ee0e2u
	struct status_feed *feed; /* borrowed */
	struct http_xchg *xchg;   /* borrowed until its close */
	bool behind;              /* its queue was full: it gets the whole state next */
	LIST_ENTRY(listener) next;
};

struct status_feed {
	struct serve *serve; /* borrowed */
	LIST_HEAD(, listener) all;
	struct timer *beat, *change;
	bool *dirty; /* owned, by shard index */
	size_t n_dirty;
	bool map_dirty;
};

const char *
status_feed_role(const struct shard *s)
{
	if (shard_halted(s) != NULL)
		return "halted";
	if (shard_is_primary(s))
		return "primary";
	return shard_is_voter(s) ? "follower" : "learner";
}

static void
add_shard(struct buf *b, const struct shard *s)
{
	buf_addf(b, "shard %" PRIu32 " %s %" PRIu64 " ", shard_index(s), status_feed_role(s),
		 shard_epoch(s));
	if (shard_primary(s) != 0)
		buf_addf(b, "%" PRIu32, shard_primary(s));
	else
		buf_add_byte(b, '-');
	buf_addf(b, " %" PRIu64 " %" PRIu64 "\n", shard_position(s), shard_applied(s));
}

static void
add_map(struct buf *b, const struct serve *s)
{
	buf_addf(b, "map %" PRIu64 "\n", s->map != NULL ? s->map->version : UINT64_C(0));
}

static void
add_all(struct buf *b, const struct serve *s)
{
	char hex[33];

	hex_encode(hex, s->incarnation, 16);
	buf_addf(b, "node %" PRIu32 " %s\n", s->self, hex);
	add_map(b, s);
	for (size_t i = 0; i < shards_count(s->shards); i++)
		add_shard(b, shards_at(s->shards, i));
	buf_add_str(b, "beat\n");
}

/* A listener that does not read is given the whole state once it does again. */
static void
send(struct listener *l, struct slice text)
{
	struct stream *s = http_xchg_stream(l->xchg);

	if (l->behind || stream_queued(s) > STREAM_HIGH) {
		l->behind = true;
		return;
	}
	stream_write(s, text);
}

static void
on_beat(void *arg)
{
	struct status_feed *f = arg;
	struct listener *l;
	struct buf b;

	LIST_FOREACH (l, &f->all, next) {
		if (l->behind && stream_queued(http_xchg_stream(l->xchg)) < STREAM_LOW) {
			l->behind = false;
			buf_init(&b, MAX_TEXT);
			add_all(&b, f->serve);
			send(l, buf_slice(&b));
			buf_release(&b);
		}
		send(l, SLICE_LIT("beat\n"));
	}
	timer_set(f->beat, BEAT_MSEC);
}

static void
on_change(void *arg)
{
	struct status_feed *f = arg;
	struct listener *l;
	struct buf b = BUF_MAX(MAX_TEXT);

	if (f->map_dirty)
		add_map(&b, f->serve);
	for (size_t i = 0; i < f->n_dirty; i++)
		if (f->dirty[i]) {
			add_shard(&b, shards_get(f->serve->shards, (uint32_t)i));
			f->dirty[i] = false;
		}
	f->map_dirty = false;
	LIST_FOREACH (l, &f->all, next)
		send(l, buf_slice(&b));
	buf_release(&b);
}

void
status_feed_changed(struct status_feed *f, struct shard *s)
{
	uint32_t i = shard_index(s);

	if (i >= f->n_dirty) {
		size_t n = (size_t)i + 64;

		f->dirty = mem_resize(f->dirty, n * sizeof(*f->dirty));
		memset(f->dirty + f->n_dirty, 0, (n - f->n_dirty) * sizeof(*f->dirty));
		f->n_dirty = n;
	}
	f->dirty[i] = true;
	if (!timer_is_set(f->change))
		timer_set(f->change, CHANGE_MSEC);
}

void
status_feed_map_changed(struct status_feed *f)
{
	f->map_dirty = true;
	if (!timer_is_set(f->change))
		timer_set(f->change, CHANGE_MSEC);
}

struct status_feed *
status_feed_new(struct serve *s)
{
	struct status_feed *f = MEM_NEW(struct status_feed);

	f->serve = s;
	LIST_INIT(&f->all);
	f->beat = timer_new(s->loop, on_beat, f);
	f->change = timer_new(s->loop, on_change, f);
	timer_set(f->beat, BEAT_MSEC);
	return f;
}

void
status_feed_free(struct status_feed **fp)
{
	struct status_feed *f = *fp;

	if (f == NULL)
		return;
	*fp = NULL;
	CHECK(LIST_EMPTY(&f->all)); /* the listener's server was closed before */
	timer_free(&f->beat);
	timer_free(&f->change);
	free(f->dirty);
	free(f);
}

static void
on_close(void *arg)
{
	struct listener *l = OBJ_FROM(arg, struct listener, LISTENER_MAGIC);

	LIST_REMOVE(l, next);
	free(l);
}

void
status_feed_open(struct status_feed *f, struct http_xchg *x)
{
	struct listener *l = MEM_NEW(struct listener);
	struct http_head *h = http_head_new();
	struct buf b = BUF_MAX(MAX_TEXT);

	l->magic = LISTENER_MAGIC;
	l->feed = f;
	l->xchg = x;
	LIST_INSERT_HEAD(&f->all, l, next);
	http_xchg_on_close(x, on_close, l);
	h->status = 200;
	h->content_length = -1;
	http_head_addf(h, "content-type", "text/plain");
	http_xchg_respond(x, h);
	http_head_free(&h);
	add_all(&b, f->serve);
	stream_write(http_xchg_stream(x), buf_slice(&b));
	buf_release(&b);
}
