/* gitproto/net/http1_policy.h - what llhttp's strict parser lets through and we do not (RFC 9112).
 * Thread: any.  Pure.  Two gates: http1_policy_scan over the raw head, before the parser sees it
 * (obsolete folding, bare CR or LF, versions other than 1.0 and 1.1, sizes), then
 * http1_policy_request over the parsed one (Host, framing, Expect). */
#ifndef GITPROTO_NET_HTTP1_POLICY_H
#define GITPROTO_NET_HTTP1_POLICY_H

#include "gitproto/net/http.h"

/* Restartable: keeps how far it has looked.  Zero it for each head. */
struct http1_scan {
	size_t line;    /* where the present line begins */
	size_t seen;    /* bytes looked at */
	unsigned lines; /* whole lines so far, the request line included */
	int status;     /* after an error: 400, 414 or 431 */
};
/* in: all bytes since the head began.  Returns the length of the head with its empty line, 0 when
 * it is not whole yet, or ERR_BAD / ERR_TOO_BIG. */
MUST_CHECK ssize_t http1_policy_scan(struct http1_scan *, struct slice in, struct err *);

/* What the fields of a parsed head say about the message. */
struct http1_facts {
	unsigned minor; /* HTTP/1.minor */
	unsigned hosts; /* fields of that name */
	unsigned transfer_encodings;
	bool chunked;         /* the only transfer-encoding is "chunked" */
	bool expect_continue; /* a 100 is waited for */
	int status;           /* after an error: 400 or 417 */
};
MUST_CHECK int http1_policy_request(struct http1_facts *, const struct http_head *, unsigned minor,
				    struct err *);

/* ERR_BAD for a trailer field that would change framing, routing or authentication. */
MUST_CHECK int http1_policy_trailer(struct slice name, struct err *);

#endif
