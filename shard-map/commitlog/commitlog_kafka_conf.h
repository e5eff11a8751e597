/* shard-map/commitlog/commitlog_kafka_conf.h - what every Kafka client of one log has in common:
 * brokers, names of topics, settings, the words for its errors.  Thread: any; nothing here blocks but
 * the reading of the options file.
 *
 * Stream s < COMMITLOG_DIRECTORY is partition s of CLUSTER.commits; the map and the directory are
 * partition 0 of CLUSTER.map and CLUSTER.directory. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_CONF_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>

#include "shard-map/commitlog/commitlog.h"

enum commitlog_kafka_topic {
	COMMITLOG_KAFKA_COMMITS,
	COMMITLOG_KAFKA_MAP,
	COMMITLOG_KAFKA_DIRECTORY,
	COMMITLOG_KAFKA_TOPICS
};

struct commitlog_kafka_conf {
	char *brokers;                       /* owned: "HOST:PORT,HOST:PORT" */
	char *topic[COMMITLOG_KAFKA_TOPICS]; /* owned */
	char *options;                       /* owned: name NUL value NUL ..., ends with a NUL */
	uint64_t append_msec;
	bool allow_weak;
	struct commitlog_kafka_weak *weak; /* owned: what that let pass, in words */
};

/* where: what follows "kafka:" in the URL.  The options file (commitlog_opts.kafka_options) holds
 * lines `name=value` of librdkafka's own names, those that begin with security. sasl. ssl. and a few
 * more: how to reach the brokers, never what the log's promises lean on.  A file that others than its
 * owner can read is refused.  ERR_BAD, ERR_NOT_FOUND, ERR_REFUSED, ERR_IO; nothing to release then. */
MUST_CHECK int commitlog_kafka_conf_init(struct commitlog_kafka_conf *, const char *where,
					 const struct commitlog_opts *, struct err *);
void commitlog_kafka_conf_release(struct commitlog_kafka_conf *);

/* Thread: any.  "": the topics are as they should be. */
void commitlog_kafka_conf_set_weak(const struct commitlog_kafka_conf *, const char *words);
/* false: nothing is weak, or nothing is known yet. */
bool commitlog_kafka_conf_weak(const struct commitlog_kafka_conf *, char *out, size_t size);

enum commitlog_kafka_role {
	COMMITLOG_KAFKA_PRODUCER,
	COMMITLOG_KAFKA_CONSUMER,
	COMMITLOG_KAFKA_CONTROL, /* a consumer too: questions, scans, administration */
};
typedef void commitlog_kafka_error_fn(rd_kafka_t *, int err, const char *reason, void *opaque);
typedef void commitlog_kafka_report_fn(rd_kafka_t *, const rd_kafka_message_t *, void *opaque);

/* A handle and its topics. */
struct commitlog_kafka_client {
	rd_kafka_t *rk;                                  /* owned */
	rd_kafka_topic_t *topic[COMMITLOG_KAFKA_TOPICS]; /* owned */
};
/* on_report: of producers, NULL for others.  Both are called inside rd_kafka_poll. */
MUST_CHECK int commitlog_kafka_client_open(struct commitlog_kafka_client *out,
					   const struct commitlog_kafka_conf *,
					   enum commitlog_kafka_role, commitlog_kafka_error_fn *,
					   commitlog_kafka_report_fn *on_report, void *opaque,
					   struct err *);
/* Blocks until librdkafka's threads have ended; a producer is empty before, consumers are stopped.
 * Of nothing: nothing. */
void commitlog_kafka_client_close(struct commitlog_kafka_client *);

enum commitlog_kafka_topic commitlog_kafka_topic_of(uint32_t stream);
int32_t commitlog_kafka_partition_of(uint32_t stream);
/* The stream that a message came from, or that its error is about. */
uint32_t commitlog_kafka_stream_of(const struct commitlog_kafka_conf *, const rd_kafka_message_t *);

/* The words of a librdkafka error, after "kafka WHAT: "; code: ERR_UNAVAILABLE for what passes,
 * ERR_REFUSED for rights, ERR_NOT_FOUND for topics and partitions that do not exist. */
int commitlog_kafka_fail(struct err *, rd_kafka_resp_err_t, const char *what);

#endif
