/* Sessions and calls.  A session has at most one connection for new calls (`cur`) and any number
 * of old ones that a GOAWAY has closed for new calls. */
#include "gitproto/net/http_client.h"

#include <nghttp2/nghttp2.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/http2_sess.h"
#include "gitproto/net/sock.h"

#define BACKOFF_MIN 20 /* msec */
#define BACKOFF_MAX 1000

/* One connection. */
struct link {
	unsigned magic;
#define LINK_MAGIC 0x117c5e55u
	struct http_session *session; /* borrowed; NULL once the session is being freed */
	struct loop *loop;
	struct sock_dial *dial; /* owned; while connecting */
	struct http2_sess *h2;  /* owned; after that */
	struct timer *timer;    /* the deadline of connecting, then PINGs */
	struct loop_task up;
	bool is_up;
	uint64_t tick_ns; /* the last look at the PING */
	TAILQ_ENTRY(link) entry;
};

TAILQ_HEAD(call_list, http_call);

struct http_session {
	unsigned magic;
#define HTTP_SESSION_MAGIC 0x4772c11eu
	struct loop *loop;
	struct sock_addr addr;
	char text[SOCK_TEXT];
	struct http_session_opts opts; /* zeros replaced; addr is not kept */
	TAILQ_HEAD(, link) links;
	struct link *cur;         /* one of links; NULL: none */
	struct call_list calls;   /* all */
	struct call_list waiting; /* for a connection, by deadline */
	struct timer *backoff;    /* the next attempt */
	struct timer *deadline;   /* of the first that waits */
	unsigned backoff_msec;
	bool told; /* what on_state was told last */
};

enum { DUE_CONTINUE = 1, DUE_HEAD = 2, DUE_FAILED = 4 };

struct http_call {
	unsigned magic;
#define HTTP_CALL_MAGIC 0xca11ca11u
	struct http2_stream st;
	struct http_session *session; /* borrowed; NULL after it was freed */
	struct http_head *request;    /* owned until it was submitted */
	struct http_head *response;   /* owned */
	bool with_body;
	bool waits;
	bool refused; /* certainly not processed by the peer */
	bool failed;
	unsigned due;      /* DUE_* */
	uint64_t deadline; /* clock_boot_ns, while it waits */
	http_call_fn *fn;
	void *arg;
	TAILQ_ENTRY(http_call) entry, wait_entry;
};

static void connect_now(struct http_session *);

static struct http_call *
of(struct http2_stream *st)
{
	return CONTAINER_OF(st, struct http_call, st);
}

/* --- calls --- */

static void
stop_waiting(struct http_call *c)
{
	if (!c->waits)
		return;
	c->waits = false;
	TAILQ_REMOVE(&c->session->waiting, c, wait_entry);
}

static void
fail_call(struct http_call *c, const char *why)
{
	stop_waiting(c);
	stream_die(&c->st.s, why);
	if (c->failed || c->response != NULL)
		return; /* with a head it is the stream's death alone */
	c->failed = true;
	c->due = DUE_FAILED;
	stream_kick(&c->st.s);
}

/* Before the stream's own events. */
static void
deliver_call(struct http2_stream *st)
{
	static const struct {
		unsigned bit;
		enum http_call_event event;
	} order[] = {
		{ DUE_CONTINUE, CALL_CONTINUE },
		{ DUE_HEAD, CALL_HEAD },
		{ DUE_FAILED, CALL_FAILED },
	};
	struct http_call *c = of(st);

	for (size_t i = 0; i < COUNT(order); i++) {
		if (!(c->due & order[i].bit))
			continue;
		c->due &= ~order[i].bit;
		c->fn(c, order[i].event, c->arg);
		if (c->st.s.released)
			return;
	}
}

static void
submit(struct http_call *c)
{
	int rc = ERR_CLOSED; /* reset while it waited */

	stop_waiting(c);
	if (!c->st.s.dead)
		rc = http2_sess_request(c->session->cur->h2, &c->st, c->request, c->with_body);
	if (rc < 0)
		fail_call(c, "the connection takes no more requests");
	http_head_free(&c->request);
}

static void
set_deadline(struct http_session *s)
{
	struct http_call *c = TAILQ_FIRST(&s->waiting);
	uint64_t now = clock_boot_ns();

	if (c == NULL)
		timer_stop(s->deadline);
	else
		timer_set(s->deadline,
			  c->deadline > now ? (c->deadline - now) / CLOCK_MSEC + 1 : 0);
}

static void
on_deadline(void *arg)
{
	struct http_session *s = OBJ_FROM(arg, struct http_session, HTTP_SESSION_MAGIC);
	uint64_t now = clock_boot_ns();
	struct http_call *c;

	while ((c = TAILQ_FIRST(&s->waiting)) != NULL && c->deadline <= now)
		fail_call(c, "no connection in time");
	set_deadline(s);
}

struct http_call *
http_call_new(struct http_session *s, const struct http_head *head, bool with_body,
	      http_call_fn *fn, void *arg)
{
	struct http_call *c = MEM_NEW(struct http_call);

	CHECK_LOOP(s->loop);
	CHECK(head->target != NULL && head->method[0] != '\0');
	c->magic = HTTP_CALL_MAGIC;
	c->session = s;
	c->with_body = with_body;
	c->fn = fn;
	c->arg = arg;
	http2_stream_init(&c->st, s->loop);
	c->st.first = deliver_call;
	c->st.s.ended = !with_body;
	c->request = http_head_new();
	http_head_request(c->request, head->method, head->target);
	c->request->content_length = head->content_length;
	for (unsigned i = 0; i < head->nfields; i++)
		CHECK(http_head_add(c->request, head->fields[i].name, head->fields[i].value) == 0);
	if (http_head_get(head, "host") == NULL)
		http_head_addf(c->request, "host", "%s", s->text);
	TAILQ_INSERT_TAIL(&s->calls, c, entry);
	if (s->cur != NULL && s->cur->is_up) {
		submit(c);
		return c;
	}
	c->waits = true;
	c->deadline = clock_boot_ns() + s->opts.connect_msec * CLOCK_MSEC;
	TAILQ_INSERT_TAIL(&s->waiting, c, wait_entry);
	if (TAILQ_FIRST(&s->waiting) == c)
		set_deadline(s);
	if (s->cur == NULL && !timer_is_set(s->backoff))
		connect_now(s);
	return c;
}

const struct http_head *
http_call_response(const struct http_call *c)
{
	return c->response;
}

struct stream *
http_call_stream(struct http_call *c)
{
	return &c->st.s;
}

bool
http_call_sent(const struct http_call *c)
{
	return c->st.sent && !c->refused;
}

const char *
http_call_why(const struct http_call *c)
{
	return stream_why(&c->st.s);
}

void
http_call_free(struct http_call **cp)
{
	struct http_call *c = *cp;
	struct loop *l;

	*cp = NULL;
	if (c == NULL)
		return;
	l = c->st.s.loop;
	CHECK_LOOP(l);
	stop_waiting(c);
	if (c->session != NULL)
		TAILQ_REMOVE(&c->session->calls, c, entry);
	http2_stream_release(&c->st);
	http_head_free(&c->request);
	http_head_free(&c->response);
	loop_defer(l, free, c);
}

/* --- connections --- */

static void
tell_state(struct http_session *s, bool connected)
{
	if (s->told == connected)
		return;
	s->told = connected;
	if (s->opts.on_state != NULL)
		s->opts.on_state(s, connected, s->opts.arg);
}

static void
free_link(struct link *k)
{
	if (k->session != NULL)
		TAILQ_REMOVE(&k->session->links, k, entry);
	loop_task_revoke(k->loop, &k->up);
	sock_dial_free(&k->dial);
	http2_sess_free(&k->h2);
	timer_free(&k->timer);
	k->magic = 0;
	loop_defer(k->loop, free, k);
}

static void
retry_later(struct http_session *s)
{
	if (timer_is_set(s->backoff))
		return;
	s->backoff_msec =
		MIN(MAX(s->backoff_msec * 2, (unsigned)BACKOFF_MIN), (unsigned)BACKOFF_MAX);
	timer_set(s->backoff, s->backoff_msec);
}

/* An attempt failed before the connection could carry a call: nothing was sent. */
static void
attempt_failed(struct http_session *s, const char *why)
{
	char text[200];
	struct http_call *c;

	snprintf(text, sizeof(text), "%s: %s", s->text, why);
	while ((c = TAILQ_FIRST(&s->waiting)) != NULL)
		fail_call(c, text);
	retry_later(s);
}

static void
on_up_task(void *arg)
{
	struct link *k = OBJ_FROM(arg, struct link, LINK_MAGIC);
	struct http_session *s = k->session;
	struct http_call *c;

	k->is_up = true;
	k->tick_ns = clock_boot_ns();
	timer_set(k->timer, MAX(s->opts.ping_msec / 2, 1u));
	s->backoff_msec = 0;
	while (k->session != NULL && s->cur == k && (c = TAILQ_FIRST(&s->waiting)) != NULL)
		submit(c);
	set_deadline(s);
	tell_state(s, true);
}

static void
sess_up(struct http2_sess *h)
{
	struct link *k = h->owner;

	loop_task_put(k->loop, &k->up);
}

static void
sess_goaway(struct http2_sess *h)
{
	struct link *k = h->owner;
	struct http_session *s = k->session;

	/* on_state must not run inside nghttp2: the timer's tick tells it */
	if (s == NULL || s->cur != k)
		return;
	s->cur = NULL;
	retry_later(s);
}

static void
sess_head(struct http2_stream *st)
{
	struct http_call *c = of(st);

	if (st->head->status == 100) {
		c->due |= DUE_CONTINUE;
	} else {
		c->response = st->head;
		st->head = NULL;
		c->due |= DUE_HEAD;
	}
	stream_kick(&st->s);
}

static void
sess_closed(struct http2_stream *st, uint32_t code)
{
	struct http_call *c = of(st);

	c->refused = code == NGHTTP2_REFUSED_STREAM;
	if (st->s.dead)
		fail_call(c, stream_why(&st->s));
}

static void
sess_down(struct http2_sess *h, const char *why)
{
	struct link *k = h->owner;
	struct http_session *s = k->session;
	bool was_cur = s != NULL && s->cur == k, was_up = k->is_up;

	free_link(k);
	if (!was_cur)
		return;
	s->cur = NULL;
	if (!was_up) {
		attempt_failed(s, why);
		return;
	}
	retry_later(s);
	tell_state(s, false);
}

static const struct http2_ops ops = {
	.head = sess_head,
	.closed = sess_closed,
	.up = sess_up,
	.goaway = sess_goaway,
	.down = sess_down,
};

static void
check_ping(struct link *k)
{
	uint64_t now = clock_boot_ns(), ping = k->session->opts.ping_msec * CLOCK_MSEC;
	bool late = now - k->tick_ns > ping; /* it was us who stood still */

	k->tick_ns = now;
	timer_set(k->timer, MAX(k->session->opts.ping_msec / 2, 1u));
	if (k->h2->ping_ns != 0 && k->h2->last_rx_ns > k->h2->ping_ns)
		k->h2->ping_ns = 0; /* any byte is a sign of life */
	if (!late && k->h2->ping_ns != 0 && now - k->h2->ping_ns >= ping)
		http2_sess_down(k->h2, "the peer does not answer");
	else if (now - k->h2->last_rx_ns >= ping / 2)
		http2_sess_ping(k->h2);
}

static void
on_link_timer(void *arg)
{
	struct link *k = OBJ_FROM(arg, struct link, LINK_MAGIC);

	if (k->is_up)
		check_ping(k);
	else
		http2_sess_down(k->h2, "no HTTP/2 SETTINGS came in time");
}

static void
on_dialled(int fd, const char *why, void *arg)
{
	struct link *k = OBJ_FROM(arg, struct link, LINK_MAGIC);
	struct http_session *s = k->session;

	sock_dial_free(&k->dial);
	if (fd < 0) {
		s->cur = NULL;
		free_link(k);
		attempt_failed(s, why);
		return;
	}
	k->h2 = http2_sess_new(k->loop, fd, false, &ops, k);
	timer_set(k->timer, s->opts.connect_msec);
}

static void
connect_now(struct http_session *s)
{
	struct link *k = MEM_NEW(struct link);

	CHECK(s->cur == NULL);
	k->magic = LINK_MAGIC;
	k->session = s;
	k->loop = s->loop;
	loop_task_init(&k->up, on_up_task, k);
	k->timer = timer_new(s->loop, on_link_timer, k);
	k->dial = sock_dial_new(s->loop, &s->addr, s->opts.connect_msec, on_dialled, k);
	TAILQ_INSERT_TAIL(&s->links, k, entry);
	s->cur = k;
}

static void
on_backoff(void *arg)
{
	struct http_session *s = OBJ_FROM(arg, struct http_session, HTTP_SESSION_MAGIC);

	if (s->cur == NULL)
		connect_now(s);
	if (s->told && !s->cur->is_up)
		tell_state(s, false); /* after a GOAWAY; may free the session */
}

struct http_session *
http_session_new(struct loop *l, const struct http_session_opts *o)
{
	struct http_session *s = MEM_NEW(struct http_session);
	struct err e;

	CHECK_LOOP(l);
	s->magic = HTTP_SESSION_MAGIC;
	s->loop = l;
	s->opts = *o;
	s->opts.addr = NULL;
	s->opts.connect_msec = o->connect_msec > 0 ? o->connect_msec : 2000;
	s->opts.ping_msec = o->ping_msec > 0 ? o->ping_msec : 4000;
	CHECK(sock_parse(&s->addr, o->addr, &e) == 0 && "the map holds checked addresses");
	sock_format(s->text, &s->addr);
	TAILQ_INIT(&s->links);
	TAILQ_INIT(&s->calls);
	TAILQ_INIT(&s->waiting);
	s->backoff = timer_new(l, on_backoff, s);
	s->deadline = timer_new(l, on_deadline, s);
	return s;
}

bool
http_session_connected(const struct http_session *s)
{
	return s->cur != NULL && s->cur->is_up;
}

void
http_session_free(struct http_session **sp)
{
	struct http_session *s = *sp;
	struct http_call *c;
	struct link *k;

	*sp = NULL;
	if (s == NULL)
		return;
	CHECK_LOOP(s->loop);
	timer_free(&s->backoff);
	timer_free(&s->deadline);
	s->cur = NULL;
	while ((k = TAILQ_FIRST(&s->links)) != NULL) {
		TAILQ_REMOVE(&s->links, k, entry);
		k->session = NULL;
		if (k->h2 != NULL)
			http2_sess_down(k->h2, "the session was closed"); /* frees the link */
		else
			free_link(k);
	}
	while ((c = TAILQ_FIRST(&s->calls)) != NULL) {
		fail_call(c, "the session was closed");
		TAILQ_REMOVE(&s->calls, c, entry);
		c->session = NULL;
	}
	s->magic = 0;
	loop_defer(s->loop, free, s);
}
