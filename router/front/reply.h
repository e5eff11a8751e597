/* router/front/reply.h - answers of the router's own, in words that git shows its user.
 * Thread: loop.
 *
 * git prints the body of an error to a GET as "remote: ..." when it is text/plain; so each is one
 * sentence that says what to do. */
#ifndef ROUTER_FRONT_REPLY_H
#define ROUTER_FRONT_REPLY_H

#include "gitproto/net/http_server.h"
#include "gitproto/service.h"

#define REPLY_RETRY_AFTER 1 /* seconds */

/* status and a sentence, without a line feed.  503: with retry-after.  allow: of a 405, else NULL. */
void reply_text(struct http_xchg *, const char *id, int status, const char *allow,
		const char *text);
/* For the POST of a fetch or push: git shows no body of an HTTP error there, so the words go where it
 * looks for them: 200, and in the answer an ERR packet, or for a push band 3 (gitprotocol-pack(5)). */
void reply_in_band(struct http_xchg *, const char *id, enum service, const char *text);
/* The packet alone, for an answer whose head is out and of which nothing else was sent. */
void reply_add_in_band(struct buf *, enum service, const char *text);
/* Bytes of the body that reply_text sends. */
size_t reply_size(const char *text);

#endif
