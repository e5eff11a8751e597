/* gitproto/v2_request.h - one request of protocol v2: command, capabilities, arguments.
 * Thread: any.  Source: gitprotocol-v2(5), "Command Request", and git's serve.c, whose words the
 * refusals repeat.
 *
 * Order: v2_request_init; v2_request_feed with the unread bytes whenever more came, until `done`;
 * read the fields; v2_request_release.  Who wants the command only stops at `head_done`: arguments
 * are not needed to choose a handler. */
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
	V2_REQUEST_OBJECT_INFO,
	V2_REQUEST_BUNDLE_URI
};

struct v2_request_opts {
	size_t max_lines; /* packets; 0: the default */
	size_t max_bytes; /* 0: the default */
};

enum v2_request_state { V2_REQUEST_HEAD, V2_REQUEST_ARGS, V2_REQUEST_END };

struct v2_request_line { /* in text */
	uint32_t at, len;
};

struct v2_request {
	bool head_done; /* command and capabilities are known */
	bool done;
	enum v2_request_command command;
	enum oid_format format; /* object-format; SHA-1 when not told */
	struct slice agent;     /* borrowed from this; valid once head_done */

	/* private */
	enum v2_request_state state;
	bool seen; /* a command or capability */
	struct pktread read;
	struct buf text; /* lines, each with a NUL behind */
	struct v2_request_line *args;
	size_t n_args, cap_args;
	struct v2_request_line agent_at;
};

void v2_request_init(struct v2_request *, const struct v2_request_opts *); /* NULL: defaults */
void v2_request_release(struct v2_request *);
/* Bytes eaten (whole packets); 0: wants more, or done already; ERR_BAD, ERR_UNSUPPORTED (command,
 * capability), ERR_TOO_BIG, ERR_NOMEM.  After an error only release. */
MUST_CHECK ssize_t v2_request_feed(struct v2_request *, struct slice unread, struct err *);
/* Arguments, without LF, each followed by a NUL; once done, valid until release. */
size_t v2_request_count(const struct v2_request *);
struct slice v2_request_arg(const struct v2_request *, size_t i);
/* ERR_UNSUPPORTED with git's words when the client's object format is not the repository's. */
MUST_CHECK int v2_request_check_format(const struct v2_request *, enum oid_format, struct err *);

#endif
