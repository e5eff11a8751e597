#include "shard-map/commitlog/commitlog_kafka_topics.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog_kafka_settings.h"

#define ASK_MSEC 5000
#define READY_MSEC 15000 /* until new topics have leaders */
#define LOOK_USEC 50000

/* ---- what is there --------------------------------------------------------------------------- */

static int
ask(const rd_kafka_metadata_t **out, const struct commitlog_kafka_client *k,
    enum commitlog_kafka_topic t, unsigned msec, struct err *err)
{
	rd_kafka_resp_err_t e = rd_kafka_metadata(k->rk, 0, k->topic[t], out, (int)msec);

	if (e == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	*out = NULL;
	commitlog_kafka_fail(err, e, "ask the brokers");
	return ERR_UNAVAILABLE;
}

/* What the brokers say of one topic. */
struct found {
	int brokers;
	int partitions; /* 0: it is not there */
	int replicas;   /* the fewest of a partition */
	bool led;       /* every partition has a leader */
};

static int
look(struct found *f, const struct commitlog_kafka_client *k, const struct commitlog_kafka_conf *c,
     enum commitlog_kafka_topic t, unsigned msec, struct err *err)
{
	const rd_kafka_metadata_t *m;
	const rd_kafka_metadata_topic_t *one;
	int rc = ask(&m, k, t, msec, err);

	memset(f, 0, sizeof(*f));
	if (rc < 0)
		return rc;
	f->brokers = m->broker_cnt;
	one = m->topic_cnt == 1 ? &m->topics[0] : NULL;
	if (one == NULL || one->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
		rd_kafka_metadata_destroy(m);
		return 0;
	}
	if (one->err != RD_KAFKA_RESP_ERR_NO_ERROR &&
	    one->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
		rc = commitlog_kafka_fail(err, one->err, c->topic[t]);
	f->partitions = one->partition_cnt;
	f->led = true;
	f->replicas = one->partition_cnt > 0 ? one->partitions[0].replica_cnt : 0;
	for (int i = 0; i < one->partition_cnt; i++) {
		f->replicas = MIN(f->replicas, one->partitions[i].replica_cnt);
		f->led = f->led && one->partitions[i].leader >= 0;
	}
	rd_kafka_metadata_destroy(m);
	return rc;
}

/* ---- check ----------------------------------------------------------------------------------- */

int
commitlog_kafka_topics_check(const struct commitlog_kafka_client *k,
			     const struct commitlog_kafka_conf *c, unsigned msec, struct err *err)
{
	struct commitlog_kafka_settings s;
	int rc = 0;

	commitlog_kafka_settings_init(&s);
	for (size_t t = 0; t < COMMITLOG_KAFKA_TOPICS && rc == 0; t++) {
		struct found f;

		rc = look(&f, k, c, t, msec, err);
		if (rc == 0 && f.partitions == 0)
			rc = err_set(err, ERR_NOT_FOUND,
				     "topic %s does not exist; make the topics with: shardctl map "
				     "init --create-topics",
				     c->topic[t]);
		if (rc == 0)
			commitlog_kafka_settings_replicas(&s, c->topic[t], f.replicas);
	}
	if (rc == 0)
		rc = commitlog_kafka_settings_ask(&s, k->rk, c, msec, err);
	if (rc == 0)
		rc = commitlog_kafka_settings_judge(&s, c->allow_weak, err);
	if (rc == 0)
		commitlog_kafka_conf_set_weak(c, buf_str(&s.weak));
	commitlog_kafka_settings_release(&s);
	return rc;
}

/* ---- create ---------------------------------------------------------------------------------- */

static rd_kafka_NewTopic_t *
describe(const char *name, int partitions, int replicas)
{
	static const char *const settings[][2] = {
		{ "unclean.leader.election.enable", "false" },
		{ "retention.ms", "-1" },
		{ "retention.bytes", "-1" },
		{ "message.timestamp.type", "LogAppendTime" },
		{ "cleanup.policy", "delete" },
		{ "max.message.bytes", "1048588" },
	};
	char why[200];
	rd_kafka_NewTopic_t *t =
		rd_kafka_NewTopic_new(name, partitions, replicas, why, sizeof(why));

	if (t == NULL)
		return NULL;
	for (size_t i = 0; i < COUNT(settings); i++)
		(void)rd_kafka_NewTopic_set_config(t, settings[i][0], settings[i][1]);
	(void)rd_kafka_NewTopic_set_config(t, "min.insync.replicas", replicas > 1 ? "2" : "1");
	return t;
}

static int
read_answer(rd_kafka_event_t *ev, struct err *err)
{
	const rd_kafka_topic_result_t **results;
	size_t n;

	if (ev == NULL)
		return err_set(err, ERR_UNAVAILABLE, "kafka: no answer to the making of topics");
	if (rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(err, ERR_UNAVAILABLE, "kafka, make topics: %s",
			       rd_kafka_event_error_string(ev));
	results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
	for (size_t i = 0; i < n; i++) {
		rd_kafka_resp_err_t e = rd_kafka_topic_result_error(results[i]);

		if (e != RD_KAFKA_RESP_ERR_NO_ERROR && e != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
			return err_set(err, ERR_REFUSED, "kafka, make topic %s: %s",
				       rd_kafka_topic_result_name(results[i]),
				       rd_kafka_topic_result_error_string(results[i]));
	}
	return 0;
}

static int
make(const struct commitlog_kafka_client *k, rd_kafka_NewTopic_t *topic, struct err *err)
{
	rd_kafka_queue_t *answers = rd_kafka_queue_new(k->rk);
	rd_kafka_AdminOptions_t *o =
		rd_kafka_AdminOptions_new(k->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_event_t *ev;
	char why[200];
	int rc;

	rd_kafka_AdminOptions_set_request_timeout(o, READY_MSEC, why, sizeof(why));
	rd_kafka_AdminOptions_set_operation_timeout(o, READY_MSEC, why, sizeof(why));
	rd_kafka_CreateTopics(k->rk, &topic, 1, o, answers);
	ev = rd_kafka_queue_poll(answers, READY_MSEC + 1000);
	rc = read_answer(ev, err);
	if (ev != NULL)
		rd_kafka_event_destroy(ev);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_queue_destroy(answers);
	return rc;
}

static int
wait_ready(const struct commitlog_kafka_client *k, const struct commitlog_kafka_conf *c,
	   enum commitlog_kafka_topic t, int partitions, struct err *err)
{
	uint64_t until = clock_boot_ns() + READY_MSEC * CLOCK_MSEC;
	struct found f;
	int rc;

	do {
		rc = look(&f, k, c, t, ASK_MSEC, err);
		if (rc == 0 && f.partitions == partitions && f.led)
			return 0;
		usleep(LOOK_USEC);
	} while (clock_boot_ns() < until);
	return rc < 0 ? rc
		      : err_set(err, ERR_UNAVAILABLE, "topic %s has no leaders after %d s",
				c->topic[t], READY_MSEC / 1000);
}

static int
create_one(const struct commitlog_kafka_client *k, const struct commitlog_kafka_conf *c,
	   enum commitlog_kafka_topic t, int partitions, struct err *err)
{
	rd_kafka_NewTopic_t *topic;
	struct found f;
	int rc = look(&f, k, c, t, ASK_MSEC, err);

	if (rc < 0)
		return rc;
	if (f.partitions == partitions)
		return 0;
	if (f.partitions > 0)
		return err_set(err, ERR_CONFLICT,
			       "topic %s is there and has %d partitions, not %d; take another "
			       "cluster name or another number of shards",
			       c->topic[t], f.partitions, partitions);
	if (f.brokers < 3 && !c->allow_weak)
		return err_set(err, ERR_REFUSED,
			       "%d broker%s: a log that survives the loss of one needs three; set "
			       "allow_weak_log = yes if that is enough",
			       f.brokers, f.brokers == 1 ? "" : "s");
	topic = describe(c->topic[t], partitions, MIN(3, f.brokers));
	if (topic == NULL)
		return err_set(err, ERR_BAD, "%s cannot be the name of a topic", c->topic[t]);
	rc = make(k, topic, err);
	rd_kafka_NewTopic_destroy(topic);
	return rc == 0 ? wait_ready(k, c, t, partitions, err) : rc;
}

/* Brokers learn of a new topic one after the other. */
static int
check_new(const struct commitlog_kafka_client *k, const struct commitlog_kafka_conf *c,
	  struct err *err)
{
	uint64_t until = clock_boot_ns() + READY_MSEC * CLOCK_MSEC;
	int rc;

	for (;;) {
		rc = commitlog_kafka_topics_check(k, c, ASK_MSEC, err);
		if ((rc != ERR_NOT_FOUND && rc != ERR_UNAVAILABLE) || clock_boot_ns() > until)
			return rc;
		usleep(LOOK_USEC);
	}
}

int
commitlog_kafka_topics_create(const struct commitlog_kafka_client *k,
			      const struct commitlog_kafka_conf *c, uint32_t shards,
			      struct err *err)
{
	int rc = 0;

	for (size_t t = 0; t < COMMITLOG_KAFKA_TOPICS && rc == 0; t++)
		rc = create_one(k, c, t, t == COMMITLOG_KAFKA_COMMITS ? (int)shards : 1, err);
	return rc == 0 ? check_new(k, c, err) : rc;
}
