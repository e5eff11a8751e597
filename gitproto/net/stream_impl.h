/* gitproto/net/stream_impl.h - what a kind of stream is made of.  For gitproto/net only.
 * Thread: loop.
 *
 * A kind embeds struct stream and has a table of operations.  It puts arrived bytes into `in` and
 * says stream_got; takes bytes out of `out` and says stream_sent.  None of these calls runs the
 * owner's code: events are marked and delivered by a task of the loop.  Memory that embeds a stream
 * is freed by loop_defer after stream_release, since a delivery may be on the stack. */
#ifndef GITPROTO_NET_STREAM_IMPL_H
#define GITPROTO_NET_STREAM_IMPL_H

#include <event2/buffer.h>

#include "gitproto/net/loop.h"
#include "gitproto/net/stream.h"

struct stream_ops {
	/* n bytes left `in`, or (n == 0) a pause began or ended */
	void (*took)(struct stream *, size_t n);
	/* `out` grew, or stream_end was called */
	void (*pump)(struct stream *);
	/* the owner reset it: it is dead already, the peer is to be told */
	void (*reset)(struct stream *);
	/* ends its life (stream_free); NULL: something else owns it */
	void (*free)(struct stream *);
	/* may be NULL; delivers events of the kind that come before the stream's own */
	void (*first)(struct stream *);
};

struct stream_ear {
	stream_fn *fn; /* NULL: nobody */
	void *arg;
};

struct stream {
	unsigned magic;
#define STREAM_MAGIC 0x57a3ea11u
	const struct stream_ops *ops;
	struct loop *loop;    /* borrowed */
	struct evbuffer *in;  /* owned; arrived, unread */
	struct evbuffer *out; /* owned; written, not yet taken by the kind */
	struct stream_ear ear;
	struct stream_ear reader; /* a relay's: READABLE and DEAD */
	struct stream_ear writer; /* a relay's: WRITABLE and DEAD */
	struct loop_task task;    /* delivers `due` */
	unsigned due;             /* 1u << enum stream_event */
	bool paused;
	bool peer_ended;
	bool ended;        /* stream_end was called */
	bool write_failed; /* `out` is dropped, now and later */
	bool high;         /* `out` was above STREAM_HIGH and not yet below STREAM_LOW */
	bool dead;
	bool dead_told; /* somebody heard of it */
	bool released;
	char why[120];
};

void stream_init(struct stream *, struct loop *, const struct stream_ops *);
void stream_release(struct stream *); /* no event comes any more; the buffers are gone */

void stream_got(struct stream *);     /* `in` grew */
void stream_got_end(struct stream *); /* the peer ended its side cleanly */
/* Bytes left `out`; drained: all that was written is with the kernel. */
void stream_sent(struct stream *, bool drained);
void stream_fail_write(struct stream *);
void stream_die(struct stream *, const char *why); /* the first why stays */
void stream_kick(struct stream *);                 /* runs ops->first from the loop */

/* The relay's ears.  fn NULL takes it off; what waits is then told to the owner's ear. */
void stream_set_reader(struct stream *, stream_fn *, void *arg);
void stream_set_writer(struct stream *, stream_fn *, void *arg);

/* A layer above put bytes right into `out` (it is alive and not ended), or wants a DRAINED. */
void stream_added(struct stream *);

/* Moves n bytes (n <= those in from), whole blocks where that pays. */
void stream_move_bytes(struct evbuffer *to, struct evbuffer *from, size_t n);
/* Adds bytes to a kind's own buffer; out of memory is a CHECK. */
void stream_add_bytes(struct evbuffer *to, const void *p, size_t n);

#endif
