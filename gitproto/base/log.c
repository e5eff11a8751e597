#include "gitproto/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gitproto/base/clock.h"

enum log_level log_level_now = LOG_INFO;

static const char *const words[] = { "error", "warn", "info", "debug" };

bool
log_level_parse(enum log_level *out, const char *word)
{
	for (unsigned i = 0; i < COUNT(words); i++)
		if (strcmp(word, words[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

void
log_line(enum log_level level, const char *id, const char *event, const char *fmt, ...)
{
	char line[2048], when[CLOCK_TEXT];
	size_t n;
	va_list ap;

	clock_format(when, clock_wall_ms());
	n = (size_t)snprintf(line, sizeof(line), "%s %s %s %s ", when, words[level], id, event);
	if (n < sizeof(line)) {
		va_start(ap, fmt);
		n += (size_t)vsnprintf(line + n, sizeof(line) - n, fmt, ap);
		va_end(ap);
	}
	n = MIN(n, sizeof(line) - 2);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody to tell */
}

bool
log_rate_ok(struct log_rate *r, unsigned burst, const char *event)
{
	uint64_t now = clock_boot_ns() / CLOCK_SEC;

	if (r->second != now) {
		if (r->lost > 0)
			log_warn("-", "suppressed", "event=%s lines=%u", event, r->lost);
		*r = (struct log_rate){ .second = now };
	}
	if (r->used < burst) {
		r->used++;
		return true;
	}
	r->lost++;
	return false;
}

const char *
log_value(const void *s, size_t len)
{
	static __thread char ring[8][512];
	static __thread unsigned turn;
	char *out = ring[turn++ % COUNT(ring)];
	const uint8_t *p = s;
	bool plain = len > 0;
	size_t n = 0;

	for (size_t i = 0; i < len && plain; i++)
		plain = p[i] > ' ' && p[i] < 0x7f && p[i] != '"' && p[i] != '\\';
	if (!plain)
		out[n++] = '"';
	for (size_t i = 0; i < len && n < 400; i++) {
		if (p[i] >= ' ' && p[i] < 0x7f && p[i] != '"' && p[i] != '\\')
			out[n++] = (char)p[i];
		else
			n += (size_t)snprintf(out + n, 5, "\\x%02x", p[i]);
	}
	if (!plain)
		out[n++] = '"';
	out[n] = '\0';
	return out;
}
