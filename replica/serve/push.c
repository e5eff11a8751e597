/* replica/serve/push.c - THE LIFE OF A PUSH on its primary: from the request's head to git
 * receive-pack and its answer.
 *
 *	st_where	is this node the primary of the repository's shard, has it a log and room
 *	st_caught_up	all that was read of the log is applied
 *	st_repo		the repository; made now when auto_create says so
 *	st_loaded	its refs are in memory
 *	st_admit	the log, number of children; then "100, go on" to the router
 *	st_commands	read the command list
 *	st_receive	git receive-pack takes over; it comes back through its hooks (push_hook.c)
 *
 * Up to st_admit a refusal has consumed nothing, so the router may try elsewhere. */
#include <inttypes.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/names.h"
#include "replica/serve/push_impl.h"
#include "replica/serve/repo_life.h"
#include "replica/serve/room.h"

#define MAX_READ (40u << 20) /* of the body's beginning: PUSH_REQUEST_BYTES and one window */

static enum push_step st_where(struct push *);
static enum push_step st_caught_up(struct push *);
static enum push_step st_repo(struct push *);
static enum push_step st_loaded(struct push *);
static enum push_step st_admit(struct push *);
static enum push_step st_commands(struct push *);
static enum push_step st_receive(struct push *);

static void
push_free(struct push *p)
{
	enum push_end end = p->committed               ? PUSH_END_OK
			    : p->hook == HOOK_ANSWERED ? PUSH_END_REFUSED
						       : PUSH_END_FAILED;

	push_hook_gone(p);
	if (p->child != NULL) {
		replica_stats_add(RSTAT_PUSHES, end, 1);
		replica_stats_observe(RSTAT_PUSH_TIME, (clock_boot_ns() - p->begun_ns) / 1000);
	}
	LIST_REMOVE(p, next);
	p->all->n--;
	relay_free(&p->out);
	body_free(&p->body);
	child_free(&p->child);
	stage_send_free(&p->stage, p->keep);
	pushed_pack_free(&p->pack);
	push_free_refs(p);
	if (p->req_open)
		push_request_release(&p->req);
	buf_release(&p->read);
	repo_unref(&p->repo);
	free(p);
}

void
push_drop(struct push *p)
{
	timer_free(&p->late);
	push_free(p);
}

/* A receive-pack that was killed (by the kernel for its memory, say) leaves its quarantine behind. */
static void
tell_oldest(struct serve *s)
{
	uint64_t oldest = clock_wall_ms();
	const struct push *p;

	LIST_FOREACH (p, &s->pushes->list, next)
		oldest = MIN(oldest, p->begun_ms);
	/* Clocks of files lag by some milliseconds; a killed one's index-pack has yet to notice. */
	apply_pushes_since(s->apply, oldest - 1000);
}

void
push_maybe_free(struct push *p)
{
	struct serve *s = p->serve;

	if (p->xchg == NULL && p->waits == 0 && !p->append_open && p->lock == NULL &&
	    (p->child == NULL || p->exited)) {
		push_free(p);
		tell_oldest(s);
	}
}

bool
push_came_back(struct push *p)
{
	CHECK(p->waits > 0);
	p->waits--;
	if (!p->dead) /* a body that broke meanwhile was answered already */
		return !http_xchg_responded(p->xchg);
	push_maybe_free(p);
	return false;
}

void
push_run(struct push *p)
{
	enum push_step s;

	do
		s = p->step(p);
	while (s == PUSH_NEXT);
}

struct push *
push_find(struct pushes *all, struct slice id_text)
{
	struct push *p;

	LIST_FOREACH (p, &all->list, next)
		if (slice_eq_str(id_text, p->id_text))
			return p;
	return NULL;
}

/* A child whose answer nobody reads must still be able to end. */
static void
on_orphan_io(struct stream *io, enum stream_event ev UNUSED, void *arg UNUSED)
{
	stream_take(io, stream_readable(io));
}

static void
on_close(void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	relay_free(&p->out);
	body_free(&p->body);
	p->xchg = NULL;
	p->dead = true;
	if (p->child != NULL && !p->exited) {
		/* Cut off within the pack, git refuses it and clears its quarantine itself. */
		stream_on(child_io(p->child), on_orphan_io, NULL);
		stream_take(child_io(p->child), stream_readable(child_io(p->child)));
		stream_end(child_io(p->child));
	}
	push_maybe_free(p);
}

static enum push_step
refuse(struct push *p)
{
	serve_refuse(p->serve, p->xchg, p->shard, &p->err);
	return PUSH_DONE;
}

static enum push_step
st_where(struct push *p)
{
	if (serve_shard_of(p->serve, &p->shard, &p->path.repo, &p->err) != 0)
		return refuse(p);
	if (shard_halted(p->shard) != NULL) {
		err_set(&p->err, ERR_UNAVAILABLE, "shard %" PRIu32 " is stopped on this node: %s",
			shard_index(p->shard), err_text(shard_halted(p->shard)));
		return refuse(p);
	}
	if (!shard_is_primary(p->shard)) {
		err_set(&p->err, ERR_WRONG_NODE, "this node is not the primary of shard %" PRIu32,
			shard_index(p->shard));
		return refuse(p);
	}
	if (p->serve->log_away(p->serve->log_arg)) {
		without_log_refuse_write(&p->err);
		return refuse(p);
	}
	if (shard_stuck(p->shard) != NULL) {
		err_set(&p->err, shard_stuck(p->shard)->code,
			"the storage node cannot write: %s; nothing was changed, push again when "
			"its operator has mended it",
			err_text(shard_stuck(p->shard)));
		return refuse(p);
	}
	if (room_for_change(p->serve, &p->err) != 0)
		return refuse(p);
	p->step = st_caught_up;
	return PUSH_NEXT;
}

static void
on_caught_up(int rc, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	if (!push_came_back(p))
		return;
	if (rc != 0) {
		err_set(&p->err, ERR_UNAVAILABLE, "this node is still catching up; push again");
		refuse(p);
		return;
	}
	p->step = st_repo;
	push_run(p);
}

static enum push_step
st_caught_up(struct push *p)
{
	p->waits++;
	shard_wait(p->shard, NULL, shard_position(p->shard), p->deadline_ns, on_caught_up, p);
	return PUSH_WAIT;
}

static void
on_created(const struct err *err, const uint8_t id[16] UNUSED, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	if (!push_came_back(p))
		return;
	/* Another push may have made it first; that record is read, and perhaps not applied yet. */
	p->err = *err;
	p->asked_create = true;
	p->step = st_caught_up;
	push_run(p);
}

static void
on_looked(int rc, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	if (!push_came_back(p))
		return;
	p->step = st_where;
	if (rc == 0) {
		push_run(p);
		return;
	}
	err_set(&p->err, ERR_UNAVAILABLE,
		"this node could not ask the log where '%s' is; push again", p->path.repo.path);
	refuse(p);
}

static enum push_step
st_repo(struct push *p)
{
	struct repo_life_create c = { .repo = p->path.repo,
				      .head = "refs/heads/main",
				      .format = OID_SHA1,
				      .flags = RECORD_CREATE_AUTO,
				      .request = p->request };

	p->repo = serve_repo(p->serve, p->shard, p->path.repo.path);
	if (p->repo != NULL) {
		p->err = (struct err){ 0 };
		p->step = st_loaded;
		return PUSH_NEXT;
	}
	if (p->asked_create) {
		if (p->err.code == 0)
			err_set(&p->err, ERR_UNAVAILABLE,
				"repository '%s' is gone again; push again", p->path.repo.path);
		return refuse(p);
	}
	if (!p->looked && !p->serve->auto_create && p->serve->directory_log != NULL) {
		/* It may have gone to another shard; what is told is told by a fresh directory. */
		p->looked = true;
		p->waits++;
		names_look(p->serve, on_looked, p);
		return PUSH_WAIT;
	}
	if (!p->serve->auto_create) {
		err_set(&p->err, ERR_NOT_FOUND, "repository '%s' does not exist",
			p->path.repo.path);
		return refuse(p);
	}
	p->waits++;
	repo_life_create(p->serve, p->shard, &c, on_created, p);
	return PUSH_WAIT;
}

static void
on_loaded(void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	if (push_came_back(p))
		push_run(p); /* st_loaded again: looked at under the lock */
}

static void
on_load(struct repo *repo UNUSED, int rc, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	p->load_failed = rc != 0; /* nobody else looks at it before the post */
	loop_post(p->serve->loop, on_loaded, p);
}

static enum push_step
st_loaded(struct push *p)
{
	bool loaded, usable;

	pthread_mutex_lock(&p->repo->shared.lock);
	loaded = p->repo->shared.refs != NULL;
	usable = !p->repo->shared.deleted && !p->repo->shared.quarantined &&
		 p->repo->shared.missing == 0;
	p->repo->shared.used = clock_boot_ns();
	pthread_mutex_unlock(&p->repo->shared.lock);
	if (!usable || (p->load_failed && !loaded) || clock_boot_ns() > p->deadline_ns) {
		err_set(&p->err, ERR_UNAVAILABLE,
			"the primary's copy of '%s' is out of service; push again",
			p->path.repo.path);
		return refuse(p);
	}
	if (!loaded) {
		p->waits++;
		apply_load(p->serve->apply, p->repo, on_load, p);
		return PUSH_WAIT;
	}
	p->step = st_admit;
	return PUSH_NEXT;
}

static enum push_step
st_admit(struct push *p)
{
	struct serve *s = p->serve;
	struct push_request_opts o = { .format = p->repo->format,
				       .push_options = true,
				       .atomic = true };

	if (!s->log_ok(s->log_arg)) {
		err_set(&p->err, ERR_UNAVAILABLE,
			"the commit log does not answer; nothing was changed, push again later");
		return refuse(p);
	}
	if (child_running(s->children) >= s->max_children) {
		err_set(&p->err, ERR_UNAVAILABLE,
			"the storage node runs as many git processes as it may; push again");
		return refuse(p);
	}
	push_request_init(&p->req, &o);
	p->req_open = true;
	http_xchg_continue(p->xchg);
	p->step = st_commands;
	return PUSH_NEXT;
}

static enum push_step
reply_nothing(struct push *p)
{
	http_xchg_reply(p->xchg, 200, NULL, service_type_result(SERVICE_RECEIVE_PACK), SLICE_NONE);
	return PUSH_DONE;
}

static enum push_step
st_commands(struct push *p)
{
	bool more = true;

	while (more && !p->req.done) {
		struct slice in = body_peek(p->body);
		ssize_t n = push_request_feed(&p->req, in, &p->err);

		if (n < 0)
			return refuse(p);
		buf_add(&p->read, in.p, (size_t)n);
		body_take(p->body, (size_t)n);
		more = n > 0;
	}
	if (!p->req.done && body_is_broken(p->body)) {
		p->err = *body_err(p->body);
		return refuse(p);
	}
	if (p->req.done && p->req.n_commands == 0)
		return reply_nothing(p); /* git's probe before a large push */
	if (p->req.done) {
		p->step = st_receive;
		return PUSH_NEXT;
	}
	if (body_ended(p->body)) {
		err_set(&p->err, ERR_BAD, "the request body ends within the list of commands");
		return refuse(p);
	}
	return PUSH_WAIT;
}

static void
on_body(struct body *b, enum body_event ev, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	if (p->child == NULL && http_xchg_responded(p->xchg))
		return; /* refused already; the rest of the body is of no interest */
	if (ev == BODY_BROKEN && p->child != NULL) {
		stream_end(child_io(p->child)); /* git finds it cut off and says so */
	} else if (ev == BODY_BROKEN) {
		p->err = *body_err(b);
		refuse(p);
	} else if (ev == BODY_MORE && p->step == st_commands) {
		push_run(p);
	}
}

static enum push_step
st_receive(struct push *p)
{
	return push_git_start(p) != 0 ? refuse(p) : PUSH_WAIT;
}

void
push_start(struct serve *s, struct http_xchg *x, const struct smart_path *path)
{
	const char *encoding = http_head_get(http_xchg_request(x), "content-encoding");
	struct push *p = MEM_NEW(struct push);

	p->magic = PUSH_MAGIC;
	p->all = s->pushes;
	p->serve = s;
	p->xchg = x;
	p->path = *path;
	p->begun_ns = clock_boot_ns();
	p->begun_ms = clock_wall_ms();
	p->deadline_ns = p->begun_ns + s->push_msec * CLOCK_MSEC;
	p->step = st_where;
	rnd_bytes(p->id, sizeof(p->id));
	hex_encode(p->id_text, p->id, sizeof(p->id));
	snprintf(p->request, sizeof(p->request), "%s", serve_request_id(x));
	buf_init(&p->read, MAX_READ);
	LIST_INSERT_HEAD(&s->pushes->list, p, next);
	s->pushes->n++;
	http_xchg_on_close(x, on_close, p);
	if (body_new(&p->body, http_xchg_stream(x), encoding, 0, on_body, p, &p->err) != 0) {
		refuse(p);
		return;
	}
	push_run(p);
}

unsigned
pushes_active(const struct pushes *all)
{
	return all->n;
}

struct repo_locks *
pushes_locks(struct pushes *all)
{
	return all->locks;
}
