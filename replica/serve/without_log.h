/* replica/serve/without_log.h - what is done while the commit log is away (node.reads_without_log).
 * Thread: loop.
 *
 * Away is more than slow: the backend has told that it cannot be reached, and that has lasted for a
 * moment (replica_log.c).  Then nothing is written, and no read can be proved fresh but by a lease
 * that still holds.  Both are refused at once, marked so that routers do not try again (docs/node-api
 * .md), unless the site would rather read what may be old:
 *	refuse		no read that is not proved fresh
 *	bounded(TIME)	also what is known to have been fresh so long ago
 *	any		what is here */
#ifndef REPLICA_SERVE_WITHOUT_LOG_H
#define REPLICA_SERVE_WITHOUT_LOG_H

#include "replica/shard/shard.h"

enum without_log_rule { WITHOUT_LOG_REFUSE, WITHOUT_LOG_BOUNDED, WITHOUT_LOG_ANY };

struct without_log {
	enum without_log_rule rule;
	uint64_t bound_msec; /* WITHOUT_LOG_BOUNDED: WITHOUT_LOG_MIN_MSEC or more; else 0 */
};
#define WITHOUT_LOG_MIN_MSEC 3000u /* barriers that prove it are sent three times in that */

/* "refuse", "bounded(30s)", "any"; else ERR_BAD. */
MUST_CHECK int without_log_parse(struct without_log *out, const char *text, struct err *);

/* May a read be served from what this shard has read so far?  fresh_ns, now_ns: shard_fresh_ns and
 * clock_boot_ns.  age: whole seconds for the client, "unknown" when nothing was ever proved. */
#define WITHOUT_LOG_AGE 24
bool without_log_serves(const struct without_log *, uint64_t fresh_ns, uint64_t now_ns,
			char age[WITHOUT_LOG_AGE]);

/* ERR_LOG_AWAY in words for whoever writes, and for whoever reads. */
int without_log_refuse_write(struct err *);
int without_log_refuse_read(struct err *);

#endif
