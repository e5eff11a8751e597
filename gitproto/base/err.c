#include "gitproto/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int status;
	const char *text;
} table[ERR_NCODES] = {
	[-ERR_OK] = { "ok", 200, "ok" },
	[-ERR_BAD] = { "bad", 400, "the request is malformed" },
	[-ERR_NOT_FOUND] = { "not_found", 404, "not found" },
	[-ERR_EXISTS] = { "exists", 409, "it exists already" },
	[-ERR_CONFLICT] = { "conflict", 409, "the present value is another one; fetch first" },
	[-ERR_REFUSED] = { "refused", 403, "not allowed" },
	[-ERR_TOO_BIG] = { "too_big", 413, "over a size limit" },
	[-ERR_WRONG_NODE] = { "wrong_node", 421, "another node serves this" },
	[-ERR_UNAVAILABLE] = { "unavailable", 503, "not available now; try again" },
	[-ERR_TIMEOUT] = { "timeout", 503, "the deadline passed; try again" },
	[-ERR_UNKNOWN] = { "unknown", 503, "outcome unknown, push again" },
	[-ERR_IO] = { "io", 500, "an input/output error on the node" },
	[-ERR_FULL] = { "full", 507, "the disk of the node is full" },
	[-ERR_CORRUPT] = { "corrupt", 500, "stored data are damaged" },
	[-ERR_VERSION] = { "version", 500, "written by a newer version of gitshard" },
	[-ERR_UNSUPPORTED] = { "unsupported", 501, "not supported" },
	[-ERR_NOMEM] = { "nomem", 503, "out of memory; try again" },
	[-ERR_CLOSED] = { "closed", 502, "the connection was closed" },
	[-ERR_LOG_AWAY] = { "log_away", 503, "the commit log is away; try again later" },
};

static int
row(int code)
{
	return code <= 0 && code > -ERR_NCODES ? -code : -1;
}

static void
format(struct err *e, int code, const char *fmt, va_list ap)
{
	e->code = code;
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	for (char *p = e->text; *p != '\0'; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
}

int
err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return code;
	va_start(ap, fmt);
	format(e, code, fmt, ap);
	va_end(ap);
	return code;
}

int
err_errno(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	int code = saved == ENOSPC || saved == EDQUOT ? ERR_FULL : ERR_IO;
	char reason[128];
	size_t n;
	va_list ap;

	if (e == NULL)
		return code;
	va_start(ap, fmt);
	format(e, code, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s",
		 strerror_r(saved, reason, sizeof(reason)));
	return code;
}

int
err_prefix(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	size_t n;
	va_list ap;

	if (e == NULL)
		return ERR_OK;
	memcpy(old, err_text(e), strlen(err_text(e)) + 1);
	va_start(ap, fmt);
	format(e, e->code, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", old);
	return e->code;
}

const char *
err_name(int code)
{
	return row(code) < 0 ? "?" : table[row(code)].name;
}

int
err_http_status(int code)
{
	return row(code) < 0 ? 500 : table[row(code)].status;
}

const char *
err_default_text(int code)
{
	return row(code) < 0 ? "unknown error" : table[row(code)].text;
}

const char *
err_text(const struct err *e)
{
	return e->text[0] != '\0' ? e->text : err_default_text(e->code);
}
