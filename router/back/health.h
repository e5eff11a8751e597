/* router/back/health.h - the verdict over a node, from its connection and its beats.  Thread: any,
 * one struct at a time.  Pure: time comes as ticks.
 *
 * Ticks are counted instead of clock readings compared: a router that was itself stopped for a
 * while then sees one missing beat and not a cluster full of dead nodes. */
#ifndef ROUTER_BACK_HEALTH_H
#define ROUTER_BACK_HEALTH_H

#include "gitproto/base/defs.h"

#define HEALTH_TICK_MSEC 250u /* as often as a node sends its beat */
#define HEALTH_MISSED 4u      /* ticks without a line: 1 s */

enum health_state {
	HEALTH_AWAY,   /* no connection */
	HEALTH_SILENT, /* connected; no status heard yet, or none for HEALTH_MISSED ticks */
	HEALTH_WELL
};

struct health {
	bool connected;
	bool heard;      /* a line came since the status stream was opened */
	unsigned missed; /* ticks since the last line */
};

void health_connect(struct health *, bool connected);
void health_line(struct health *); /* any whole line of the status stream */
void health_lost(struct health *); /* the status stream ended; the connection may live */
void health_tick(struct health *); /* each HEALTH_TICK_MSEC */
enum health_state health_state(const struct health *);
const char *health_word(enum health_state); /* "away", "silent", "well" */

#endif
