/* A server's HTTP/1.1 connection.  States, and why they change:
 *
 *	HEAD    -> BUSY	   a request head is whole: an exchange begins
 *	BUSY    -> DRAIN   the response is out, the request's body is not whole
 *	BUSY, DRAIN -> HEAD    both are whole and the connection is kept
 *	HEAD, BUSY, DRAIN -> LINGER    it will not be kept: our side is shut, what the client still
 *			   sends is thrown away for a while, so that it reads the answer (a closed
 *			   socket with unread bytes resets, and a reset eats the answer)
 *	any     -> DEAD    the peer is gone or too slow, or the server ends */
#include "gitproto/net/http1_conn_impl.h"

#include "gitproto/base/mem.h"

#define LINGER_BYTES ((size_t)4 * 1024 * 1024)
#define LINGER_MSEC 5000
#define FEED_MAX (64u * 1024) /* bytes that the parser gets at once */

static const uint8_t may[S_NSTATES] = {
	[S_HEAD] = 1u << S_BUSY | 1u << S_LINGER | 1u << S_DEAD,
	[S_BUSY] = 1u << S_DRAIN | 1u << S_HEAD | 1u << S_LINGER | 1u << S_DEAD,
	[S_DRAIN] = 1u << S_HEAD | 1u << S_LINGER | 1u << S_DEAD,
	[S_LINGER] = 1u << S_DEAD,
};

static void on_body(struct slice, void *);
static void feed(struct http1_conn *);
static void refuse(struct http1_conn *);

static void
enter(struct http1_conn *c, enum http1_state s)
{
	CHECK(may[c->state] & 1u << s);
	c->state = s;
}

static void
free_conn(struct http1_conn *c)
{
	http1_parse_release(&c->parse);
	c->magic = 0;
	loop_defer(c->loop, free, c);
}

/* The end of an exchange: the handler's close callback, then nothing of it is left. */
static void
finish_xchg(struct http1_conn *c)
{
	struct http1_xchg *x = c->x;

	loop_task_revoke(c->loop, &x->finish);
	c->x = NULL; /* the callback may end the server and with it this connection */
	http_xchg_end(&x->x);
	stream_release(&x->body);
	loop_defer(c->loop, free, x);
}

static void
conn_die(struct http1_conn *c, const char *why)
{
	if (c->state == S_DEAD)
		return;
	enter(c, S_DEAD);
	stream_free(&c->tr);
	timer_free(&c->timer);
	if (c->x != NULL) {
		/* DEAD is told first, by a task that was put before this one */
		stream_die(&c->x->body, why);
		loop_task_put(c->loop, &c->x->finish);
		return;
	}
	http_server_remove(&c->c);
	free_conn(c);
}

static void
start_linger(struct http1_conn *c)
{
	enter(c, S_LINGER);
	c->drain_left = LINGER_BYTES;
	stream_end(c->tr);
	stream_pause(c->tr, false);
	timer_set(c->timer, LINGER_MSEC);
	feed(c);
}

static void
next_request(struct http1_conn *c)
{
	http1_parse_release(&c->parse);
	http1_parse_init(&c->parse, on_body, c);
	enter(c, S_HEAD);
	if (c->c.srv->draining) {
		start_linger(c);
		return;
	}
	timer_set(c->timer,
		  stream_readable(c->tr) > 0 ? c->c.srv->opts.head_msec : c->c.srv->opts.idle_msec);
	feed(c);
}

/* From a task, after the response has gone to the kernel or the connection died. */
static void
on_finish(void *arg)
{
	struct http1_xchg *x = arg;
	struct http1_conn *c = x->conn;
	bool keep, broken = x->broken;

	finish_xchg(c);
	if (c->magic == 0)
		return;
	if (c->state == S_DEAD) {
		http_server_remove(&c->c);
		free_conn(c);
		return;
	}
	if (broken) {
		refuse(c);
		return;
	}
	keep = c->keep && !c->c.srv->draining;
	if (!keep) {
		start_linger(c);
	} else if (c->parse.done) {
		next_request(c);
	} else {
		enter(c, S_DRAIN);
		c->drain_left = LINGER_BYTES;
		timer_set(c->timer, LINGER_MSEC);
		feed(c);
	}
}

/* Answers what never became an exchange. */
static void
refuse(struct http1_conn *c)
{
	char head[320];
	const char *text = err_text(&c->parse.err);
	int status = c->parse.status != 0 ? c->parse.status : 400;
	int n = snprintf(head, sizeof(head),
			 "HTTP/1.1 %d %s\r\ndate: %s\r\ncontent-type: text/plain; charset=utf-8\r\n"
			 "content-length: %zu\r\nconnection: close\r\n\r\n",
			 status, http_reason(status), http_server_date(), strlen(text) + 1);

	CHECK(n > 0 && (size_t)n < sizeof(head));
	stream_write(c->tr, slice_of(head, (size_t)n));
	stream_write(c->tr, slice_str(text));
	stream_write(c->tr, SLICE_LIT("\n"));
	start_linger(c);
}

/* Body bytes from the parser. */
static void
on_body(struct slice s, void *arg)
{
	struct http1_conn *c = arg;

	c->rx += s.len;
	if (c->state == S_BUSY && !c->x->body.dead)
		stream_add_bytes(c->x->body.in, s.p, s.len);
}

/* --- the exchange's stream --- */

static struct http1_xchg *
of_body(struct stream *s)
{
	return CONTAINER_OF(s, struct http1_xchg, body);
}

static void
body_took(struct stream *s, size_t n)
{
	struct http1_conn *c = of_body(s)->conn;

	(void)n;
	/* never from inside a call: the transport's event feeds it */
	if (c->state == S_BUSY && !c->parse.done && stream_readable(c->tr) > 0)
		stream_got(c->tr);
}

static void
body_pump(struct stream *s)
{
	if (of_body(s)->conn->state == S_BUSY)
		http1_xchg_pump(of_body(s)->conn);
}

static void
body_reset(struct stream *s)
{
	/* Without its last chunk the client sees that the answer was cut. */
	struct http1_conn *c = of_body(s)->conn;

	if (c->state == S_BUSY)
		stream_reset(c->tr, "reset"); /* its DEAD comes from the loop */
}

static const struct stream_ops body_ops = {
	.took = body_took,
	.pump = body_pump,
	.reset = body_reset,
};

static void
on_drained(struct http1_conn *c)
{
	struct http1_xchg *x = c->x;

	if (c->state == S_LINGER && stream_peer_ended(c->tr))
		conn_die(c, "the client closed the connection");
	if (c->state != S_BUSY || x->finishing)
		return;
	http1_xchg_pump(c);
	if (stream_queued(c->tr) > 0 || evbuffer_get_length(x->body.out) > 0 || !x->head_out)
		return;
	stream_sent(&x->body, true);
	if (x->all_out) {
		x->finishing = true;
		loop_task_put(c->loop, &x->finish);
	}
}

/* --- the request --- */

static void
begin_xchg(struct http1_conn *c)
{
	struct http1_xchg *x = MEM_NEW(struct http1_xchg);

	enter(c, S_BUSY);
	c->x = x;
	x->conn = c;
	loop_task_init(&x->finish, on_finish, x);
	stream_init(&x->body, c->loop, &body_ops);
	http_xchg_begin(&x->x, &c->c, &http1_xchg_ops, &c->parse.head, &x->body);
	x->x.wants_continue = c->parse.facts.expect_continue;
	if (c->parse.done)
		stream_got_end(&x->body);
	c->idle_once = false;
	timer_set(c->timer, MAX(c->c.srv->opts.body_msec / 2, 1u));
}

/* true: go on feeding */
static bool
feed_head(struct http1_conn *c)
{
	size_t all = stream_readable(c->tr);
	ssize_t n;

	if (c->parse.scan.seen == 0)
		timer_set(c->timer, c->c.srv->opts.head_msec);
	n = http1_parse_head(&c->parse, stream_peek(c->tr, all));
	if (n < 0) {
		refuse(c);
		return false;
	}
	if (n == 0)
		return false;
	stream_take(c->tr, (size_t)n);
	begin_xchg(c);
	return true;
}

/* A body that breaks its framing: nothing after it can be trusted. */
static void
broken_body(struct http1_conn *c)
{
	struct http1_xchg *x = c->x;

	if (c->state == S_BUSY && !x->x.responded) {
		/* the handler hears of a death, then the client gets the reason */
		x->broken = x->finishing = true;
		stream_die(&x->body, err_text(&c->parse.err));
		loop_task_put(c->loop, &x->finish);
		return;
	}
	conn_die(c, err_text(&c->parse.err));
}

static bool
feed_body(struct http1_conn *c)
{
	struct stream *body = c->state == S_BUSY ? &c->x->body : NULL;
	struct slice in;
	ssize_t n;

	if (c->parse.done || (body != NULL && c->x->broken) ||
	    (body != NULL && (body->paused || evbuffer_get_length(body->in) >= STREAM_HIGH)))
		return false;
	in = slice_head(stream_peek(c->tr, 0), FEED_MAX);
	n = http1_parse_body(&c->parse, in);
	if (n < 0) {
		broken_body(c);
		return false;
	}
	stream_take(c->tr, (size_t)n);
	if (body != NULL) {
		if (evbuffer_get_length(body->in) > 0)
			stream_got(body);
		if (c->parse.done)
			stream_got_end(body);
		return true;
	}
	if (c->parse.done) {
		next_request(c);
		return false;
	}
	c->drain_left -= MIN(c->drain_left, (size_t)n);
	if (c->drain_left == 0)
		start_linger(c);
	return c->drain_left > 0;
}

static bool
feed_linger(struct http1_conn *c)
{
	size_t n = stream_readable(c->tr);

	stream_take(c->tr, n);
	c->drain_left -= MIN(c->drain_left, n);
	if (c->drain_left == 0)
		conn_die(c, "the client goes on sending after the answer");
	return c->state == S_LINGER;
}

/* The client ended its side. */
static void
feed_end(struct http1_conn *c)
{
	switch (c->state) {
	case S_BUSY:
		/* Whoever has asked and shut its side may still wait for the answer. */
		c->keep = false;
		if (!c->parse.done)
			conn_die(c, "the client went away in the middle of its request");
		break;
	case S_LINGER:
		if (stream_queued(c->tr) > 0)
			break; /* DRAINED comes */
			       /* fallthrough */
	case S_HEAD:
	case S_DRAIN:
		conn_die(c, "the client closed the connection");
		break;
	case S_DEAD:
	case S_NSTATES:
		break;
	}
}

static void
feed(struct http1_conn *c)
{
	bool more = true;

	while (more && c->state != S_DEAD && stream_readable(c->tr) > 0) {
		switch (c->state) {
		case S_HEAD:
			more = feed_head(c);
			break;
		case S_BUSY:
		case S_DRAIN:
			more = feed_body(c);
			break;
		case S_LINGER:
			more = feed_linger(c);
			break;
		case S_DEAD:
		case S_NSTATES:
			return;
		}
	}
	if (c->state != S_DEAD && stream_peer_ended(c->tr) &&
	    (stream_readable(c->tr) == 0 || c->state == S_HEAD))
		feed_end(c);
}

static void
on_transport(struct stream *s, enum stream_event e, void *arg)
{
	struct http1_conn *c = OBJ_FROM(arg, struct http1_conn, HTTP1_CONN_MAGIC);

	switch (e) {
	case STREAM_READABLE:
		feed(c);
		break;
	case STREAM_WRITABLE:
		if (c->state == S_BUSY)
			http1_xchg_pump(c);
		break;
	case STREAM_DRAINED:
		on_drained(c);
		break;
	case STREAM_DEAD:
		conn_die(c, stream_why(s));
		break;
	}
}

/* --- deadlines --- */

/* Is it the client's turn? */
static bool
waits_for_client(const struct http1_conn *c)
{
	const struct http1_xchg *x = c->x;

	if (stream_queued(c->tr) > 0)
		return true;
	if (c->parse.done || x->body.paused || evbuffer_get_length(x->body.in) >= STREAM_HIGH)
		return false;
	return !x->x.wants_continue || x->x.continued;
}

static void
check_progress(struct http1_conn *c)
{
	uint64_t tx = c->tx - MIN(c->tx, (uint64_t)stream_queued(c->tr));
	bool moved = c->rx != c->rx_was || tx != c->tx_was;

	c->rx_was = c->rx;
	c->tx_was = tx;
	if (moved || !waits_for_client(c)) {
		c->idle_once = false;
	} else if (c->idle_once) {
		conn_die(c, "the client made no progress");
		return;
	} else {
		c->idle_once = true;
	}
	timer_set(c->timer, MAX(c->c.srv->opts.body_msec / 2, 1u));
}

static void
on_timer(void *arg)
{
	struct http1_conn *c = OBJ_FROM(arg, struct http1_conn, HTTP1_CONN_MAGIC);

	switch (c->state) {
	case S_HEAD:
		if (stream_readable(c->tr) == 0) {
			conn_die(c, "idle");
			return;
		}
		c->parse.status = 408;
		err_set(&c->parse.err, ERR_TIMEOUT, "the request head took too long");
		refuse(c);
		break;
	case S_BUSY:
		check_progress(c);
		break;
	case S_DRAIN:
		start_linger(c);
		break;
	case S_LINGER:
		conn_die(c, "lingered long enough");
		break;
	case S_DEAD:
	case S_NSTATES:
		break;
	}
}

/* --- the server's side of it --- */

static void
drain(struct http_conn *base)
{
	struct http1_conn *c = CONTAINER_OF(base, struct http1_conn, c);

	if (c->state == S_HEAD && stream_readable(c->tr) == 0)
		start_linger(c);
}

static void
close_now(struct http_conn *base)
{
	struct http1_conn *c = CONTAINER_OF(base, struct http1_conn, c);

	conn_die(c, "the server ends");
	if (c->magic == 0)
		return; /* no exchange: gone already */
	finish_xchg(c);
	if (c->magic == 0)
		return;
	http_server_remove(&c->c);
	free_conn(c);
}

static const struct http_conn_ops conn_ops = {
	.drain = drain,
	.close_now = close_now,
};

void
http1_conn_new(struct http_server *srv, int fd, const struct sock_addr *peer)
{
	struct http1_conn *c = MEM_NEW(struct http1_conn);

	c->magic = HTTP1_CONN_MAGIC;
	c->c.ops = &conn_ops;
	c->loop = srv->loop;
	http1_parse_init(&c->parse, on_body, c);
	http_server_add(srv, &c->c, peer);
	c->timer = timer_new(srv->loop, on_timer, c);
	timer_set(c->timer, srv->opts.idle_msec);
	c->tr = stream_open_fd(srv->loop, fd, fd);
	stream_on(c->tr, on_transport, c);
}
