/* The exchange: what http_server.h promises, whatever the connection speaks. */
#include "gitproto/net/http_server_impl.h"

#include "gitproto/base/mem.h"

static void
on_start(void *arg)
{
	struct http_xchg *x = OBJ_FROM(arg, struct http_xchg, HTTP_XCHG_MAGIC);
	const struct http_server_opts *o;
	struct buf text = BUF_MAX(sizeof(x->refuse.text) + 1);

	if (x->refuse_status == 0) {
		o = &x->conn->srv->opts;
		o->handler(x, o->arg);
		return;
	}
	buf_addf(&text, "%s\n", err_text(&x->refuse));
	http_xchg_reply(x, x->refuse_status, NULL, "text/plain; charset=utf-8", buf_slice(&text));
	buf_release(&text);
}

void
http_xchg_begin(struct http_xchg *x, struct http_conn *c, const struct http_xchg_ops *ops,
		struct http_head **req, struct stream *s)
{
	x->magic = HTTP_XCHG_MAGIC;
	x->ops = ops;
	x->conn = c;
	x->req = *req;
	*req = NULL;
	x->stream = s;
	x->counted = true;
	c->srv->nactive++;
	loop_task_init(&x->start, on_start, x);
	loop_task_put(c->srv->loop, &x->start);
}

void
http_xchg_end(struct http_xchg *x)
{
	void (*fn)(void *) = x->close_fn;
	struct http_server *srv = x->conn->srv;

	loop_task_revoke(srv->loop, &x->start);
	if (x->counted)
		srv->nactive--;
	x->counted = false;
	x->close_fn = NULL;
	if (fn != NULL)
		fn(x->close_arg);
	http_head_free(&x->req);
}

const struct http_head *
http_xchg_request(const struct http_xchg *x)
{
	return x->req;
}

const char *
http_xchg_peer(const struct http_xchg *x)
{
	return x->conn->peer;
}

struct stream *
http_xchg_stream(struct http_xchg *x)
{
	return x->stream;
}

void
http_xchg_on_close(struct http_xchg *x, void (*fn)(void *arg), void *arg)
{
	x->close_fn = fn;
	x->close_arg = arg;
}

void
http_xchg_continue(struct http_xchg *x)
{
	if (x->continued || x->responded)
		return;
	x->continued = true;
	if (!stream_is_dead(x->stream))
		x->ops->send_continue(x);
}

void
http_xchg_respond(struct http_xchg *x, const struct http_head *head)
{
	CHECK(!x->responded);
	CHECK(head->status >= 200 && head->status <= 599);
	x->responded = true;
	if (!stream_is_dead(x->stream))
		x->ops->respond(x, head);
}

void
http_xchg_reply(struct http_xchg *x, int status, const struct http_head *extra,
		const char *content_type, struct slice body)
{
	struct http_head *h = http_head_new();

	for (unsigned i = 0; extra != NULL && i < extra->nfields; i++)
		CHECK(http_head_add(h, extra->fields[i].name, extra->fields[i].value) == 0);
	h->status = status;
	if (!http_status_bodiless(status))
		h->content_length = (int64_t)body.len;
	if (content_type != NULL && body.len > 0)
		http_head_addf(h, "content-type", "%s", content_type);
	http_xchg_respond(x, h);
	http_head_free(&h);
	stream_write(x->stream, body);
	stream_end(x->stream);
}

void
http_xchg_reply_err(struct http_xchg *x, const struct err *e)
{
	struct buf text = BUF_MAX(sizeof(e->text) + 1);

	buf_addf(&text, "%s\n", err_text(e));
	http_xchg_reply(x, err_http_status(e->code), NULL, "text/plain; charset=utf-8",
			buf_slice(&text));
	buf_release(&text);
}

bool
http_xchg_responded(const struct http_xchg *x)
{
	return x->responded;
}
