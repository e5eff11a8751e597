/* gitproto/pktread.h - peek and next over packets in a growing input, with limits.  Thread: any.
 * Order: pktread_init once; then, whenever bytes came: pktread_feed with ALL unread bytes, any
 * number of peek and next, and drop pktread_eaten bytes from the front of the input.
 *
 *	pktread_feed(&r, buf_slice(in));
 *	while ((rc = pktread_next(&p, &r, err)) > 0)
 *		...
 *	buf_eat(in, pktread_eaten(&r)); */
#ifndef GITPROTO_PKTREAD_H
#define GITPROTO_PKTREAD_H

#include "gitproto/pktline.h"

struct pktread {
	struct slice in;    /* borrowed, from feed to feed */
	size_t eaten;       /* of `in` */
	size_t packets;     /* taken so far, over all feeds */
	size_t bytes;       /* the same in bytes, lengths included */
	size_t max_packets; /* one more is ERR_TOO_BIG */
	size_t max_bytes;
};

void pktread_init(struct pktread *, size_t max_packets, size_t max_bytes);
void pktread_feed(struct pktread *, struct slice unread);
/* 1: *out is the next packet, borrowed from the input; 0: wants more; ERR_BAD, ERR_TOO_BIG. */
MUST_CHECK int pktread_peek(struct pktline *out, struct pktread *, struct err *);
MUST_CHECK int pktread_next(struct pktline *out, struct pktread *, struct err *); /* and takes it */
/* As pktread_next, data without one LF at the end. */
MUST_CHECK int pktread_next_text(struct pktline *out, struct pktread *, struct err *);
size_t pktread_eaten(const struct pktread *); /* bytes taken since the last feed */

#endif
