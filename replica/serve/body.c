#include "replica/serve/body.h"

#include <string.h>
#include <zlib.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

/* zlib's own worst ratio is 1032; what comes near it over more than a little is a bomb. */
#define RATIO_MAX 400
#define RATIO_FROM (16u << 20)

struct body {
	unsigned magic;
#define BODY_MAGIC 0xb0d7b0d7u
	struct stream *from; /* borrowed */
	struct stream *to;   /* borrowed; not NULL while passing */
	bool gzip, z_ended, passed;
	bool broken, told; /* told: BODY_BROKEN was */
	z_stream z;
	struct buf have; /* inflated, not taken */
	uint64_t max, in_total, out_total;
	body_fn *on_event;
	void *arg;
	struct err err;
};

static void
fail(struct body *b, int code, const char *text)
{
	b->broken = true;
	err_set(&b->err, code, "%s", text);
}

static void
count(struct body *b, size_t in, size_t out)
{
	b->in_total += in;
	b->out_total += out;
	if (b->max > 0 && b->out_total > b->max)
		fail(b, ERR_TOO_BIG, "the request body is larger than this server accepts");
	else if (b->gzip && b->out_total > RATIO_FROM && b->out_total / RATIO_MAX > b->in_total)
		fail(b, ERR_BAD, "the compressed request body expands beyond reason");
}

/* Inflates what stands in `in` into have, as far as the window allows; returns bytes eaten. */
static size_t
inflate_some(struct body *b, struct slice in)
{
	size_t room = BODY_WINDOW - b->have.len;
	size_t before = b->have.len, eaten;
	uint8_t *out = buf_grow(&b->have, room);
	int rc;

	if (out == NULL) {
		fail(b, ERR_NOMEM, "out of memory; try again");
		return 0;
	}
	b->z.next_in = (Bytef *)(uintptr_t)in.p;
	b->z.avail_in = (uInt)MIN(in.len, 1u << 20);
	b->z.next_out = out;
	b->z.avail_out = (uInt)room;
	eaten = b->z.avail_in;
	rc = inflate(&b->z, Z_NO_FLUSH);
	eaten -= b->z.avail_in;
	b->have.len = before + room - b->z.avail_out;
	b->have.p[b->have.len] = '\0';
	count(b, eaten, b->have.len - before);
	if (rc == Z_STREAM_END)
		b->z_ended = true;
	else if (rc != Z_OK && rc != Z_BUF_ERROR)
		fail(b, ERR_BAD, "the request body is not valid gzip");
	return eaten;
}

static void
fill(struct body *b)
{
	struct slice in;
	size_t n;

	while (!b->broken && b->have.len < BODY_WINDOW && (in = stream_peek(b->from, 0)).len > 0) {
		if (b->z_ended) {
			fail(b, ERR_BAD, "bytes follow the end of the compressed request body");
			break;
		}
		if (b->gzip) {
			n = inflate_some(b, in);
			if (n == 0 && b->have.len < BODY_WINDOW && !b->z_ended)
				break;
		} else {
			n = MIN(in.len, BODY_WINDOW - b->have.len);
			buf_add(&b->have, in.p, n);
			if (!buf_ok(&b->have))
				fail(b, ERR_NOMEM, "out of memory; try again");
			count(b, n, n);
		}
		stream_take(b->from, n);
	}
	if (!b->broken && stream_at_end(b->from) && b->gzip && !b->z_ended &&
	    b->have.len < BODY_WINDOW && b->in_total > 0)
		fail(b, ERR_BAD, "the compressed request body is cut off");
	if (!b->broken && stream_is_dead(b->from) && stream_readable(b->from) == 0)
		fail(b, ERR_CLOSED, "the client went away");
}

static bool
source_done(const struct body *b)
{
	return stream_at_end(b->from) && (!b->gzip || b->z_ended || b->in_total == 0);
}

static void
tell_broken(struct body *b)
{
	if (b->told)
		return;
	b->told = true;
	b->on_event(b, BODY_BROKEN, b->arg);
}

static void
pump(struct body *b)
{
	while (!b->broken && stream_queued(b->to) < STREAM_HIGH) {
		if (!b->gzip && b->have.len == 0) {
			size_t n = stream_move(b->to, b->from, STREAM_HIGH);

			count(b, n, n);
			if (n == 0)
				break;
			continue;
		}
		fill(b);
		if (b->have.len == 0)
			break;
		stream_write(b->to, buf_slice(&b->have));
		buf_clear(&b->have);
	}
	if (!b->broken && stream_is_dead(b->from) && stream_readable(b->from) == 0)
		fail(b, ERR_CLOSED, "the client went away");
	if (b->broken) {
		tell_broken(b);
	} else if (b->have.len == 0 && source_done(b) && !b->passed) {
		b->passed = true;
		stream_end(b->to);
		b->on_event(b, BODY_PASSED, b->arg);
	}
}

static void
on_from(struct stream *s UNUSED, enum stream_event ev, void *arg)
{
	body_on_stream(OBJ_FROM(arg, struct body, BODY_MAGIC), ev);
}

void
body_on_stream(struct body *b, enum stream_event ev)
{
	if (b->passed || b->told ||
	    (ev != STREAM_READABLE && ev != STREAM_DEAD &&
	     (ev != STREAM_WRITABLE || b->to == NULL)))
		return;
	if (b->to != NULL) {
		pump(b);
		return;
	}
	fill(b);
	if (b->broken)
		tell_broken(b);
	else
		b->on_event(b, BODY_MORE, b->arg);
}

int
body_new(struct body **out, struct stream *from, const char *encoding, uint64_t max, body_fn *fn,
	 void *arg, struct err *err)
{
	struct body *b;
	bool gzip = encoding != NULL &&
		    (strcmp(encoding, "gzip") == 0 || strcmp(encoding, "x-gzip") == 0);

	if (encoding != NULL && !gzip && strcmp(encoding, "identity") != 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "content-encoding '%.40s' is not accepted; send gzip or none",
			       encoding);
	b = MEM_NEW(struct body);
	b->magic = BODY_MAGIC;
	b->from = from;
	b->gzip = gzip;
	b->max = max;
	b->on_event = fn;
	b->arg = arg;
	buf_init(&b->have, BODY_WINDOW + 1);
	if (gzip)
		CHECK(inflateInit2(&b->z, 15 + 16) == Z_OK);
	stream_on(from, on_from, b);
	*out = b;
	return 0;
}

struct slice
body_peek(struct body *b)
{
	fill(b);
	return buf_slice(&b->have);
}

void
body_take(struct body *b, size_t n)
{
	buf_eat(&b->have, n);
}

bool
body_is_broken(const struct body *b)
{
	return b->broken;
}

bool
body_ended(const struct body *b)
{
	return source_done(b);
}

void
body_pass(struct body *b, struct stream *to)
{
	b->to = to;
	body_on_stream(b, STREAM_READABLE);
}

const struct err *
body_err(const struct body *b)
{
	return &b->err;
}

void
body_free(struct body **bp)
{
	struct body *b = *bp;

	if (b == NULL)
		return;
	*bp = NULL;
	stream_on(b->from, NULL, NULL);
	if (b->gzip)
		inflateEnd(&b->z);
	buf_release(&b->have);
	free(b);
}
