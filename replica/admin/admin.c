#include "replica/admin/admin.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/version_text.h"
#include "replica/repack/repacks.h"
#include "replica/repo/replica_stats.h"
#include "replica/repo/repo_lock.h"
#include "replica/serve/push.h"
#include "replica/serve/repo_admin.h"
#include "replica/serve/room.h"
#include "replica/serve/stage_come.h"
#include "replica/serve/stage_hold.h"
#include "replica/serve/stage_slot.h"
#include "replica/serve/status_feed.h"
#include "replica/shard/shard_open.h"
#include "shard-map/commitlog/commitlog_fault.h"

#define MAX_TEXT (16u << 20)
#define MAX_OPEN 20u /* appends that /status describes, of one shard */

static void
reply_text(struct http_xchg *x, int status, const char *text)
{
	http_xchg_reply(x, status, NULL, "text/plain; charset=utf-8", slice_str(text));
}

static void
reply_json(struct http_xchg *x, json_t *j)
{
	char *text = json_dumps(j, JSON_INDENT(1));

	http_xchg_reply(x, 200, NULL, "application/json", slice_str(text != NULL ? text : "{}"));
	free(text);
	json_decref(j);
}

static void
get_healthz(struct admin *a UNUSED, struct http_xchg *x)
{
	reply_text(x, 200, "ok\n");
}

static void
get_readyz(struct admin *a, struct http_xchg *x)
{
	struct buf why = BUF_MAX(65536);
	bool ready = a->ready(&why, a->arg);

	reply_text(x, ready ? 200 : 503, ready ? "ready\n" : buf_str(&why));
	buf_release(&why);
}

static void
add_gauge(struct buf *b, const char *name, const char *help, uint64_t v)
{
	buf_addf(b, "# HELP %s %s\n# TYPE %s gauge\n%s %" PRIu64 "\n", name, help, name, name, v);
}

static unsigned
outcomes_unknown(const struct serve *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < shards_count(s->shards); i++)
		n += shard_open_each(shards_at(s->shards, i), NULL, NULL);
	return n;
}

static void
add_staging(struct buf *b, const struct serve *s)
{
	struct stage_slot_counts sends;

	stage_slots_count(s->slots, &sends);
	add_gauge(b, "gitshard_stage_sending", "packs on their way to a voter", sends.sending);
	add_gauge(b, "gitshard_stage_lingering",
		  "packs on their way to a slow voter after their push was decided",
		  sends.lingering);
	add_gauge(b, "gitshard_stage_waiting",
		  "packs that wait until a slow voter has taken in others", sends.waiting);
	add_gauge(b, "gitshard_stage_slots", "packs that may be on their way to each other node",
		  stage_slots_each(s->slots));
	add_gauge(b, "gitshard_stage_coming", "packs of pushes on their way here",
		  stage_comes_count(s->comes));
	add_gauge(b, "gitshard_stage_coming_bytes", "bytes still to come of them",
		  stage_comes_left(s->comes));
}

static void
get_metrics(struct admin *a, struct http_xchg *x)
{
	struct buf b = BUF_MAX(MAX_TEXT);
	struct serve *s = a->serve;
	struct repacks_state packs;
	struct apply_counts n;
	unsigned primary = 0, halted = 0, stuck = 0;

	replica_stats_text(&b);
	apply_counts(s->apply, &n);
	for (size_t i = 0; i < shards_count(s->shards); i++) {
		const struct shard *sh = shards_at(s->shards, i);

		primary += shard_is_primary(sh);
		halted += shard_halted(sh) != NULL;
		stuck += shard_stuck(sh) != NULL;
	}
	add_gauge(&b, "gitshard_shards", "shards on this node", shards_count(s->shards));
	add_gauge(&b, "gitshard_shards_primary", "shards this node is primary of", primary);
	add_gauge(&b, "gitshard_shards_halted", "shards stopped on this node, for their log",
		  halted);
	add_gauge(&b, "gitshard_shards_stuck", "shards that this node cannot write to disk", stuck);
	add_gauge(&b, "gitshard_log_away", "1: the commit log is away, pushes are refused",
		  a->log_away(a->arg));
	add_gauge(&b, "gitshard_pushes_active", "pushes under way", pushes_active(s->pushes));
	add_gauge(&b, "gitshard_write_locks_held", "repositories that a push or rename holds now",
		  repo_locks_held(pushes_locks(s->pushes)));
	add_gauge(&b, "gitshard_outcomes_unknown",
		  "appends whose outcome has been unknown for a second or more",
		  outcomes_unknown(s));
	add_gauge(&b, "gitshard_git_children", "git processes running", child_running(s->children));
	add_gauge(&b, "gitshard_staged_packs", "packs held for pushes not decided yet",
		  stage_holds_count(s->holds));
	add_staging(&b, s);
	add_gauge(&b, "gitshard_applied_records", "records applied since start", n.records);
	add_gauge(&b, "gitshard_applied_updates", "effective updates applied since start",
		  n.updates);
	add_gauge(&b, "gitshard_missing_packs", "packs that were not here when first named",
		  n.missing);
	add_gauge(&b, "gitshard_mended_refs", "ref files that were wrong and mended", n.mended);
	add_gauge(&b, "gitshard_quarantined", "repositories quarantined since start",
		  n.quarantined);
	add_gauge(&b, "gitshard_refs_bytes", "memory of refs", n.refs_bytes);
	if (a->repacks != NULL) {
		repacks_get_state(a->repacks, &packs);
		add_gauge(&b, "gitshard_repacks_waiting", "repositories due for a repack",
			  packs.waiting);
		add_gauge(&b, "gitshard_packs_most", "packs of the repository that has most",
			  packs.most);
	}
	add_gauge(&b, "gitshard_map_version", "version of the map",
		  s->map != NULL ? s->map->version : 0);
#ifdef GITSHARD_TEST
	commitlog_fault_metrics(a->log, &b);
#endif
	http_xchg_reply(x, 200, NULL, "text/plain; version=0.0.4", buf_slice(&b));
	buf_release(&b);
}

static void
describe_open(const struct shard_open *o, void *arg)
{
	json_t *list = arg, *j;
	char txn[2 * RECORD_ID + 1], since[CLOCK_TEXT];
	uint64_t ms = o->for_ns / CLOCK_MSEC;

	if (json_array_size(list) >= MAX_OPEN)
		return;
	hex_encode(txn, o->txn, RECORD_ID);
	clock_format(since, clock_wall_ms() - ms);
	j = json_pack("{s:s, s:s?, s:s, s:s, s:s, s:I, s:b, s:s}", "type", o->type, "repo", o->repo,
		      "request", o->request, "txn", txn, "since", since, "for_ms", (json_int_t)ms,
		      "decided", o->decided, "doing", o->doing);
	json_array_append_new(list, j);
}

static json_t *
describe_shard(const struct shard *sh)
{
	json_t *j =
		json_pack("{s:I, s:s, s:I, s:I, s:I, s:i, s:i, s:I}", "shard",
			  (json_int_t)shard_index(sh), "role", status_feed_role(sh), "epoch",
			  (json_int_t)shard_epoch(sh), "position", (json_int_t)shard_position(sh),
			  "applied", (json_int_t)shard_applied(sh), "missing_packs",
			  (int)shard_missing(sh), "unresolved", (int)shard_unresolved(sh),
			  "lease_ms", (json_int_t)(shard_lease_left_ns(sh) / 1000000));
	json_t *open = json_array();

	json_object_set_new(j, "outcomes_unknown",
			    json_integer(shard_open_each(sh, describe_open, open)));
	json_object_set_new(j, "open", open);
	json_object_set_new(j, "voter", json_boolean(shard_is_voter(sh)));
	json_object_set_new(j, "primary",
			    shard_primary(sh) != 0 ? json_integer(shard_primary(sh)) : json_null());
	json_object_set_new(j, "halted",
			    shard_halted(sh) != NULL ? json_string(err_text(shard_halted(sh)))
						     : json_null());
	json_object_set_new(j, "stuck",
			    shard_stuck(sh) != NULL ? json_string(err_text(shard_stuck(sh)))
						    : json_null());
	return j;
}

/* Repacking: what is under way, what waits, what went wrong last. */
static json_t *
describe_repacks(const struct repacks *r)
{
	struct repacks_state st;
	json_t *j;

	if (r == NULL)
		return json_pack("{s:b}", "on", 0);
	repacks_get_state(r, &st);
	j = json_pack("{s:b, s:I, s:I, s:I, s:I}", "on", 1, "waiting", (json_int_t)st.waiting,
		      "done", (json_int_t)st.done, "failed", (json_int_t)st.failed, "most_packs",
		      (json_int_t)st.most);
	if (st.step != NULL)
		json_object_set_new(j, "now",
				    json_pack("{s:s, s:s, s:I}", "repo", st.repo, "step", st.step,
					      "for_ms", (json_int_t)st.msec));
	if (st.failed > 0)
		json_object_set_new(j, "last_failure",
				    json_pack("{s:s, s:s, s:I}", "repo", st.failed_repo, "why",
					      st.why, "ago_ms", (json_int_t)st.failed_msec));
	return j;
}

static void
get_status(struct admin *a, struct http_xchg *x)
{
	struct serve *s = a->serve;
	const struct err *trouble = a->log_trouble(a->arg);
	struct buf why = BUF_MAX(65536);
	struct err full = { ERR_OK, "" };
	char hex[33], weak[COMMITLOG_WEAK];
	int rc;
	const char *state = a->draining(a->arg)      ? "draining"
			    : a->ready(&why, a->arg) ? "ready"
						     : "starting";
	json_t *shards = json_array(), *j;
	size_t repos;
	struct repo **all = repo_table_all(s->repos, &repos);

	for (size_t i = 0; i < repos; i++)
		repo_unref(&all[i]);
	free(all);
	hex_encode(hex, s->incarnation, 16);
	for (size_t i = 0; i < shards_count(s->shards); i++)
		json_array_append_new(shards, describe_shard(shards_at(s->shards, i)));
	j = json_pack("{s:s, s:I, s:s, s:s, s:I, s:s, s:s, s:I, s:{s:s, s:b, s:b, s:s}, s:I, s:o}",
		      "node", a->node, "number", (json_int_t)s->self, "cluster", a->cluster,
		      "incarnation", hex, "start", (json_int_t)a->start, "version", VERSION_TEXT,
		      "state", state, "map_version",
		      (json_int_t)(s->map != NULL ? s->map->version : 0), "log", "kind",
		      commitlog_kind(a->log), "ok", trouble == NULL, "away", a->log_away(a->arg),
		      "why", trouble != NULL ? err_text(trouble) : "", "repos", (json_int_t)repos,
		      "shards", shards);
	json_object_set_new(j, "outcomes_unknown", json_integer(outcomes_unknown(s)));
	if (commitlog_weak(a->log, weak, sizeof(weak)))
		json_object_set_new(json_object_get(j, "log"), "weak", json_string(weak));
	json_object_set_new(j, "git", json_string(s->caps->git_version));
	rc = room_for_change(s, &full);
	json_object_set_new(j, "disk",
			    json_pack("{s:b, s:s}", "ok", rc == 0, "why",
				      rc != 0 ? err_text(&full) : ""));
	json_object_set_new(j, "repack", describe_repacks(a->repacks));
	if (why.len > 0)
		json_object_set_new(j, "waiting_for", json_string(buf_str(&why)));
	buf_release(&why);
	reply_json(x, j);
}

static void
get_identity(struct admin *a, struct http_xchg *x)
{
	char hex[33];

	hex_encode(hex, a->serve->incarnation, 16);
	reply_json(x, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "cluster", a->cluster, "node",
				a->node, "listen", a->listen, "incarnation", hex, "start",
				(json_int_t)a->start, "map_version",
				(json_int_t)(a->serve->map != NULL ? a->serve->map->version : 0)));
}

static void
get_repos(struct admin *a, struct http_xchg *x)
{
	repo_admin_list(a->serve, x);
}

static void
change_repos(struct admin *a, struct http_xchg *x)
{
	repo_admin_handle(a->serve, x, true);
}

/* Test builds: /v1/fault?point=NAME&action=WORD */
static void
post_fault(struct admin *a UNUSED, struct http_xchg *x)
{
	char point[64], action[16];

	if (sscanf(http_xchg_request(x)->target, "/v1/fault?point=%63[a-z._-]&action=%15[a-z]",
		   point, action) == 2 &&
	    fault_arm(point, action))
		reply_text(x, 200, "armed\n");
	else
		reply_text(x, 404, "faults exist in test builds only\n");
}

static const struct {
	const char *method, *path;
	void (*handle)(struct admin *, struct http_xchg *);
} routes[] = {
	{ "GET", "/healthz", get_healthz },           { "GET", "/readyz", get_readyz },
	{ "GET", "/metrics", get_metrics },           { "GET", "/status", get_status },
	{ "GET", "/v1/identity", get_identity },      { "GET", "/v1/repos", get_repos },
	{ "POST", "/v1/repos", change_repos },        { "DELETE", "/v1/repos", change_repos },
	{ "POST", "/v1/repos/rename", change_repos }, { "POST", "/v1/fault", post_fault },
};

void
admin_handle(struct http_xchg *x, void *arg)
{
	struct admin *a = arg;
	const struct http_head *req = http_xchg_request(x);
	size_t len = strcspn(req->target, "?");
	bool known = false;

	for (size_t i = 0; i < COUNT(routes); i++) {
		if (strlen(routes[i].path) != len || strncmp(req->target, routes[i].path, len) != 0)
			continue;
		known = true;
		if (strcmp(req->method, routes[i].method) != 0)
			continue;
		routes[i].handle(a, x);
		return;
	}
	if (known)
		reply_text(x, 405, "that method is not for this path\n");
	else
		reply_text(x, 404,
			   "try /healthz /readyz /metrics /status /v1/identity /v1/repos\n");
}
