#include "shard-map/ctl/cmd_repo.h"

#include "gitproto/base/mem.h"
#include "gitproto/smart_path.h"
#include "shard-map/commitlog/map_follow.h"
#include "shard-map/ctl/node_call.h"
#include "shard-map/ctl/print.h"
#include "shard-map/directory.h"

#define CHANGE_MSEC 20000
#define LIST_MSEC 10000

/* The repository that the command names, the map, and the shard. */
static int
find_shard(struct ctl *c, struct smart_path_repo *repo, uint32_t *shard, struct err *err)
{
	const char *word = ctl_word(c, 0);
	struct directory *d;
	int rc = smart_path_repo_parse(repo, slice_str(word), err);

	if (rc < 0) {
		c->usage = true;
		return err_prefix(err, "%.100s", word), rc;
	}
	rc = ctl_load_map(c, err);
	if (rc < 0)
		return rc;
	d = directory_new();
	rc = map_follow_read_directory(d, c->map, c->log, err);
	if (rc == 0)
		*shard = directory_shard(d, c->map, slice_str(repo->path));
	directory_free(&d);
	return rc;
}

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

int
cmd_repo_create(struct ctl *c, struct err *err)
{
	struct smart_path_repo repo;
	uint32_t shard = 0;
	json_t *answer, *wish;
	char *body;
	int rc = find_shard(c, &repo, &shard, err);

	if (rc < 0)
		return rc;
	wish = json_pack("{s:s, s:s, s:s}", "repo", repo.path, "head",
			 c->opts.head != NULL ? c->opts.head : "main", "object_format",
			 c->opts.object_format != NULL ? c->opts.object_format : "sha1");
	body = wish != NULL ? json_dumps(wish, JSON_COMPACT) : NULL;
	json_decref(wish);
	if (body == NULL) {
		c->usage = true;
		return err_set(err, ERR_BAD, "--head and --object-format must be UTF-8");
	}
	rc = node_call(&answer, c->map, shard, "POST", "/v1/repos", body,
		       timeout_of(c, CHANGE_MSEC), err);
	free(body);
	return rc < 0 ? rc : print_done(c, answer, "created", err);
}

int
cmd_repo_delete(struct ctl *c, struct err *err)
{
	struct smart_path_repo repo;
	char target[SMART_PATH_REPO_SIZE + 32];
	uint32_t shard = 0;
	json_t *answer;
	int rc = find_shard(c, &repo, &shard, err);

	if (rc < 0)
		return rc;
	/* The letters that a name may have need no encoding. */
	snprintf(target, sizeof(target), "/v1/repos?repo=%s", repo.path);
	rc = node_call(&answer, c->map, shard, "DELETE", target, NULL, timeout_of(c, CHANGE_MSEC),
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

static int
print_repos(const json_t *list, struct err *err)
{
	static const char *const titles[] = { "REPOSITORY", "SHARD", "COPIES", "STATE",
					      "REFS",       "HEAD",  "ID" };
	struct print_table *t = print_table_new(titles, COUNT(titles));
	struct buf out = BUF_MAX(SIZE_MAX / 2);
	size_t i;
	json_t *r;
	int rc;

	json_array_foreach(list, i, r)
	{
		json_t *refs = of_some_copy(r, "refs"), *head = of_some_copy(r, "head");

		print_cell(t, "%s", print_get(r, "repo", "?"));
		print_cell(t, "%d", (int)json_integer_value(json_object_get(r, "shard")));
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
	json_t *list;

	if (rc < 0)
		return rc;
	list = gather(c, "/v1/repos");
	if (c->json)
		return print_json(json_pack("{s:o, s:b}", "repos", list, "partial", c->partial),
				  err);
	rc = print_repos(list, err);
	json_decref(list);
	return rc;
}

/* ---- where ----------------------------------------------------------------------------------- */

static json_t *
describe_place(const struct ctl *c, const struct smart_path_repo *repo, uint32_t shard)
{
	json_t *members = json_array();
	uint32_t n;
	const uint32_t *member = map_members(c->map, shard, &n);

	for (uint32_t i = 0; i < n; i++) {
		const struct map_node *node = map_node(c->map, member[i]);

		json_array_append_new(members,
				      json_pack("{s:s, s:I, s:s, s:s, s:b}", "node", node->name,
						"number", (json_int_t)node->id, "addr", node->addr,
						"admin", node->admin, "preferred", i == 0));
	}
	return json_pack("{s:s, s:s, s:I, s:I, s:o}", "repo", repo->path, "key", repo->key, "shard",
			 (json_int_t)shard, "map_version", (json_int_t)c->map->version, "members",
			 members);
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

	buf_addf(&out, "%s: shard %d, %s%s\n\n", print_get(place, "repo", "?"),
		 (int)json_integer_value(json_object_get(place, "shard")),
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
	struct smart_path_repo repo;
	char target[SMART_PATH_REPO_SIZE + 32];
	uint32_t shard = 0;
	json_t *place, *list, *found;
	int rc = find_shard(c, &repo, &shard, err);

	if (rc < 0)
		return rc;
	snprintf(target, sizeof(target), "/v1/repos?repo=%s", repo.path);
	list = gather(c, target);
	found = json_array_get(list, 0);
	place = describe_place(c, &repo, shard);
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
