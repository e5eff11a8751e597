/* One HTTP/2 stream: its side of struct stream, and heads in HTTP/2's form. */
#include "gitproto/net/http2_sess.h"

#include <inttypes.h>

#include <nghttp2/nghttp2.h>

#include "gitproto/base/mem.h"
#include "gitproto/net/http_server_impl.h"

static struct http2_stream *
of(struct stream *s)
{
	return CONTAINER_OF(s, struct http2_stream, s);
}

static void
wake(struct http2_sess *h)
{
	loop_task_put(h->loop, &h->send);
}

static void
st_took(struct stream *s, size_t n)
{
	struct http2_stream *st = of(s);

	if (st->sess == NULL || n == 0)
		return;
	nghttp2_session_consume_stream(st->sess->ng, st->id, n);
	wake(st->sess);
}

static void
st_pump(struct stream *s)
{
	struct http2_stream *st = of(s);

	if (st->no_body) {
		evbuffer_drain(s->out, evbuffer_get_length(s->out));
		stream_sent(s, true);
		return;
	}
	if (st->sess == NULL || !st->deferred)
		return;
	st->deferred = false;
	nghttp2_session_resume_data(st->sess->ng, st->id);
	wake(st->sess);
}

static void
st_reset(struct stream *s)
{
	struct http2_stream *st = of(s);

	if (st->sess == NULL)
		return;
	nghttp2_submit_rst_stream(st->sess->ng, NGHTTP2_FLAG_NONE, st->id,
				  st->sess->server ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
	wake(st->sess);
}

static void
st_first(struct stream *s)
{
	if (of(s)->first != NULL)
		of(s)->first(of(s));
}

static const struct stream_ops ops = {
	.took = st_took,
	.pump = st_pump,
	.reset = st_reset,
	.first = st_first,
};

void
http2_stream_init(struct http2_stream *st, struct loop *l)
{
	*st = (struct http2_stream){ .id = -1 };
	stream_init(&st->s, l, &ops);
}

static void
leave(struct http2_stream *st)
{
	struct http2_sess *h = st->sess;

	TAILQ_REMOVE(&h->streams, st, link);
	h->nstreams--;
	if (st->flushing)
		TAILQ_REMOVE(&h->flush, st, flush_link);
	st->flushing = false;
	st->sess = NULL;
}

void
http2_stream_release(struct http2_stream *st)
{
	struct http2_sess *h = st->sess;

	if (h != NULL) {
		nghttp2_session_set_stream_user_data(h->ng, st->id, NULL);
		nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_CANCEL);
		wake(h);
		leave(st);
	}
	http_head_free(&st->head);
	stream_release(&st->s);
}

void
http2_stream_closed(struct http2_stream *st, uint32_t code, const char *why)
{
	struct http2_sess *h = st->sess;

	leave(st);
	if (h->server ? !st->local_end : !st->s.peer_ended)
		stream_die(&st->s, why);
	else if (!st->local_end)
		stream_fail_write(&st->s);
	else
		stream_sent(&st->s, true);
	h->ops->closed(st, code);
}

void
http2_stream_flushed(struct http2_sess *h)
{
	uint64_t out = h->queued - MIN(h->queued, (uint64_t)stream_queued(h->tr));
	struct http2_stream *st;

	while ((st = TAILQ_FIRST(&h->flush)) != NULL && st->flush_at <= out) {
		TAILQ_REMOVE(&h->flush, st, flush_link);
		st->flushing = false;
		if (evbuffer_get_length(st->s.out) == 0)
			stream_sent(&st->s, true);
	}
}

/* --- heads that come in --- */

static bool
add_pseudo(struct http2_stream *st, struct slice name, struct slice value)
{
	struct http_head *h = st->head;

	if (slice_eq_str(name, ":status")) {
		h->status = (int)strtol((const char *)value.p, NULL, 10);
	} else if (slice_eq_str(name, ":method")) {
		if (value.len >= sizeof(h->method))
			return false;
		snprintf(h->method, sizeof(h->method), "%.*s", SLICE_ARG(value));
	} else if (slice_eq_str(name, ":path")) {
		st->head_error = value.len > HTTP_MAX_TARGET ? ERR_TOO_BIG : 0;
		if (!http_target_ok(value))
			return false;
		h->target = mem_strndup(value.p, value.len);
	} else if (slice_eq_str(name, ":authority")) {
		st->head_error = http_head_add(h, "host", (const char *)value.p);
	}
	return st->head_error == 0;
}

/* nghttp2 has checked names and values and put a NUL behind both. */
bool
http2_stream_add_field(struct http2_stream *st, struct slice name, struct slice value)
{
	if (name.len > 0 && name.p[0] == ':')
		return add_pseudo(st, name, value);
	if (slice_eq_str(name, "host") && http_head_get(st->head, "host") != NULL)
		return true; /* :authority counts */
	st->head_error = http_head_add(st->head, (const char *)name.p, (const char *)value.p);
	return st->head_error == 0;
}

/* --- heads that go out --- */

struct nv_list {
	nghttp2_nv nv[HTTP_MAX_FIELDS + 8];
	size_t n;
	char number[24]; /* :status */
	char length[24]; /* content-length */
};

static void
add_nv(struct nv_list *l, const char *name, const char *value)
{
	CHECK(l->n < COUNT(l->nv));
	l->nv[l->n++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

static void
add_fields(struct nv_list *l, const struct http_head *h)
{
	for (unsigned i = 0; i < h->nfields; i++)
		if (http_server_may_write(&h->fields[i]) && strcmp(h->fields[i].name, "host") != 0)
			add_nv(l, h->fields[i].name, h->fields[i].value);
	if (h->content_length >= 0) {
		snprintf(l->length, sizeof(l->length), "%" PRId64, h->content_length);
		add_nv(l, "content-length", l->length);
	}
}

/* nghttp2 asks how much there is; the bytes themselves go by send_data. */
static ssize_t
read_source(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
	    nghttp2_data_source *source, void *arg)
{
	struct http2_stream *st = nghttp2_session_get_stream_user_data(ng, id);
	size_t have;

	(void)buf;
	(void)source;
	(void)arg;
	if (st == NULL || st->s.dead)
		return NGHTTP2_ERR_DEFERRED; /* its RST_STREAM is on the way */
	have = evbuffer_get_length(st->s.out);
	if (have == 0 && !st->s.ended) {
		st->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (have <= length && st->s.ended)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)MIN(have, length);
}

static const nghttp2_data_provider source = { .read_callback = read_source };

int
http2_sess_request(struct http2_sess *h, struct http2_stream *st, const struct http_head *head,
		   bool with_body)
{
	struct nv_list l = { .n = 0 };
	const char *host = http_head_get(head, "host");

	if (h->is_down || !nghttp2_session_check_request_allowed(h->ng))
		return ERR_UNAVAILABLE;
	add_nv(&l, ":method", head->method);
	add_nv(&l, ":scheme", "http");
	add_nv(&l, ":path", head->target);
	if (host != NULL)
		add_nv(&l, ":authority", host);
	add_fields(&l, head);
	st->id = nghttp2_submit_request(h->ng, NULL, l.nv, l.n, with_body ? &source : NULL, st);
	if (st->id < 0)
		return ERR_UNAVAILABLE;
	st->sess = h;
	st->has_source = with_body;
	TAILQ_INSERT_TAIL(&h->streams, st, link);
	h->nstreams++;
	wake(h);
	return 0;
}

void
http2_stream_respond(struct http2_stream *st, const struct http_head *head, bool no_body)
{
	struct nv_list l = { .n = 0 };

	if (st->sess == NULL)
		return;
	snprintf(l.number, sizeof(l.number), "%d", head->status);
	add_nv(&l, ":status", l.number);
	add_nv(&l, "date", http_server_date());
	add_fields(&l, head);
	st->no_body = no_body;
	st->has_source = !no_body;
	CHECK(nghttp2_submit_response(st->sess->ng, st->id, l.nv, l.n, no_body ? NULL : &source) !=
	      NGHTTP2_ERR_NOMEM);
	wake(st->sess);
}

void
http2_stream_continue(struct http2_stream *st)
{
	struct nv_list l = { .n = 0 };

	if (st->sess == NULL)
		return;
	add_nv(&l, ":status", "100");
	nghttp2_submit_headers(st->sess->ng, NGHTTP2_FLAG_NONE, st->id, NULL, l.nv, l.n, NULL);
	wake(st->sess);
}
