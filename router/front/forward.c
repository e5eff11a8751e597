#include "router/front/forward.h"

#include <inttypes.h>

/* The first of each name passes; whoever sends one twice means no good. */
static const char *const to_node[] = {
	"git-protocol",    "content-type", "content-encoding", "accept",         "accept-encoding",
	"accept-language", "user-agent",   "authorization",    "gitshard-after",
};
static const char *const to_client[] = {
	"content-type", "content-encoding", "cache-control",    "expires",
	"pragma",       "retry-after",      "www-authenticate",
};

struct slice
forward_peer_host(const char *peer)
{
	struct slice s = slice_str(peer);

	for (size_t i = s.len; i > 0; i--)
		if (s.p[i - 1] == ':') {
			s.len = i - 1;
			break;
		}
	if (s.len >= 2 && s.p[0] == '[' && s.p[s.len - 1] == ']')
		s = slice_of(s.p + 1, s.len - 2);
	return s;
}

static void
set_target(struct http_head *h, const struct smart_path *p, const char *method)
{
	char target[SMART_PATH_REPO_SIZE + 100];
	const char *service = service_name(p->service);

	if (p->endpoint == SMART_PATH_INFO_REFS)
		snprintf(target, sizeof(target), "/git/%s.git/info/refs?service=%s", p->repo.path,
			 service);
	else
		snprintf(target, sizeof(target), "/git/%s.git/%s", p->repo.path, service);
	http_head_request(h, method, target);
}

int
forward_request(struct http_head **out, const struct forward *f, struct err *err)
{
	struct http_head *h = http_head_new();
	struct slice host = forward_peer_host(f->peer);

	set_target(h, f->path, f->from->method);
	http_head_addf(h, "gitshard-request", "%s", f->id);
	http_head_addf(h, "gitshard-map", "%" PRIu64, f->map);
	http_head_addf(h, "gitshard-shard", "%u", f->shard);
	http_head_addf(h, "gitshard-epoch", "%" PRIu64, f->epoch);
	http_head_addf(h, "x-forwarded-for", "%.*s", SLICE_ARG(host));
	for (unsigned i = 0; i < COUNT(to_node); i++) {
		const char *value = http_head_get(f->from, to_node[i]);

		if (value != NULL && http_head_add(h, to_node[i], value) < 0) {
			http_head_free(&h);
			return err_set(err, ERR_TOO_BIG, "the request head is over a limit");
		}
	}
	h->content_length = f->from->content_length;
	*out = h;
	return 0;
}

static bool
may_reach_client(const char *name)
{
	for (unsigned i = 0; i < COUNT(to_client); i++)
		if (strcmp(name, to_client[i]) == 0)
			return true;
	return strncmp(name, "gitshard-", 9) == 0 && strcmp(name, "gitshard-request") != 0;
}

int
forward_response(struct http_head **out, const struct http_head *from, const char *id,
		 struct err *err)
{
	struct http_head *h = http_head_new();

	h->status = from->status;
	h->content_length = from->content_length;
	http_head_addf(h, "gitshard-request", "%s", id);
	for (unsigned i = 0; i < from->nfields; i++) {
		const struct http_field *f = &from->fields[i];

		if (may_reach_client(f->name) && http_head_add(h, f->name, f->value) < 0) {
			http_head_free(&h);
			return err_set(err, ERR_TOO_BIG, "the node's answer is over a limit");
		}
	}
	*out = h;
	return 0;
}
