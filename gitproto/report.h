/* gitproto/report.h - report-status v1 and v2 after a push, and ERR packets.  Thread: any.
 * Source: gitprotocol-pack(5), "Report Status".  The report is a list of packets ended by a flush;
 * with side-band-64k all of it travels inside band 1, and another flush ends the bands. */
#ifndef GITPROTO_REPORT_H
#define GITPROTO_REPORT_H

#include "gitproto/oid.h"
#include "gitproto/pktline.h"

struct report_ref {
	const char *name;
	const char *why; /* NULL: ok; otherwise the reason of `ng` */
	/* option lines of v2; absent: NULL, OID_NONE, false */
	const char *refname; /* the ref that was changed instead */
	struct oid old_oid;
	struct oid new_oid;
	bool forced_update;
	bool fall_through; /* between proc-receive and receive-pack only */
};

/* Writers, in this order.  A line feed or NUL in a text becomes a blank. */
void report_add_unpack(struct buf *, const char *why); /* NULL: "unpack ok" */
void report_add_ref(struct buf *, const struct report_ref *, bool v2);
void report_add_end(struct buf *);
/* "ERR text": the other side shows it and stops.  Not understood after a v0 advertisement has begun
 * to be read as a pack. */
void report_add_err(struct buf *, const char *text);

struct report {
	char *unpack;            /* owned; NULL: ok */
	struct report_ref *refs; /* owned, texts too */
	size_t n;
};

/* Of the bytes without side-band: eaten up to and with the flush; 0: wants more, nothing was stored;
 * ERR_BAD; ERR_TOO_BIG (more than max_refs); ERR_NOMEM; an ERR packet is ERR_REFUSED with its text.
 * with_unpack false: no unpack line (what a proc-receive hook answers). */
MUST_CHECK ssize_t report_parse(struct report *out, struct slice in, size_t max_refs,
				bool with_unpack, struct err *);
void report_release(struct report *);

#endif
