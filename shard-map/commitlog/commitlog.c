#include "shard-map/commitlog/commitlog.h"

#include <string.h>

#include "gitproto/base/check.h"
#include "shard-map/commitlog/commitlog_backend.h"
#include "shard-map/commitlog/commitlog_fault.h"
#include "shard-map/commitlog/commitlog_file.h"

static const struct commitlog_backend *const backends[] = {
	&commitlog_file_backend,
#ifdef GITSHARD_TEST
	&commitlog_fault_backend,
#endif
};

int
commitlog_open(struct commitlog **out, const char *url, const struct commitlog_opts *opts,
	       struct err *err)
{
	struct slice where = slice_str(url);
	struct slice scheme = slice_cut(&where, ':');

	*out = NULL;
	CHECK(opts->cluster != NULL);
	if (slice_find(slice_str(url), ':') < 0)
		return err_set(err, ERR_BAD, "log \"%s\" has no scheme; write file:PATH", url);
	for (size_t i = 0; i < COUNT(backends); i++)
		if (slice_eq_str(scheme, backends[i]->scheme))
			return backends[i]->open(out, (const char *)where.p, opts, err);
	return err_set(err, ERR_BAD, "no log is kept at \"%.*s:\"; write file:PATH",
		       SLICE_ARG(slice_head(scheme, 40)));
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

const char *
commitlog_kind(const struct commitlog *log)
{
	return log->backend->scheme;
}
