/* gitproto/net/http2_sess.h - one HTTP/2 connection over nghttp2, either side.  For gitproto/net
 * only.  Thread: loop.
 *
 * Flow control: connection credit is given on receipt, stream credit as the reader takes bytes, so
 * memory is bounded by streams x stream window and one slow reader never stops the others.
 * Writes are gathered: frames go into the socket's queue until it holds STREAM_HIGH.
 *
 * The operations are called from inside nghttp2 or in the middle of this file's work: they note,
 * put tasks, and call nothing of this header but http2_stream_release and http2_sess_free (the
 * latter in `down` alone). */
#ifndef GITPROTO_NET_HTTP2_SESS_H
#define GITPROTO_NET_HTTP2_SESS_H

#include "gitproto/net/http.h"
#include "gitproto/net/stream_impl.h"

#define HTTP2_STREAM_WINDOW (1024 * 1024)
#define HTTP2_CONN_WINDOW (16 * 1024 * 1024)
#define HTTP2_MAX_STREAMS 1000
#define HTTP2_MAX_FRAME (64u * 1024)
#define HTTP2_MAX_DATA (64u * 1024 - 128) /* of ours; one block of the receiver holds it */

struct http2_sess;

/* One stream, embedded in an exchange or a call. */
struct http2_stream {
	struct stream s;
	struct http2_sess *sess; /* borrowed; NULL before it is opened and after `closed` */
	void (*first)(struct http2_stream *); /* struct stream_ops.first */
	int32_t id;
	struct http_head *head; /* owned; what comes in, until `head` takes it */
	int head_error;         /* ERR_* of a field that could not be added */
	bool head_done;         /* the request or the final response head was whole */
	bool sent;              /* our HEADERS went into the socket's queue */
	bool has_source;        /* a body of ours was announced */
	bool local_end;         /* our END_STREAM went out */
	bool no_body;           /* what is written is dropped: HEAD, 204 */
	bool deferred;          /* nghttp2 waits to be told of bytes */
	bool flushing;          /* on the session's flush list */
	uint64_t flush_at;      /* place of its last byte in the session's output */
	uint64_t rx, tx;        /* body bytes */
	TAILQ_ENTRY(http2_stream) link, flush_link;
};

struct http2_ops {
	/* server: the peer opens a stream; the new one is inited */
	struct http2_stream *(*open)(struct http2_sess *);
	/* st->head is whole: a request, a 100, or the final response */
	void (*head)(struct http2_stream *);
	/* nghttp2 has forgotten it, or the connection is gone; code: RFC 9113 section 7 */
	void (*closed)(struct http2_stream *, uint32_t code);
	void (*up)(struct http2_sess *);                    /* the peer's first SETTINGS came */
	void (*goaway)(struct http2_sess *);                /* the peer takes no new streams */
	void (*down)(struct http2_sess *, const char *why); /* last; every stream was closed */
};

TAILQ_HEAD(http2_stream_list, http2_stream);

struct nghttp2_session;
struct http2_sess {
	struct nghttp2_session *ng; /* owned */
	struct loop *loop;
	struct stream *tr; /* owned; the socket */
	const struct http2_ops *ops;
	void *owner;
	bool server;
	bool is_up;
	bool is_down;
	bool final_goaway; /* server: the second GOAWAY was submitted */
	bool draining;
	struct loop_task send;
	struct http2_stream_list streams;
	struct http2_stream_list flush; /* by flush_at */
	unsigned nstreams;
	uint64_t queued;     /* bytes ever put into the socket's queue */
	uint64_t rx;         /* bytes ever received */
	uint64_t last_rx_ns; /* clock_boot_ns of the last receipt */
	uint64_t ping_ns;    /* when the unanswered PING was sent; 0: none */
};

/* Takes the descriptor; sends SETTINGS (a client its preface) from the loop. */
struct http2_sess *http2_sess_new(struct loop *, int fd, bool server, const struct http2_ops *,
				  void *owner);
/* Ends the connection now: `closed` for every stream, then `down`. */
void http2_sess_down(struct http2_sess *, const char *why);
/* In `down`, or without any more operations; the memory goes at the end of the tick. */
void http2_sess_free(struct http2_sess **);
/* Server: GOAWAY in two steps, then the end when the last stream is over. */
void http2_sess_drain(struct http2_sess *);
void http2_sess_ping(struct http2_sess *);
/* ERR_UNAVAILABLE when no new stream can be opened on this connection. */
MUST_CHECK int http2_sess_request(struct http2_sess *, struct http2_stream *,
				  const struct http_head *, bool with_body);

void http2_stream_init(struct http2_stream *, struct loop *);
/* Out of its session (RST_STREAM CANCEL when it is still open) and without events. */
void http2_stream_release(struct http2_stream *);
void http2_stream_respond(struct http2_stream *, const struct http_head *, bool no_body);
void http2_stream_continue(struct http2_stream *);

/* Of http2_stream.c, for http2_sess.c: */
bool http2_stream_add_field(struct http2_stream *, struct slice name, struct slice value);
void http2_stream_closed(struct http2_stream *, uint32_t code, const char *why);
void http2_stream_flushed(struct http2_sess *); /* the socket's queue has shrunk */

#endif
