/* shard-map/ctl/ctl.h - one run of shardctl: its options, the log and the map it works on.
 * Thread: main.  Everything blocks.  Messages go to stderr by main, answers to stdout by print. */
#ifndef SHARD_MAP_CTL_CTL_H
#define SHARD_MAP_CTL_CTL_H

#include "gitproto/base/conf.h"
#include "gitproto/base/opt.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/map.h"

/* Exit codes, documented in docs/operations.md. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_CONFLICT = 4, /* something else changed it meanwhile */
	CTL_PARTIAL = 5,  /* an answer, but not of all nodes */
	CTL_TIMEOUT = 124,
};

struct ctl_conf {
	char *cluster, *log, *log_level, *kafka_options;
	bool allow_weak_log, insecure;
};
extern const struct conf_table ctl_conf_table;

struct ctl_opts {
	bool help, version, check_config, help_config;
	bool create_topics; /* map init */
	const char *config, *output, *timeout;
	const char *map;                          /* status */
	const char *shards, *replicas;            /* map init; replicas: map plan too */
	const char *head, *object_format, *shard; /* repo create */
	struct opt_list set, nodes;
	struct opt_list add, drain, weight; /* map plan */
};
extern const struct opt ctl_opt_table[];
extern const size_t ctl_opt_count;

struct ctl {
	struct ctl_conf conf;
	struct ctl_opts opts;
	struct opt_list words; /* the command's own, its name included */
	size_t nwords_of_name; /* how many of them are its name */
	bool json;             /* -o json */
	uint64_t timeout_ms;   /* --timeout, or 0: the command's own */
	bool usage;            /* the error is one of the command line: exit 2 */
	bool partial;          /* some node did not answer: exit 5 instead of 0 */
	struct commitlog *log; /* owned, after ctl_open_log */
	const struct map *map; /* owned, after ctl_load_map */
};

/* Word i after the command's name; NULL: there is none. */
const char *ctl_word(const struct ctl *, size_t i);
MUST_CHECK int ctl_open_log(struct ctl *, bool create, struct err *);
/* What the log needs for so many shards, before it is opened the first time. */
MUST_CHECK int ctl_create_topics(struct ctl *, uint32_t shards, struct err *);
/* Opens the log where needed, which is not with --map.  ERR_NOT_FOUND in words when the cluster has no
 * map. */
MUST_CHECK int ctl_load_map(struct ctl *, struct err *);
/* A node's map.json, or what `map show -o json` printed. */
MUST_CHECK int ctl_load_map_file(const struct map **, const char *path, struct err *);
void ctl_release(struct ctl *);
enum ctl_exit ctl_exit_code(int rc);

#endif
