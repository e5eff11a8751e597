#include "gitproto/net/http_server.h"

#include <errno.h>
#include <unistd.h>

#include <event2/event.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/http_server_impl.h"

#define ACCEPTS_PER_EVENT 32
#define ACCEPT_AGAIN_MSEC 100

static void
turn_away(int fd, const struct sock_addr *peer, const char *why)
{
	static __thread struct log_rate rate;
	char text[SOCK_TEXT];

	close(fd);
	if (!log_rate_ok(&rate, 5, "connection_refused"))
		return;
	sock_format(text, peer);
	log_warn("-", "connection_refused", "peer=%s why=%s", text, why);
}

static void
welcome(struct http_server *srv, int fd, const struct sock_addr *peer)
{
	if (!srv->opts.insecure && !sock_is_loopback(peer))
		turn_away(fd, peer, "not_loopback");
	else if (srv->nconns >= srv->opts.max_conns)
		turn_away(fd, peer, "too_many");
	else if (srv->opts.http2)
		http2_conn_new(srv, fd, peer);
	else
		http1_conn_new(srv, fd, peer);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct http_server *srv = OBJ_FROM(arg, struct http_server, HTTP_SERVER_MAGIC);

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		struct sock_addr peer;
		int c = sock_accept(fd, &peer);

		if (c >= 0) {
			welcome(srv, c, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_error("-", "accept_failed", "listen=%s why=%s", srv->addr,
				  strerror(errno));
			event_del(srv->ev);
			timer_set(srv->again, ACCEPT_AGAIN_MSEC);
			return;
		}
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static void
on_again(void *arg)
{
	struct http_server *srv = OBJ_FROM(arg, struct http_server, HTTP_SERVER_MAGIC);

	if (srv->ev != NULL)
		CHECK(event_add(srv->ev, NULL) == 0);
}

static void
set_defaults(struct http_server_opts *o)
{
	o->idle_msec = o->idle_msec > 0 ? o->idle_msec : 60000;
	o->head_msec = o->head_msec > 0 ? o->head_msec : 20000;
	o->body_msec = o->body_msec > 0 ? o->body_msec : 120000;
	o->max_conns = o->max_conns > 0 ? o->max_conns : 10000;
}

int
http_server_new(struct http_server **out, struct loop *l, const struct http_server_opts *o,
		struct err *e)
{
	struct sock_addr at, bound;
	struct http_server *srv;
	int fd, rc;

	CHECK_LOOP(l);
	rc = sock_parse(&at, o->listen, e);
	if (rc < 0)
		return rc;
	if (!o->insecure && !sock_is_loopback(&at))
		return err_set(
			e, ERR_REFUSED,
			"%s is not a loopback address; without TLS that needs insecure = yes",
			o->listen);
	rc = sock_listen(&fd, &bound, &at, o->reuse_port, e);
	if (rc < 0)
		return rc;
	srv = MEM_NEW(struct http_server);
	srv->magic = HTTP_SERVER_MAGIC;
	srv->loop = l;
	srv->opts = *o;
	srv->opts.listen = NULL; /* the caller's */
	set_defaults(&srv->opts);
	srv->fd = fd;
	srv->port = sock_port(&bound);
	sock_format(srv->addr, &bound);
	TAILQ_INIT(&srv->conns);
	srv->again = timer_new(l, on_again, srv);
	srv->ev = event_new(loop_base(l), fd, EV_READ | EV_PERSIST, on_accept, srv);
	CHECK(srv->ev != NULL && event_add(srv->ev, NULL) == 0);
	*out = srv;
	return 0;
}

const char *
http_server_addr(const struct http_server *srv)
{
	return srv->addr;
}

unsigned
http_server_port(const struct http_server *srv)
{
	return srv->port;
}

unsigned
http_server_active(const struct http_server *srv)
{
	return srv->nactive;
}

static void
stop_listening(struct http_server *srv)
{
	timer_stop(srv->again);
	if (srv->ev == NULL)
		return;
	event_free(srv->ev);
	srv->ev = NULL;
	close(srv->fd);
	srv->fd = -1;
}

void
http_server_drain(struct http_server *srv)
{
	struct http_conn *c, *next;

	CHECK_LOOP(srv->loop);
	if (srv->draining)
		return;
	srv->draining = true;
	stop_listening(srv);
	for (c = TAILQ_FIRST(&srv->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		c->ops->drain(c);
	}
}

void
http_server_free(struct http_server **sp)
{
	struct http_server *srv = *sp;
	struct http_conn *c;

	*sp = NULL;
	if (srv == NULL)
		return;
	CHECK_LOOP(srv->loop);
	stop_listening(srv);
	srv->draining = true;
	while ((c = TAILQ_FIRST(&srv->conns)) != NULL)
		c->ops->close_now(c);
	timer_free(&srv->again);
	/* the accept loop may be on the stack */
	loop_defer(srv->loop, free, srv);
}

void
http_server_add(struct http_server *srv, struct http_conn *c, const struct sock_addr *peer)
{
	c->srv = srv;
	sock_format(c->peer, peer);
	TAILQ_INSERT_TAIL(&srv->conns, c, link);
	srv->nconns++;
}

void
http_server_remove(struct http_conn *c)
{
	if (c->srv == NULL)
		return;
	TAILQ_REMOVE(&c->srv->conns, c, link);
	c->srv->nconns--;
	c->srv = NULL;
}

const char *
http_server_date(void)
{
	static __thread char text[HTTP_DATE];
	static __thread uint64_t second;
	uint64_t now = clock_wall_ms();

	if (second != now / 1000 || text[0] == '\0')
		http_date(text, now);
	second = now / 1000;
	return text;
}

bool
http_server_may_write(const struct http_field *f)
{
	return !http_field_is_hop(f->name) && strcmp(f->name, "date") != 0;
}
