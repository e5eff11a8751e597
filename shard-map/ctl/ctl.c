#include "shard-map/ctl/ctl.h"

#include <jansson.h>

#include "gitproto/base/fsio.h"
#include "shard-map/commitlog/map_follow.h"
#include "shard-map/map_file.h"

#define C struct ctl_conf
static const struct conf_opt conf_rows[] = {
	CONF_MUST(STR, C, cluster, "cluster", "name of the cluster"),
	CONF_MUST(STR, C, log, "log", "where the commit log is: file:PATH or kafka:HOST:PORT,..."),
	CONF(BOOL, C, allow_weak_log, "allow_weak_log", "no", "accept a log on one disk"),
	CONF(STR, C, kafka_options, "kafka_options", NULL,
	     "file, mode 0600, of what the brokers ask for (TLS, SASL): lines name=value"),
	CONF(BOOL, C, insecure, "insecure", "no", "for the daemons; not looked at here"),
	CONF(STR, C, log_level, "log_level", "info", "for the daemons; not looked at here"),
};
#undef C
static const char *const foreign[] = { "node", "router", NULL };
const struct conf_table ctl_conf_table = { conf_rows, COUNT(conf_rows), foreign };

#define O(field) offsetof(struct ctl_opts, field)
const struct opt ctl_opt_table[] = {
	{ "config", 0, "FILE", OPT_STR, O(config), "read cluster and log from FILE" },
	{ "set", 0, "KEY=VALUE", OPT_LIST, O(set), "set one option, over the file's" },
	{ "output", 'o', "FORM", OPT_STR, O(output), "table (default) or json" },
	{ "timeout", 0, "TIME", OPT_STR, O(timeout), "how long to wait for nodes: 500ms, 2s" },
	{ "map", 0, "FILE", OPT_STR, O(map),
	  "status: the map from a file, a node's map.json, while the log is away" },
	{ "node", 0, "NODE", OPT_LIST, O(nodes), "map init: a node, see above" },
	{ "shards", 0, "N", OPT_STR, O(shards), "map init: a power of two (default 256)" },
	{ "create-topics", 0, NULL, OPT_FLAG, O(create_topics),
	  "map init: make the log's topics (Kafka)" },
	{ "replicas", 0, "N|all", OPT_STR, O(replicas),
	  "map init, map plan: members of a shard (default 3)" },
	{ "add", 0, "NODE", OPT_LIST, O(add), "map plan: with this node too" },
	{ "drain", 0, "NAME", OPT_LIST, O(drain), "map plan: with nothing on this node" },
	{ "weight", 0, "NAME=W", OPT_LIST, O(weight), "map plan: with this weight of a node" },
	{ "head", 0, "BRANCH", OPT_STR, O(head), "repo create: its default branch (main)" },
	{ "object-format", 0, "sha1|sha256", OPT_STR, O(object_format),
	  "repo create: hash of its objects (sha1)" },
	{ "shard", 0, "N", OPT_STR, O(shard),
	  "repo create: in this shard, not where its hash says" },
	{ "check-config", 0, NULL, OPT_FLAG, O(check_config), "check the options and exit" },
	{ "help-config", 0, NULL, OPT_FLAG, O(help_config), "list the options of the file" },
	{ "version", 0, NULL, OPT_FLAG, O(version), "print versions" },
	{ "help", 'h', NULL, OPT_FLAG, O(help), "print this" },
};
#undef O
const size_t ctl_opt_count = COUNT(ctl_opt_table);

const char *
ctl_word(const struct ctl *c, size_t i)
{
	i += c->nwords_of_name;
	return i < c->words.n ? c->words.v[i] : NULL;
}

static struct commitlog_opts
log_opts(const struct ctl *c)
{
	return (struct commitlog_opts){ .cluster = c->conf.cluster,
					.allow_weak = c->conf.allow_weak_log,
					.kafka_options = c->conf.kafka_options };
}

int
ctl_create_topics(struct ctl *c, uint32_t shards, struct err *err)
{
	struct commitlog_opts o = log_opts(c);
	int rc = commitlog_create_topics(c->conf.log, &o, shards, err);

	if (rc < 0)
		err_prefix(err, "the commit log %s", c->conf.log);
	return rc;
}

int
ctl_open_log(struct ctl *c, bool create, struct err *err)
{
	struct commitlog_opts o = log_opts(c);
	int rc;

	if (c->log != NULL)
		return 0;
	o.create = create;
	rc = commitlog_open(&c->log, c->conf.log, &o, err);
	if (rc < 0)
		err_prefix(err, "the commit log %s", c->conf.log);
	return rc;
}

/* What `map show -o json` printed has "schema" beside the map's own. */
int
ctl_load_map_file(const struct map **out, const char *path, struct err *err)
{
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	int rc = fsio_read(&text, path, MAP_FILE_MAX, err);
	json_t *o = NULL;
	char *dump = NULL;

	if (rc == 0)
		o = json_loadb((const char *)text.p, text.len, 0, NULL);
	if (o != NULL && json_object_del(o, "schema") == 0)
		dump = json_dumps(o, JSON_COMPACT);
	if (rc == 0) {
		rc = map_file_parse(out, dump != NULL ? slice_str(dump) : buf_slice(&text), err);
		if (rc < 0)
			err_prefix(err, "%.200s", path);
	}
	free(dump);
	json_decref(o);
	buf_release(&text);
	return rc;
}

int
ctl_load_map(struct ctl *c, struct err *err)
{
	int rc;

	if (c->opts.map != NULL)
		return ctl_load_map_file(&c->map, c->opts.map, err);
	rc = ctl_open_log(c, false, err);
	if (rc == 0)
		rc = map_follow_read(&c->map, c->log, err);
	if (rc < 0)
		return rc;
	if (c->map == NULL)
		return err_set(
			err, ERR_NOT_FOUND,
			"cluster %s has no map yet; start its nodes, then: shardctl map init",
			c->conf.cluster);
	if (strcmp(c->map->cluster, c->conf.cluster) != 0)
		return err_set(err, ERR_REFUSED,
			       "the log %s is of cluster %s, not of %s; check `cluster` and `log`",
			       c->conf.log, c->map->cluster, c->conf.cluster);
	return 0;
}

void
ctl_release(struct ctl *c)
{
	map_unref(&c->map);
	commitlog_close(&c->log);
	conf_release(&ctl_conf_table, &c->conf);
	opt_list_release(&c->opts.set);
	opt_list_release(&c->opts.nodes);
	opt_list_release(&c->opts.add);
	opt_list_release(&c->opts.drain);
	opt_list_release(&c->opts.weight);
	opt_list_release(&c->words);
}

enum ctl_exit
ctl_exit_code(int rc)
{
	switch (rc) {
	case 0:
		return CTL_OK;
	case ERR_CONFLICT:
		return CTL_CONFLICT;
	case ERR_TIMEOUT:
		return CTL_TIMEOUT;
	default:
		return CTL_FAILED;
	}
}
