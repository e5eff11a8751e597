#include "replica/serve/repo_admin.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/relay.h"
#include "gitproto/refname.h"
#include "replica/serve/names.h"
#include "replica/serve/repo_life.h"
#include "replica/serve/room.h"
#include "replica/serve/serve.h"

#define MAX_BODY 65536
#define NOT_PLACED UINT32_MAX

/* --- requests ------------------------------------------------------------------------------- */

struct ask {
	unsigned magic;
#define ASK_MAGIC 0xa5ca5c01u
	struct serve *serve;
	struct http_xchg *xchg; /* NULL: gone */
	bool may_forward;
	enum { ASK_CREATE, ASK_DELETE, ASK_RENAME } what;
	struct smart_path_repo repo, to;
	uint8_t id[16];  /* rename: of the repository, zeros: any */
	uint32_t placed; /* create: the shard that is wished, NOT_PLACED: by hash and directory */
	char head[REFNAME_MAX];
	enum oid_format format;
	struct buf body; /* as it came, to be handed on */
	struct shard *shard;
	struct http_call *call;
	struct relay *relay;
	unsigned waits;
};

static void
ask_free(struct ask *a)
{
	relay_free(&a->relay);
	http_call_free(&a->call);
	buf_release(&a->body);
	free(a);
}

static void
on_close(void *arg)
{
	struct ask *a = OBJ_FROM(arg, struct ask, ASK_MAGIC);

	a->xchg = NULL;
	relay_free(&a->relay);
	if (a->waits == 0)
		ask_free(a);
}

static void
reply_json(struct http_xchg *x, int status, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);

	http_xchg_reply(x, status, NULL, "application/json", slice_str(text != NULL ? text : "{}"));
	free(text);
	json_decref(j);
}

static void
fail(struct ask *a, const struct err *err)
{
	if (a->xchg == NULL)
		return;
	reply_json(a->xchg, err_http_status(err->code),
		   json_pack("{s:s, s:s}", "error", err_text(err), "code", err_name(err->code)));
}

static void
on_changed(const struct err *err, const uint8_t id[16], void *arg)
{
	struct ask *a = OBJ_FROM(arg, struct ask, ASK_MAGIC);
	char hex[33];

	a->waits--;
	if (a->xchg == NULL) {
		if (a->waits == 0)
			ask_free(a);
		return;
	}
	if (err->code != 0) {
		fail(a, err);
		return;
	}
	hex_encode(hex, id, 16);
	reply_json(a->xchg, a->what == ASK_CREATE ? 201 : 200,
		   json_pack("{s:s, s:s, s:i}", "repo",
			     a->what == ASK_RENAME ? a->to.path : a->repo.path, "id", hex, "shard",
			     (int)shard_index(a->shard)));
}

static void
on_call(struct http_call *call, enum http_call_event ev, void *arg)
{
	struct ask *a = OBJ_FROM(arg, struct ask, ASK_MAGIC);
	struct relay_opts o = { .end_to = true };
	struct http_head *h;
	struct err err;
	const char *type;

	if (ev == CALL_CONTINUE || a->xchg == NULL)
		return;
	if (ev == CALL_FAILED) {
		/* Not "try again" of what the primary may have done before it was lost. */
		if (http_call_sent(call))
			err_set(&err, ERR_UNKNOWN,
				"the primary of shard %" PRIu32
				" was asked and did not answer (%s): it may have been done or not; "
				"look with 'shardctl where', then try again",
				shard_index(a->shard), http_call_why(call));
		else
			err_set(&err, ERR_UNAVAILABLE,
				"the primary of shard %" PRIu32 " does not answer (%s); try again",
				shard_index(a->shard), http_call_why(call));
		fail(a, &err);
		return;
	}
	h = http_head_new();
	h->status = http_call_response(call)->status;
	h->content_length = -1;
	type = http_head_get(http_call_response(call), "content-type");
	http_head_addf(h, "content-type", "%s", type != NULL ? type : "text/plain");
	http_xchg_respond(a->xchg, h);
	http_head_free(&h);
	a->relay = relay_new(http_call_stream(call), http_xchg_stream(a->xchg), &o);
}

static void
set_target(const struct ask *a, char *out, size_t size)
{
	char id[33];

	hex_encode(id, a->id, 16);
	if (a->what == ASK_RENAME)
		snprintf(out, size, "/gs/repos/rename?repo=%s&to=%s&id=%s", a->repo.path,
			 a->to.path, id);
	else
		snprintf(out, size, "/gs/repos?repo=%s", a->repo.path);
}

static void
forward(struct ask *a)
{
	struct http_session *to = peers_get(a->serve->peers, shard_primary(a->shard));
	struct http_head *h;
	struct err err;
	char target[600];

	if (to == NULL || !a->may_forward || shard_primary(a->shard) == a->serve->self) {
		err_set(&err, ERR_UNAVAILABLE, "shard %" PRIu32 " has no primary now; try again",
			shard_index(a->shard));
		fail(a, &err);
		return;
	}
	h = http_head_new();
	set_target(a, target, sizeof(target));
	http_head_request(h, a->what == ASK_DELETE ? "DELETE" : "POST", target);
	http_head_addf(h, "gitshard-shard", "%" PRIu32, shard_index(a->shard));
	a->call = http_call_new(to, h, a->what == ASK_CREATE, on_call, a);
	http_head_free(&h);
	if (a->what == ASK_CREATE) {
		stream_write(http_call_stream(a->call), buf_slice(&a->body));
		stream_end(http_call_stream(a->call));
	}
}

/* All that was read of the log is applied: what exists is known. */
static void
on_applied(int rc, void *arg)
{
	struct ask *a = OBJ_FROM(arg, struct ask, ASK_MAGIC);
	struct serve *s = a->serve;
	struct repo_life_create c = { .repo = a->repo,
				      .head = a->head,
				      .format = a->format,
				      .here = a->placed != NOT_PLACED };
	struct err err;

	if (rc != 0 || a->xchg == NULL) {
		a->waits--;
		err_set(&err, ERR_UNAVAILABLE, "the primary is still catching up; try again");
		fail(a, &err);
		if (a->xchg == NULL && a->waits == 0)
			ask_free(a);
		return;
	}
	if (a->what == ASK_DELETE) {
		repo_life_delete(s, a->shard, &a->repo, on_changed, a);
	} else if (a->what == ASK_RENAME) {
		repo_life_rename(s, a->shard, &a->repo, &a->to, a->id, on_changed, a);
	} else if (room_for_change(s, &err) != 0) {
		a->waits--;
		fail(a, &err);
	} else {
		repo_life_create(s, a->shard, &c, on_changed, a);
	}
}

/* By the directory; a repository that is placed, or known by its id, needs none. */
static int
find_shard(struct ask *a, struct err *err)
{
	struct repo *repo = a->what == ASK_RENAME ? repo_find_id(a->serve->repos, a->id) : NULL;
	uint32_t index = repo != NULL ? repo->shard : a->placed;

	repo_unref(&repo);
	if (index == NOT_PLACED || a->serve->map == NULL)
		return serve_shard_of(a->serve, &a->shard, &a->repo, err);
	if (index >= a->serve->map->nshards)
		return err_set(err, ERR_BAD,
			       "there is no shard %" PRIu32 "; they are 0 to %" PRIu32, index,
			       a->serve->map->nshards - 1);
	a->shard = shards_get(a->serve->shards, index);
	return a->shard != NULL ? 0
				: err_set(err, ERR_WRONG_NODE,
					  "shard %" PRIu32 " is not on this node", index);
}

static void
route(struct ask *a)
{
	struct err err;
	uint64_t deadline = clock_boot_ns() + a->serve->push_msec * CLOCK_MSEC;

	if (find_shard(a, &err) != 0) {
		fail(a, &err);
		return;
	}
	if (!shard_is_primary(a->shard)) {
		forward(a);
		return;
	}
	if (a->serve->log_away(a->serve->log_arg)) {
		without_log_refuse_write(&err);
		fail(a, &err);
		return;
	}
	a->waits++;
	shard_wait(a->shard, NULL, shard_position(a->shard), deadline, on_applied, a);
}

static void
on_looked(int rc UNUSED, void *arg)
{
	struct ask *a = OBJ_FROM(arg, struct ask, ASK_MAGIC);

	a->waits--;
	if (a->xchg == NULL)
		ask_free(a);
	else
		route(a);
}

/* Another node may just have said where the repository is from now on.  Without the log, what is known
 * will do: nothing is changed then. */
static void
look(struct ask *a)
{
	if (a->serve->directory_log == NULL || a->serve->log_away(a->serve->log_arg)) {
		route(a);
		return;
	}
	a->waits++;
	names_look(a->serve, on_looked, a);
}

static int
parse_create(struct ask *a, struct err *err)
{
	json_t *j = json_loadb((const char *)a->body.p, a->body.len, 0, NULL);
	const char *repo = json_string_value(json_object_get(j, "repo"));
	const char *head = json_string_value(json_object_get(j, "head"));
	const char *format = json_string_value(json_object_get(j, "object_format"));
	json_t *shard = json_object_get(j, "shard");
	int rc = 0;

	if (repo == NULL)
		rc = err_set(err, ERR_BAD, "the body must be JSON with \"repo\": \"owner/name\"");
	if (rc == 0)
		rc = smart_path_repo_parse(&a->repo, slice_str(repo), err);
	if (rc == 0) {
		snprintf(a->head, sizeof(a->head), "%s%s",
			 head != NULL && strncmp(head, "refs/", 5) == 0 ? "" : "refs/heads/",
			 head != NULL && head[0] != '\0' ? head : "main");
		rc = refname_check(slice_str(a->head), err);
	}
	if (rc == 0 && format != NULL && !oid_name_parse(&a->format, slice_str(format)))
		rc = err_set(err, ERR_BAD, "object_format is sha1 or sha256");
	if (rc == 0 && shard != NULL) {
		a->placed = (uint32_t)json_integer_value(shard);
		if (!json_is_integer(shard) || json_integer_value(shard) < 0 ||
		    json_integer_value(shard) >= NOT_PLACED)
			rc = err_set(err, ERR_BAD, "shard is the number of a shard");
	}
	if (rc == 0 && a->serve->caps->format[a->format].upload == NULL)
		rc = err_set(err, ERR_UNSUPPORTED, "the node's git does not speak %s",
			     oid_name(a->format));
	json_decref(j);
	return rc;
}

static void
on_body(struct stream *s, enum stream_event ev, void *arg)
{
	struct ask *a = OBJ_FROM(arg, struct ask, ASK_MAGIC);
	struct err err;

	if (ev != STREAM_READABLE || http_xchg_responded(a->xchg) || a->waits > 0 ||
	    a->call != NULL)
		return;
	while (stream_readable(s) > 0) {
		struct slice in = stream_peek(s, 0);

		buf_add_slice(&a->body, in);
		stream_take(s, in.len);
	}
	if (!buf_ok(&a->body)) {
		err_set(&err, ERR_TOO_BIG, "the body is larger than %u bytes", MAX_BODY);
		fail(a, &err);
	} else if (stream_at_end(s)) {
		if (parse_create(a, &err) != 0)
			fail(a, &err);
		else
			look(a);
	}
}

/* The value of key ("repo=") in the query; empty: it is not there. */
static struct slice
query(const char *target, const char *key)
{
	const char *q = strchr(target, '?');

	while (q != NULL && strncmp(q + 1, key, strlen(key)) != 0)
		q = strchr(q + 1, '&');
	if (q == NULL)
		return SLICE_NONE;
	q += 1 + strlen(key);
	return slice_of(q, strcspn(q, "&"));
}

static int
parse_rename(struct ask *a, const char *target, struct err *err)
{
	struct slice id = query(target, "id=");
	int rc = smart_path_repo_parse(&a->to, query(target, "to="), err);

	if (rc == 0 && id.len > 0 && hex_decode(a->id, sizeof(a->id), id) < 0)
		rc = err_set(err, ERR_BAD, "id is 32 hex digits");
	return rc;
}

void
repo_admin_handle(struct serve *s, struct http_xchg *x, bool may_forward)
{
	const struct http_head *req = http_xchg_request(x);
	struct ask *a = MEM_NEW(struct ask);
	struct err err;

	a->magic = ASK_MAGIC;
	a->serve = s;
	a->xchg = x;
	a->may_forward = may_forward;
	a->placed = NOT_PLACED;
	a->what = strcmp(req->method, "DELETE") == 0        ? ASK_DELETE
		  : strstr(req->target, "/rename?") != NULL ? ASK_RENAME
							    : ASK_CREATE;
	buf_init(&a->body, MAX_BODY);
	http_xchg_on_close(x, on_close, a);
	if (a->what == ASK_CREATE) {
		stream_on(http_xchg_stream(x), on_body, a);
		http_xchg_continue(x);
		on_body(http_xchg_stream(x), STREAM_READABLE, a);
		return;
	}
	if (smart_path_repo_parse(&a->repo, query(req->target, "repo="), &err) != 0 ||
	    (a->what == ASK_RENAME && parse_rename(a, req->target, &err) != 0))
		fail(a, &err);
	else
		look(a);
}

/* --- list ----------------------------------------------------------------------------------- */

static json_t *
describe(struct serve *s, struct repo *r)
{
	char id[33], digest[2 * REFSET_DIGEST + 1] = "", head[REFNAME_MAX] = "";
	uint8_t raw[REFSET_DIGEST];
	const char *state = "ok";
	size_t refs = 0;
	bool loaded;
	uint64_t applied;
	char path[SMART_PATH_REPO_SIZE];
	json_t *j;

	(void)s;
	hex_encode(id, r->id, 16);
	pthread_mutex_lock(&r->shared.lock);
	loaded = r->shared.refs != NULL;
	if (loaded) {
		refset_digest(r->shared.refs, raw);
		hex_encode(digest, raw, sizeof(raw));
		refs = refset_count(r->shared.refs);
		snprintf(head, sizeof(head), "%s",
			 refset_head(r->shared.refs) != NULL ? refset_head(r->shared.refs) : "");
	}
	applied = r->shared.applied;
	snprintf(path, sizeof(path), "%s", r->shared.path);
	if (r->shared.quarantined)
		state = "quarantined";
	else if (r->shared.missing > 0)
		state = "missing packs";
	pthread_mutex_unlock(&r->shared.lock);
	j = json_pack("{s:s, s:s, s:i, s:s, s:I, s:s}", "repo", path, "id", id, "shard",
		      (int)r->shard, "object_format", oid_name(r->format), "applied",
		      (json_int_t)applied, "state", state);
	if (loaded) {
		json_object_set_new(j, "head", json_string(head));
		json_object_set_new(j, "refs", json_integer((json_int_t)refs));
		json_object_set_new(j, "digest", json_string(digest));
	}
	return j;
}

/* A list that waits until the refs of all repositories it names are in memory. */
struct listing {
	struct serve *serve;
	struct http_xchg *xchg; /* NULL: gone */
	struct repo **repos;
	size_t n, at;
	bool loading;
	json_t *out;
};

static void list_go_on(void *arg);

static void
listing_free(struct listing *l)
{
	for (size_t i = 0; i < l->n; i++)
		repo_unref(&l->repos[i]);
	free(l->repos);
	json_decref(l->out);
	free(l);
}

static void
on_list_close(void *arg)
{
	struct listing *l = arg;

	l->xchg = NULL;
	if (!l->loading)
		listing_free(l);
}

static void
on_list_loaded(struct repo *repo UNUSED, int rc UNUSED, void *arg)
{
	struct listing *l = arg;

	loop_post(l->serve->loop, list_go_on, l);
}

static void
list_go_on(void *arg)
{
	struct listing *l = arg;

	if (l->loading) {
		l->loading = false;
		if (l->xchg == NULL) {
			listing_free(l);
			return;
		}
		json_array_append_new(json_object_get(l->out, "repos"),
				      describe(l->serve, l->repos[l->at++]));
	}
	if (l->at < l->n) {
		l->loading = true;
		apply_load(l->serve->apply, l->repos[l->at], on_list_loaded, l);
		return;
	}
	reply_json(l->xchg, 200, json_incref(l->out));
}

void
repo_admin_list(struct serve *s, struct http_xchg *x)
{
	struct listing *l = MEM_NEW(struct listing);
	struct slice wanted = query(http_xchg_request(x)->target, "repo=");
	struct smart_path_repo repo;
	struct repo *one;

	l->serve = s;
	l->xchg = x;
	l->out = json_pack("{s:[]}", "repos");
	http_xchg_on_close(x, on_list_close, l);
	if (wanted.len > 0) {
		one = smart_path_repo_parse(&repo, wanted, NULL) == 0
			      ? repo_find(s->repos, repo.path)
			      : NULL;
		l->repos = mem_array(1, sizeof(*l->repos));
		l->repos[0] = one;
		l->n = one != NULL;
	} else {
		l->repos = repo_table_all(s->repos, &l->n);
	}
	list_go_on(l);
}
