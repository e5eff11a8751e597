/* replica/serve/fetch.c - THE LIFE OF A FETCH on a node.
 *
 *	st_where	which shard, is it here
 *	st_prove	strict read: an offset that the answer must reflect (R7)
 *	st_applied	wait until this repository is applied up to there
 *	st_loaded	its refs are in memory
 *	st_answer	advertisement or ls-refs from memory, of one moment; or git upload-pack
 *
 * Every request of a fetch does all of it, the POST too: it may have reached another replica than
 * the advertisement did. */
#include "replica/serve/fetch.h"

#include <inttypes.h>

#include "gitproto/advert.h"
#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "gitproto/ls_refs.h"
#include "gitproto/version.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/fetch_impl.h"
#include "replica/serve/names.h"
#include "replica/serve/strict_read.h"

/* An answer from memory: 100,000 refs of 100 bytes are 14 MB. */
#define MAX_ANSWER (512u << 20)
#define MAX_FETCH_BODY (256u << 20) /* wants and haves, inflated */

static enum fetch_step st_where(struct fetch *);
static enum fetch_step st_applied(struct fetch *);
static enum fetch_step st_loaded(struct fetch *);
static enum fetch_step st_answer(struct fetch *);
static enum fetch_step st_command(struct fetch *);

static void
fetch_free(struct fetch *f)
{
	relay_free(&f->out);
	child_free(&f->child);
	body_free(&f->body);
	if (f->v2_open)
		v2_request_release(&f->v2);
	buf_release(&f->read);
	repo_unref(&f->repo);
	free(f);
}

static void
run(struct fetch *f)
{
	enum fetch_step s;

	do
		s = f->step(f);
	while (s == FETCH_NEXT);
	/* FETCH_DONE: answered; on_close ends its life. */
}

/* The exchange ended, answered or not. */
static void
on_close(void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);

	relay_free(&f->out);
	body_free(&f->body);
	child_free(&f->child);
	f->xchg = NULL;
	f->dead = true;
	if (f->waits == 0)
		fetch_free(f);
}

/* A callback that was waited for came: false when the request is over or answered meanwhile. */
static bool
came_back(struct fetch *f)
{
	CHECK(f->waits > 0);
	f->waits--;
	if (!f->dead) /* a body that broke meanwhile was answered already */
		return !http_xchg_responded(f->xchg);
	if (f->waits == 0)
		fetch_free(f);
	return false;
}

enum fetch_step
fetch_refuse(struct fetch *f)
{
	serve_refuse(f->serve, f->xchg, f->shard, &f->err);
	return FETCH_DONE;
}

static enum fetch_step
refuse_unknown(struct fetch *f)
{
	err_set(&f->err, ERR_NOT_FOUND, "repository '%s' does not exist", f->path.repo.path);
	return fetch_refuse(f);
}

static enum fetch_step
refuse_late(struct fetch *f)
{
	err_set(&f->err, ERR_UNAVAILABLE,
		"this replica could not prove in time that it is up to date; try again");
	return fetch_refuse(f);
}

/* What the client has seen elsewhere, it never sees older here ("SHARD:OFFSET" of an answer). */
static uint64_t
seen_before(const struct fetch *f)
{
	const char *after = http_head_get(http_xchg_request(f->xchg), "gitshard-after");
	uint32_t shard;
	uint64_t offset;

	if (after == NULL || sscanf(after, "%" SCNu32 ":%" SCNu64, &shard, &offset) != 2 ||
	    shard != shard_index(f->shard))
		return 0;
	return offset;
}

static enum fetch_step
refuse_without_log(struct fetch *f)
{
	if (f->path.service == SERVICE_RECEIVE_PACK)
		without_log_refuse_write(&f->err);
	else
		without_log_refuse_read(&f->err);
	return fetch_refuse(f);
}

/* What was read before, if the site would rather have that than nothing.  Who has seen more elsewhere
 * does not get less here. */
static bool
may_do_without_proof(struct fetch *f)
{
	f->offset = shard_position(f->shard);
	f->without_log = f->path.service != SERVICE_RECEIVE_PACK && seen_before(f) <= f->offset &&
			 without_log_serves(&f->serve->without_log, shard_fresh_ns(f->shard),
					    clock_boot_ns(), f->age);
	return f->without_log;
}

static void
on_proof(int rc, uint64_t offset, void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);

	if (!came_back(f))
		return;
	f->offset = MAX(offset, seen_before(f));
	if (rc == 0) {
		f->step = st_applied;
		run(f);
	} else if (rc == ERR_WRONG_NODE) {
		/* Deposed between the check and here: the other ways are open. */
		f->waits++;
		strict_read(f->serve->reads, f->shard, on_proof, f);
	} else if (!f->serve->log_away(f->serve->log_arg)) {
		refuse_late(f);
	} else if (may_do_without_proof(f)) {
		f->step = st_applied;
		run(f);
	} else {
		refuse_without_log(f);
	}
}

static enum fetch_step
st_prove(struct fetch *f)
{
	f->waits++;
	strict_read(f->serve->reads, f->shard, on_proof, f);
	return FETCH_WAIT;
}

static enum fetch_step
st_where(struct fetch *f)
{
	if (serve_shard_of(f->serve, &f->shard, &f->path.repo, &f->err) != 0)
		return fetch_refuse(f);
	/* A log that is another one than was read is as good as none. */
	if (shard_halted(f->shard) != NULL && may_do_without_proof(f)) {
		f->step = st_applied;
		return FETCH_NEXT;
	}
	if (shard_halted(f->shard) != NULL) {
		err_set(&f->err, ERR_UNAVAILABLE, "shard %" PRIu32 " is stopped on this node: %s",
			shard_index(f->shard), err_text(shard_halted(f->shard)));
		return fetch_refuse(f);
	}
	/* What comes to push is told before it sends anything. */
	if (f->path.service == SERVICE_RECEIVE_PACK && f->serve->log_away(f->serve->log_arg))
		return refuse_without_log(f);
	f->step = st_prove;
	return FETCH_NEXT;
}

static void
on_applied(int rc, void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);

	if (!came_back(f))
		return;
	if (rc == ERR_UNAVAILABLE && shard_stuck(f->shard) != NULL) {
		err_set(&f->err, ERR_UNAVAILABLE,
			"this replica cannot write: %s; another one may serve it",
			err_text(shard_stuck(f->shard)));
		fetch_refuse(f);
		return;
	}
	if (rc != 0) {
		refuse_late(f);
		return;
	}
	f->step = st_loaded;
	run(f);
}

static enum fetch_step
st_applied(struct fetch *f)
{
	repo_unref(&f->repo);
	f->repo = serve_repo(f->serve, f->shard, f->path.repo.path);
	f->waits++;
	shard_wait(f->shard, f->repo, f->offset, f->deadline, on_applied, f);
	return FETCH_WAIT;
}

static void
on_loaded(void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);

	if (!came_back(f))
		return;
	run(f);
}

/* Apply thread: the result is looked at again on the loop, under the repository's lock. */
static void
on_load(struct repo *repo UNUSED, int rc, void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);

	f->load_failed = rc != 0 && rc != ERR_NOT_FOUND; /* nobody else looks before the post */
	loop_post(f->serve->loop, on_loaded, f);
}

static void
on_looked(int rc, void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);

	if (!came_back(f))
		return;
	f->step = st_where;
	if (rc == 0)
		run(f);
	else
		refuse_late(f);
}

static enum fetch_step
empty_receive(struct fetch *f)
{
	struct reflist none = { .head_target = "refs/heads/main", .format = OID_SHA1 };
	struct advert_opts o = { .service = SERVICE_RECEIVE_PACK,
				 .version = version_spoken(SERVICE_RECEIVE_PACK, f->version),
				 .http = f->version != VERSION_2,
				 .caps = slice_str(f->serve->caps->format[OID_SHA1].receive) };
	struct http_head *head = http_head_new();
	struct buf b = BUF_MAX(65536);

	http_head_addf(head, "cache-control", "no-cache, max-age=0, must-revalidate");
	advert_add(&b, &none, &o);
	http_xchg_reply(f->xchg, 200, head, service_type_advertisement(SERVICE_RECEIVE_PACK),
			buf_slice(&b));
	http_head_free(&head);
	buf_release(&b);
	return FETCH_DONE;
}

static enum fetch_step
st_loaded(struct fetch *f)
{
	struct repo *now = serve_repo(f->serve, f->shard, f->path.repo.path);
	bool loaded, gone, whole, same = now == f->repo;
	char why[200] = "";

	/* Who has the name now: what was read meanwhile may have made, deleted or renamed it.  Of another
	 * than the one that was waited for, not all below the proved offset may be applied. */
	repo_unref(&now);
	if (!same) {
		f->step = st_applied;
		return FETCH_NEXT;
	}
	if (f->repo == NULL && !f->looked && f->serve->directory_log != NULL &&
	    !f->serve->log_away(f->serve->log_arg)) {
		/* It may have gone to another shard; what is told is told by a fresh directory. */
		f->looked = true;
		f->waits++;
		names_look(f->serve, on_looked, f);
		return FETCH_WAIT;
	}
	if (f->repo == NULL) {
		if (f->path.endpoint == SMART_PATH_INFO_REFS && f->serve->auto_create &&
		    f->path.service == SERVICE_RECEIVE_PACK)
			return empty_receive(f);
		return refuse_unknown(f);
	}
	pthread_mutex_lock(&f->repo->shared.lock);
	loaded = f->repo->shared.refs != NULL;
	gone = f->repo->shared.deleted;
	whole = f->repo->shared.missing == 0;
	if (f->repo->shared.quarantined)
		snprintf(why, sizeof(why), "%s", f->repo->shared.why);
	f->repo->shared.used = clock_boot_ns();
	pthread_mutex_unlock(&f->repo->shared.lock);
	if (gone)
		return refuse_unknown(f);
	if (why[0] != '\0') {
		err_set(&f->err, ERR_UNAVAILABLE,
			"this replica of '%s' is out of service (%s); another one may serve it",
			f->path.repo.path, why);
		return fetch_refuse(f);
	}
	if (clock_boot_ns() > f->deadline)
		return refuse_late(f);
	if (!whole) { /* a pack went missing since: wait on */
		f->step = st_applied;
		return FETCH_NEXT;
	}
	if (!loaded && f->load_failed) {
		err_set(&f->err, ERR_UNAVAILABLE, "this replica cannot load the refs of '%s'",
			f->path.repo.path);
		return fetch_refuse(f);
	}
	if (!loaded) {
		f->waits++;
		apply_load(f->serve->apply, f->repo, on_load, f);
		return FETCH_WAIT;
	}
	f->step = st_answer;
	return FETCH_NEXT;
}

struct http_head *
fetch_answer_head(const struct fetch *f)
{
	struct http_head *head = http_head_new();

	http_head_addf(head, "expires", "Fri, 01 Jan 1980 00:00:00 GMT");
	http_head_addf(head, "pragma", "no-cache");
	http_head_addf(head, "cache-control", "no-cache, max-age=0, must-revalidate");
	http_head_addf(head, "gitshard-offset", "%" PRIu32 ":%" PRIu64, shard_index(f->shard),
		       f->offset);
	if (f->without_log)
		http_head_addf(head, "gitshard-without-log", "%s", f->age);
	return head;
}

/* Takes the refs of this moment and writes with them; false: the repository is not whole, not
 * loaded, or gone, since it was looked at. */
static bool
with_refs(struct fetch *f, void (*write)(struct fetch *, const struct reflist *, struct buf *),
	  struct buf *out)
{
	struct reflist list;
	bool ok;

	pthread_mutex_lock(&f->repo->shared.lock);
	ok = f->repo->shared.refs != NULL && f->repo->shared.missing == 0 &&
	     !f->repo->shared.quarantined && !f->repo->shared.deleted;
	if (ok) {
		refset_list(f->repo->shared.refs, &list);
		write(f, &list, out);
	}
	pthread_mutex_unlock(&f->repo->shared.lock);
	return ok;
}

static void
write_advert(struct fetch *f, const struct reflist *list, struct buf *out)
{
	const struct capline *c = &f->serve->caps->format[list->format];
	struct advert_opts o = { .service = f->path.service,
				 .version = version_spoken(f->path.service, f->version),
				 /* http-backend goes by what is asked for, for receive-pack too */
				 .http = f->version != VERSION_2,
				 .caps_when_empty = c->caps_when_empty };

	o.caps = slice_str(f->path.service == SERVICE_RECEIVE_PACK ? c->receive
			   : o.version == VERSION_2                ? c->v2
								   : c->upload);
	advert_add(out, list, &o);
}

static void
write_ls_refs(struct fetch *f, const struct reflist *list, struct buf *out)
{
	struct ls_refs args;

	if (v2_request_check(&f->v2, slice_str(f->serve->caps->format[list->format].v2),
			     list->format, &f->err) != 0 ||
	    ls_refs_parse(&args, &f->v2, true, &f->err) != 0)
		return;
	ls_refs_write(out, &args, list);
	ls_refs_release(&args);
}

static enum fetch_step
reply_memory(struct fetch *f, enum fetch_kind kind, const char *type,
	     void (*write)(struct fetch *, const struct reflist *, struct buf *))
{
	struct buf b = BUF_MAX(MAX_ANSWER);
	struct http_head *head;

	if (!with_refs(f, write, &b)) {
		f->step = st_loaded;
		return FETCH_NEXT;
	}
	if (!buf_ok(&b) && f->err.code == 0)
		err_set(&f->err, ERR_NOMEM, "out of memory; try again");
	if (f->err.code != 0) {
		buf_release(&b);
		return fetch_refuse(f);
	}
	head = fetch_answer_head(f);
	http_xchg_reply(f->xchg, 200, head, type, buf_slice(&b));
	replica_stats_add(RSTAT_FETCHES, kind, 1);
	http_head_free(&head);
	buf_release(&b);
	return FETCH_DONE;
}

static enum fetch_step
st_answer(struct fetch *f)
{
	if (f->path.endpoint == SMART_PATH_INFO_REFS)
		return reply_memory(f, FETCH_KIND_INFO_REFS,
				    service_type_advertisement(f->path.service), write_advert);
	f->step = f->version == VERSION_2 ? st_command : fetch_pack_start;
	return FETCH_NEXT;
}

static enum fetch_step
reply_nothing(struct fetch *f)
{
	struct http_head *head = fetch_answer_head(f);

	http_xchg_reply(f->xchg, 200, head, service_type_result(SERVICE_UPLOAD_PACK), SLICE_NONE);
	http_head_free(&head);
	return FETCH_DONE;
}

/* v2: ls-refs is answered from memory, all else is git's.  What was read is kept for git. */
static enum fetch_step
st_command(struct fetch *f)
{
	bool more = true;

	while (more && !f->v2.done && (!f->v2.head_done || f->v2.command == V2_REQUEST_LS_REFS)) {
		struct slice in = body_peek(f->body);
		ssize_t n = v2_request_feed(&f->v2, in, &f->err);

		if (n < 0)
			return fetch_refuse(f);
		buf_add(&f->read, in.p, (size_t)n);
		body_take(f->body, (size_t)n);
		more = n > 0;
	}
	if (f->v2.head_done && f->v2.command != V2_REQUEST_LS_REFS &&
	    f->v2.command != V2_REQUEST_NONE) {
		f->step = fetch_pack_start;
		return FETCH_NEXT;
	}
	if (f->v2.done && f->v2.command == V2_REQUEST_LS_REFS)
		return reply_memory(f, FETCH_KIND_LS_REFS, service_type_result(SERVICE_UPLOAD_PACK),
				    write_ls_refs);
	if (!f->v2.done && body_is_broken(f->body)) {
		f->err = *body_err(f->body);
		return fetch_refuse(f);
	}
	if (f->v2.done || (body_ended(f->body) && f->read.len == 0 && body_peek(f->body).len == 0))
		return reply_nothing(f);
	if (body_ended(f->body)) {
		err_set(&f->err, ERR_BAD, "the request body ends within a packet");
		return fetch_refuse(f);
	}
	return FETCH_WAIT;
}

static void
on_body(struct body *b, enum body_event ev, void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);

	if (f->child == NULL && http_xchg_responded(f->xchg))
		return; /* refused already; the rest of the body is of no interest */
	if (ev == BODY_BROKEN && !http_xchg_responded(f->xchg)) {
		f->err = *body_err(b);
		fetch_refuse(f);
		child_free(&f->child); /* it said nothing yet, and is not needed */
	} else if (ev == BODY_BROKEN && f->child != NULL) {
		/* git finds the end too early and says so itself, or nobody listens any more. */
		stream_end(child_io(f->child));
	} else if (ev == BODY_MORE && f->step == st_command) {
		run(f);
	}
}

void
fetch_start(struct serve *s, struct http_xchg *x, const struct smart_path *path)
{
	const struct http_head *req = http_xchg_request(x);
	const char *asked = http_head_get(req, "git-protocol");
	struct fetch *f = MEM_NEW(struct fetch);

	f->magic = FETCH_MAGIC;
	f->serve = s;
	f->xchg = x;
	f->path = *path;
	f->version = asked != NULL ? version_parse(slice_str(asked)) : VERSION_0;
	f->deadline = clock_boot_ns() + s->read_msec * CLOCK_MSEC;
	f->step = st_where;
	buf_init(&f->read, V2_REQUEST_BYTES + 65536);
	http_xchg_on_close(x, on_close, f);
	if (path->endpoint == SMART_PATH_UPLOAD_PACK) {
		v2_request_init(&f->v2, NULL);
		f->v2_open = true;
		if (body_new(&f->body, http_xchg_stream(x), http_head_get(req, "content-encoding"),
			     MAX_FETCH_BODY, on_body, f, &f->err) != 0) {
			fetch_refuse(f);
			return;
		}
		http_xchg_continue(x);
	}
	run(f);
}
