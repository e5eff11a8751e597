/* gitproto/base/slice.h - borrowed bytes: pointer and length, never NUL-terminated.  Thread: any.
 * A slice owns nothing and is valid as long as what it was cut from. */
#ifndef GITPROTO_BASE_SLICE_H
#define GITPROTO_BASE_SLICE_H

#include <string.h>

#include "gitproto/base/defs.h"

struct slice {
	const uint8_t *p;
	size_t len;
};

#define SLICE_NONE ((struct slice){ NULL, 0 })
#define SLICE_LIT(s) ((struct slice){ (const uint8_t *)("" s), sizeof(s) - 1 })
#define SLICE_ARG(s) (int)(s).len, (const char *)(s).p /* for "%.*s" */

static inline struct slice
slice_of(const void *p, size_t len)
{
	return (struct slice){ p, len };
}

static inline struct slice
slice_str(const char *s)
{
	return slice_of(s, strlen(s));
}

/* The first n bytes, or all when there are fewer. */
static inline struct slice
slice_head(struct slice s, size_t n)
{
	return slice_of(s.p, n < s.len ? n : s.len);
}

/* What follows the first n bytes; empty when there are no more. */
static inline struct slice
slice_skip(struct slice s, size_t n)
{
	return n < s.len ? slice_of(s.p + n, s.len - n) : slice_of(s.p + s.len, 0);
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool
slice_eq_str(struct slice a, const char *b)
{
	return slice_eq(a, slice_str(b));
}

/* Bytewise order, a prefix before what it begins. */
static inline int
slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static inline bool
slice_begins(struct slice s, struct slice with)
{
	return s.len >= with.len && (with.len == 0 || memcmp(s.p, with.p, with.len) == 0);
}

static inline bool
slice_ends(struct slice s, struct slice with)
{
	return s.len >= with.len &&
	       (with.len == 0 || memcmp(s.p + s.len - with.len, with.p, with.len) == 0);
}

/* Index of the first c, or -1. */
static inline ssize_t
slice_find(struct slice s, char c)
{
	const uint8_t *q = s.len > 0 ? memchr(s.p, c, s.len) : NULL;

	return q != NULL ? q - s.p : -1;
}

/* Cuts *s at the first c: returns what stands before it and leaves in *s what follows.  Without a
 * c the whole of *s is returned and *s is left empty. */
static inline struct slice
slice_cut(struct slice *s, char c)
{
	ssize_t at = slice_find(*s, c);
	struct slice head = at < 0 ? *s : slice_head(*s, (size_t)at);

	*s = at < 0 ? slice_skip(*s, s->len) : slice_skip(*s, (size_t)at + 1);
	return head;
}

#endif
