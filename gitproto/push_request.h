/* gitproto/push_request.h - the body of a receive-pack request up to where the pack begins.
 * Thread: any.  Source: gitprotocol-pack(5), "Reference Update Request", and receive-pack's own
 * reading: `shallow` lines, commands "old new ref" with capabilities behind a NUL, or a push
 * certificate, flush, and push options with a flush of their own.
 *
 * Order: push_request_init; push_request_feed with the unread bytes whenever more came, until
 * `done`; read the fields; push_request_release.  What feed did not eat is to be offered again; when
 * done, it is the beginning of the pack (if has_pack).  A body of 0000 alone is a probe: done, no
 * command.  What receive-pack and this parser could read differently is refused. */
#ifndef GITPROTO_PUSH_REQUEST_H
#define GITPROTO_PUSH_REQUEST_H

#include "gitproto/oid.h"
#include "gitproto/pktread.h"

#define PUSH_REQUEST_COMMANDS 100000 /* default limits */
#define PUSH_REQUEST_BYTES (32u << 20)
#define PUSH_REQUEST_OPTIONS 1000

struct push_request_opts {
	enum oid_format format; /* of the repository */
	size_t max_commands;    /* 0: the default; shallow lines have the same limit */
	size_t max_bytes;       /* of all lines; 0: the default */
	size_t max_options;     /* push options; 0: the default */
	bool push_options;      /* advertised; otherwise a client's wish for them is ignored */
	bool atomic;            /* the same */
	bool accept_cert;       /* false: a signed push is ERR_UNSUPPORTED */
};

struct push_request_command {
	struct oid old; /* zero: the ref must not exist */
	struct oid new; /* zero: delete */
	const char *ref;
	size_t ref_len;
	size_t at; /* of ref in the text */
};

enum push_request_state {
	PUSH_REQUEST_LINES,
	PUSH_REQUEST_CERT,
	PUSH_REQUEST_OPTION,
	PUSH_REQUEST_END
};

struct push_request {
	/* result, valid once done; all owned */
	bool done;
	bool has_pack; /* a command that is no delete: a pack follows */
	struct push_request_command *commands;
	size_t n_commands;
	const char **options; /* push options, in order */
	size_t n_options;
	size_t n_shallow; /* `shallow` lines: the pusher's history is cut */
	struct buf cert;  /* the whole certificate; empty: not signed */
	/* capabilities that the client chose */
	bool report_status, report_status_v2, side_band_64k, quiet, atomic, push_options, ofs_delta;
	struct buf agent; /* "" when not told */

	/* private */
	struct push_request_opts opts;
	enum push_request_state state;
	struct pktread read;
	struct buf text;     /* names and options, each with a NUL */
	size_t *option_at;   /* in text */
	size_t cap_commands; /* allocated */
	size_t cap_options;
};

void push_request_init(struct push_request *, const struct push_request_opts *);
void push_request_release(struct push_request *);
/* Bytes eaten (whole packets); 0: wants more, or done already; ERR_BAD, ERR_TOO_BIG,
 * ERR_UNSUPPORTED (signed push, object format), ERR_NOMEM.  After an error only release. */
MUST_CHECK ssize_t push_request_feed(struct push_request *, struct slice unread, struct err *);
/* ERR_REFUSED when a ref is named twice, with its name; ERR_NOMEM.  Once done. */
MUST_CHECK int push_request_unique(const struct push_request *, struct err *);

#endif
