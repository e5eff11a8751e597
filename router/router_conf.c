#include "router/router_conf.h"

#include "gitproto/base/log.h"
#include "shard-map/map.h"

#define C struct router_conf

static const struct conf_opt opts[] = {
	CONF_MUST(STR, C, cluster, "cluster", "name of the cluster"),
	CONF_MUST(STR, C, log, "log", "the commit log: file:PATH or kafka:HOST:PORT,..."),
	CONF(BOOL, C, allow_weak_log, "allow_weak_log", "no", "accept a log on a single disk"),
	CONF(STR, C, kafka_options, "kafka_options", NULL,
	     "file, mode 0600, of what the brokers ask for (TLS, SASL): lines name=value"),
	CONF(BOOL, C, insecure, "insecure", "no",
	     "listen on, and answer, addresses other than loopback without TLS"),
	CONF(STR, C, log_level, "log_level", "info", "error, warn, info or debug (reload: SIGHUP)"),
	CONF_MUST(STR, C, listen, "router.listen", "address for git clients, HTTP/1.1"),
	CONF_MUST(STR, C, admin, "router.admin", "admin address, HTTP/1.1"),
	CONF(STR, C, cache, "router.cache", NULL,
	     "folder for the last map, so that a start is possible while the log is away"),
	CONF(STR, C, zone, "router.zone", NULL,
	     "zone of this router: nodes of the same one serve its reads first"),
	CONF(INT, C, threads, "router.threads", "0", "loop threads, 0: one a core", .min = 0,
	     .max = ROUTER_CONF_MAX_THREADS),
	CONF(INT, C, max_requests, "router.max_requests", "4000",
	     "requests served at a time; more are answered 503", .min = 1, .max = 1000000),
	CONF(MSEC, C, retry_deadline, "router.retry_deadline", "15s",
	     "how long other nodes are tried before a client hears of a failure", .min = 1,
	     .max = 600 * 1000),
	CONF(MSEC, C, body_stall, "router.body_stall", "2m",
	     "a client whose body makes no progress for so long is dropped", .min = 1000,
	     .max = 24 * 3600 * 1000),
};

static const char *const foreign[] = { "node", NULL };

const struct conf_table router_conf_table = { opts, COUNT(opts), foreign };

int
router_conf_check(const void *conf, struct err *err)
{
	const struct router_conf *c = conf;
	enum log_level level;

	if (!map_name_ok(c->cluster))
		return err_set(err, ERR_BAD, "cluster '%s' must be 1 to 63 of a-z, 0-9 and -",
			       c->cluster);
	if (c->zone != NULL && !map_name_ok(c->zone))
		return err_set(err, ERR_BAD, "router.zone '%s' must be 1 to 63 of a-z, 0-9 and -",
			       c->zone);
	if (!log_level_parse(&level, c->log_level))
		return err_set(err, ERR_BAD, "log_level '%s' is none of error, warn, info, debug",
			       c->log_level);
	return 0;
}
