#include "router/admin/admin.h"

#include <sys/queue.h>

#include <jansson.h>

#include "gitproto/base/mem.h"
#include "gitproto/base/version_text.h"

#define TEXT_MAX ((size_t)32 * 1024 * 1024)

struct ask;

struct admin {
	struct admin_opts opts;
	struct http_server *server; /* owned */
	LIST_HEAD(, ask) asks;
};

/* A request that waits for a report. */
struct ask {
	struct admin *admin;
	struct http_xchg *x; /* borrowed; NULL: the client has left */
	void (*answer)(struct ask *);
	struct health_report report;
	LIST_ENTRY(ask) link;
};

static void
reply(struct http_xchg *x, int status, const char *text)
{
	http_xchg_reply(x, status, NULL, "text/plain; charset=utf-8", slice_str(text));
}

static void
drop(struct ask *a)
{
	LIST_REMOVE(a, link);
	health_report_release(&a->report);
	free(a);
}

static void
on_close(void *arg)
{
	struct ask *a = arg;

	a->x = NULL;
}

static void
on_gathered(void *arg)
{
	struct ask *a = arg;

	if (a->x != NULL) {
		http_xchg_on_close(a->x, NULL, NULL);
		a->answer(a);
	}
	drop(a);
}

/* Nothing is said when the router can serve. */
static void
add_trouble(struct buf *out, const struct ask *a)
{
	const struct admin_opts *o = &a->admin->opts;

	if (o->draining(o->arg))
		buf_add_str(out, "draining\n");
	health_report_trouble(out, &a->report);
	o->trouble(out, o->arg);
}

static void
answer_readyz(struct ask *a)
{
	struct buf why = BUF_MAX(65536);

	add_trouble(&why, a);
	reply(a->x, why.len == 0 ? 200 : 503, why.len == 0 ? "ready\n" : buf_str(&why));
	buf_release(&why);
}

static void
answer_metrics(struct ask *a)
{
	struct buf text = BUF_MAX(TEXT_MAX);

	stats_set(a->admin->opts.stats, FRONT_STATS_MAP, 0, (int64_t)a->report.map_version);
	stats_text(&text, a->admin->opts.stats);
	health_report_metrics(&text, &a->report);
	http_xchg_reply(a->x, 200, NULL, "text/plain; version=0.0.4", buf_slice(&text));
	buf_release(&text);
}

static json_t *
describe_nodes(const struct health_report *r)
{
	json_t *all = json_array();

	for (size_t i = 0; i < r->nnodes; i++) {
		const struct report_node *n = &r->nodes[i];

		json_array_append_new(all, json_pack("{s:s, s:I, s:s, s:b, s:I}", "node", n->name,
						     "number", (json_int_t)n->number, "addr",
						     n->addr, "connected", n->well > 0, "rtt_us",
						     (json_int_t)n->rtt_usec));
	}
	return all;
}

static json_t *
describe_shards(const struct health_report *r)
{
	json_t *all = json_array();

	for (size_t i = 0; i < r->nshards; i++) {
		const struct report_shard *s = &r->shards[i];
		json_t *j = json_pack("{s:I, s:I}", "shard", (json_int_t)i, "epoch",
				      (json_int_t)s->epoch);

		json_object_set_new(j, "primary",
				    s->primary != 0 ? json_integer(s->primary) : json_null());
		json_array_append_new(all, j);
	}
	return all;
}

static void
answer_status(struct ask *a)
{
	const struct admin_opts *o = &a->admin->opts;
	struct buf why = BUF_MAX(65536);
	const char *state;
	json_t *j;
	char *text;

	add_trouble(&why, a);
	state = o->draining(o->arg) ? "draining" : why.len == 0 ? "ready" : "starting";
	j = json_pack("{s:s, s:s, s:s, s:I, s:s, s:o, s:o, s:I}", "cluster", o->cluster, "version",
		      VERSION_TEXT, "state", state, "map_version",
		      (json_int_t)a->report.map_version, "map_from",
		      o->map_from_log(o->arg) ? "log" : "cache", "nodes",
		      describe_nodes(&a->report), "shards", describe_shards(&a->report),
		      "requests_active", (json_int_t)admit_active(o->admit));
	if (why.len > 0)
		json_object_set_new(j, "waiting_for", json_string(buf_str(&why)));
	buf_release(&why);
	text = json_dumps(j, JSON_INDENT(1));
	http_xchg_reply(a->x, 200, NULL, "application/json", slice_str(text != NULL ? text : "{}"));
	free(text);
	json_decref(j);
}

static void
answer_healthz(struct ask *a)
{
	reply(a->x, 200, "ok\n");
}

static const struct {
	const char *path;
	void (*answer)(struct ask *);
	bool gathers; /* the loops are asked; otherwise this one's life is enough */
} routes[] = {
	{ "/healthz", answer_healthz, false },
	{ "/readyz", answer_readyz, true },
	{ "/metrics", answer_metrics, true },
	{ "/status", answer_status, true },
};

static void
on_request(struct http_xchg *x, void *arg)
{
	struct admin *ad = arg;
	const struct http_head *h = http_xchg_request(x);
	struct slice path = slice_str(h->target);
	struct ask *a;
	size_t i;

	path = slice_cut(&path, '?');
	for (i = 0; i < COUNT(routes); i++)
		if (slice_eq_str(path, routes[i].path))
			break;
	if (i == COUNT(routes)) {
		reply(x, 404, "there are /healthz, /readyz, /metrics and /status\n");
		return;
	}
	if (strcmp(h->method, "GET") != 0) {
		reply(x, 405, "this address takes GET requests only\n");
		return;
	}
	a = MEM_NEW(struct ask);
	a->admin = ad;
	a->x = x;
	a->answer = routes[i].answer;
	LIST_INSERT_HEAD(&ad->asks, a, link);
	if (!routes[i].gathers) {
		a->answer(a);
		drop(a);
		return;
	}
	http_xchg_on_close(x, on_close, a);
	ad->opts.gather(&a->report, on_gathered, a, ad->opts.arg);
}

int
admin_new(struct admin **out, const struct admin_opts *o, struct err *err)
{
	struct admin *a = MEM_NEW(struct admin);
	struct http_server_opts so = {
		.listen = o->listen,
		.insecure = o->insecure,
		.handler = on_request,
		.arg = a,
	};
	int rc;

	a->opts = *o;
	LIST_INIT(&a->asks);
	rc = http_server_new(&a->server, o->loop, &so, err);
	if (rc < 0) {
		free(a);
		return rc;
	}
	*out = a;
	return 0;
}

void
admin_free(struct admin **ap)
{
	struct admin *a = *ap;
	struct ask *one;

	if (a == NULL)
		return;
	*ap = NULL;
	http_server_free(&a->server);
	while ((one = LIST_FIRST(&a->asks)) != NULL)
		drop(one);
	free(a);
}

const char *
admin_addr(const struct admin *a)
{
	return http_server_addr(a->server);
}
