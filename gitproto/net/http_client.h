/* gitproto/net/http_client.h - HTTP/2 sessions to a peer of ours, and calls on them.  Thread: loop.
 * One session carries many calls.  A session connects by itself at the first call and again after
 * a loss (back-off 20 to 1000 ms); calls made meanwhile wait for the connection, up to
 * connect_msec, then fail with nothing sent.  An attempt that the peer refuses fails those that
 * wait for it at once.  It is connected when the peer's SETTINGS came: a port that merely accepts
 * gets no call.  After a GOAWAY the running calls go on, new ones take a new connection.
 *
 * A call: http_call_new, events to the callback, body out through http_call_stream, response body
 * from the same stream.  It is the caller's until http_call_free (before the end: RST_STREAM
 * CANCEL), in its callback too.  Events come from the loop, CALL_HEAD before the body's first
 * READABLE.  After CALL_FAILED the stream's listener and relays hear STREAM_DEAD too.  An answer
 * that was cut is STREAM_DEAD after CALL_HEAD; a whole one ends by stream_at_end.  A peer that
 * answers wholly without wanting the rest of the request makes stream_write_failed true. */
#ifndef GITPROTO_NET_HTTP_CLIENT_H
#define GITPROTO_NET_HTTP_CLIENT_H

#include "gitproto/net/http.h"
#include "gitproto/net/loop.h"
#include "gitproto/net/stream.h"

struct http_session;
struct http_call;

struct http_session_opts {
	const char *addr;      /* "127.0.0.1:7001", numeric */
	unsigned connect_msec; /* 0: 2000 */
	unsigned ping_msec;    /* a PING unanswered for so long means the peer is gone; 0: 4000 */
	/* may be NULL; told of each change of the connection */
	void (*on_state)(struct http_session *, bool connected, void *arg);
	void *arg;
};
struct http_session *http_session_new(struct loop *, const struct http_session_opts *);
bool http_session_connected(const struct http_session *);
void http_session_free(struct http_session **); /* its calls die first, with CALL_FAILED */

enum http_call_event {
	CALL_CONTINUE, /* a 100 came: send the body now */
	CALL_HEAD,     /* the final head is there; the body follows on the stream */
	CALL_FAILED,   /* no final head will come; http_call_sent tells whether anything went out */
};
typedef void http_call_fn(struct http_call *, enum http_call_event, void *arg);

/* head is copied; its "host" becomes :authority.  with_body: a request body follows on the stream
 * (stream_end ends it). */
struct http_call *http_call_new(struct http_session *, const struct http_head *head, bool with_body,
				http_call_fn *, void *arg);
const struct http_head *http_call_response(const struct http_call *); /* after CALL_HEAD */
struct stream *http_call_stream(struct http_call *);
/* false: certainly nothing of the call reached the peer (not sent, or refused by GOAWAY /
 * REFUSED_STREAM), so it may be made again elsewhere, whatever it is. */
bool http_call_sent(const struct http_call *);
const char *http_call_why(const struct http_call *); /* after CALL_FAILED */
void http_call_free(struct http_call **);

#endif
