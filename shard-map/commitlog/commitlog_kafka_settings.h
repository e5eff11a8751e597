/* shard-map/commitlog/commitlog_kafka_settings.h - the settings of topics, gathered and judged, in
 * words.  Thread: any that may block; one at a time. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_SETTINGS_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_SETTINGS_H

#include "gitproto/base/buf.h"
#include "shard-map/commitlog/commitlog_kafka_conf.h"

struct commitlog_kafka_settings {
	struct buf weak;  /* sentences: what one loss could cost */
	struct buf wrong; /* sentences: what cannot be worked with */
};
void commitlog_kafka_settings_init(struct commitlog_kafka_settings *);
void commitlog_kafka_settings_release(struct commitlog_kafka_settings *);

void commitlog_kafka_settings_replicas(struct commitlog_kafka_settings *, const char *topic, int n);
/* One setting as a broker names it; others than those of commitlog_kafka_topics.h are passed over. */
void commitlog_kafka_settings_add(struct commitlog_kafka_settings *, const char *topic,
				  const char *name, const char *value);
/* Adds what the brokers say of all topics.  ERR_UNAVAILABLE, ERR_REFUSED (no right to ask). */
MUST_CHECK int commitlog_kafka_settings_ask(struct commitlog_kafka_settings *, rd_kafka_t *,
					    const struct commitlog_kafka_conf *, unsigned msec,
					    struct err *);
/* ERR_REFUSED in words, or 0; what allow_weak lets pass is told in the program's log. */
MUST_CHECK int commitlog_kafka_settings_judge(struct commitlog_kafka_settings *, bool allow_weak,
					      struct err *);

#endif
