#include "replica/serve/stage_send.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/serve/file_send.h"
#include "replica/serve/pack_recv.h"
#include "replica/serve/serve.h"
#include "replica/serve/stage_slot.h"
#include "shard-map/commitlog/staging.h"

#define AGAIN_MSEC 300 /* before a voter that failed is asked again */

struct to_voter {
	unsigned magic;
#define TO_VOTER_MAGIC 0x70507e12u
	struct stage_send *stage; /* borrowed */
	struct record_member member;
	struct http_call *call;
	struct file_send *file;
	struct timer *again;
	struct stage_slot slot;
	bool confirmed, failed;
	char why[160]; /* it did not work the last time */
	LIST_ENTRY(to_voter) next;
};

struct stage_send {
	struct serve *serve; /* borrowed */
	struct shard *shard; /* borrowed */
	struct staging count;
	char push[33], repo[33], pack[PACK_NAME_TEXT], idx[PACK_NAME_TEXT];
	int fds[2]; /* owned */
	uint64_t sizes[2];
	uint64_t deadline_ns;
	LIST_HEAD(, to_voter) voters;
	unsigned busy;   /* calls under way or waiting to be made again */
	bool told, left; /* done was called; nobody owns this any more */
	stage_send_fn *done;
	void *arg;
};

static void ask_slot(struct to_voter *);
static void look(struct stage_send *);

static struct record_member
self_member(const struct stage_send *s)
{
	struct record_member m = { .node = s->serve->self };

	memcpy(m.incarnation, s->serve->incarnation, sizeof(m.incarnation));
	return m;
}

/* Enough once our own copy, which is durable before the append, is counted too? */
static bool
enough_with_self(const struct stage_send *s)
{
	struct staging with = s->count;
	struct record_member self = self_member(s);

	staging_confirm(&with, shard_state(s->shard), &with.reign, with.push, &self);
	return staging_enough(&with, shard_state(s->shard));
}

static void
end_call(struct to_voter *v)
{
	file_send_free(&v->file);
	http_call_free(&v->call);
	timer_free(&v->again);
	stage_slot_give(v->stage->serve->slots, &v->slot);
}

static void
release(struct stage_send *s)
{
	struct to_voter *v;

	while ((v = LIST_FIRST(&s->voters)) != NULL) {
		LIST_REMOVE(v, next);
		end_call(v);
		free(v);
	}
	close(s->fds[0]);
	close(s->fds[1]);
	free(s);
}

static void
on_again(void *arg)
{
	struct to_voter *v = OBJ_FROM(arg, struct to_voter, TO_VOTER_MAGIC);

	timer_free(&v->again);
	ask_slot(v);
}

static void
voter_failed(struct to_voter *v, const char *why)
{
	struct stage_send *s = v->stage;

	end_call(v);
	snprintf(v->why, sizeof(v->why), "%s", why);
	if (clock_boot_ns() < s->deadline_ns && !s->left) {
		v->again = timer_new(s->serve->loop, on_again, v);
		timer_set(v->again, AGAIN_MSEC);
		return;
	}
	v->failed = true;
	s->busy--;
	look(s);
}

static void
on_confirm_body(struct stream *st, enum stream_event ev, void *arg)
{
	struct to_voter *v = OBJ_FROM(arg, struct to_voter, TO_VOTER_MAGIC);
	struct stage_send *s = v->stage;
	struct slice in = stream_peek(st, 64);
	struct record_member m = { .node = v->member.node };

	if (ev == STREAM_WRITABLE && v->file != NULL) {
		file_send_go_on(v->file);
		return;
	}
	if (v->call == NULL || http_call_response(v->call) == NULL) {
		if (ev == STREAM_DEAD)
			voter_failed(v, stream_why(st));
		return;
	}
	if (in.len < 33 && !stream_peer_ended(st) && ev != STREAM_DEAD)
		return;
	if (in.len < 32 || hex_decode(m.incarnation, 16, slice_head(in, 32)) != 0) {
		voter_failed(v, "no confirmation");
		return;
	}
	end_call(v);
	v->confirmed = true;
	s->busy--;
	staging_confirm(&s->count, shard_state(s->shard), &s->count.reign, s->count.push, &m);
	look(s);
}

static const char *
say_status(int status)
{
	switch (status) {
	case 503:
		return ": it takes in as many packs as it may";
	case 507:
		return ": its disk is full";
	default:
		return "";
	}
}

static void
on_call(struct http_call *call, enum http_call_event ev, void *arg)
{
	struct to_voter *v = OBJ_FROM(arg, struct to_voter, TO_VOTER_MAGIC);
	char why[96];

	if (ev == CALL_CONTINUE)
		return;
	if (ev == CALL_FAILED) {
		voter_failed(v, http_call_why(call));
		return;
	}
	if (http_call_response(call)->status != 200) {
		snprintf(why, sizeof(why), "answered %d%s", http_call_response(call)->status,
			 say_status(http_call_response(call)->status));
		voter_failed(v, why);
		return;
	}
	on_confirm_body(http_call_stream(call), STREAM_READABLE, v);
}

static void
on_sent(int rc, void *arg)
{
	struct to_voter *v = OBJ_FROM(arg, struct to_voter, TO_VOTER_MAGIC);

	if (rc != 0)
		stream_reset(http_call_stream(v->call), "the pushed pack cannot be read");
	else
		stream_end(http_call_stream(v->call));
}

static struct http_head *
call_head(const struct stage_send *s, const char *target)
{
	struct http_head *h = http_head_new();
	const struct record_reign *r = &s->count.reign;

	http_head_request(h, "POST", target);
	http_head_addf(h, "gitshard-shard", "%" PRIu32, shard_index(s->shard));
	http_head_addf(h, "gitshard-epoch", "%" PRIu64, r->epoch);
	http_head_addf(h, "gitshard-reign", "%" PRIu64 ":%" PRIu32 ":%" PRIu64, r->epoch, r->node,
		       r->boot);
	http_head_addf(h, "gitshard-push", "%s", s->push);
	http_head_addf(h, "gitshard-repo", "%s", s->repo);
	http_head_addf(h, "gitshard-pack", "%s", s->pack);
	return h;
}

static void
send_to(struct to_voter *v)
{
	struct stage_send *s = v->stage;
	struct http_session *to = peers_get_bulk(s->serve->peers, v->member.node);
	struct http_head *h;

	if (to == NULL) {
		voter_failed(v, "not in the map");
		return;
	}
	h = call_head(s, "/gs/stage");
	http_head_addf(h, "gitshard-idx", "%s", s->idx);
	v->call = http_call_new(to, h, true, on_call, v);
	http_head_free(&h);
	stream_on(http_call_stream(v->call), on_confirm_body, v);
	v->file = file_send_new(s->serve->work, http_call_stream(v->call), s->fds, s->sizes, 2,
				PACK_TO_VOTER, on_sent, v);
}

static uint64_t
left_to_send(void *arg)
{
	const struct to_voter *v = OBJ_FROM(arg, struct to_voter, TO_VOTER_MAGIC);

	return (v->file != NULL ? file_send_left(v->file) : 0) +
	       (v->call != NULL ? stream_queued(http_call_stream(v->call)) : 0);
}

/* A copy that nobody counts on any more; may free the stage. */
static void
drop_copy(struct to_voter *v)
{
	struct stage_send *s = v->stage;

	end_call(v);
	v->failed = true;
	s->busy--;
	look(s);
}

static void
on_slot(enum stage_slot_event ev, void *arg)
{
	struct to_voter *v = OBJ_FROM(arg, struct to_voter, TO_VOTER_MAGIC);

	if (ev == STAGE_SLOT_COME) {
		send_to(v);
		return;
	}
	log_info(
		"-", "stage-end",
		"shard=%" PRIu32 " node=%" PRIu32 " left=%" PRIu64
		" why=\"the push is decided, and that voter reads slowly; it will fetch the pack\"",
		shard_index(v->stage->shard), v->member.node, left_to_send(v));
	replica_stats_add(RSTAT_STAGE_ENDS, 0, 1);
	drop_copy(v);
}

static void
ask_slot(struct to_voter *v)
{
	if (stage_slot_take(v->stage->serve->slots, &v->slot)) {
		send_to(v);
		return;
	}
	snprintf(v->why, sizeof(v->why), "reads slowly, others are sent to it first");
	log_info("-", "stage-wait", "shard=%" PRIu32 " node=%" PRIu32 " bytes=%" PRIu64,
		 shard_index(v->stage->shard), v->member.node, v->stage->sizes[0]);
}

static void
explain(const struct stage_send *s, struct err *err)
{
	const struct to_voter *v;
	struct buf why = BUF_MAX(sizeof(err->text));

	LIST_FOREACH (v, &s->voters, next)
		if (!v->confirmed)
			buf_addf(&why, "%snode %" PRIu32 ": %s", why.len > 0 ? ", " : "",
				 v->member.node, v->why[0] != '\0' ? v->why : "no answer");
	err_set(err, ERR_UNAVAILABLE,
		"quorum not reached: %u of %zu replicas have the pack (%.300s); push again",
		staging_count(&s->count, shard_state(s->shard)) + 1,
		(size_t)shard_state(s->shard)->n_voters, buf_ok(&why) ? buf_str(&why) : "");
	buf_release(&why);
}

/* Tells what is decided: enough, or no longer possible. */
static void
look(struct stage_send *s)
{
	struct err err = { 0 };

	if (s->left) {
		if (s->busy == 0)
			release(s);
		return;
	}
	if (s->told)
		return;
	if (enough_with_self(s)) {
		s->told = true;
		s->done(&err, s->arg);
	} else if (s->busy == 0) {
		s->told = true;
		explain(s, &err);
		s->done(&err, s->arg);
	}
}

struct stage_send *
stage_send_new(struct serve *serve, struct shard *shard, const uint8_t push[16],
	       const uint8_t repo_id[16], const struct pushed_pack *p, uint64_t deadline_ns,
	       stage_send_fn *done, void *arg)
{
	struct stage_send *s = MEM_NEW(struct stage_send);
	struct record_reign reign = shard_reign(shard);
	const struct verdict_state *st = shard_state(shard);
	struct to_voter *v, *after;

	s->serve = serve;
	s->shard = shard;
	s->deadline_ns = deadline_ns;
	s->done = done;
	s->arg = arg;
	staging_init(&s->count, push, &reign);
	hex_encode(s->push, push, 16);
	hex_encode(s->repo, repo_id, 16);
	pack_name_format(s->pack, p->pack.sha256, p->pack.size);
	pack_name_format(s->idx, p->idx.sha256, p->idx.size);
	s->fds[0] = fcntl(p->pack.fd, F_DUPFD_CLOEXEC, 3);
	s->fds[1] = fcntl(p->idx.fd, F_DUPFD_CLOEXEC, 3);
	s->sizes[0] = p->pack.size;
	s->sizes[1] = p->idx.size;
	LIST_INIT(&s->voters);
	for (unsigned i = 0; i < st->n_voters; i++) {
		if (st->members[i].node == serve->self)
			continue;
		v = MEM_NEW(struct to_voter);
		v->magic = TO_VOTER_MAGIC;
		v->stage = s;
		v->member = st->members[i];
		v->slot.node = v->member.node;
		v->slot.on_event = on_slot;
		v->slot.left = left_to_send;
		v->slot.arg = v;
		LIST_INSERT_HEAD(&s->voters, v, next);
		s->busy++;
	}
	s->busy++; /* nothing is told before all were asked */
	for (v = LIST_FIRST(&s->voters); v != NULL; v = after) {
		after = LIST_NEXT(v, next);
		ask_slot(v);
	}
	s->busy--;
	look(s);
	return s;
}

void
stage_send_self(struct stage_send *s)
{
	struct record_member self = self_member(s);

	staging_confirm(&s->count, shard_state(s->shard), &s->count.reign, s->count.push, &self);
}

bool
stage_send_enough(const struct stage_send *s)
{
	return staging_enough(&s->count, shard_state(s->shard));
}

/* --- release -------------------------------------------------------------------------------- */

static void
on_released(struct http_call *call, enum http_call_event ev, void *arg UNUSED)
{
	/* Not heard: the voter keeps it until a higher claim.  That is allowed, only not tidy. */
	if (ev != CALL_CONTINUE)
		http_call_free(&call);
}

static void
tell_release(struct stage_send *s)
{
	struct to_voter *v;
	struct http_head *h = call_head(s, "/gs/release");

	LIST_FOREACH (v, &s->voters, next) { /* behind the pack, on the same connection */
		struct http_session *to = peers_get_bulk(s->serve->peers, v->member.node);

		if (to != NULL)
			http_call_new(to, h, false, on_released, NULL);
	}
	http_head_free(&h);
}

/* What is on its way goes on as far as the voter has slots for it. */
static void
linger(struct stage_send *s)
{
	struct to_voter *v, *after;

	s->busy++; /* what ends meanwhile frees nothing */
	for (v = LIST_FIRST(&s->voters); v != NULL; v = after) {
		after = LIST_NEXT(v, next);
		if (v->confirmed || v->failed)
			continue;
		if (v->slot.state == STAGE_SLOT_HAS)
			stage_slot_linger(s->serve->slots, &v->slot);
		else
			drop_copy(v);
	}
	s->busy--;
	look(s);
}

void
stage_send_free(struct stage_send **sp, bool committed)
{
	struct stage_send *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	s->left = true;
	if (committed) {
		linger(s);
		return;
	}
	tell_release(s);
	release(s);
}
