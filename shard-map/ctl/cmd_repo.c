#include "shard-map/ctl/cmd_repo.h"

#include "gitproto/base/mem.h"
#include "gitproto/base/units.h"
#include "shard-map/ctl/node_call.h"
#include "shard-map/ctl/print.h"
#include "shard-map/ctl/repo_place.h"

#define CHANGE_MSEC 20000
#define LIST_MSEC 10000

static uint64_t
timeout_of(const struct ctl *c, uint64_t msec)
{
	return c->timeout_ms > 0 ? c->timeout_ms : msec;
}

static int
print_done(const struct ctl *c, json_t *answer, const char *what, struct err *err)
{
	struct buf text = BUF_MAX(4096);
	int rc;

	if (c->json)
		return print_json(answer, err);
	buf_addf(&text, "%s %s (id %s, shard %d)\n", what, print_get(answer, "repo", "?"),
		 print_get(answer, "id", "?"),
		 (int)json_integer_value(json_object_get(answer, "shard")));
	rc = print_text(&text, err);
	buf_release(&text);
	json_decref(answer);
	return rc;
}

/* --shard: *shard is changed when it was given. */
static int
parse_shard(uint32_t *shard, struct ctl *c, struct err *err)
{
	int64_t n;

	if (c->opts.shard == NULL)
		return 0;
	if (units_int(&n, c->opts.shard, NULL) < 0 || n < 0 || n >= (int64_t)c->map->nshards) {
		c->usage = true;
		return err_set(err, ERR_BAD, "--shard: '%.20s' is no shard; they are 0 to %u",
			       c->opts.shard, c->map->nshards - 1);
	}
	*shard = (uint32_t)n;
	return 0;
}

/* What is wished, as the node's call wants it; NULL: some of it is not UTF-8. */
static char *
create_body(const struct ctl *c, const struct repo_place *p)
{
	json_t *wish = json_pack("{s:s, s:s, s:s}", "repo", p->repo.path, "head",
				 c->opts.head != NULL ? c->opts.head : "main", "object_format",
				 c->opts.object_format != NULL ? c->opts.object_format : "sha1");
	char *body;

	if (wish != NULL && c->opts.shard != NULL)
		json_object_set_new(wish, "shard", json_integer((json_int_t)p->shard));
	body = wish != NULL ? json_dumps(wish, JSON_COMPACT) : NULL;
	json_decref(wish);
	return body;
}

int
cmd_repo_create(struct ctl *c, struct err *err)
{
	struct repo_place p;
	json_t *answer;
	char *body;
	int rc = repo_place_find(&p, c, ctl_word(c, 0), err);

	if (rc == 0)
		rc = parse_shard(&p.shard, c, err);
	if (rc < 0)
		return rc;
	body = create_body(c, &p);
	if (body == NULL) {
		c->usage = true;
		return err_set(err, ERR_BAD, "--head and --object-format must be UTF-8");
	}
	rc = node_call(&answer, c->map, p.shard, "POST", "/v1/repos", body,
		       timeout_of(c, CHANGE_MSEC), err);
	free(body);
	return rc < 0 ? rc : print_done(c, answer, "created", err);
}

int
cmd_repo_delete(struct ctl *c, struct err *err)
{
	struct repo_place p;
	char target[SMART_PATH_REPO_SIZE + 32];
	json_t *answer;
	int rc = repo_place_find(&p, c, ctl_word(c, 0), err);

	if (rc < 0)
		return rc;
	/* The letters that a name may have need no encoding. */
	snprintf(target, sizeof(target), "/v1/repos?repo=%s", p.repo.path);
	rc = node_call(&answer, c->map, p.shard, "DELETE", target, NULL, timeout_of(c, CHANGE_MSEC),
		       err);
	return rc < 0 ? rc : print_done(c, answer, "deleted", err);
}

/* ---- lists of all nodes ---------------------------------------------------------------------- */

/* Adds a node's repositories to all, which is keyed by repository id. */
static void
merge(json_t *all, const struct map_node *node, const json_t *answer)
{
	json_t *list = json_object_get(answer, "repos"), *one, *have;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *id = print_get(one, "id", NULL);
		json_t *copy;

		if (id == NULL)
			continue;
		have = json_object_get(all, id);
		if (have == NULL) {
			have = json_pack("{s:O, s:s, s:O, s:[]}", "repo",
					 json_object_get(one, "repo"), "id", id, "shard",
					 json_object_get(one, "shard"), "copies");
			if (have == NULL || json_object_set_new(all, id, have) < 0)
				continue;
		}
		copy = json_deep_copy(one);
		json_object_del(copy, "repo");
		json_object_del(copy, "id");
		json_object_del(copy, "shard");
		json_object_set_new(copy, "node", json_string(node->name));
		json_array_append_new(json_object_get(have, "copies"), copy);
	}
}

/* Of copies that have applied as much as the furthest: do their digests agree? */
static const char *
judge_copies(const json_t *copies)
{
	json_int_t furthest = -1;
	const char *digest = NULL, *verdict = "equal";
	size_t i;
	json_t *one;

	json_array_foreach(copies, i, one)
	{
		json_int_t at = json_integer_value(json_object_get(one, "applied"));

		furthest = MAX(furthest, at);
	}
	json_array_foreach(copies, i, one)
	{
		const char *its = print_get(one, "digest", NULL);

		if (strcmp(print_get(one, "state", "ok"), "ok") != 0)
			return print_get(one, "state", "?");
		if (json_integer_value(json_object_get(one, "applied")) < furthest)
			verdict = "catching up";
		else if (its != NULL && digest != NULL && strcmp(its, digest) != 0)
			return "DIFFERENT";
		else if (its != NULL)
			digest = its;
	}
	return verdict;
}

static int
by_name(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;

	return strcmp(print_get(x, "repo", ""), print_get(y, "repo", ""));
}

/* The merged repositories as a list, by name; takes all. */
static json_t *
sorted(json_t *all)
{
	size_t n = json_object_size(all), i = 0;
	json_t **v = mem_array(n, sizeof(json_t *)), *list = json_array(), *value;
	const char *id;

	json_object_foreach(all, id, value)
	{
		json_object_set_new(value, "state",
				    json_string(judge_copies(json_object_get(value, "copies"))));
		v[i++] = value;
	}
	qsort(v, n, sizeof(json_t *), by_name);
	for (i = 0; i < n; i++)
		json_array_append(list, v[i]);
	json_decref(all);
	free(v);
	return list;
}

/* The first value that a copy has; refs that no node has in memory are not known. */
static json_t *
of_some_copy(const json_t *repo, const char *key)
{
	size_t i;
	json_t *copy;

	json_array_foreach(json_object_get(repo, "copies"), i, copy)
	{
		if (json_object_get(copy, key) != NULL)
			return json_object_get(copy, key);
	}
	return NULL;
}

static bool
is_placed(const json_t *repo)
{
	return strcmp(print_get(repo, "by", ""), "directory") == 0;
}

/* What says where each lives. */
static void
add_by(json_t *list, const struct directory *d)
{
	size_t i;
	json_t *r;

	json_array_foreach(list, i, r)
	{
		uint32_t shard;
		bool kept = directory_find(d, slice_str(print_get(r, "repo", "")), &shard);

		json_object_set_new(r, "by", json_string(kept ? "directory" : "hash"));
	}
}

static int
print_repos(const json_t *list, struct err *err)
{
	static const char *const titles[] = { "REPOSITORY", "SHARD", "COPIES", "STATE",
					      "REFS",       "HEAD",  "ID" };
	struct print_table *t = print_table_new(titles, COUNT(titles));
	struct buf out = BUF_MAX(SIZE_MAX / 2);
	bool placed = false;
	size_t i;
	json_t *r;
	int rc;

	json_array_foreach(list, i, r)
	{
		json_t *refs = of_some_copy(r, "refs"), *head = of_some_copy(r, "head");

		print_cell(t, "%s", print_get(r, "repo", "?"));
		print_cell(t, "%d%s", (int)json_integer_value(json_object_get(r, "shard")),
			   is_placed(r) ? "*" : "");
		placed = placed || is_placed(r);
		print_cell(t, "%zu", json_array_size(json_object_get(r, "copies")));
		print_cell(t, "%s", print_get(r, "state", "?"));
		if (refs != NULL)
			print_cell(t, "%" JSON_INTEGER_FORMAT, json_integer_value(refs));
		else
			print_cell(t, "-");
		print_cell(t, "%s", head != NULL ? json_string_value(head) : "-");
		print_cell(t, "%s", print_get(r, "id", "?"));
	}
	print_table_end(&out, &t);
	if (placed)
		buf_add_str(&out, "\n* by the directory, not by its hash\n");
	rc = print_text(&out, err);
	buf_release(&out);
	return rc;
}

/* Asks all nodes for their repositories; target may name one. */
static json_t *
gather(struct ctl *c, const char *target)
{
	struct ask *asks = node_call_all(c->map, target, timeout_of(c, LIST_MSEC));
	json_t *all = json_object();

	c->partial = node_call_silent(c->map, asks) > 0;
	for (uint32_t i = 0; i < c->map->nnodes; i++)
		if (asks[i].err.code == 0)
			merge(all, &c->map->nodes[i], asks[i].json);
	ask_release(asks, c->map->nnodes);
	free(asks);
	return sorted(all);
}

int
cmd_repo_list(struct ctl *c, struct err *err)
{
	int rc = ctl_load_map(c, err);
	struct directory *d;
	json_t *list;

	if (rc == 0)
		rc = repo_place_directory(&d, c, err);
	if (rc < 0)
		return rc;
	list = gather(c, "/v1/repos");
	add_by(list, d);
	directory_free(&d);
	if (c->json)
		return print_json(json_pack("{s:o, s:b}", "repos", list, "partial", c->partial),
				  err);
	rc = print_repos(list, err);
	json_decref(list);
	return rc;
}

/* ---- where ----------------------------------------------------------------------------------- */

static json_t *
describe_place(const struct ctl *c, const struct repo_place *p)
{
	json_t *members = json_array();
	uint32_t n;
	const uint32_t *member = map_members(c->map, p->shard, &n);

	for (uint32_t i = 0; i < n; i++) {
		const struct map_node *node = map_node(c->map, member[i]);

		json_array_append_new(members,
				      json_pack("{s:s, s:I, s:s, s:s, s:b}", "node", node->name,
						"number", (json_int_t)node->id, "addr", node->addr,
						"admin", node->admin, "preferred", i == 0));
	}
	return json_pack("{s:s, s:s, s:I, s:s, s:I, s:o}", "repo", p->repo.path, "key", p->repo.key,
			 "shard", (json_int_t)p->shard, "by",
			 p->by_directory ? "directory" : "hash", "map_version",
			 (json_int_t)c->map->version, "members", members);
}

static const json_t *
copy_on(const json_t *repo, const char *node)
{
	size_t i;
	json_t *copy;

	json_array_foreach(json_object_get(repo, "copies"), i, copy)
	{
		if (strcmp(print_get(copy, "node", ""), node) == 0)
			return copy;
	}
	return NULL;
}

static int
print_place(const json_t *place, const json_t *repo, struct err *err)
{
	static const char *const titles[] = { "NODE", "PREFERRED", "BACK PLANE", "ADMIN", "COPY" };
	struct print_table *t = print_table_new(titles, COUNT(titles));
	struct buf out = BUF_MAX(1024 * 1024);
	size_t i;
	json_t *m;
	int rc;

	buf_addf(&out, "%s: shard %d%s, %s%s\n\n", print_get(place, "repo", "?"),
		 (int)json_integer_value(json_object_get(place, "shard")),
		 is_placed(place) ? " by the directory" : "",
		 repo != NULL ? "id " : "no such repository on the nodes that answered",
		 repo != NULL ? print_get(repo, "id", "?") : "");
	json_array_foreach(json_object_get(place, "members"), i, m)
	{
		const json_t *copy = copy_on(repo, print_get(m, "node", ""));

		print_cell(t, "%s", print_get(m, "node", "?"));
		print_cell(t, "%s", json_is_true(json_object_get(m, "preferred")) ? "yes" : "-");
		print_cell(t, "%s", print_get(m, "addr", "?"));
		print_cell(t, "%s", print_get(m, "admin", "?"));
		print_cell(t, "%s", copy != NULL ? print_get(copy, "state", "ok") : "-");
	}
	print_table_end(&out, &t);
	rc = print_text(&out, err);
	buf_release(&out);
	return rc;
}

int
cmd_where(struct ctl *c, struct err *err)
{
	struct repo_place p;
	char target[SMART_PATH_REPO_SIZE + 32];
	json_t *place, *list, *found;
	int rc = repo_place_find(&p, c, ctl_word(c, 0), err);

	if (rc < 0)
		return rc;
	snprintf(target, sizeof(target), "/v1/repos?repo=%s", p.repo.path);
	list = gather(c, target);
	found = json_array_get(list, 0);
	place = describe_place(c, &p);
	json_object_set_new(place, "exists", json_boolean(found != NULL));
	if (found != NULL)
		json_object_update_missing(place, found);
	if (c->json)
		rc = print_json(json_incref(place), err);
	else
		rc = print_place(place, found, err);
	json_decref(place);
	json_decref(list);
	return rc;
}
