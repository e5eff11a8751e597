/* router/router_conf.h - the options of gitshard-router.  Thread: main. */
#ifndef ROUTER_ROUTER_CONF_H
#define ROUTER_ROUTER_CONF_H

#include "gitproto/base/conf.h"

#define ROUTER_CONF_MAX_THREADS 64

struct router_conf {
	char *cluster, *log, *log_level;
	bool allow_weak_log, insecure;
	char *kafka_options;
	char *listen, *admin;
	char *cache;     /* folder; NULL: none */
	char *zone;      /* NULL: none */
	int64_t threads; /* 0: one a core */
	int64_t max_requests;
	uint64_t retry_deadline, body_stall; /* msec */
};

extern const struct conf_table router_conf_table;
/* Beyond single values.  conf: a struct router_conf. */
MUST_CHECK int router_conf_check(const void *conf, struct err *);

#endif
