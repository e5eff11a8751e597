#include "shard-map/commitlog/commitlog.h"

#include <string.h>

#include "gitproto/base/check.h"
#include "shard-map/commitlog/commitlog_backend.h"
#include "shard-map/commitlog/commitlog_fault.h"
#include "shard-map/commitlog/commitlog_file.h"
#include "shard-map/commitlog/commitlog_kafka.h"

static const struct commitlog_backend *const backends[] = {
	&commitlog_file_backend,
	&commitlog_kafka_backend,
#ifdef GITSHARD_TEST
	&commitlog_fault_backend,
#endif
};

/* *where: what follows the scheme. */
static const struct commitlog_backend *
find_backend(const char **where, const char *url, struct err *err)
{
	struct slice rest = slice_str(url);
	struct slice scheme = slice_cut(&rest, ':');

	*where = (const char *)rest.p;
	if (slice_find(slice_str(url), ':') < 0) {
		err_set(err, ERR_BAD,
			"log \"%s\" has no scheme; write file:PATH or kafka:HOST:PORT,...", url);
		return NULL;
	}
	for (size_t i = 0; i < COUNT(backends); i++)
		if (slice_eq_str(scheme, backends[i]->scheme))
			return backends[i];
	err_set(err, ERR_BAD, "no log is kept at \"%.*s:\"; write file:PATH or kafka:HOST:PORT,...",
		SLICE_ARG(slice_head(scheme, 40)));
	return NULL;
}

int
commitlog_open(struct commitlog **out, const char *url, const struct commitlog_opts *opts,
	       struct err *err)
{
	const char *where;
	const struct commitlog_backend *b = find_backend(&where, url, err);

	*out = NULL;
	CHECK(opts->cluster != NULL);
	return b != NULL ? b->open(out, where, opts, err) : ERR_BAD;
}

int
commitlog_create_topics(const char *url, const struct commitlog_opts *opts, uint32_t shards,
			struct err *err)
{
	const char *where;
	const struct commitlog_backend *b = find_backend(&where, url, err);

	if (b == NULL)
		return ERR_BAD;
	return b->create_topics != NULL ? b->create_topics(where, opts, shards, err) : 0;
}

void
commitlog_close(struct commitlog **log)
{
	if (*log == NULL)
		return;
	(*log)->backend->close(*log);
	*log = NULL;
}

void
commitlog_append(struct commitlog *log, uint32_t stream, struct slice bytes,
		 commitlog_append_fn *fn, void *arg)
{
	CHECK(bytes.len <= COMMITLOG_MAX_RECORD);
	log->backend->append(log, stream, bytes, fn, arg);
}

void
commitlog_read(struct commitlog *log, uint32_t stream, uint64_t from, commitlog_read_fn *read,
	       commitlog_trouble_fn *trouble, void *arg)
{
	log->backend->read(log, stream, from, read, trouble, arg);
}

void
commitlog_unread(struct commitlog *log, uint32_t stream)
{
	log->backend->unread(log, stream);
}

int
commitlog_ends(struct commitlog *log, uint32_t stream, uint64_t *first, uint64_t *next,
	       struct err *err)
{
	return log->backend->ends(log, stream, first, next, err);
}

int
commitlog_scan(struct commitlog *log, uint32_t stream, uint64_t from, uint64_t max,
	       commitlog_read_fn *fn, void *arg, struct err *err)
{
	return log->backend->scan(log, stream, from, max, fn, arg, err);
}

int
commitlog_trim(struct commitlog *log, uint32_t stream, uint64_t head, struct err *err)
{
	return log->backend->trim(log, stream, head, err);
}

bool
commitlog_weak(struct commitlog *log, char *out, size_t size)
{
	return log->backend->weak(log, out, size);
}

const char *
commitlog_kind(const struct commitlog *log)
{
	return log->backend->scheme;
}
