/* gitproto/net/http1_conn_impl.h - an HTTP/1.1 connection and its exchange, for http1_conn.c (the
 * connection, what comes in) and http1_xchg.c (what goes out).  Thread: loop. */
#ifndef GITPROTO_NET_HTTP1_CONN_IMPL_H
#define GITPROTO_NET_HTTP1_CONN_IMPL_H

#include "gitproto/net/http1_parse.h"
#include "gitproto/net/http_server_impl.h"

enum http1_state { S_HEAD, S_BUSY, S_DRAIN, S_LINGER, S_DEAD, S_NSTATES };

enum http1_framing {
	FR_NONE,   /* no body: HEAD, 204, 304 */
	FR_LENGTH, /* content-length */
	FR_CHUNKED,
	FR_CLOSE /* ends with the connection: HTTP/1.0 */
};

struct http1_xchg {
	struct http_xchg x;
	struct stream body; /* request body in, response body out */
	struct http1_conn *conn;
	struct loop_task finish;
	enum http1_framing framing;
	uint64_t left; /* FR_LENGTH: bytes still owed */
	bool head_out; /* the response head is written */
	bool all_out;  /* and the whole body with it */
	bool finishing;
	bool broken; /* the request's body breaks its framing: 400 when it has finished */
};

struct http1_conn {
	unsigned magic;
#define HTTP1_CONN_MAGIC 0x11771c0du
	struct http_conn c;
	struct loop *loop;
	struct stream *tr; /* owned; the socket */
	enum http1_state state;
	struct http1_parse parse;
	struct http1_xchg *x; /* owned; in BUSY and, until it has finished, DEAD */
	struct timer *timer;
	bool keep;         /* after the present response */
	size_t drain_left; /* DRAIN, LINGER */
	uint64_t rx, tx;   /* bytes so far, to see progress */
	uint64_t rx_was, tx_was;
	bool idle_once; /* no progress at the last look */
};

extern const struct http_xchg_ops http1_xchg_ops;
/* Moves the response body on, as far as the socket's queue has room.  May run inside a call. */
void http1_xchg_pump(struct http1_conn *);

#endif
