/* gitproto/net/relay.h - HOT: pumps one stream's bytes into another.  Thread: loop.
 * One direction.  While a relay lives it owns the READABLE event of `from` and the WRITABLE event of
 * `to`; all other events go to their stream_on listeners.  The two streams outlive the relay. */
#ifndef GITPROTO_NET_RELAY_H
#define GITPROTO_NET_RELAY_H

#include "gitproto/net/stream.h"

struct relay;

enum relay_end { RELAY_DONE, RELAY_FROM_DIED, RELAY_TO_DIED };
/* Called once: DONE when `from` ended, all went into `to`'s queue and `to` was ended (if end_to). */
typedef void relay_fn(enum relay_end, void *arg);

/* tap (may be NULL) sees every byte before it goes, in order: for digests and counters. */
struct relay_opts {
	bool end_to; /* stream_end(to) at the end of `from` */
	void (*tap)(struct slice, void *arg);
	relay_fn *done;
	void *arg;
};
struct relay *relay_new(struct stream *from, struct stream *to, const struct relay_opts *);
uint64_t relay_bytes(const struct relay *);
void relay_free(struct relay **); /* at any time; stops without touching the streams */

#endif
