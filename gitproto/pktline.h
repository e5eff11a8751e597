/* gitproto/pktline.h - git's frame: four hex digits of length, then the data.  Thread: any.
 * Source: gitprotocol-common(5), gitprotocol-v2(5).  A length counts its own four bytes; 0000 is
 * flush, 0001 delimiter, 0002 response end, 0003 invalid, 0004 an empty packet; 65520 at most. */
#ifndef GITPROTO_PKTLINE_H
#define GITPROTO_PKTLINE_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"

#define PKTLINE_MAX 65520      /* bytes with the length */
#define PKTLINE_DATA_MAX 65516 /* bytes without */

enum pktline_kind { PKTLINE_DATA, PKTLINE_FLUSH, PKTLINE_DELIM, PKTLINE_RESPONSE_END };

struct pktline {
	enum pktline_kind kind;
	struct slice data; /* borrowed from the input; empty unless PKTLINE_DATA */
};

/* Bytes eaten; 0: wants more; ERR_BAD: no hex digits, 0003, or longer than PKTLINE_MAX, which is
 * told as soon as the four digits are there. */
MUST_CHECK ssize_t pktline_parse(struct pktline *out, struct slice in);
/* What pktline_parse held against `in`, in git's words; returns ERR_BAD. */
int pktline_refuse(struct slice in, struct err *);
/* The data without one LF at the end, which senders may leave out. */
struct slice pktline_text(const struct pktline *);

/* Writers.  Data of more than PKTLINE_DATA_MAX bytes make the buffer fail. */
void pktline_add(struct buf *, struct slice data);
void pktline_add_text(struct buf *, const char *text);                   /* LF is put behind */
void pktline_addf(struct buf *, const char *fmt, ...) PRINTF_LIKE(2, 3); /* no LF is added */
void pktline_add_flush(struct buf *);
void pktline_add_delim(struct buf *);
void pktline_add_response_end(struct buf *);

/* A packet that is composed in place: begin, any buf_add_*, end with what begin returned. */
MUST_CHECK size_t pktline_begin(struct buf *);
void pktline_end(struct buf *, size_t begun);

/* The four digits alone, for who writes the data elsewhere; size counts them. */
void pktline_head(uint8_t out[4], size_t size);

#endif
