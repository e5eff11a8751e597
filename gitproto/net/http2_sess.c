#include "gitproto/net/http2_sess.h"

#include <nghttp2/nghttp2.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"

/* Streams reset by the peer: so many at once, so many a second; more is a rapid reset attack or a
 * peer gone wild, and ends the connection.  Generous, since a router's clients may hang up. */
#define RESET_BURST 10000
#define RESET_RATE 1000

static const uint8_t drain_ping[8] = "drain";

static struct http2_stream *
find(nghttp2_session *ng, int32_t id)
{
	return nghttp2_session_get_stream_user_data(ng, id);
}

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct http2_sess *h = arg;
	struct http2_stream *st = find(ng, f->hd.stream_id);

	if (h->server && f->headers.cat == NGHTTP2_HCAT_REQUEST) {
		st = h->ops->open(h);
		st->sess = h;
		st->id = f->hd.stream_id;
		TAILQ_INSERT_TAIL(&h->streams, st, link);
		h->nstreams++;
		CHECK(nghttp2_session_set_stream_user_data(ng, st->id, st) == 0);
	}
	if (st == NULL || st->head_done)
		return 0; /* trailers are not kept */
	http_head_free(&st->head);
	st->head = http_head_new();
	st->head_error = 0;
	return 0;
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name, size_t nlen,
	  const uint8_t *value, size_t vlen, uint8_t flags, void *arg)
{
	struct http2_stream *st = find(ng, f->hd.stream_id);

	(void)flags;
	(void)arg;
	if (st == NULL || st->head_done || st->head == NULL || st->head_error != 0)
		return 0;
	if (!http2_stream_add_field(st, slice_of(name, nlen), slice_of(value, vlen)) &&
	    st->head_error == 0)
		st->head_error = ERR_BAD;
	return 0;
}

static void
on_head(struct http2_sess *h, struct http2_stream *st, bool end)
{
	if (st->head_done || st->head == NULL)
		return;
	st->head->has_body = !end;
	if (h->server) {
		st->head_done = true;
	} else if (st->head->status / 100 == 1) {
		if (st->head->status == 100)
			h->ops->head(st);
		return;
	} else {
		st->head_done = true;
		if (st->head_error != 0) {
			nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, st->id,
						  NGHTTP2_PROTOCOL_ERROR);
			return;
		}
	}
	h->ops->head(st);
}

static void
on_ping(struct http2_sess *h, const nghttp2_frame *f)
{
	if (!(f->hd.flags & NGHTTP2_FLAG_ACK))
		return;
	h->ping_ns = 0;
	if (!h->draining || h->final_goaway ||
	    memcmp(f->ping.opaque_data, drain_ping, sizeof(drain_ping)) != 0)
		return;
	/* What the peer opened before it saw the first GOAWAY has arrived. */
	h->final_goaway = true;
	nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(h->ng), NGHTTP2_NO_ERROR,
			      NULL, 0);
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct http2_sess *h = arg;
	struct http2_stream *st = f->hd.stream_id > 0 ? find(ng, f->hd.stream_id) : NULL;
	bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;

	switch (f->hd.type) {
	case NGHTTP2_HEADERS:
		if (st != NULL)
			on_head(h, st, end);
		/* fallthrough */
	case NGHTTP2_DATA:
		if (st != NULL && end)
			stream_got_end(&st->s);
		break;
	case NGHTTP2_SETTINGS:
		if (!h->is_up && !(f->hd.flags & NGHTTP2_FLAG_ACK)) {
			h->is_up = true;
			h->ops->up(h);
		}
		break;
	case NGHTTP2_PING:
		on_ping(h, f);
		break;
	case NGHTTP2_GOAWAY:
		h->ops->goaway(h);
		break;
	default:
		break;
	}
	return 0;
}

static int
on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	struct http2_stream *st = find(ng, id);

	(void)flags;
	(void)arg;
	if (nghttp2_session_consume_connection(ng, n) != 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (st == NULL || st->s.dead)
		return 0;
	st->rx += n;
	stream_add_bytes(st->s.in, p, n);
	stream_got(&st->s);
	return 0;
}

static int
on_frame_send(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct http2_sess *h = arg;
	struct http2_stream *st;

	if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
		return 0;
	st = find(ng, f->hd.stream_id);
	if (st == NULL)
		return 0;
	st->sent = true;
	if (!(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	st->local_end = true;
	/* RFC 9113 8.1: a whole answer, and no wish for the rest of the request */
	if (h->server && !st->s.peer_ended)
		nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
	return 0;
}

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct http2_stream *st = find(ng, id);
	char why[80];

	(void)arg;
	if (st == NULL)
		return 0;
	nghttp2_session_set_stream_user_data(ng, id, NULL);
	snprintf(why, sizeof(why), "the stream was reset (%s)", nghttp2_http2_strerror(code));
	http2_stream_closed(st, code, why);
	return 0;
}

static ssize_t
choose_length(nghttp2_session *ng, uint8_t type, int32_t id, int32_t conn_window,
	      int32_t stream_window, uint32_t max_frame, void *arg)
{
	uint32_t room = (uint32_t)MIN(conn_window, stream_window);

	(void)ng;
	(void)type;
	(void)id;
	(void)arg;
	return (ssize_t)MIN(room, MIN(max_frame, HTTP2_MAX_DATA));
}

/* The payload goes from the stream's queue to the socket's without passing through nghttp2. */
static int
send_data(nghttp2_session *ng, nghttp2_frame *f, const uint8_t *head, size_t length,
	  nghttp2_data_source *source, void *arg)
{
	struct http2_sess *h = arg;
	struct http2_stream *st = find(ng, f->hd.stream_id);

	(void)source;
	if (stream_queued(h->tr) >= STREAM_HIGH)
		return NGHTTP2_ERR_WOULDBLOCK;
	if (st == NULL || evbuffer_get_length(st->s.out) < length)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	stream_add_bytes(h->tr->out, head, 9);
	if (length > 0)
		stream_move_bytes(h->tr->out, st->s.out, length);
	h->queued += 9 + length;
	st->tx += length;
	st->flush_at = h->queued;
	if (evbuffer_get_length(st->s.out) == 0 && !st->flushing) {
		st->flushing = true;
		TAILQ_INSERT_TAIL(&h->flush, st, flush_link);
	}
	stream_sent(&st->s, false);
	return 0;
}

void
http2_sess_down(struct http2_sess *h, const char *why)
{
	struct http2_stream *st;

	if (h->is_down)
		return;
	h->is_down = true;
	loop_task_revoke(h->loop, &h->send);
	while ((st = TAILQ_FIRST(&h->streams)) != NULL)
		http2_stream_closed(st, NGHTTP2_INTERNAL_ERROR, why);
	stream_free(&h->tr);
	h->ops->down(h, why);
}

/* Moves what nghttp2 has to say into the socket's queue, up to the mark. */
static void
on_send(void *arg)
{
	struct http2_sess *h = arg;
	const uint8_t *p;
	ssize_t n = 1;

	while (n > 0 && stream_queued(h->tr) < STREAM_HIGH) {
		n = nghttp2_session_mem_send(h->ng, &p);
		if (n > 0) {
			stream_add_bytes(h->tr->out, p, (size_t)n);
			h->queued += (uint64_t)n;
		}
	}
	if (n < 0) {
		http2_sess_down(h, nghttp2_strerror((int)n));
		return;
	}
	if (stream_queued(h->tr) > 0)
		stream_added(h->tr);
	else if (!nghttp2_session_want_read(h->ng) && !nghttp2_session_want_write(h->ng))
		http2_sess_down(h, "the connection was closed in order");
}

static void
receive(struct http2_sess *h)
{
	while (stream_readable(h->tr) > 0) {
		struct slice in = stream_peek(h->tr, 0);
		ssize_t n = nghttp2_session_mem_recv(h->ng, in.p, in.len);

		if (n < 0) {
			http2_sess_down(h, nghttp2_strerror((int)n));
			return;
		}
		h->rx += in.len;
		stream_take(h->tr, in.len);
	}
	h->last_rx_ns = clock_boot_ns();
	if (stream_peer_ended(h->tr)) {
		http2_sess_down(h, "the peer closed the connection");
		return;
	}
	loop_task_put(h->loop, &h->send);
}

static void
on_transport(struct stream *s, enum stream_event e, void *arg)
{
	struct http2_sess *h = arg;

	switch (e) {
	case STREAM_READABLE:
		receive(h);
		break;
	case STREAM_WRITABLE:
	case STREAM_DRAINED:
		http2_stream_flushed(h);
		loop_task_put(h->loop, &h->send);
		break;
	case STREAM_DEAD:
		http2_sess_down(h, stream_why(s));
		break;
	}
}

static nghttp2_session *
make_session(struct http2_sess *h)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;
	nghttp2_session *ng;

	CHECK(nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&opt) == 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_data_source_read_length_callback(cb, choose_length);
	nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_option_set_peer_max_concurrent_streams(opt, HTTP2_MAX_STREAMS);
	nghttp2_option_set_stream_reset_rate_limit(opt, RESET_BURST, RESET_RATE);
	CHECK((h->server ? nghttp2_session_server_new2(&ng, cb, h, opt)
			 : nghttp2_session_client_new2(&ng, cb, h, opt)) == 0);
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(opt);
	return ng;
}

struct http2_sess *
http2_sess_new(struct loop *l, int fd, bool server, const struct http2_ops *ops, void *owner)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_MAX_STREAMS },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_FRAME_SIZE, HTTP2_MAX_FRAME },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_MAX_HEAD },
	};
	struct http2_sess *h = MEM_NEW(struct http2_sess);
	size_t skip = server ? 1 : 0; /* only a client speaks of push */

	h->loop = l;
	h->ops = ops;
	h->owner = owner;
	h->server = server;
	h->last_rx_ns = clock_boot_ns();
	TAILQ_INIT(&h->streams);
	TAILQ_INIT(&h->flush);
	loop_task_init(&h->send, on_send, h);
	h->ng = make_session(h);
	CHECK(nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings + skip,
				      COUNT(settings) - skip) == 0);
	CHECK(nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0,
						    HTTP2_CONN_WINDOW) == 0);
	h->tr = stream_open_fd(l, fd, fd);
	stream_on(h->tr, on_transport, h);
	loop_task_put(l, &h->send);
	return h;
}

static void
free_late(void *arg)
{
	struct http2_sess *h = arg;

	nghttp2_session_del(h->ng);
	free(h);
}

void
http2_sess_free(struct http2_sess **hp)
{
	struct http2_sess *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	CHECK(h->is_down);
	/* nghttp2 may be on the stack */
	loop_defer(h->loop, free_late, h);
}

void
http2_sess_drain(struct http2_sess *h)
{
	if (h->draining || h->is_down)
		return;
	h->draining = true;
	nghttp2_submit_shutdown_notice(h->ng);
	nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, drain_ping);
	loop_task_put(h->loop, &h->send);
}

void
http2_sess_ping(struct http2_sess *h)
{
	if (h->is_down || h->ping_ns != 0)
		return;
	h->ping_ns = clock_boot_ns();
	nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL);
	loop_task_put(h->loop, &h->send);
}
