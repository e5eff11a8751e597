/* gitproto/net/http.h - request and response heads, the same for HTTP/1.1 and HTTP/2.  Thread: any.
 * Field names are lower case; header bytes are never forwarded raw but written anew (RFC 9110). */
#ifndef GITPROTO_NET_HTTP_H
#define GITPROTO_NET_HTTP_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"

#define HTTP_MAX_FIELDS 128
#define HTTP_MAX_HEAD (64u * 1024) /* bytes of all names and values */
#define HTTP_MAX_TARGET (8u * 1024)

struct http_field {
	char *name;  /* owned, lower case */
	char *value; /* owned, no CR LF NUL */
};

/* One struct for both: a request has method and target, a response a status. */
struct http_head {
	char method[16];
	char *target; /* owned; path and query as sent: "/o/r.git/info/refs?service=x" */
	int status;
	int64_t content_length; /* -1: not known (chunked, or HTTP/2 without it) */
	bool has_body;          /* a body, maybe empty, follows */
	unsigned nfields;
	size_t bytes; /* of names and values so far */
	struct http_field fields[HTTP_MAX_FIELDS];
};

struct http_head *http_head_new(void);
void http_head_free(struct http_head **);
void http_head_request(struct http_head *, const char *method, const char *target);
/* The name is made lower case, blanks around the value are cut.  ERR_TOO_BIG past the limits,
 * ERR_BAD for bytes that no field may hold.  "content-length" is not kept as a field: it is parsed
 * into content_length (ERR_BAD when it is no number or comes twice). */
MUST_CHECK int http_head_add(struct http_head *, const char *name, const char *value);
/* For values that we made ourselves: CHECKs that they are legal. */
void http_head_addf(struct http_head *, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* First value of a lower-case name, NULL when there is none. */
const char *http_head_get(const struct http_head *, const char *name);
/* Is the token one of those in a list like "gzip, chunked"?  Without regard to case. */
bool http_list_has(const char *list, const char *token);
/* true when hop-by-hop (connection, keep-alive, te, trailer, transfer-encoding, upgrade, proxy-*).
 * Such fields of a head are not written. */
bool http_field_is_hop(const char *name);
const char *http_reason(int status);
/* true when no body follows, whatever the head says: 1xx, 204, 304 */
bool http_status_bodiless(int status);
/* A path that may be asked for: begins with '/', visible ASCII, no '#'; or "*". */
bool http_target_ok(struct slice);

/* The value of a query's first parameter `name`, %XX and + decoded, appended to out.
 * ERR_NOT_FOUND, or ERR_BAD for a broken escape or a NUL. */
MUST_CHECK int http_query_get(const char *target, const char *name, struct buf *out);
/* "Sun, 06 Nov 1994 08:49:37 GMT" */
#define HTTP_DATE 32
void http_date(char out[HTTP_DATE], uint64_t wall_ms);

#endif
