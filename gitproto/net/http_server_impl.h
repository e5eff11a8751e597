/* gitproto/net/http_server_impl.h - what a server, its connections and exchanges share.  For
 * gitproto/net only.  Thread: loop. */
#ifndef GITPROTO_NET_HTTP_SERVER_IMPL_H
#define GITPROTO_NET_HTTP_SERVER_IMPL_H

#include "gitproto/net/http_server.h"
#include "gitproto/net/sock.h"
#include "gitproto/net/stream_impl.h"

/* The base of both kinds of connection. */
struct http_conn;
struct http_conn_ops {
	void (*drain)(struct http_conn *); /* no more requests; close when idle */
	void (*close_now)(
		struct http_conn *); /* with its exchanges; removes itself from the list */
};
struct http_conn {
	TAILQ_ENTRY(http_conn) link;
	const struct http_conn_ops *ops;
	struct http_server *srv; /* borrowed; it closes its connections before it ends */
	char peer[SOCK_TEXT];
};

struct http_server {
	unsigned magic;
#define HTTP_SERVER_MAGIC 0x4772e57bu
	struct loop *loop;
	struct http_server_opts opts; /* zeros replaced */
	int fd;                       /* owned; -1 while draining */
	struct event *ev;             /* owned */
	struct timer *again; /* accepting goes on after the process ran out of descriptors */
	char addr[SOCK_TEXT];
	unsigned port;
	TAILQ_HEAD(http_conn_list, http_conn) conns;
	unsigned nconns;
	unsigned nactive; /* exchanges */
	bool draining;
};

/* Registers; the kind has set ops. */
void http_server_add(struct http_server *, struct http_conn *, const struct sock_addr *peer);
void http_server_remove(struct http_conn *);

struct http_xchg_ops {
	void (*respond)(struct http_xchg *, const struct http_head *);
	void (*send_continue)(struct http_xchg *);
};
/* The base of both kinds of exchange. */
struct http_xchg {
	unsigned magic;
#define HTTP_XCHG_MAGIC 0x4e8c4a63u
	const struct http_xchg_ops *ops;
	struct http_conn *conn; /* borrowed until http_xchg_end */
	struct http_head *req;  /* owned */
	struct stream *stream;  /* borrowed from the kind */
	void (*close_fn)(void *);
	void *close_arg;
	struct loop_task start; /* calls the handler */
	bool wants_continue;    /* the client waits for a 100 */
	bool continued;
	bool responded;
	bool counted;
	int refuse_status; /* not 0: the handler is not asked */
	struct err refuse;
};
/* Takes *req.  The handler is called from the loop. */
void http_xchg_begin(struct http_xchg *, struct http_conn *, const struct http_xchg_ops *,
		     struct http_head **req, struct stream *);
void http_xchg_end(struct http_xchg *); /* the close callback; the kind frees it afterwards */

/* "date" and the fields that may be written, for each kind's own form. */
const char *http_server_date(void);
bool http_server_may_write(const struct http_field *);

void http1_conn_new(struct http_server *, int fd, const struct sock_addr *peer);
void http2_conn_new(struct http_server *, int fd, const struct sock_addr *peer);

#endif
