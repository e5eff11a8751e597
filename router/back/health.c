#include "router/back/health.h"

void
health_connect(struct health *h, bool connected)
{
	*h = (struct health){ .connected = connected };
}

void
health_line(struct health *h)
{
	h->connected = true;
	h->heard = true;
	h->missed = 0;
}

void
health_lost(struct health *h)
{
	h->heard = false;
	h->missed = 0;
}

void
health_tick(struct health *h)
{
	if (h->heard && h->missed < HEALTH_MISSED)
		h->missed++;
}

enum health_state
health_state(const struct health *h)
{
	if (!h->connected)
		return HEALTH_AWAY;
	return h->heard && h->missed < HEALTH_MISSED ? HEALTH_WELL : HEALTH_SILENT;
}

const char *
health_word(enum health_state s)
{
	static const char *const words[] = {
		[HEALTH_AWAY] = "away",
		[HEALTH_SILENT] = "silent",
		[HEALTH_WELL] = "well",
	};

	return words[s];
}
