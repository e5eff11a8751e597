#include "router/back/node_sess.h"

#include <inttypes.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"

#define AGAIN_MSEC 100u /* between two attempts at a status stream; the session backs off itself */

struct node_sess {
	unsigned magic;
#define NODE_SESS_MAGIC 0x40de5e55u
	struct node_sess_opts opts;
	char *name, *addr, *zone;     /* owned */
	char tag[24];                 /* "node 3", for log lines */
	uint64_t map;                 /* version that the router has */
	struct http_session *session; /* owned */
	struct http_call *status;     /* owned; NULL while waiting to open it again */
	struct timer *again;          /* opens the status stream */
	struct timer *tick;
	struct health health;
	enum health_state told; /* the last one that on_state heard */
	uint64_t asked;         /* when the status stream was asked for */
	uint64_t rtt_usec;
	LIST_HEAD(, node_sess_use) uses;
	unsigned load;
	bool retired;
	struct loop_task idle;
};

static void open_status(void *);

/* The users hear of it one by one; each may give its use back, or take another node. */
static void
tell_users(struct node_sess *n)
{
	LIST_HEAD(, node_sess_use) all;
	struct node_sess_use *u;

	all.lh_first = n->uses.lh_first;
	if (all.lh_first != NULL)
		all.lh_first->link.le_prev = &all.lh_first;
	LIST_INIT(&n->uses);
	while ((u = LIST_FIRST(&all)) != NULL) {
		LIST_REMOVE(u, link);
		LIST_INSERT_HEAD(&n->uses, u, link);
		u->lost(u->arg);
	}
}

static void
judge(struct node_sess *n)
{
	enum health_state s = health_state(&n->health), was = n->told;

	if (s == was)
		return;
	n->told = s;
	if (s == HEALTH_WELL || was == HEALTH_WELL)
		log_info(n->tag, "node", "name=%s addr=%s state=%s", n->name, n->addr,
			 health_word(s));
	n->opts.on_state(n, s, n->opts.arg);
	/* A lost connection ends its calls by itself. */
	if (was == HEALTH_WELL && s == HEALTH_SILENT)
		tell_users(n);
}

static void
close_status(struct node_sess *n)
{
	http_call_free(&n->status);
	health_lost(&n->health);
	if (!n->retired)
		timer_set(n->again, AGAIN_MSEC);
	judge(n);
}

static void
on_line(struct node_sess *n, const struct status_line *l)
{
	health_line(&n->health);
	judge(n);
	if (l->kind == STATUS_LINE_SHARD)
		n->opts.on_shard(n, &l->shard, n->opts.arg);
	if (l->kind == STATUS_LINE_NODE && l->node != n->opts.number && l->node != 0)
		log_warn(n->tag, "node", "addr=%s says it is node %u", n->addr, l->node);
}

/* false: the stream is closed */
static bool
read_lines(struct node_sess *n, struct stream *s)
{
	struct status_line l;

	while (stream_readable(s) > 0) {
		struct slice in = stream_peek(s, 0);
		ssize_t eaten = status_line_parse(&l, in);

		if (eaten == 0 && in.len < stream_readable(s)) {
			in = stream_peek(s, STATUS_LINE_MAX);
			eaten = status_line_parse(&l, in);
		}
		if (eaten < 0) {
			log_warn(n->tag, "status_line", "addr=%s line=%s", n->addr,
				 log_value(in.p, MIN(in.len, (size_t)80)));
			return false;
		}
		if (eaten == 0)
			return true;
		on_line(n, &l);
		stream_take(s, (size_t)eaten);
	}
	return true;
}

static void
on_stream(struct stream *s, enum stream_event e, void *arg)
{
	struct node_sess *n = OBJ_FROM(arg, struct node_sess, NODE_SESS_MAGIC);

	if (e == STREAM_WRITABLE || e == STREAM_DRAINED)
		return;
	if (!read_lines(n, s) || e == STREAM_DEAD || stream_at_end(s))
		close_status(n);
}

static void
on_call(struct http_call *c, enum http_call_event e, void *arg)
{
	struct node_sess *n = OBJ_FROM(arg, struct node_sess, NODE_SESS_MAGIC);

	if (e == CALL_CONTINUE)
		return;
	if (e == CALL_FAILED || http_call_response(c)->status != 200) {
		close_status(n);
		return;
	}
	n->rtt_usec = (clock_boot_ns() - n->asked) / 1000;
	stream_on(http_call_stream(c), on_stream, n);
}

static void
open_status(void *arg)
{
	struct node_sess *n = OBJ_FROM(arg, struct node_sess, NODE_SESS_MAGIC);
	struct http_head *h = http_head_new();

	http_head_request(h, "GET", "/gs/status");
	http_head_addf(h, "gitshard-request", "%016" PRIx64, rnd_u64());
	http_head_addf(h, "gitshard-map", "%" PRIu64, n->map);
	n->asked = clock_boot_ns();
	n->status = http_call_new(n->session, h, false, on_call, n);
	http_head_free(&h);
}

static void
on_session(struct http_session *s, bool connected, void *arg)
{
	struct node_sess *n = OBJ_FROM(arg, struct node_sess, NODE_SESS_MAGIC);

	(void)s;
	health_connect(&n->health, connected);
	if (connected)
		n->asked = clock_boot_ns();
	judge(n);
}

static void
on_tick(void *arg)
{
	struct node_sess *n = OBJ_FROM(arg, struct node_sess, NODE_SESS_MAGIC);

	timer_set(n->tick, HEALTH_TICK_MSEC);
	health_tick(&n->health);
	judge(n);
}

static void
on_idle(void *arg)
{
	struct node_sess *n = OBJ_FROM(arg, struct node_sess, NODE_SESS_MAGIC);

	n->opts.on_idle(n, n->opts.arg);
}

struct node_sess *
node_sess_new(const struct node_sess_opts *o)
{
	struct node_sess *n = MEM_NEW(struct node_sess);
	struct http_session_opts so = { .on_state = on_session, .arg = n };

	CHECK_LOOP(o->loop);
	n->magic = NODE_SESS_MAGIC;
	n->opts = *o;
	n->opts.name = n->name = mem_strdup(o->name);
	n->opts.addr = n->addr = mem_strdup(o->addr);
	n->opts.zone = n->zone = mem_strdup(o->zone);
	snprintf(n->tag, sizeof(n->tag), "node %u", o->number);
	LIST_INIT(&n->uses);
	loop_task_init(&n->idle, on_idle, n);
	so.addr = n->addr;
	n->session = http_session_new(o->loop, &so);
	n->again = timer_new(o->loop, open_status, n);
	timer_set(n->again, 0);
	n->tick = timer_new(o->loop, on_tick, n);
	timer_set(n->tick, HEALTH_TICK_MSEC);
	return n;
}

void
node_sess_free(struct node_sess **np)
{
	struct node_sess *n = *np;

	if (n == NULL)
		return;
	*np = NULL;
	CHECK(n->load == 0);
	loop_task_revoke(n->opts.loop, &n->idle);
	timer_free(&n->again);
	timer_free(&n->tick);
	http_call_free(&n->status);
	http_session_free(&n->session);
	free(n->name);
	free(n->addr);
	free(n->zone);
	n->magic = 0;
	loop_defer(n->opts.loop, free, n);
}

void
node_sess_retire(struct node_sess *n)
{
	n->retired = true;
	timer_stop(n->again);
	http_call_free(&n->status);
	if (n->load == 0)
		loop_task_put(n->opts.loop, &n->idle);
}

void
node_sess_map(struct node_sess *n, uint64_t version)
{
	n->map = version;
}

uint32_t
node_sess_number(const struct node_sess *n)
{
	return n->opts.number;
}

const char *
node_sess_name(const struct node_sess *n)
{
	return n->name;
}

const char *
node_sess_addr(const struct node_sess *n)
{
	return n->addr;
}

const char *
node_sess_zone(const struct node_sess *n)
{
	return n->zone;
}

enum health_state
node_sess_state(const struct node_sess *n)
{
	return n->told;
}

uint64_t
node_sess_rtt_usec(const struct node_sess *n)
{
	return n->rtt_usec;
}

unsigned
node_sess_load(const struct node_sess *n)
{
	return n->load;
}

struct http_session *
node_sess_session(struct node_sess *n)
{
	return n->session;
}

void
node_sess_take(struct node_sess *n, struct node_sess_use *u, void (*lost)(void *arg), void *arg)
{
	CHECK(u->node == NULL);
	u->node = n;
	u->lost = lost;
	u->arg = arg;
	LIST_INSERT_HEAD(&n->uses, u, link);
	n->load++;
}

void
node_sess_give(struct node_sess_use *u)
{
	struct node_sess *n = u->node;

	if (n == NULL)
		return;
	u->node = NULL;
	LIST_REMOVE(u, link);
	n->load--;
	if (n->retired && n->load == 0)
		loop_task_put(n->opts.loop, &n->idle);
}
