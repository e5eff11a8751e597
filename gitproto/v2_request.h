/* gitproto/v2_request.h - one request of protocol v2: command, capabilities, arguments.
 * Thread: any.  Source: gitprotocol-v2(5), "Command Request", and git's serve.c, whose words the
 * refusals repeat.
 *
 * Order: v2_request_init; v2_request_feed with the unread bytes whenever more came, until `done`;
 * v2_request_check; read the fields; v2_request_release.  Who wants the command only stops at
 * `head_done`: arguments are not needed to choose a handler. */
#ifndef GITPROTO_V2_REQUEST_H
#define GITPROTO_V2_REQUEST_H

#include "gitproto/oid.h"
#include "gitproto/pktread.h"

#define V2_REQUEST_BYTES (10u << 20) /* default limits */
#define V2_REQUEST_LINES 200000

enum v2_request_command {
	V2_REQUEST_NONE, /* a flush alone: the client says goodbye */
	V2_REQUEST_LS_REFS,
	V2_REQUEST_FETCH,
	V2_REQUEST_OTHER /* object-info, bundle-uri, or what only a newer git knows */
};

struct v2_request_opts {
	size_t max_lines; /* packets; 0: the default */
	size_t max_bytes; /* 0: the default; less than 4 GiB */
};

enum v2_request_state { V2_REQUEST_HEAD, V2_REQUEST_ARGS, V2_REQUEST_END };

struct v2_request_line { /* in text */
	uint32_t at, len;
};

struct v2_request {
	bool head_done; /* command and capabilities are known */
	bool done;
	enum v2_request_command command;
	enum oid_format
		format; /* object-format; SHA-1 when not told, checked by v2_request_check */

	/* private */
	enum v2_request_state state;
	struct pktread read;
	struct buf text;               /* lines, each with a NUL behind */
	struct v2_request_line *lines; /* capabilities, then arguments */
	size_t n_lines, cap_lines, n_caps;
	struct v2_request_line name; /* of the command */
};

void v2_request_init(struct v2_request *, const struct v2_request_opts *); /* NULL: defaults */
void v2_request_release(struct v2_request *);
/* Bytes eaten (whole packets); 0: wants more, or done already; ERR_BAD, ERR_TOO_BIG, ERR_NOMEM.
 * After an error only release. */
MUST_CHECK ssize_t v2_request_feed(struct v2_request *, struct slice unread, struct err *);

/* Once head_done; slices are valid until the next feed: */
struct slice v2_request_name(const struct v2_request *); /* of the command; empty for NONE */
/* Value of a capability, "agent"; false when it was not sent. */
bool v2_request_cap(struct slice *value, const struct v2_request *, const char *name);
/* What git's serve.c refuses: a command or capability that was not advertised, another object
 * format.  advertised: one capability a line (advert.h).  ERR_UNSUPPORTED with git's words. */
MUST_CHECK int v2_request_check(const struct v2_request *, struct slice advertised, enum oid_format,
				struct err *);

/* Once done, valid until release: arguments without LF, each with a NUL behind. */
size_t v2_request_count(const struct v2_request *);
struct slice v2_request_arg(const struct v2_request *, size_t i);

#endif
