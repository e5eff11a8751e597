#include "replica/replica_conf.h"

#include <string.h>

#include "gitproto/base/check.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/map.h"

#define C struct replica_conf

static const struct conf_opt opts[] = {
	CONF_MUST(STR, C, cluster, "cluster", "name of the cluster"),
	CONF_MUST(STR, C, log, "log", "the commit log: file:PATH or kafka:HOST:PORT,..."),
	CONF(BOOL, C, allow_weak_log, "allow_weak_log", "no", "accept a log on a single disk"),
	CONF(STR, C, kafka_options, "kafka_options", NULL,
	     "file, mode 0600, of what the brokers ask for (TLS, SASL): lines name=value"),
	CONF(BOOL, C, insecure, "insecure", "no",
	     "listen on, and answer, addresses other than loopback without TLS"),
	CONF(STR, C, log_level, "log_level", "info", "error, warn, info or debug"),
	CONF_MUST(STR, C, name, "node.name", "name of this node, as in the map"),
	CONF_MUST(STR, C, listen, "node.listen", "back-plane address, HTTP/2"),
	CONF_MUST(STR, C, admin, "node.admin", "admin address, HTTP/1.1"),
	CONF_MUST(STR, C, root, "node.root", "folder of the repositories: ROOT/owner/name.git"),
	CONF(STR, C, data, "node.data", NULL,
	     "folder of the catalog, on the filesystem of root; default ROOT/.gitshard"),
	CONF(STR, C, hook, "node.hook", NULL, "the hook program; default: beside this program"),
	CONF(BOOL, C, auto_create, "node.auto_create", "yes",
	     "a push to a repository that does not exist creates it"),
	CONF(BOOL, C, lease_reads, "node.lease_reads", "yes",
	     "no for machines whose clock stops unseen: every strict read takes a barrier"),
	CONF(STR, C, reads_without_log, "node.reads_without_log", "refuse",
	     "while the log is away: refuse reads, serve what was fresh at most a time ago "
	     "(\"bounded(30s)\"), or serve any"),
	CONF(BYTES, C, inline_max, "node.inline_max", "192K",
	     "packs up to this size travel in the commit log, larger ones are staged", .min = 0,
	     .max = RECORD_INLINE_MAX),
	CONF(BYTES, C, max_push, "node.max_push", "0", "largest pack of a push, 0: no limit"),
	CONF(BYTES, C, min_free, "node.min_free", "64M", "pushes are refused below this much disk"),
	CONF(BYTES, C, stage_budget, "node.stage_budget", "64M",
	     "memory for packs on their way to voters, and as much again for those from others; "
	     "each other node has an equal share, at least one pack",
	     .min = 1 << 20, .max = INT64_MAX),
	CONF(BYTES, C, refs_memory, "node.refs_memory", "512M", "memory for refs"),
	CONF(MSEC, C, push_deadline, "node.push_deadline", "20s", "of lock, quorum and log"),
	CONF(MSEC, C, read_deadline, "node.read_deadline", "15s", "of a strict read"),
	CONF(MSEC, C, projection_check, "node.projection_check", "60s",
	     "how often git's ref files are compared with the catalog"),
	CONF(MSEC, C, trash_grace, "node.trash_grace", "7d",
	     "deleted repositories are kept so long"),
	CONF(INT, C, max_children, "node.max_children", "256", "git processes at a time", .min = 1,
	     .max = 10000),
	CONF(INT, C, repack_packs, "node.repack_packs", "8",
	     "merge a repository's packs when so many are out of order, 0: never", .min = 0,
	     .max = 10000),
	CONF(INT, C, workers, "node.workers", "4", "threads for disk work", .min = 1, .max = 64),
};

static const char *const foreign[] = { "router", NULL };

const struct conf_table replica_conf_table = { opts, COUNT(opts), foreign };

int
replica_conf_check(const void *conf, struct err *err)
{
	const struct replica_conf *c = conf;
	struct without_log without_log;

	if (!map_name_ok(c->name))
		return err_set(err, ERR_BAD, "node.name '%s' must be 1 to 63 of a-z, 0-9 and -",
			       c->name);
	if (!map_name_ok(c->cluster))
		return err_set(err, ERR_BAD, "cluster '%s' must be 1 to 63 of a-z, 0-9 and -",
			       c->cluster);
	if (c->root[0] != '/' || (c->data != NULL && c->data[0] != '/'))
		return err_set(err, ERR_BAD, "node.root and node.data must be absolute paths");
	if (without_log_parse(&without_log, c->reads_without_log, err) != 0)
		return err_prefix(err, "node.reads_without_log"), ERR_BAD;
	return 0;
}

struct without_log
replica_conf_without_log(const struct replica_conf *c)
{
	struct without_log w;

	CHECK(without_log_parse(&w, c->reads_without_log, NULL) == 0);
	return w;
}
