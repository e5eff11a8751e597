#include "replica/serve/without_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/units.h"

static int
parse_bound(struct without_log *out, const char *text, struct err *err)
{
	size_t n = strlen(text);
	char time[32];

	if (n < 2 || n > sizeof(time) || text[n - 1] != ')')
		return err_set(err, ERR_BAD, "bounded needs a time: bounded(30s)");
	memcpy(time, text, n - 1);
	time[n - 1] = '\0';
	if (units_msec(&out->bound_msec, time, err) != 0)
		return ERR_BAD;
	if (out->bound_msec < WITHOUT_LOG_MIN_MSEC)
		return err_set(err, ERR_BAD, "bounded(%s): it must be %u ms or more", time,
			       WITHOUT_LOG_MIN_MSEC);
	out->rule = WITHOUT_LOG_BOUNDED;
	return 0;
}

int
without_log_parse(struct without_log *out, const char *text, struct err *err)
{
	*out = (struct without_log){ .rule = WITHOUT_LOG_REFUSE };
	if (strcmp(text, "refuse") == 0)
		return 0;
	if (strncmp(text, "bounded(", 8) == 0)
		return parse_bound(out, text + 8, err);
	if (strcmp(text, "any") != 0)
		return err_set(err, ERR_BAD, "'%.60s' is not refuse, bounded(TIME) or any", text);
	out->rule = WITHOUT_LOG_ANY;
	return 0;
}

bool
without_log_serves(const struct without_log *w, uint64_t fresh_ns, uint64_t now_ns,
		   char age[WITHOUT_LOG_AGE])
{
	uint64_t ns = now_ns - MIN(now_ns, fresh_ns);

	if (fresh_ns == 0)
		snprintf(age, WITHOUT_LOG_AGE, "unknown");
	else
		snprintf(age, WITHOUT_LOG_AGE, "%" PRIu64, (ns + CLOCK_SEC - 1) / CLOCK_SEC);
	if (w->rule == WITHOUT_LOG_BOUNDED)
		return fresh_ns != 0 && ns <= w->bound_msec * CLOCK_MSEC;
	return w->rule == WITHOUT_LOG_ANY;
}

int
without_log_refuse_write(struct err *err)
{
	return err_set(err, ERR_LOG_AWAY,
		       "the commit log is away; nothing was changed, push again when it is back");
}

int
without_log_refuse_read(struct err *err)
{
	return err_set(err, ERR_LOG_AWAY,
		       "the commit log is away, so that nothing here can be shown to be up to "
		       "date; try again when it is back");
}
