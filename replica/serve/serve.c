#include "replica/serve/serve.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/serve/fetch.h"
#include "replica/serve/names.h"
#include "replica/serve/pack_get.h"
#include "replica/serve/pack_give.h"
#include "replica/serve/push.h"
#include "replica/serve/repo_admin.h"
#include "replica/serve/repo_life.h"
#include "replica/serve/stage_come.h"
#include "replica/serve/stage_hold.h"
#include "replica/serve/stage_slot.h"
#include "replica/serve/status_feed.h"
#include "replica/serve/strict_read.h"
#include "replica/serve/turn.h"

int
serve_start(struct serve *s, struct err *err)
{
	int rc;

	s->reads = strict_reads_new(s);
	s->feed = status_feed_new(s);
	s->wants = pack_gets_new(s);
	s->turns = turns_new(s);
	s->slots = stage_slots_new(s->loop, s->stage_budget);
	s->comes = stage_comes_new(s);
	s->names = names_new(s);
	rc = stage_holds_new(&s->holds, s, err);
	if (rc == 0)
		rc = pushes_new(&s->pushes, s, err);
	return rc;
}

void
serve_stop_lives(struct serve *s)
{
	if (s->names == NULL)
		return;
	names_stop(s->names);
	repo_life_stop(s);
}

void
serve_stop(struct serve *s)
{
	names_free(&s->names);
	pushes_free(&s->pushes);
	stage_slots_free(&s->slots);
	stage_comes_free(&s->comes);
	pack_gets_free(&s->wants);
	stage_holds_free(&s->holds);
	turns_free(&s->turns);
	status_feed_free(&s->feed);
	strict_reads_free(&s->reads);
}

void
serve_shard_changed(struct serve *s, struct shard *shard)
{
	status_feed_changed(s->feed, shard);
}

const char *
serve_request_id(const struct http_xchg *x)
{
	const char *id = x != NULL ? http_head_get(http_xchg_request(x), "gitshard-request") : NULL;

	/* It goes into log lines: only what a router makes is taken. */
	return id != NULL && strlen(id) <= 32 && id[strspn(id, "0123456789abcdef")] == '\0' ? id
											    : "-";
}

int
serve_shard_of(struct serve *s, struct shard **out, const struct smart_path_repo *repo,
	       struct err *err)
{
	uint32_t index;

	*out = NULL;
	if (s->map == NULL)
		return err_set(err, ERR_UNAVAILABLE,
			       "this node does not know the map yet; try again");
	index = directory_shard(s->directory, s->map, slice_str(repo->path));
	*out = shards_get(s->shards, index);
	if (*out == NULL)
		return err_set(err, ERR_WRONG_NODE, "shard %" PRIu32 " is not on this node", index);
	return 0;
}

struct repo *
serve_repo(struct serve *s, const struct shard *shard, const char *path)
{
	struct repo *repo = repo_find(s->repos, path);

	/* Of another shard, nothing is proved by this one. */
	if (repo != NULL && repo->shard != shard_index(shard))
		repo_unref(&repo);
	return repo;
}

void
serve_refuse(struct serve *s, struct http_xchg *x, struct shard *shard, const struct err *err)
{
	struct http_head *h = http_head_new();
	char text[sizeof(err->text) + 2];
	int n, status = err_http_status(err->code);

	if (shard != NULL) {
		http_head_addf(h, "gitshard-shard", "%" PRIu32, shard_index(shard));
		http_head_addf(h, "gitshard-epoch", "%" PRIu64, shard_epoch(shard));
		if (shard_primary(shard) != 0)
			http_head_addf(h, "gitshard-primary", "%" PRIu32, shard_primary(shard));
	}
	http_head_addf(h, "gitshard-map", "%" PRIu64, s->map != NULL ? s->map->version : 0);
	if (status == 503 || status == 507)
		http_head_addf(h, "retry-after", "1");
	if (err->code == ERR_LOG_AWAY)
		http_head_addf(h, "gitshard-reason", "log-away");
	log_info(serve_request_id(x), "refuse", "target=%s status=%d why=%s",
		 log_value(http_xchg_request(x)->target, strlen(http_xchg_request(x)->target)),
		 status, log_value(err_text(err), strlen(err_text(err))));
	n = snprintf(text, sizeof(text), "%s\n", err_text(err));
	http_xchg_reply(x, status, h, "text/plain; charset=utf-8", slice_of(text, (size_t)n));
	http_head_free(&h);
}

/* --- dispatch ------------------------------------------------------------------------------- */

static void
refuse_text(struct serve *s, struct http_xchg *x, int code, const char *text)
{
	struct err err;

	err_set(&err, code, "%s", text);
	serve_refuse(s, x, NULL, &err);
}

static bool
has_type(const struct http_head *req, const char *want)
{
	const char *type = http_head_get(req, "content-type");

	return type != NULL && strcmp(type, want) == 0; /* exact, as git has it */
}

static void
handle_git(struct serve *s, struct http_xchg *x)
{
	const struct http_head *req = http_xchg_request(x);
	struct smart_path path;
	struct err err;
	bool post = strcmp(req->method, "POST") == 0;

	if (smart_path_parse(&path, slice_str(req->target), SLICE_LIT("/git"), &err) != 0) {
		serve_refuse(s, x, NULL, &err);
		return;
	}
	if (!post && path.endpoint == SMART_PATH_INFO_REFS &&
	    (path.service == SERVICE_UPLOAD_PACK || path.service == SERVICE_RECEIVE_PACK))
		fetch_start(s, x, &path);
	else if (post && path.endpoint == SMART_PATH_UPLOAD_PACK &&
		 has_type(req, service_type_request(SERVICE_UPLOAD_PACK)))
		fetch_start(s, x, &path);
	else if (post && path.endpoint == SMART_PATH_RECEIVE_PACK &&
		 has_type(req, service_type_request(SERVICE_RECEIVE_PACK)))
		push_start(s, x, &path);
	else if (post && (path.endpoint == SMART_PATH_UPLOAD_PACK ||
			  path.endpoint == SMART_PATH_RECEIVE_PACK))
		refuse_text(s, x, ERR_UNSUPPORTED, "the content-type is not that of a git request");
	else
		refuse_text(s, x, ERR_REFUSED,
			    "only the smart protocol is served: info/refs?service=..., "
			    "git-upload-pack and git-receive-pack");
}

static struct shard *
shard_named(struct serve *s, struct http_xchg *x)
{
	const char *text = http_head_get(http_xchg_request(x), "gitshard-shard");
	char *end;
	unsigned long n = text != NULL ? strtoul(text, &end, 10) : ULONG_MAX;

	if (text == NULL || *end != '\0' || n > UINT32_MAX)
		return NULL;
	return shards_get(s->shards, (uint32_t)n);
}

static void
handle_stage(struct serve *s, struct http_xchg *x, struct shard *shard)
{
	stage_come_receive(s->comes, x, shard);
}

static void
handle_release(struct serve *s, struct http_xchg *x, struct shard *shard)
{
	stage_hold_release(s->holds, x, shard);
}

static void
handle_pack(struct serve *s, struct http_xchg *x, struct shard *shard UNUSED)
{
	pack_give(s, x);
}

/* Requests that name a shard. */
static const struct {
	const char *method, *path;
	void (*handle)(struct serve *, struct http_xchg *, struct shard *);
} shard_routes[] = {
	{ "GET", "/gs/position", strict_read_answer }, { "POST", "/gs/stage", handle_stage },
	{ "POST", "/gs/release", handle_release },     { "GET", "/gs/pack", handle_pack },
	{ "POST", "/gs/turn", turn_answer },           { "GET", "/gs/name", names_answer },
};

static void
handle_shard(struct serve *s, struct http_xchg *x)
{
	const struct http_head *req = http_xchg_request(x);
	struct shard *shard;

	for (size_t i = 0; i < COUNT(shard_routes); i++) {
		if (strcmp(req->method, shard_routes[i].method) != 0 ||
		    strcmp(req->target, shard_routes[i].path) != 0)
			continue;
		shard = shard_named(s, x);
		if (shard != NULL)
			shard_routes[i].handle(s, x, shard);
		else
			refuse_text(s, x, ERR_WRONG_NODE, "that shard is not on this node");
		return;
	}
	refuse_text(s, x, ERR_NOT_FOUND, "no such request");
}

void
serve_handle(struct http_xchg *x, void *arg)
{
	struct serve *s = arg;
	const struct http_head *req = http_xchg_request(x);

	if (strncmp(req->target, "/git/", 5) == 0)
		handle_git(s, x);
	else if (strcmp(req->target, "/gs/status") == 0 && strcmp(req->method, "GET") == 0)
		status_feed_open(s->feed, x);
	else if ((strncmp(req->target, "/gs/repos?", 10) == 0 ||
		  strncmp(req->target, "/gs/repos/rename?", 17) == 0) &&
		 (strcmp(req->method, "POST") == 0 || strcmp(req->method, "DELETE") == 0))
		repo_admin_handle(s, x, false);
	else
		handle_shard(s, x);
}
