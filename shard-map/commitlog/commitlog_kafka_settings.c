#include "shard-map/commitlog/commitlog_kafka_settings.h"

#include <stdlib.h>
#include <string.h>

#include "gitproto/base/log.h"
#include "shard-map/commitlog/commitlog_kafka_topics.h"

/* Values are numbers where least > 0, else words. */
static const struct want {
	const char *name, *word;
	long long least;
	bool must; /* nothing can be done without */
} wants[] = {
	{ "min.insync.replicas", NULL, 2, false },
	{ "unclean.leader.election.enable", "false", 0, false },
	{ "retention.ms", "-1", 0, false },
	{ "retention.bytes", "-1", 0, false },
	{ "message.timestamp.type", "LogAppendTime", 0, false },
	{ "cleanup.policy", "delete", 0, true },
	{ "max.message.bytes", NULL, COMMITLOG_KAFKA_MESSAGE, true },
};

void
commitlog_kafka_settings_init(struct commitlog_kafka_settings *s)
{
	buf_init(&s->weak, 4096);
	buf_init(&s->wrong, 4096);
}

void
commitlog_kafka_settings_release(struct commitlog_kafka_settings *s)
{
	buf_release(&s->weak);
	buf_release(&s->wrong);
}

void
commitlog_kafka_settings_replicas(struct commitlog_kafka_settings *s, const char *topic, int n)
{
	if (n < 3)
		buf_addf(&s->weak, "%s%s has %d replica%s, not 3", s->weak.len > 0 ? "; " : "",
			 topic, n, n == 1 ? "" : "s");
}

void
commitlog_kafka_settings_add(struct commitlog_kafka_settings *s, const char *topic,
			     const char *name, const char *value)
{
	for (size_t i = 0; i < COUNT(wants); i++) {
		const struct want *w = &wants[i];
		struct buf *to = w->must ? &s->wrong : &s->weak;

		if (strcmp(w->name, name) != 0)
			continue;
		if (w->word != NULL ? strcmp(w->word, value) == 0 : atoll(value) >= w->least)
			return;
		buf_addf(to, "%s%s has %s=%s, not ", to->len > 0 ? "; " : "", topic, name, value);
		if (w->word != NULL)
			buf_add_str(to, w->word);
		else
			buf_addf(to, "%lld or more", w->least);
	}
}

static void
add_all(struct commitlog_kafka_settings *s, const rd_kafka_ConfigResource_t *r)
{
	size_t n;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(r, &n);

	for (size_t i = 0; i < n; i++) {
		const char *value = rd_kafka_ConfigEntry_value(entries[i]);

		commitlog_kafka_settings_add(s, rd_kafka_ConfigResource_name(r),
					     rd_kafka_ConfigEntry_name(entries[i]),
					     value != NULL ? value : "");
	}
}

static int
read_answer(struct commitlog_kafka_settings *s, rd_kafka_event_t *ev, struct err *err)
{
	const rd_kafka_ConfigResource_t **resources;
	size_t n;

	if (ev == NULL)
		return err_set(err, ERR_UNAVAILABLE, "kafka: no answer about the topics' settings");
	if (rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(err, ERR_UNAVAILABLE, "kafka, ask for settings: %s",
			       rd_kafka_event_error_string(ev));
	resources =
		rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(ev),
							  &n);
	for (size_t i = 0; i < n; i++) {
		rd_kafka_resp_err_t e = rd_kafka_ConfigResource_error(resources[i]);

		if (e != RD_KAFKA_RESP_ERR_NO_ERROR)
			return commitlog_kafka_fail(err, e, "ask for settings");
		add_all(s, resources[i]);
	}
	return n > 0 ? 0 : err_set(err, ERR_UNAVAILABLE, "kafka: no settings were told");
}

int
commitlog_kafka_settings_ask(struct commitlog_kafka_settings *s, rd_kafka_t *rk,
			     const struct commitlog_kafka_conf *c, unsigned msec, struct err *err)
{
	rd_kafka_ConfigResource_t *want[COMMITLOG_KAFKA_TOPICS];
	rd_kafka_queue_t *answers = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *o =
		rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	rd_kafka_event_t *ev;
	char why[200];
	int rc;

	rd_kafka_AdminOptions_set_request_timeout(o, (int)msec, why, sizeof(why));
	for (size_t t = 0; t < COUNT(want); t++)
		want[t] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, c->topic[t]);
	rd_kafka_DescribeConfigs(rk, want, COUNT(want), o, answers);
	ev = rd_kafka_queue_poll(answers, (int)msec + 1000);
	rc = read_answer(s, ev, err);
	if (ev != NULL)
		rd_kafka_event_destroy(ev);
	rd_kafka_ConfigResource_destroy_array(want, COUNT(want));
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_queue_destroy(answers);
	return rc;
}

int
commitlog_kafka_settings_judge(struct commitlog_kafka_settings *s, bool allow_weak, struct err *err)
{
	const char *weak = buf_str(&s->weak);

	if (s->wrong.len > 0)
		return err_set(err, ERR_REFUSED, "the log's topics cannot be used: %s",
			       buf_str(&s->wrong));
	if (s->weak.len == 0)
		return 0;
	if (!allow_weak)
		return err_set(err, ERR_REFUSED,
			       "the log can lose what it acknowledged: %s; set it right, or set "
			       "allow_weak_log = yes if that is enough",
			       weak);
	log_warn("-", "weak-log", "why=%s", log_value(weak, s->weak.len));
	return 0;
}
