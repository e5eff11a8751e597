#include "shard-map/ctl/cmd_status.h"

#include <inttypes.h>

#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/ctl/node_call.h"
#include "shard-map/ctl/print.h"

#define STATUS_MSEC 2000
#define LISTED 20u /* shards with trouble that the table names */

/* What all members together say about one shard. */
struct shard_view {
	uint32_t primary;    /* node number; 0: nobody says it leads */
	uint32_t named;      /* who leads as its members have it; 0: nobody */
	json_int_t epoch;    /* the highest that was told */
	json_int_t position; /* same */
	unsigned members, answers, behind, missing; /* behind: applied less than position */
	const char *halted;                         /* borrowed from an answer; NULL: none */
	const char *halted_on;
	bool primary_halted;          /* on who leads it as its members have it */
	const char *stuck, *stuck_on; /* the same for a disk that cannot be written */
	const char *no_voter_on;      /* its disk is not the one that the shard counts on */
	uint32_t no_voter;            /* the same one's number; 0: none */
	unsigned unknown;             /* appends whose outcome is unknown */
	const json_t *oldest;         /* of them and those to be answered yet; borrowed; or NULL */
	const char *oldest_on;
};

struct status {
	const struct map *map;
	struct ask *asks; /* owned; by place in map->nodes */
	unsigned silent;
	struct shard_view *shards; /* owned */
};

static json_int_t
number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void
view_shard(struct status *s, uint32_t node, const json_t *o)
{
	json_int_t shard = number(o, "shard");
	struct shard_view *v;
	size_t at;
	json_t *one;

	if (!json_is_object(o) || shard < 0 || shard >= s->map->nshards)
		return;
	v = &s->shards[shard];
	v->answers++;
	/* Who leads by an older epoch is deposed and has not heard of it. */
	if (strcmp(print_get(o, "role", ""), "primary") == 0 && number(o, "epoch") >= v->epoch)
		v->primary = s->map->nodes[node].id;
	else if (number(o, "epoch") > v->epoch)
		v->primary = 0;
	if (number(o, "epoch") >= v->epoch)
		v->named = (uint32_t)number(o, "primary");
	v->epoch = MAX(v->epoch, number(o, "epoch"));
	v->position = MAX(v->position, number(o, "position"));
	v->missing += number(o, "missing_packs") > 0;
	if (print_get(o, "halted", NULL) != NULL) {
		v->halted = print_get(o, "halted", "");
		v->halted_on = s->map->nodes[node].name;
		v->primary_halted |= number(o, "primary") == s->map->nodes[node].id;
	}
	if (print_get(o, "stuck", NULL) != NULL) {
		v->stuck = print_get(o, "stuck", "");
		v->stuck_on = s->map->nodes[node].name;
	}
	if (json_is_false(json_object_get(o, "voter")) && number(o, "epoch") > 0) {
		v->no_voter = s->map->nodes[node].id;
		v->no_voter_on = s->map->nodes[node].name;
	}
	v->unknown += (unsigned)number(o, "outcomes_unknown");
	json_array_foreach(json_object_get(o, "open"), at, one)
	{
		if (v->oldest != NULL && number(v->oldest, "for_ms") >= number(one, "for_ms"))
			continue;
		v->oldest = one;
		v->oldest_on = s->map->nodes[node].name;
	}
}

/* Calls fn for each shard that each node told of. */
static void
each_shard(struct status *s, void (*fn)(struct status *, uint32_t node, const json_t *))
{
	for (uint32_t i = 0; i < s->map->nnodes; i++) {
		size_t at;
		json_t *one;

		if (s->asks[i].err.code != 0)
			continue;
		json_array_foreach(json_object_get(s->asks[i].json, "shards"), at, one)
		{
			fn(s, i, one);
		}
	}
}

static void
count_behind(struct status *s, uint32_t node UNUSED, const json_t *o)
{
	json_int_t shard = number(o, "shard");

	if (shard >= 0 && shard < s->map->nshards)
		s->shards[shard].behind += number(o, "applied") < s->shards[shard].position;
}

static bool
is_wanting(const struct shard_view *v)
{
	return v->primary == 0 || v->halted != NULL || v->stuck != NULL || v->oldest != NULL ||
	       v->no_voter != 0 || v->answers < v->members || v->missing > 0;
}

/* Pushes to it are refused. */
static bool
is_read_only(const struct shard_view *v)
{
	return v->primary == 0;
}

/* What a node says of its disk and the log's, as far as pushes are refused for it. */
static const char *
full_disk(const struct status *s, uint32_t node)
{
	const json_t *disk =
		s->asks[node].err.code == 0 ? json_object_get(s->asks[node].json, "disk") : NULL;

	return json_is_false(json_object_get(disk, "ok")) ? print_get(disk, "why", "") : NULL;
}

/* What allow_weak_log lets pass, as the first node says that knows; NULL: nothing. */
static const char *
weak_log(const struct status *s)
{
	const char *words = NULL;

	for (uint32_t i = 0; i < s->map->nnodes && words == NULL; i++)
		if (s->asks[i].err.code == 0)
			words = print_get(json_object_get(s->asks[i].json, "log"), "weak", NULL);
	return words;
}

/* Why a node has no log, when that lasts and it refuses pushes for it. */
static const char *
log_away(const struct status *s, uint32_t node)
{
	const json_t *log =
		s->asks[node].err.code == 0 ? json_object_get(s->asks[node].json, "log") : NULL;

	return json_is_true(json_object_get(log, "away")) ? print_get(log, "why", "") : NULL;
}

static const char *
verdict(const struct status *s, unsigned *wanting, unsigned *read_only)
{
	unsigned full = 0, away = 0;

	*wanting = *read_only = 0;
	for (uint32_t i = 0; i < s->map->nshards; i++) {
		*wanting += is_wanting(&s->shards[i]);
		*read_only += is_read_only(&s->shards[i]);
	}
	for (uint32_t i = 0; i < s->map->nnodes; i++)
		full += full_disk(s, i) != NULL;
	for (uint32_t i = 0; i < s->map->nnodes; i++)
		away += log_away(s, i) != NULL;
	if (away > 0 && away == s->map->nnodes - s->silent)
		return "without its commit log";
	if (*read_only > 0)
		return "without a primary on some shards";
	return *wanting > 0 || s->silent > 0 || full + away > 0 ? "degraded" : "healthy";
}

static bool
log_ok(const json_t *status)
{
	return json_is_true(json_object_get(json_object_get(status, "log"), "ok"));
}

static void
add_node(struct print_table *t, const struct status *s, uint32_t i)
{
	const struct map_node *n = &s->map->nodes[i];
	const json_t *o = s->asks[i].json, *one;
	unsigned shards = 0, primary = 0, behind = 0;
	size_t at;

	print_cell(t, "%s", n->name);
	print_cell(t, "%s", n->admin);
	print_cell(t, "%s", n->state == MAP_NODE_UP ? n->zone : "(drain)");
	if (s->asks[i].err.code < 0) {
		print_cell(t, "no answer");
		for (unsigned column = 4; column < 9; column++)
			print_cell(t, "-");
		return;
	}
	json_array_foreach(json_object_get(o, "shards"), at, one)
	{
		shards++;
		primary += strcmp(print_get(one, "role", ""), "primary") == 0;
		behind += number(one, "applied") < number(one, "position");
	}
	print_cell(t, "%s", print_get(o, "state", "?"));
	print_cell(t, "%" JSON_INTEGER_FORMAT, number(o, "map_version"));
	print_cell(t, "%s", log_ok(o) ? "ok" : "away");
	print_cell(t, "%u", shards);
	print_cell(t, "%u", primary);
	print_cell(t, "%u", behind);
}

static void
add_nodes(struct buf *out, const struct status *s)
{
	static const char *const titles[] = { "NODE", "ADMIN",  "ZONE",    "STATE", "MAP",
					      "LOG",  "SHARDS", "PRIMARY", "BEHIND" };
	struct print_table *t = print_table_new(titles, COUNT(titles));

	for (uint32_t i = 0; i < s->map->nnodes; i++)
		add_node(t, s, i);
	print_table_end(out, &t);
}

/* What is being resolved. */
static void
explain_open(struct buf *out, const struct shard_view *v)
{
	const json_t *o = v->oldest;

	if (v->unknown > 0)
		buf_addf(out, " %u outcome%s unknown, the oldest:", v->unknown,
			 v->unknown == 1 ? "" : "s");
	buf_addf(out, " %s %s of request %s on %s for %" JSON_INTEGER_FORMAT " s: %s;",
		 print_get(o, "type", "?"), print_get(o, "repo", "-"), print_get(o, "request", "-"),
		 v->oldest_on, number(o, "for_ms") / 1000, print_get(o, "doing", "?"));
}

static void
explain_shard(struct buf *out, const struct map *m, uint32_t shard, const struct shard_view *v)
{
	const struct map_node *named = map_node(m, v->named);

	buf_addf(out, "shard %u:", shard);
	if (v->primary == 0 && v->no_voter != 0 && v->named == v->no_voter)
		buf_addf(out, " its primary %s came back with another disk and does not lead it;",
			 named != NULL ? named->name : "?");
	else if (v->primary == 0 && v->primary_halted)
		buf_add_str(out, " its primary has stopped it;");
	else if (v->primary == 0 && named != NULL)
		buf_addf(out, " its primary %s gives no answer;", named->name);
	else if (v->primary == 0)
		buf_add_str(out, " no primary;");
	if (v->answers < v->members)
		buf_addf(out, " %u of %u members answer;", v->answers, v->members);
	if (v->no_voter != 0)
		buf_addf(out,
			 " the copy on %s does not count for pushes: its disk is not the one that "
			 "the shard was begun with;",
			 v->no_voter_on);
	if (v->missing > 0)
		buf_addf(out, " %u members miss packs;", v->missing);
	if (v->halted != NULL)
		buf_addf(out, " halted on %s: %s;", v->halted_on, v->halted);
	if (v->stuck != NULL)
		buf_addf(out, " %s cannot write: %s;", v->stuck_on, v->stuck);
	if (v->oldest != NULL)
		explain_open(out, v);
	out->p[out->len - 1] = '\n'; /* in the place of the last ';' */
}

/* The shards with trouble that have no primary, or the others; returns how many are listed by now. */
static unsigned
explain(struct buf *out, const struct status *s, bool read_only, unsigned listed)
{
	for (uint32_t i = 0; i < s->map->nshards && listed < LISTED; i++) {
		const struct shard_view *v = &s->shards[i];

		if (!is_wanting(v) || is_read_only(v) != read_only)
			continue;
		explain_shard(out, s->map, i, v);
		listed++;
	}
	return listed;
}

/* Who refuses pushes for no fault of a shard, and why. */
static void
add_refusals(struct buf *out, const struct status *s)
{
	bool first = true;

	for (uint32_t i = 0; i < s->map->nnodes; i++) {
		const char *disk = full_disk(s, i), *log = log_away(s, i);

		if (disk == NULL && log == NULL)
			continue;
		buf_addf(out, "%snode %s refuses pushes:", first ? "\n" : "",
			 s->map->nodes[i].name);
		if (log != NULL)
			buf_addf(out, " its commit log is away (%.400s)%s", log,
				 disk != NULL ? ";" : "");
		if (disk != NULL)
			buf_addf(out, " %.400s", disk);
		buf_add_byte(out, '\n');
		first = false;
	}
}

static int
print_status(const struct status *s, struct err *err)
{
	struct buf out = BUF_MAX(16 * 1024 * 1024);
	unsigned wanting, read_only, listed;
	const char *word = verdict(s, &wanting, &read_only);
	int rc;

	buf_addf(&out, "%s is %s: map version %" PRIu64 ", %u of %u nodes answer", s->map->cluster,
		 word, s->map->version, s->map->nnodes - s->silent, s->map->nnodes);
	buf_addf(&out, ", %u of %u shards are whole\n\n", s->map->nshards - wanting,
		 s->map->nshards);
	add_nodes(&out, s);
	if (weak_log(s) != NULL)
		buf_addf(&out, "\nweak log (allowed by allow_weak_log): %.*s\n",
			 (int)COMMITLOG_WEAK, weak_log(s));
	add_refusals(&out, s);
	if (wanting > 0)
		buf_add_byte(&out, '\n');
	listed = explain(&out, s, true, 0);
	listed = explain(&out, s, false, listed);
	if (wanting > listed)
		buf_addf(&out, "and %u more; all of them: shardctl status -o json\n",
			 wanting - listed);
	rc = print_text(&out, err);
	buf_release(&out);
	return rc;
}

static json_t *
describe_node(const struct status *s, uint32_t i)
{
	const struct map_node *n = &s->map->nodes[i];
	json_t *o = json_pack("{s:s, s:I, s:s, s:s, s:s, s:b}", "node", n->name, "number",
			      (json_int_t)n->id, "admin", n->admin, "addr", n->addr, "zone",
			      n->zone, "answers", s->asks[i].err.code == 0);

	if (s->asks[i].err.code == 0)
		json_object_set(o, "status", s->asks[i].json);
	else
		json_object_set_new(o, "error", json_string(err_text(&s->asks[i].err)));
	return o;
}

static json_t *
describe_shard(const struct status *s, uint32_t i)
{
	const struct shard_view *v = &s->shards[i];
	const struct map_node *primary = map_node(s->map, v->primary);

	return json_pack("{s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:s?, s:s?, s:s?}", "shard",
			 (json_int_t)i, "epoch", v->epoch, "position", v->position, "members",
			 (int)v->members, "answers", (int)v->answers, "behind", (int)v->behind,
			 "missing_packs", (int)v->missing, "outcomes_unknown", (int)v->unknown,
			 "primary", primary != NULL ? primary->name : NULL, "halted", v->halted,
			 "stuck", v->stuck);
}

static int
print_status_json(const struct status *s, struct err *err)
{
	json_t *nodes = json_array(), *shards = json_array();
	unsigned wanting, read_only;
	const char *word = verdict(s, &wanting, &read_only);

	for (uint32_t i = 0; i < s->map->nnodes; i++)
		json_array_append_new(nodes, describe_node(s, i));
	for (uint32_t i = 0; i < s->map->nshards; i++)
		json_array_append_new(shards, describe_shard(s, i));
	return print_json(json_pack("{s:s, s:I, s:s, s:b, s:i, s:i, s:s?, s:o, s:o}", "cluster",
				    s->map->cluster, "map_version", (json_int_t)s->map->version,
				    "verdict", word, "partial", s->silent > 0,
				    "shards_without_primary", (int)read_only, "shards_degraded",
				    (int)wanting, "weak_log", weak_log(s), "nodes", nodes, "shards",
				    shards),
			  err);
}

int
cmd_status(struct ctl *c, struct err *err)
{
	struct status s = { 0 };
	int rc = ctl_load_map(c, err);

	if (c->opts.map == NULL &&
	    (rc == ERR_UNAVAILABLE || rc == ERR_NOT_FOUND || rc == ERR_TIMEOUT))
		err_prefix(err, "the log gives no map; with --map FILE (the map.json in a node's "
				"data folder) the nodes are asked all the same");
	if (rc < 0)
		return rc;
	s.map = c->map;
	s.shards = mem_array(c->map->nshards, sizeof(*s.shards));
	for (uint32_t i = 0; i < c->map->nshards; i++)
		s.shards[i].members = c->map->first[i + 1] - c->map->first[i];
	s.asks = node_call_all(c->map, "/status", c->timeout_ms > 0 ? c->timeout_ms : STATUS_MSEC);
	s.silent = node_call_silent(c->map, s.asks);
	c->partial = s.silent > 0;
	each_shard(&s, view_shard);
	each_shard(&s, count_behind);
	rc = c->json ? print_status_json(&s, err) : print_status(&s, err);
	ask_release(s.asks, c->map->nnodes);
	free(s.asks);
	free(s.shards);
	return rc;
}
