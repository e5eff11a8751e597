/* gitproto/base/log.h - one line an event: time, level, id, event word, key=value.  Thread: any.
 * Lines go to stderr in one write each.  The level is tested before anything is formatted.  Values
 * from outside are passed through log_value, which quotes what could forge a line. */
#ifndef GITPROTO_BASE_LOG_H
#define GITPROTO_BASE_LOG_H

#include "gitproto/base/defs.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern enum log_level log_level_now; /* set once at start and on reload */

/* false for a word that is no level ("error", "warn", "info", "debug") */
MUST_CHECK bool log_level_parse(enum log_level *out, const char *word);

/* id: of the request, the shard or the node, "-" for none; event: a fixed word.
 *	log_info(r->id, "route", "repo=%s node=%s", repo, node) */
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_at(level, ...)                            \
	do {                                          \
		if ((level) <= log_level_now)         \
			log_line(level, __VA_ARGS__); \
	} while (0)
void log_line(enum log_level, const char *id, const char *event, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* At most `burst` true answers a second and place; the next true one after a quiet spell tells how
 * many were suppressed, by a line of its own.  For lines that a peer can cause. */
struct log_rate {
	uint64_t second;
	unsigned used, lost;
};
bool log_rate_ok(struct log_rate *, unsigned burst, const char *event);

/* s, or s in double quotes with \xNN for control bytes, quotes and blanks when it needs them.
 * Returned pointer: a per-thread ring of 8, so up to 8 in one line; cut at 400 bytes. */
const char *log_value(const void *s, size_t len);

#endif
