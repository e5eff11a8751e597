/* replica/serve/body.h - the body of a git request, inflated when it came with gzip.  Thread: loop.
 * First its beginning is read (body_peek, body_take), then, if wanted, all the rest is handed to a
 * child (body_pass).  Never more than BODY_WINDOW inflated bytes wait here. */
#ifndef REPLICA_SERVE_BODY_H
#define REPLICA_SERVE_BODY_H

#include "gitproto/net/stream.h"

#define BODY_WINDOW (256u * 1024)

struct body;

enum body_event {
	BODY_MORE,   /* peek again: bytes came, or the end */
	BODY_PASSED, /* body_pass is through: all went to the child's queue, which was ended */
	BODY_BROKEN, /* body_err tells: cut off, not gzip, over the limit; nothing more comes */
};
typedef void body_fn(struct body *, enum body_event, void *arg);

/* encoding: value of content-encoding or NULL; ERR_UNSUPPORTED for one that is not spoken.
 * max: inflated bytes allowed in all, 0 for no limit.  The stream stays the caller's, its READABLE
 * events are the body's until body_free, which must come before the stream's end. */
MUST_CHECK int body_new(struct body **out, struct stream *from, const char *encoding, uint64_t max,
			body_fn *, void *arg, struct err *);
/* Inflated bytes that were not taken, as many as the window holds. */
struct slice body_peek(struct body *);
void body_take(struct body *, size_t n);
bool body_ended(const struct body *); /* nothing will come behind what body_peek shows */
/* To be asked after a peek: what it found broken is told by no event until body_pass. */
bool body_is_broken(const struct body *);
/* Everything from here on goes to `to`, then stream_end(to).  The caller listens to `to` and hands
 * its WRITABLE to body_on_stream. */
void body_pass(struct body *, struct stream *to);
/* Go on after an event of `from` or `to` that its listener was told of. */
void body_on_stream(struct body *, enum stream_event);
const struct err *body_err(const struct body *);
void body_free(struct body **);

#endif
