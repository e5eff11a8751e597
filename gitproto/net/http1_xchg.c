/* The answer to one HTTP/1.1 request: its head, and its body in one of four framings. */
#include "gitproto/net/http1_conn_impl.h"

#include <inttypes.h>

#define CHUNK_MAX (64u * 1024)

static enum http1_framing
choose_framing(const struct http1_xchg *x, const struct http_head *h)
{
	if (strcmp(x->x.req->method, "HEAD") == 0 || http_status_bodiless(h->status))
		return FR_NONE;
	if (h->content_length >= 0)
		return FR_LENGTH;
	return x->conn->parse.facts.minor >= 1 ? FR_CHUNKED : FR_CLOSE;
}

/* Whether the connection can serve another request after this answer. */
static bool
can_keep(const struct http1_xchg *x, const struct http_head *h)
{
	const struct http1_conn *c = x->conn;

	if (!c->parse.keep_alive || c->c.srv->draining || x->framing == FR_CLOSE)
		return false;
	if (c->parse.done)
		return true;
	/* Not told to go on, a client may send the body or not: the next bytes would be either. */
	if (x->x.wants_continue && !x->x.continued)
		return false;
	return h->status < 400;
}

static void
write_head(struct http1_xchg *x, const struct http_head *h)
{
	struct http1_conn *c = x->conn;
	struct evbuffer *out = c->tr->out;

	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\ndate: %s\r\n", h->status,
			    http_reason(h->status), http_server_date());
	for (unsigned i = 0; i < h->nfields; i++)
		if (http_server_may_write(&h->fields[i]))
			evbuffer_add_printf(out, "%s: %s\r\n", h->fields[i].name,
					    h->fields[i].value);
	if (h->content_length >= 0 && !http_status_bodiless(h->status))
		evbuffer_add_printf(out, "content-length: %" PRId64 "\r\n", h->content_length);
	else if (x->framing == FR_CHUNKED)
		evbuffer_add_printf(out, "transfer-encoding: chunked\r\n");
	if (!c->keep)
		evbuffer_add_printf(out, "connection: close\r\n");
	else if (c->parse.facts.minor == 0)
		evbuffer_add_printf(out, "connection: keep-alive\r\n");
	stream_write(c->tr, SLICE_LIT("\r\n"));
}

static void
xchg_respond(struct http_xchg *base, const struct http_head *h)
{
	struct http1_xchg *x = CONTAINER_OF(base, struct http1_xchg, x);
	struct http1_conn *c = x->conn;

	if (c->state != S_BUSY)
		return;
	x->framing = choose_framing(x, h);
	x->left = x->framing == FR_LENGTH ? (uint64_t)h->content_length : 0;
	c->keep = can_keep(x, h);
	write_head(x, h);
	x->head_out = true;
	http1_xchg_pump(c);
}

static void
xchg_continue(struct http_xchg *base)
{
	struct http1_conn *c = CONTAINER_OF(base, struct http1_xchg, x)->conn;

	if (base->wants_continue && c->state == S_BUSY)
		stream_write(c->tr, SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
}

const struct http_xchg_ops http1_xchg_ops = {
	.respond = xchg_respond,
	.send_continue = xchg_continue,
};

/* One piece of the body in its framing; the bytes are there. */
static void
frame_piece(struct http1_xchg *x, size_t n)
{
	struct evbuffer *from = x->body.out, *to = x->conn->tr->out;
	size_t send = n;

	if (x->framing == FR_NONE)
		send = 0;
	if (x->framing == FR_LENGTH)
		send = (size_t)MIN((uint64_t)n, x->left);
	if (x->framing == FR_CHUNKED)
		evbuffer_add_printf(to, "%zx\r\n", n);
	stream_move_bytes(to, from, send);
	evbuffer_drain(from, n - send); /* more than was announced */
	x->left -= x->framing == FR_LENGTH ? send : 0;
	if (x->framing == FR_CHUNKED)
		stream_add_bytes(to, "\r\n", 2);
	x->conn->tx += send;
}

static void
end_body(struct http1_xchg *x)
{
	struct http1_conn *c = x->conn;

	x->all_out = true;
	if (x->framing == FR_CHUNKED)
		stream_write(c->tr, SLICE_LIT("0\r\n\r\n"));
	if (x->framing == FR_LENGTH && x->left > 0)
		c->keep = false; /* cut short: the client must see it */
}

void
http1_xchg_pump(struct http1_conn *c)
{
	struct http1_xchg *x = c->x;
	size_t n, moved = 0;

	if (!x->head_out || x->all_out || x->body.dead)
		return;
	while ((n = evbuffer_get_length(x->body.out)) > 0 && stream_queued(c->tr) < STREAM_HIGH) {
		n = MIN(n, CHUNK_MAX);
		frame_piece(x, n);
		moved += n;
	}
	if (evbuffer_get_length(x->body.out) == 0 && x->body.ended)
		end_body(x);
	if (moved > 0)
		stream_sent(&x->body, false);
	/* with nothing added too: DRAINED follows, which ends the exchange */
	if (moved > 0 || x->all_out)
		stream_added(c->tr);
}
