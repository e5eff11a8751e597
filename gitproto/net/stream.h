/* gitproto/net/stream.h - a two-way byte stream with back-pressure: HTTP/1.1 bodies, HTTP/2 streams,
 * pipes of children and unix sockets all are one.  Thread: loop.
 *
 * Reading: what arrived stands in a bounded buffer; stream_peek shows it, stream_take drops it and
 * lets the peer send more (a window update, a resumed read).  Nothing more arrives while the
 * buffer is full.  Writing: stream_write queues; a fair writer stops when stream_queued is above
 * STREAM_HIGH and goes on at STREAM_WRITABLE (queue fell below STREAM_LOW).
 *
 * Events come from the loop, never from inside a call of this header, and are coalesced.  A stream
 * that is DEAD gets no more events.  The owner ends its life with stream_free, at any time, in a
 * callback too (before the end: reset).  The stream of an exchange or of a call is owned by that
 * and ends with it; stream_free on it is a bug.
 *
 * A write side that fails alone (the child closed its standard input, the peer wants no more of
 * the body) is no death: the queue and all later writes are dropped, stream_write_failed is true,
 * WRITABLE and DRAINED come once, and reading goes on to its end. */
#ifndef GITPROTO_NET_STREAM_H
#define GITPROTO_NET_STREAM_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"

#define STREAM_HIGH (256u * 1024)
#define STREAM_LOW (64u * 1024)

struct stream;

enum stream_event {
	STREAM_READABLE, /* new bytes, or the peer ended its side: peek, then stream_at_end */
	STREAM_WRITABLE, /* the queue has fallen below STREAM_LOW after it was above STREAM_HIGH */
	STREAM_DRAINED, /* the queue is empty, and after stream_end: all was handed to the kernel */
	STREAM_DEAD,    /* reset or failed, stream_why tells; unread bytes stay readable */
};
typedef void stream_fn(struct stream *, enum stream_event, void *arg);

/* Who hears from now on; NULL: nobody.  What is unread, an end, or a death that nobody heard of is
 * told to the new one. */
void stream_on(struct stream *, stream_fn *, void *arg);

/* All unread bytes, contiguous up to want bytes at least if so many are there (want 0: the first
 * piece as it lies, cheapest).  Borrowed until the next call that touches the stream. */
struct slice stream_peek(struct stream *, size_t want);
size_t stream_readable(const struct stream *); /* unread bytes */
void stream_take(struct stream *, size_t n);   /* n <= stream_readable */
bool stream_at_end(const struct stream *);     /* peer ended cleanly and all was taken */
bool stream_peer_ended(const struct stream *); /* peer ended cleanly; unread bytes may remain */
/* Paused: not even the buffer is filled (HTTP/2: but for what the peer had credit for). */
void stream_pause(struct stream *, bool paused);

void stream_write(struct stream *, struct slice); /* not after stream_end; dropped when dead */
/* Moves up to max unread bytes of `from` to the queue of `to`, without copying where possible. */
size_t stream_move(struct stream *to, struct stream *from, size_t max);
size_t stream_queued(const struct stream *);         /* written and not yet handed to the kernel */
void stream_end(struct stream *);                    /* no more writes; what is queued goes out */
bool stream_write_failed(const struct stream *);     /* dead ones included */
void stream_reset(struct stream *, const char *why); /* both sides, now; STREAM_DEAD follows */
bool stream_is_dead(const struct stream *);
const char *stream_why(const struct stream *); /* reason of the death, "" while alive */
void stream_free(struct stream **);

/* A stream over a descriptor (pipe, socket, unix socket), which it owns from now on: nonblocking is
 * set here.  rfd and wfd may be the same; -1 for a side that does not exist (at its end from the
 * start; no event tells).  Of two different ones the writing one is closed as soon as stream_end's
 * last byte is out or a write failed.  One that is the same for both is shut down for writing; when
 * a write to it fails, the stream dies after the last byte that could still be read. */
struct loop;
struct stream *stream_open_fd(struct loop *, int rfd, int wfd);
/* Of such a stream: takes in at once what the kernel holds, as far as the buffer has room, instead of
 * when the loop comes to it. */
void stream_read_fd(struct stream *);

#endif
