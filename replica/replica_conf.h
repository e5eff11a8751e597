/* replica/replica_conf.h - the options of gitshard-replica.  Thread: main. */
#ifndef REPLICA_REPLICA_CONF_H
#define REPLICA_REPLICA_CONF_H

#include "gitproto/base/conf.h"
#include "replica/serve/without_log.h"

struct replica_conf {
	char *cluster, *log, *log_level;
	bool allow_weak_log, insecure;
	char *kafka_options;
	char *name, *listen, *admin, *root, *data, *hook;
	bool auto_create, lease_reads;
	char *reads_without_log;
	uint64_t inline_max, max_push, min_free, stage_budget, refs_memory;
	uint64_t push_deadline, read_deadline, projection_check, trash_grace; /* msec */
	int64_t max_children, workers, repack_packs;
};

extern const struct conf_table replica_conf_table;
/* What single rows cannot say: names, paths, limits that go together. */
MUST_CHECK int replica_conf_check(const void *conf, struct err *);
struct without_log replica_conf_without_log(const struct replica_conf *); /* after the check */

#endif
