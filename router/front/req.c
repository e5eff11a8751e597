#include "router/front/req.h"

#include <inttypes.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "gitproto/net/relay.h"
#include "router/back/retry.h"
#include "router/front/account.h"
#include "router/front/attempt.h"
#include "router/front/door.h"
#include "router/front/forward.h"
#include "router/front/reply.h"
#include "router/front/words.h"
#include "router/route/read_pick.h"

/* What a step says: go on with r->step, or somebody will call req_run. */
enum step { STEP_NEXT, STEP_WAIT };

/* What was done with the client's body; in this order. */
enum body {
	BODY_NONE,     /* there is none, or it is of no interest */
	BODY_HELD,     /* nothing was taken from the client, or all that was is in `held` */
	BODY_STREAMING /* it flows to a node: gone when that one is lost */
};

struct req {
	unsigned magic;
#define REQ_MAGIC 0x4e904e57u
	enum step (*step)(struct req *);
	struct req_env *env;
	struct http_xchg *x;   /* borrowed until on_close */
	struct stream *client; /* borrowed from x */
	struct account acc;
	struct door door; /* what the client asks for */
	bool admitted;
	uint64_t sticky;

	struct attempt attempt;
	struct route_tried tried; /* in this round */
	unsigned round;           /* of waiting */
	unsigned log_away;        /* nodes that have no commit log, in this round */
	struct err why;           /* the last attempt came to nothing */
	struct timer *timer;      /* owned; of a wait, or of progress while a node is asked */
	uint64_t moved;           /* bytes at the last look at the progress */
	uint64_t moved_ns;        /* when it was seen last, clock_boot_ns */
	struct shards_waiter news;

	enum body body;
	struct buf held;    /* BODY_HELD: what was taken from the client */
	bool held_all;      /* it is the whole body */
	struct relay *up;   /* owned; client to node */
	struct relay *down; /* owned; node to client */
};

static enum step st_check(struct req *);
static enum step st_admit(struct req *);
static enum step st_hold(struct req *);
static enum step st_pick(struct req *);
static enum step st_ask(struct req *, struct node_sess *);
static enum step st_wait(struct req *);
static enum step st_send_body(struct req *);
static enum step st_judge(struct req *);
static enum step st_lost(struct req *);
static enum step st_answer(struct req *);
static void on_down(enum relay_end, void *);

static void
req_run(struct req *r) /* every callback that resumes a request ends here */
{
	while (r->step(r) == STEP_NEXT)
		;
}

/* --- the end --- */

static void
stop_relays(struct req *r)
{
	if (r->up != NULL)
		r->acc.in += relay_bytes(r->up);
	if (r->down != NULL)
		r->acc.out += relay_bytes(r->down);
	relay_free(&r->up);
	relay_free(&r->down);
}

/* The answer is out, or the client is gone: the one place where a request ends. */
static void
on_close(void *arg)
{
	struct req *r = OBJ_FROM(arg, struct req, REQ_MAGIC);
	bool gone = stream_is_dead(r->client);

	stop_relays(r);
	attempt_end(&r->attempt);
	shards_unwait(&r->news);
	timer_free(&r->timer);
	if (r->admitted) {
		admit_leave(r->env->admit);
		stats_move(r->env->stats, FRONT_STATS_ACTIVE, 0, -1);
	}
	account_end(&r->acc, r->env->stats, r->x, r->door.kind,
		    r->door.named ? r->door.path.repo.path : NULL, gone);
	buf_release(&r->held);
	r->magic = 0;
	loop_defer(r->env->loop, free, r);
}

/* An answer of our own.  The request is over but for on_close.  status is what the log and the
 * counters say; a fetch or push hears of our own troubles in band. */
static enum step
refuse(struct req *r, int status, const char *text)
{
	stop_relays(r);
	attempt_end(&r->attempt);
	if (r->timer != NULL)
		timer_stop(r->timer);
	shards_unwait(&r->news);
	stream_on(r->client, NULL, NULL);
	r->acc.status = status;
	r->acc.whole = true;
	r->acc.out = reply_size(text);
	if (status >= 500 &&
	    (r->door.kind == FRONT_STATS_FETCH || r->door.kind == FRONT_STATS_PUSH))
		reply_in_band(r->x, r->acc.id, r->door.path.service, text);
	else
		reply_text(r->x, r->acc.id, status, r->door.allow, text);
	return STEP_WAIT;
}

/* --- from the head to the shard --- */

static enum step
st_check(struct req *r)
{
	int status = door_check(&r->door, http_xchg_request(r->x));

	if (status != 0)
		return refuse(r, status, err_text(&r->door.why));
	r->step = st_admit;
	return STEP_NEXT;
}

static enum step
st_admit(struct req *r)
{
	struct slice host = forward_peer_host(http_xchg_peer(r->x));

	if (!admit_enter(r->env->admit)) {
		stats_add(r->env->stats, FRONT_STATS_REFUSED, 0, 1);
		return refuse(r, 503, "too many requests are under way here; try again");
	}
	r->admitted = true;
	stats_move(r->env->stats, FRONT_STATS_ACTIVE, 0, 1);
	if (route_map_version(r->env->route) == 0)
		return refuse(r, 503, "no map of the cluster is known here yet; try again");
	r->sticky = read_pick_sticky(host, slice_str(r->door.path.repo.path));
	r->step = st_pick;
	if (!r->door.has_body)
		return STEP_NEXT;
	r->body = BODY_HELD;
	if (!r->door.writes)
		r->step = st_hold;
	return STEP_NEXT;
}

/* --- the body of a fetch: held until a node has answered --- */

static void
on_client(struct stream *s, enum stream_event e, void *arg)
{
	struct req *r = OBJ_FROM(arg, struct req, REQ_MAGIC);

	(void)s;
	if (e == STREAM_READABLE)
		req_run(r);
}

static enum step
st_hold(struct req *r)
{
	http_xchg_continue(r->x);
	while (stream_readable(r->client) > 0 && r->held.len < REQ_REPLAY) {
		struct slice got = slice_head(stream_peek(r->client, 0), REQ_REPLAY - r->held.len);

		buf_add_slice(&r->held, got);
		stream_take(r->client, got.len);
		r->acc.in += got.len;
	}
	if (!buf_ok(&r->held))
		return refuse(r, 503, "out of memory; try again");
	r->held_all = stream_at_end(r->client);
	if (!r->held_all && r->held.len < REQ_REPLAY) {
		stream_on(r->client, on_client, r);
		return STEP_WAIT;
	}
	stream_on(r->client, NULL, NULL);
	r->step = st_pick;
	return STEP_NEXT;
}

/* --- who is asked --- */

static bool
is_late(const struct req *r)
{
	return clock_boot_ns() - r->acc.began_ns >= r->env->retry_msec * CLOCK_MSEC;
}

static enum step
give_up(struct req *r)
{
	char text[WORDS_MAX];

	words_gave_up(text, r->door.writes, r->env->retry_msec, r->why.text);
	return refuse(r, 503, text);
}

static enum step
st_pick(struct req *r)
{
	struct node_sess *n;

	/* each time anew: the map may have changed */
	r->acc.shard = route_shard(r->env->route, slice_str(r->door.path.repo.path));
	if (r->acc.asked + r->round > 0 && is_late(r))
		return give_up(r);
	n = r->door.writes
		    ? route_write(r->env->route, r->acc.shard, &r->tried)
		    : route_read(r->env->route, r->acc.shard, r->sticky, rnd_u64(), &r->tried);
	if (n != NULL)
		return st_ask(r, n);
	r->step = st_wait;
	return STEP_NEXT;
}

static void
wake(struct req *r)
{
	timer_stop(r->timer);
	shards_unwait(&r->news);
	r->step = st_pick;
	req_run(r);
}

static void watch(struct req *);

static void
on_timer(void *arg)
{
	struct req *r = OBJ_FROM(arg, struct req, REQ_MAGIC);

	if (attempt_runs(&r->attempt))
		watch(r);
	else
		wake(r);
}

static void
set_timer(struct req *r, uint64_t msec)
{
	if (r->timer == NULL)
		r->timer = timer_new(r->env->loop, on_timer, r);
	timer_set(r->timer, msec);
}

/* How often a node that is asked is looked after. */
static uint64_t
watch_msec(const struct req *r)
{
	return MAX(MIN(r->env->stall_msec / 2, r->env->retry_msec / 3), (uint64_t)1);
}

static void
on_news(void *arg)
{
	wake(OBJ_FROM(arg, struct req, REQ_MAGIC));
}

/* Nobody is left to be asked: a round is over. */
static enum step
st_wait(struct req *r)
{
	if (r->tried.n == 0)
		stats_add(r->env->stats, FRONT_STATS_RETRIES, RETRY_NO_NODE, 1);
	else if (r->log_away == r->tried.n)
		return refuse(r, 503, words_log_away(false));
	r->tried.n = 0;
	r->log_away = 0;
	r->round++;
	set_timer(r, retry_wait_msec(r->round, rnd_u64()));
	r->news.fn = on_news;
	r->news.arg = r;
	if (r->door.writes)
		shards_wait(route_shards(r->env->route), r->acc.shard, &r->news);
	return STEP_WAIT;
}

static void
on_attempt(enum attempt_event e, void *arg)
{
	struct req *r = OBJ_FROM(arg, struct req, REQ_MAGIC);

	switch (e) {
	case ATTEMPT_CONTINUE:
		/* a fetch's body did not wait for it */
		if (!r->door.writes || r->body != BODY_HELD)
			return;
		r->step = st_send_body;
		break;
	case ATTEMPT_HEAD:
		r->step = st_judge;
		break;
	case ATTEMPT_LOST:
		err_set(&r->why, ERR_CLOSED, "node %u: %s", r->acc.node, attempt_why(&r->attempt));
		r->step = st_lost;
		break;
	case ATTEMPT_SILENT:
		/* Once the answer or the body flows, only the connection's end decides. */
		if (r->body == BODY_STREAMING || r->down != NULL)
			return;
		err_set(&r->why, ERR_UNAVAILABLE, "node %u does not answer", r->acc.node);
		r->step = st_lost;
		break;
	}
	req_run(r);
}

static enum step
st_ask(struct req *r, struct node_sess *n)
{
	struct forward f = {
		.path = &r->door.path,
		.from = http_xchg_request(r->x),
		.peer = http_xchg_peer(r->x),
		.id = r->acc.id,
		.map = route_map_version(r->env->route),
		.shard = r->acc.shard,
	};
	struct http_head *h;
	struct err e;

	shards_primary(route_shards(r->env->route), r->acc.shard, &f.epoch);
	if (forward_request(&h, &f, &e) < 0)
		return refuse(r, 431, err_text(&e));
	r->acc.node = node_sess_number(n);
	r->acc.asked++;
	route_tried_add(&r->tried, r->acc.node);
	attempt_begin(&r->attempt, n, h, r->body != BODY_NONE, on_attempt, r);
	r->moved_ns = clock_boot_ns();
	set_timer(r, watch_msec(r));
	http_head_free(&h);
	log_debug(r->acc.id, "ask", "repo=%s shard=%u node=%u epoch=%" PRIu64,
		  r->door.path.repo.path, r->acc.shard, r->acc.node, f.epoch);
	if (r->body == BODY_NONE || r->door.writes)
		return STEP_WAIT;
	r->step = st_send_body;
	return STEP_NEXT;
}

/* --- the body on its way to the node --- */

static void
on_up(enum relay_end how, void *arg)
{
	struct req *r = OBJ_FROM(arg, struct req, REQ_MAGIC);

	/* A node that wants no more of the body has its answer ready or is lost, a client that
	 * died is told by on_close: either way somebody else goes on. */
	(void)how;
	r->acc.in += relay_bytes(r->up);
	relay_free(&r->up);
}

static enum step
st_send_body(struct req *r)
{
	struct stream *node = attempt_stream(&r->attempt);
	struct relay_opts o = { .end_to = true, .done = on_up, .arg = r };

	if (r->door.writes)
		http_xchg_continue(r->x);
	stream_write(node, buf_slice(&r->held));
	if (r->held_all) {
		stream_end(node);
		return STEP_WAIT;
	}
	r->body = BODY_STREAMING;
	r->up = relay_new(r->client, node, &o);
	return STEP_WAIT;
}

/* --- the node's verdict --- */

static uint64_t
field_u64(const struct http_head *h, const char *name)
{
	const char *v = http_head_get(h, name);

	return v != NULL ? strtoull(v, NULL, 10) : 0;
}

static enum step
try_again(struct req *r, enum retry_reason why)
{
	stats_add(r->env->stats, FRONT_STATS_RETRIES, why, 1);
	log_debug(r->acc.id, "again", "node=%u reason=%s why=%s", r->acc.node, retry_word(why),
		  log_value(r->why.text, strlen(r->why.text)));
	r->step = st_pick;
	return STEP_NEXT;
}

/* Only the primary can take a push, and it has said that waiting is of no use.  A read goes on to
 * the other nodes, once. */
static enum step
st_log_away(struct req *r)
{
	attempt_end(&r->attempt);
	if (r->door.writes)
		return refuse(r, 503, words_log_away(true));
	r->log_away++;
	err_set(&r->why, ERR_LOG_AWAY, "node %u has no commit log", r->acc.node);
	return try_again(r, RETRY_LOG_AWAY);
}

static enum step
st_judge(struct req *r)
{
	const struct http_head *h = attempt_answer(&r->attempt);
	enum retry_reason why;

	if (r->body == BODY_STREAMING || !retry_status(h->status, &why)) {
		/* a node's own trouble with a POST: its words, where git shows them */
		if (h->status >= 500 && r->body != BODY_NONE) {
			attempt_refusal(&r->attempt, &r->why);
			return refuse(r, h->status, r->why.text);
		}
		r->step = st_answer;
		return STEP_NEXT;
	}
	if (attempt_log_away(&r->attempt))
		return st_log_away(r);
	attempt_refusal(&r->attempt, &r->why);
	if (why == RETRY_WRONG_NODE && r->door.writes && attempt_is_of(&r->attempt, r->acc.shard))
		shards_told(route_shards(r->env->route), r->acc.shard, r->acc.node,
			    field_u64(h, "gitshard-epoch"),
			    (uint32_t)field_u64(h, "gitshard-primary"));
	attempt_end(&r->attempt);
	return try_again(r, why);
}

/* No answer will come from this node. */
static enum step
st_lost(struct req *r)
{
	bool silent = r->why.code == ERR_UNAVAILABLE;

	if (r->up != NULL)
		r->acc.in += relay_bytes(r->up);
	relay_free(&r->up);
	if (r->body == BODY_STREAMING) {
		log_warn(r->acc.id, "lost", "repo=%s sent=%d why=%s", r->door.path.repo.path,
			 attempt_sent(&r->attempt), log_value(r->why.text, strlen(r->why.text)));
		return refuse(r, 503, words_lost(r->door.writes));
	}
	attempt_end(&r->attempt);
	return try_again(r, silent ? RETRY_SILENT : RETRY_LOST);
}

/* A read waits at a node that cannot show yet how fresh it is: another one may be quicker.  When
 * there is no other, this one keeps it. */
static bool
move_on(struct req *r, uint64_t idle)
{
	struct node_sess *n;

	if (r->door.writes || r->body == BODY_STREAMING || r->down != NULL ||
	    idle < r->env->retry_msec / 3 * CLOCK_MSEC)
		return false;
	n = route_read(r->env->route, r->acc.shard, r->sticky, rnd_u64(), &r->tried);
	if (n == NULL)
		return false;
	stats_add(r->env->stats, FRONT_STATS_RETRIES, RETRY_SLOW, 1);
	attempt_end(&r->attempt);
	if (st_ask(r, n) == STEP_NEXT)
		req_run(r);
	return true;
}

/* A node is asked.  That one is alive and does nothing is the last resort of all deadlines: its own
 * ones are shorter. */
static void
watch(struct req *r)
{
	uint64_t moved = r->acc.in + r->acc.out + (r->up != NULL ? relay_bytes(r->up) : 0) +
			 (r->down != NULL ? relay_bytes(r->down) : 0);
	bool awaits_push = r->door.writes && r->body == BODY_STREAMING && r->up == NULL;
	uint64_t now = clock_boot_ns(), limit = r->env->stall_msec * CLOCK_MSEC;

	if (moved != r->moved)
		r->moved_ns = now;
	r->moved = moved;
	if (move_on(r, now - r->moved_ns))
		return;
	set_timer(r, watch_msec(r));
	if (now - r->moved_ns < (awaits_push ? REQ_PUSH_PATIENCE : 1) * limit)
		return;
	err_set(&r->why, ERR_TIMEOUT, "node %u made no progress", r->acc.node);
	if (r->down != NULL) {
		on_down(RELAY_FROM_DIED, r);
		return;
	}
	r->step = st_lost;
	req_run(r);
}

/* --- the answer on its way to the client --- */

/* Why an answer broke off: the stream's death, or that we gave it up. */
static const char *
lost_why(struct req *r)
{
	const char *why = stream_why(attempt_stream(&r->attempt));

	return why[0] != '\0' ? why : err_text(&r->why);
}

static void
answer_lost(struct req *r)
{
	struct buf b = BUF_MAX(4096);

	log_warn(r->acc.id, "lost", "repo=%s node=%u status=%d why=%s", r->door.path.repo.path,
		 r->acc.node, r->acc.status, lost_why(r));
	reply_add_in_band(&b, r->door.path.service, words_lost(r->door.writes));
	stream_write(r->client, buf_slice(&b));
	stream_end(r->client);
	buf_release(&b);
}

static void
on_down(enum relay_end how, void *arg)
{
	struct req *r = OBJ_FROM(arg, struct req, REQ_MAGIC);

	if (how == RELAY_TO_DIED)
		return; /* on_close follows */
	r->acc.whole = how == RELAY_DONE;
	if (how == RELAY_FROM_DIED && relay_bytes(r->down) == 0 && r->body != BODY_NONE) {
		/* nothing was said yet: there is still room for words */
		answer_lost(r);
	} else if (how == RELAY_FROM_DIED) {
		log_warn(r->acc.id, "cut", "repo=%s node=%u status=%d why=%s",
			 r->door.path.repo.path, r->acc.node, r->acc.status, lost_why(r));
		/* without its end: git must see that this is not all */
		stream_reset(r->client, "the node was lost in the middle of its answer");
	}
	stop_relays(r);
	attempt_end(&r->attempt);
	timer_stop(r->timer);
}

static enum step
st_answer(struct req *r)
{
	struct relay_opts o = { .end_to = true, .done = on_down, .arg = r };
	struct http_head *h;
	struct err e;

	if (forward_response(&h, attempt_answer(&r->attempt), r->acc.id, &e) < 0)
		return refuse(r, 502, err_text(&e));
	buf_release(&r->held);
	r->acc.status = h->status;
	http_xchg_respond(r->x, h);
	http_head_free(&h);
	r->down = relay_new(attempt_stream(&r->attempt), r->client, &o);
	return STEP_WAIT;
}

void
req_new(struct req_env *env, struct http_xchg *x)
{
	struct req *r = MEM_NEW(struct req);

	r->magic = REQ_MAGIC;
	r->env = env;
	r->x = x;
	r->client = http_xchg_stream(x);
	account_begin(&r->acc);
	r->held = BUF_MAX(REQ_REPLAY);
	r->step = st_check;
	http_xchg_on_close(x, on_close, r);
	req_run(r);
}
