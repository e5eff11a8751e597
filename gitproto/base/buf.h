/* gitproto/base/buf.h - owned, growing bytes with a maximum.  Thread: any, one at a time.
 * Failure is sticky: once an addition would pass the maximum or memory is gone, `failed` is set,
 * that and all later additions do nothing.  Write many times, check buf_ok once.
 * The content is always followed by a NUL that does not count, once anything was added. */
#ifndef GITPROTO_BASE_BUF_H
#define GITPROTO_BASE_BUF_H

#include <stdarg.h>

#include "gitproto/base/slice.h"

struct buf {
	uint8_t *p;  /* owned; NULL while empty */
	size_t len;  /* bytes in use */
	size_t cap;  /* bytes allocated */
	size_t max;  /* len never passes it */
	bool failed; /* sticky */
};

/* A buffer with a maximum of max bytes; needs no init call. */
#define BUF_MAX(max_) ((struct buf){ NULL, 0, 0, (max_), false })

void buf_init(struct buf *, size_t max);
void buf_release(struct buf *); /* frees; the buffer is empty and usable, maximum kept */
void buf_clear(struct buf *);   /* empties, keeps the memory, clears `failed` */

void buf_add(struct buf *, const void *p, size_t n);
void buf_add_slice(struct buf *, struct slice);
void buf_add_str(struct buf *, const char *s);
void buf_add_byte(struct buf *, uint8_t);
void buf_addf(struct buf *, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_addfv(struct buf *, const char *fmt, va_list) PRINTF_LIKE(2, 0);
/* Integers in network byte order. */
void buf_add_u16(struct buf *, uint16_t);
void buf_add_u32(struct buf *, uint32_t);
void buf_add_u64(struct buf *, uint64_t);
/* n more bytes, not initialised, to be written by the caller; NULL when failed. */
uint8_t *buf_grow(struct buf *, size_t n);
/* Drops the first n bytes (n <= len). */
void buf_eat(struct buf *, size_t n);

static inline struct slice
buf_slice(const struct buf *b)
{
	return slice_of(b->p, b->len);
}

static inline bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}

/* The content as a C string, "" when empty; borrowed until the next change. */
const char *buf_str(const struct buf *);

#endif
