/* gitproto/net/http_server.h - a listener that speaks HTTP/1.1 (llhttp and our policy) or HTTP/2 by
 * prior knowledge (nghttp2), and hands each request to one handler.  Thread: the loop it was made on.
 *
 * The life of an exchange: handler(x) is called when the request head is whole.  The body then
 * arrives on http_xchg_stream(x) (READABLE), the response body is written to the same stream.
 * The handler or a later event must answer exactly once: http_xchg_respond, then stream_write and
 * stream_end, or http_xchg_reply at once.  When the response is out, or the peer is gone, the close
 * callback is called, once and last: after it the exchange and its stream are gone.
 * A peer that goes is told by STREAM_DEAD first, when the stream has a listener; relays and whatever
 * else holds the stream let go of it in the close callback at the latest.  http_server_free calls
 * the close callbacks from inside; all others come from the loop.
 * A client that waits for a 100 sends no body before http_xchg_continue; answered without it, its
 * HTTP/1.1 connection is closed.  Over HTTP/2 an answer that ends before the request's body does
 * ends the exchange (RST_STREAM NO_ERROR).
 * A body that nobody reads is drained within limits, or the connection is closed after the answer
 * (lingering), so that the client reads the answer and not a reset. */
#ifndef GITPROTO_NET_HTTP_SERVER_H
#define GITPROTO_NET_HTTP_SERVER_H

#include "gitproto/net/http.h"
#include "gitproto/net/loop.h"
#include "gitproto/net/stream.h"

struct http_server;
struct http_xchg;

typedef void http_handler_fn(struct http_xchg *, void *arg);

struct http_server_opts {
	const char *listen; /* "127.0.0.1:0"; numeric address; port 0 picks one */
	bool http2;         /* HTTP/2 by prior knowledge, otherwise HTTP/1.1 */
	bool reuse_port;    /* SO_REUSEPORT: one listener a loop */
	bool insecure;      /* false: peers and addresses other than loopback are refused */
	unsigned idle_msec; /* between requests; 0: 60 s */
	unsigned head_msec; /* to send a whole head; 0: 20 s */
	unsigned body_msec; /* without any progress of a body in either direction; 0: 120 s */
	unsigned max_conns; /* 0: 10,000 */
	http_handler_fn *handler;
	void *arg;
};
/* ERR_BAD for an address that does not parse, ERR_REFUSED for one that is not loopback without
 * insecure, ERR_IO when it cannot be bound. */
MUST_CHECK int http_server_new(struct http_server **out, struct loop *,
			       const struct http_server_opts *, struct err *);
const char *http_server_addr(const struct http_server *); /* "127.0.0.1:34567" as bound */
unsigned http_server_port(const struct http_server *);
/* No new connections, GOAWAY / connection: close on the others; running exchanges go on. */
void http_server_drain(struct http_server *);
unsigned http_server_active(const struct http_server *); /* exchanges under way */
void http_server_free(struct http_server **);            /* closes everything, now */

const struct http_head *http_xchg_request(const struct http_xchg *);
const char *http_xchg_peer(const struct http_xchg *); /* "127.0.0.1:5555" */
struct stream *http_xchg_stream(struct http_xchg *);
/* Called once, last; the exchange and its stream are still valid inside the call, and gone after
 * it.  Replaces an earlier one. */
void http_xchg_on_close(struct http_xchg *, void (*fn)(void *arg), void *arg);
void http_xchg_continue(struct http_xchg *); /* 100, at most once; HTTP/1.1: only when asked for */
/* Sends the head; the body follows on the stream until stream_end.  Content-length is sent when
 * head->content_length >= 0, otherwise chunked (1.1) or plain END_STREAM (2).  Adds date itself. */
void http_xchg_respond(struct http_xchg *, const struct http_head *);
/* Head and whole body in one; takes fields from extra (NULL: none). */
void http_xchg_reply(struct http_xchg *, int status, const struct http_head *extra,
		     const char *content_type, struct slice body);
/* The answer of an error: status of its code, text and a line feed as text/plain. */
void http_xchg_reply_err(struct http_xchg *, const struct err *);
bool http_xchg_responded(const struct http_xchg *);

#endif
