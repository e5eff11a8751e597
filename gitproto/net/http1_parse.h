/* gitproto/net/http1_parse.h - one HTTP/1.1 request after the other: llhttp behind our policy.
 * Thread: any.  Order: http1_parse_init; http1_parse_head until it says that a head is whole; then
 * http1_parse_body until `done`; then http1_parse_init again for the next request. */
#ifndef GITPROTO_NET_HTTP1_PARSE_H
#define GITPROTO_NET_HTTP1_PARSE_H

#include <llhttp/llhttp.h>

#include "gitproto/net/http.h"
#include "gitproto/net/http1_policy.h"

#define HTTP1_MAX_TRAILERS (8u * 1024) /* bytes of names and values */

struct http1_parse {
	llhttp_t ll;
	struct http1_scan scan;
	struct http1_facts facts;
	struct http_head *head; /* owned until taken */
	struct buf name, value; /* the field under way */
	size_t trailer_bytes;
	bool in_value;
	bool head_done;
	bool done;       /* the message is whole */
	bool keep_alive; /* after the head: as the client wishes */
	int status;      /* after an error: what to answer */
	struct err err;
	void (*on_body)(struct slice, void *arg);
	void *arg;
};

void http1_parse_init(struct http1_parse *, void (*on_body)(struct slice, void *), void *arg);
void http1_parse_release(struct http1_parse *);
/* in: all unread bytes, contiguous.  Bytes eaten once the head is whole (p->head is then set), 0
 * while it is not, ERR_* with p->status and p->err. */
MUST_CHECK ssize_t http1_parse_head(struct http1_parse *, struct slice in);
/* Bytes eaten, fewer than given only when the message ended there; ERR_* as above. */
MUST_CHECK ssize_t http1_parse_body(struct http1_parse *, struct slice in);

#endif
