#include "shard-map/commitlog/commitlog_kafka_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/check.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/commitlog_backend.h"

#define OPTIONS_MAX 65536

struct commitlog_kafka_weak {
	pthread_mutex_t lock;
	char words[COMMITLOG_WEAK];
};

static const char *const suffixes[] = { "commits", "map", "directory" };

#define P (1u << COMMITLOG_KAFKA_PRODUCER)
#define C (1u << COMMITLOG_KAFKA_CONSUMER)
#define Q (1u << COMMITLOG_KAFKA_CONTROL)

/* A request to a broker that was stopped is given up after socket.timeout.ms, and asked of the one
 * that leads by then: Kafka elects within 4 s, pushes wait 15 s or more. */
static const struct setting {
	unsigned roles;
	const char *name, *value;
} settings[] = {
	{ P | C | Q, "socket.nagle.disable", "true" },
	{ P | C | Q, "socket.keepalive.enable", "true" },
	{ P | C | Q, "socket.timeout.ms", "5000" },
	{ P | C | Q, "reconnect.backoff.ms", "20" },
	{ P | C | Q, "reconnect.backoff.max.ms", "250" },
	{ P | C | Q, "topic.metadata.refresh.interval.ms", "10000" },
	{ P | C | Q, "topic.metadata.refresh.fast.interval.ms", "100" },
	{ P | C | Q, "allow.auto.create.topics", "false" },
	{ P | C | Q, "log.connection.close", "false" },
	{ P, "acks", "all" },
	{ P, "enable.idempotence", "true" },
	{ P, "linger.ms", "0" },
	{ P, "retry.backoff.ms", "50" },
	{ P, "queue.buffering.max.kbytes", "262144" },
	{ C | Q, "auto.offset.reset", "error" },
	{ C | Q, "isolation.level", "read_uncommitted" },
	{ C | Q, "enable.auto.commit", "false" },
	{ C | Q, "enable.auto.offset.store", "false" },
	{ C | Q, "enable.partition.eof", "false" },
	{ C | Q, "fetch.error.backoff.ms", "50" },
	{ C, "queued.max.messages.kbytes", "65536" },
	/* A stream that is added waits for the running fetch to end. */
	{ C, "fetch.wait.max.ms", "100" },
	{ Q, "fetch.wait.max.ms", "10" },
	{ Q, "queued.min.messages", "1000" },
	{ Q, "queued.max.messages.kbytes", "4096" },
};

#undef P
#undef C
#undef Q

/* Names that the options file may set. */
static const char *const allowed[] = { "security.", "sasl.",
				       "ssl.",      "enable.ssl.certificate.verification",
				       "client.id", "client.rack",
				       "broker.",   "socket.connection.setup.timeout.ms",
				       "debug" };

/* ---- the options file ------------------------------------------------------------------------ */

static bool
is_allowed(struct slice name)
{
	for (size_t i = 0; i < COUNT(allowed); i++) {
		struct slice a = slice_str(allowed[i]);

		if (slice_ends(a, SLICE_LIT(".")) ? slice_begins(name, a) && name.len > a.len
						  : slice_eq(name, a))
			return true;
	}
	return false;
}

static struct slice
trim_blanks(struct slice s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_skip(s, 1);
	while (s.len > 0 &&
	       (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t' || s.p[s.len - 1] == '\r'))
		s = slice_head(s, s.len - 1);
	return s;
}

static int
parse_options(struct buf *out, struct slice text, const char *path, struct err *err)
{
	for (unsigned line = 1; text.len > 0; line++) {
		struct slice value = trim_blanks(slice_cut(&text, '\n')), name;

		if (value.len == 0 || value.p[0] == '#')
			continue;
		if (slice_find(value, '=') < 1 || slice_find(value, '\0') >= 0)
			return err_set(err, ERR_BAD, "%s:%u: write name=value", path, line);
		name = trim_blanks(slice_cut(&value, '='));
		value = trim_blanks(value);
		if (!is_allowed(name))
			return err_set(err, ERR_REFUSED,
				       "%s:%u: '%.*s' is none of the options that say how to reach "
				       "the brokers (security.* sasl.* ssl.* broker.* client.*)",
				       path, line, SLICE_ARG(slice_head(name, 60)));
		buf_add_slice(out, name);
		buf_add_byte(out, 0);
		buf_add_slice(out, value);
		buf_add_byte(out, 0);
	}
	buf_add_byte(out, 0);
	return buf_ok(out) ? 0 : err_set(err, ERR_NOMEM, "no memory for %s", path);
}

static int
read_fd(struct buf *out, int fd, const char *path, struct err *err)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "%s", path);
	if ((st.st_mode & 077) != 0)
		return err_set(err, ERR_REFUSED, "%s: others can read it; run: chmod 600 %s", path,
			       path);
	do {
		uint8_t *p = buf_grow(out, 4096);

		if (p == NULL)
			return err_set(err, ERR_TOO_BIG, "%s: more than %d bytes", path,
				       OPTIONS_MAX);
		n = read(fd, p, 4096);
		if (n < 0)
			return err_errno(err, "%s", path);
		out->len -= 4096 - (size_t)n;
	} while (n > 0);
	return 0;
}

static int
read_options(char **out, const char *path, struct err *err)
{
	struct buf text = BUF_MAX(OPTIONS_MAX), options = BUF_MAX(2 * OPTIONS_MAX);
	int rc, fd;

	*out = NULL;
	if (path == NULL)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "there is no %s", path);
	if (fd < 0)
		return err_errno(err, "%s", path);
	rc = read_fd(&text, fd, path, err);
	close(fd);
	if (rc == 0)
		rc = parse_options(&options, buf_slice(&text), path, err);
	if (rc == 0)
		*out = mem_dup(options.p, options.len);
	buf_release(&text);
	buf_release(&options);
	return rc;
}

/* ---- init ------------------------------------------------------------------------------------ */

static bool
is_address(struct slice s)
{
	ssize_t colon = -1;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] <= ' ' || s.p[i] >= 127 || s.p[i] == '/' || s.p[i] == '@')
			return false;
		if (s.p[i] == ':')
			colon = (ssize_t)i;
	}
	if (colon < 1 || (size_t)colon + 1 == s.len || s.len - (size_t)colon > 6)
		return false;
	for (size_t i = (size_t)colon + 1; i < s.len; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

static int
check_brokers(const char *where, struct err *err)
{
	struct slice rest = slice_str(where);

	do {
		struct slice one = slice_cut(&rest, ',');

		if (!is_address(one))
			return err_set(err, ERR_BAD,
				       "log kafka:HOST:PORT,...: \"%.*s\" is no HOST:PORT",
				       SLICE_ARG(slice_head(one, 80)));
	} while (rest.len > 0);
	return 0;
}

int
commitlog_kafka_conf_init(struct commitlog_kafka_conf *c, const char *where,
			  const struct commitlog_opts *opts, struct err *err)
{
	struct buf name = BUF_MAX(256);
	int rc = check_brokers(where, err);

	if (rc == 0)
		rc = read_options(&c->options, opts->kafka_options, err);
	if (rc < 0)
		return rc;
	c->brokers = mem_strdup(where);
	c->append_msec = opts->append_msec > 0 ? opts->append_msec : COMMITLOG_BACKEND_MSEC;
	c->allow_weak = opts->allow_weak;
	c->weak = MEM_NEW(struct commitlog_kafka_weak);
	pthread_mutex_init(&c->weak->lock, NULL);
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		buf_clear(&name);
		buf_addf(&name, "%s.%s", opts->cluster, suffixes[i]);
		c->topic[i] = mem_strdup(buf_str(&name));
	}
	buf_release(&name);
	return 0;
}

void
commitlog_kafka_conf_release(struct commitlog_kafka_conf *c)
{
	free(c->brokers);
	free(c->options);
	if (c->weak != NULL)
		pthread_mutex_destroy(&c->weak->lock);
	free(c->weak);
	for (size_t i = 0; i < COUNT(c->topic); i++)
		free(c->topic[i]);
	memset(c, 0, sizeof(*c));
}

void
commitlog_kafka_conf_set_weak(const struct commitlog_kafka_conf *c, const char *words)
{
	pthread_mutex_lock(&c->weak->lock);
	snprintf(c->weak->words, sizeof(c->weak->words), "%s", words);
	pthread_mutex_unlock(&c->weak->lock);
}

bool
commitlog_kafka_conf_weak(const struct commitlog_kafka_conf *c, char *out, size_t size)
{
	pthread_mutex_lock(&c->weak->lock);
	snprintf(out, size, "%s", c->weak->words);
	pthread_mutex_unlock(&c->weak->lock);
	return out[0] != '\0';
}

/* ---- handles --------------------------------------------------------------------------------- */

static int
set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return 0;
	return err_set(err, ERR_BAD, "kafka option %s: %s", name, why);
}

static int
set_all(rd_kafka_conf_t *conf, const struct commitlog_kafka_conf *c, enum commitlog_kafka_role role,
	struct err *err)
{
	char msec[24];
	int rc = set(conf, "bootstrap.servers", c->brokers, err);

	for (const char *o = c->options; rc == 0 && o != NULL && *o != '\0';) {
		const char *value = o + strlen(o) + 1;

		rc = set(conf, o, value, err);
		o = value + strlen(value) + 1;
	}
	for (size_t i = 0; i < COUNT(settings) && rc == 0; i++)
		if (settings[i].roles & 1u << role)
			rc = set(conf, settings[i].name, settings[i].value, err);
	snprintf(msec, sizeof(msec), "%" PRIu64, MIN(c->append_msec, 2000000000));
	if (rc == 0 && role == COMMITLOG_KAFKA_PRODUCER)
		rc = set(conf, "message.timeout.ms", msec, err);
	return rc;
}

/* What matters of it comes as errors too; the rest is for those who look for a reason. */
static void
on_log(const rd_kafka_t *rk, int level UNUSED, const char *fac, const char *text)
{
	log_debug("-", "kafka", "client=%s what=%s text=%s", rk != NULL ? rd_kafka_name(rk) : "-",
		  fac, log_value(text, strlen(text)));
}

int
commitlog_kafka_client_open(struct commitlog_kafka_client *out,
			    const struct commitlog_kafka_conf *c, enum commitlog_kafka_role role,
			    commitlog_kafka_error_fn *on_error,
			    commitlog_kafka_report_fn *on_report, void *opaque, struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	int rc = set_all(conf, c, role, err);

	memset(out, 0, sizeof(*out));
	rd_kafka_conf_set_opaque(conf, opaque);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	if (on_report != NULL)
		rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	if (rc == 0) {
		out->rk = rd_kafka_new(role == COMMITLOG_KAFKA_PRODUCER ? RD_KAFKA_PRODUCER
									: RD_KAFKA_CONSUMER,
				       conf, why, sizeof(why));
		if (out->rk == NULL)
			rc = err_set(err, ERR_BAD, "kafka: %s", why);
	}
	if (rc < 0) {
		rd_kafka_conf_destroy(conf);
		return rc;
	}
	for (size_t i = 0; i < COUNT(out->topic); i++) {
		out->topic[i] = rd_kafka_topic_new(out->rk, c->topic[i], NULL);
		CHECK(out->topic[i] != NULL);
	}
	return 0;
}

void
commitlog_kafka_client_close(struct commitlog_kafka_client *c)
{
	if (c->rk == NULL)
		return;
	for (size_t i = 0; i < COUNT(c->topic); i++)
		rd_kafka_topic_destroy(c->topic[i]);
	rd_kafka_destroy(c->rk);
	memset(c, 0, sizeof(*c));
}

/* ---- streams --------------------------------------------------------------------------------- */

enum commitlog_kafka_topic
commitlog_kafka_topic_of(uint32_t stream)
{
	if (stream == COMMITLOG_MAP)
		return COMMITLOG_KAFKA_MAP;
	return stream == COMMITLOG_DIRECTORY ? COMMITLOG_KAFKA_DIRECTORY : COMMITLOG_KAFKA_COMMITS;
}

int32_t
commitlog_kafka_partition_of(uint32_t stream)
{
	if (commitlog_kafka_topic_of(stream) != COMMITLOG_KAFKA_COMMITS)
		return 0;
	return stream <= INT32_MAX ? (int32_t)stream : INT32_MAX;
}

uint32_t
commitlog_kafka_stream_of(const struct commitlog_kafka_conf *c, const rd_kafka_message_t *m)
{
	const char *name = rd_kafka_topic_name(m->rkt);

	if (strcmp(name, c->topic[COMMITLOG_KAFKA_MAP]) == 0)
		return COMMITLOG_MAP;
	if (strcmp(name, c->topic[COMMITLOG_KAFKA_DIRECTORY]) == 0)
		return COMMITLOG_DIRECTORY;
	return (uint32_t)m->partition;
}

int
commitlog_kafka_fail(struct err *err, rd_kafka_resp_err_t e, const char *what)
{
	int code = ERR_UNAVAILABLE;

	if (e == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || e == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	    e == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
		code = ERR_NOT_FOUND;
	else if (e == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
		 e == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
		 e == RD_KAFKA_RESP_ERR__AUTHENTICATION)
		code = ERR_REFUSED;
	return err_set(err, code, "kafka %s: %s", what, rd_kafka_err2str(e));
}
