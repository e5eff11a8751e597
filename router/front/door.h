/* router/front/door.h - what a client asks for, and what is turned away before any node hears of it.
 * Thread: any.  Pure. */
#ifndef ROUTER_FRONT_DOOR_H
#define ROUTER_FRONT_DOOR_H

#include "gitproto/net/http.h"
#include "gitproto/smart_path.h"
#include "router/front/front_stats.h"

struct door {
	struct smart_path path; /* valid when named */
	bool named;             /* it is about a repository */
	enum front_stats_kind kind;
	bool writes;   /* the primary has to be asked */
	bool has_body; /* a body belongs to it */
	/* when turned away: */
	const char *allow; /* the method that would do; NULL: it is not about the method */
	struct err why;
};

/* 0: it may go on; otherwise the HTTP status of the refusal, its sentence in out->why. */
MUST_CHECK int door_check(struct door *out, const struct http_head *request);

#endif
