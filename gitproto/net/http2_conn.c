/* A server's HTTP/2 connection: a session, and an exchange for each of its streams. */
#include "gitproto/net/http_server_impl.h"

#include <strings.h>

#include "gitproto/base/mem.h"
#include "gitproto/net/http2_sess.h"

struct h2_xchg {
	struct http_xchg x;
	struct http2_stream st;
	struct http2_conn *conn;
	TAILQ_ENTRY(h2_xchg) link;
	struct loop_task finish;
	bool begun; /* the handler knows of it */
	uint64_t rx_was, tx_was;
	unsigned idle_msec; /* without progress, while it is the peer's turn */
};

struct http2_conn {
	unsigned magic;
#define HTTP2_CONN_MAGIC 0x22c0272eu
	struct http_conn c;
	struct loop *loop;
	struct http2_sess *h2; /* owned */
	TAILQ_HEAD(, h2_xchg) xchgs;
	struct timer *timer; /* looks for what stands still */
	unsigned period;     /* of it, msec */
	uint64_t rx_was;
	unsigned idle_msec;
	bool down;
};

static struct h2_xchg *
of(struct http2_stream *st)
{
	return CONTAINER_OF(st, struct h2_xchg, st);
}

static void
end_if_empty(struct http2_conn *c)
{
	if (!c->down || !TAILQ_EMPTY(&c->xchgs) || c->magic == 0)
		return;
	http_server_remove(&c->c);
	timer_free(&c->timer);
	http2_sess_free(&c->h2);
	c->magic = 0;
	loop_defer(c->loop, free, c);
}

static void
on_finish(void *arg)
{
	struct h2_xchg *x = arg;
	struct http2_conn *c = x->conn;

	loop_task_revoke(c->loop, &x->finish);
	TAILQ_REMOVE(&c->xchgs, x, link);
	if (x->begun)
		http_xchg_end(&x->x);
	http2_stream_release(&x->st);
	loop_defer(c->loop, free, x);
	end_if_empty(c);
}

static struct http2_stream *
sess_open(struct http2_sess *h)
{
	struct http2_conn *c = h->owner;
	struct h2_xchg *x = MEM_NEW(struct h2_xchg);

	x->conn = c;
	loop_task_init(&x->finish, on_finish, x);
	http2_stream_init(&x->st, c->loop);
	TAILQ_INSERT_TAIL(&c->xchgs, x, link);
	return &x->st;
}

static void
xchg_respond(struct http_xchg *base, const struct http_head *h)
{
	struct h2_xchg *x = CONTAINER_OF(base, struct h2_xchg, x);

	http2_stream_respond(&x->st, h,
			     strcmp(base->req->method, "HEAD") == 0 ||
				     http_status_bodiless(h->status));
}

static void
xchg_continue(struct http_xchg *base)
{
	http2_stream_continue(&CONTAINER_OF(base, struct h2_xchg, x)->st);
}

static const struct http_xchg_ops xchg_ops = {
	.respond = xchg_respond,
	.send_continue = xchg_continue,
};

static void
sess_head(struct http2_stream *st)
{
	struct h2_xchg *x = of(st);
	const char *expect;

	if (st->head->target == NULL && st->head_error == 0)
		st->head_error = ERR_BAD; /* CONNECT */
	expect = http_head_get(st->head, "expect");
	x->begun = true;
	http_xchg_begin(&x->x, &x->conn->c, &xchg_ops, &st->head, &st->s);
	x->x.wants_continue = expect != NULL && strcasecmp(expect, "100-continue") == 0;
	if (st->head_error == 0)
		return;
	x->x.refuse_status = st->head_error == ERR_TOO_BIG ? 431 : 400;
	err_set(&x->x.refuse, st->head_error, "%s",
		st->head_error == ERR_TOO_BIG ? "the request head is over a limit"
					      : "the request head is malformed");
}

static void
sess_closed(struct http2_stream *st, uint32_t code)
{
	(void)code;
	/* after the stream's last events, which were put before */
	loop_task_put(of(st)->conn->loop, &of(st)->finish);
}

static void
sess_up(struct http2_sess *h)
{
	(void)h;
}

static void
sess_down(struct http2_sess *h, const char *why)
{
	struct http2_conn *c = h->owner;

	(void)why;
	c->down = true;
	end_if_empty(c);
}

static const struct http2_ops sess_ops = {
	.open = sess_open,
	.head = sess_head,
	.closed = sess_closed,
	.up = sess_up,
	.goaway = sess_up,
	.down = sess_down,
};

static bool
waits_for_peer(const struct h2_xchg *x)
{
	const struct stream *s = &x->st.s;

	if (evbuffer_get_length(s->out) > 0 && x->x.responded)
		return true;
	if (s->peer_ended || s->paused || evbuffer_get_length(s->in) > 0)
		return false;
	return !x->x.wants_continue || x->x.continued;
}

static void
check_xchg(struct h2_xchg *x)
{
	bool moved = x->st.rx != x->rx_was || x->st.tx != x->tx_was;

	x->rx_was = x->st.rx;
	x->tx_was = x->st.tx;
	if (moved || !x->begun || !waits_for_peer(x))
		x->idle_msec = 0;
	else
		x->idle_msec += x->conn->period;
	if (x->idle_msec >= x->conn->c.srv->opts.body_msec)
		stream_reset(&x->st.s, "the client made no progress");
}

static void
on_timer(void *arg)
{
	struct http2_conn *c = OBJ_FROM(arg, struct http2_conn, HTTP2_CONN_MAGIC);
	const struct http_server_opts *o = &c->c.srv->opts;
	struct h2_xchg *x;

	if (c->down)
		return;
	TAILQ_FOREACH (x, &c->xchgs, link)
		check_xchg(x);
	if (c->h2->rx != c->rx_was || !TAILQ_EMPTY(&c->xchgs))
		c->idle_msec = 0;
	else
		c->idle_msec += c->period;
	c->rx_was = c->h2->rx;
	timer_set(c->timer, c->period);
	if (!c->h2->is_up && c->idle_msec >= o->head_msec)
		http2_sess_down(c->h2, "no SETTINGS came");
	else if (c->idle_msec >= o->idle_msec && c->h2->draining)
		http2_sess_down(c->h2, "idle");
	else if (c->idle_msec >= o->idle_msec)
		http2_sess_drain(c->h2);
}

static void
drain(struct http_conn *base)
{
	http2_sess_drain(CONTAINER_OF(base, struct http2_conn, c)->h2);
}

static void
close_now(struct http_conn *base)
{
	struct http2_conn *c = CONTAINER_OF(base, struct http2_conn, c);
	struct h2_xchg *x;

	if (!c->down)
		http2_sess_down(c->h2, "the server ends");
	while (c->magic != 0 && (x = TAILQ_FIRST(&c->xchgs)) != NULL)
		on_finish(x);
}

static const struct http_conn_ops conn_ops = {
	.drain = drain,
	.close_now = close_now,
};

void
http2_conn_new(struct http_server *srv, int fd, const struct sock_addr *peer)
{
	struct http2_conn *c = MEM_NEW(struct http2_conn);
	const struct http_server_opts *o = &srv->opts;

	c->magic = HTTP2_CONN_MAGIC;
	c->c.ops = &conn_ops;
	c->loop = srv->loop;
	TAILQ_INIT(&c->xchgs);
	http_server_add(srv, &c->c, peer);
	c->h2 = http2_sess_new(srv->loop, fd, true, &sess_ops, c);
	c->timer = timer_new(srv->loop, on_timer, c);
	c->period = MAX(MIN(o->head_msec, MIN(o->idle_msec, o->body_msec)) / 2, 1u);
	timer_set(c->timer, c->period);
}
