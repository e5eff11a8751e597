#include "gitproto/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

void
buf_init(struct buf *b, size_t max)
{
	*b = BUF_MAX(max);
}

void
buf_release(struct buf *b)
{
	free(b->p);
	*b = BUF_MAX(b->max);
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

uint8_t *
buf_grow(struct buf *b, size_t n)
{
	size_t cap = b->cap > 0 ? b->cap : 64;
	uint8_t *p;

	CHECK(b->len <= b->max);
	if (b->failed || n > b->max - b->len) {
		b->failed = true;
		return NULL;
	}
	if (b->len + n + 1 > b->cap) {
		while (cap < b->len + n + 1)
			cap *= 2;
		p = mem_try_resize(b->p, cap);
		if (p == NULL) {
			b->failed = true;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	p = b->p + b->len;
	b->len += n;
	b->p[b->len] = '\0';
	return p;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	uint8_t *to = buf_grow(b, n);

	if (to != NULL && n > 0)
		memcpy(to, p, n);
}

void
buf_add_slice(struct buf *b, struct slice s)
{
	buf_add(b, s.p, s.len);
}

void
buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_add_byte(struct buf *b, uint8_t c)
{
	buf_add(b, &c, 1);
}

void
buf_add_u16(struct buf *b, uint16_t v)
{
	uint8_t a[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	buf_add(b, a, sizeof(a));
}

void
buf_add_u32(struct buf *b, uint32_t v)
{
	buf_add_u16(b, (uint16_t)(v >> 16));
	buf_add_u16(b, (uint16_t)v);
}

void
buf_add_u64(struct buf *b, uint64_t v)
{
	buf_add_u32(b, (uint32_t)(v >> 32));
	buf_add_u32(b, (uint32_t)v);
}

void
buf_addfv(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;
	uint8_t *to;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	CHECK(n >= 0);
	to = buf_grow(b, (size_t)n);
	if (to != NULL)
		vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_addfv(b, fmt, ap);
	va_end(ap);
}

void
buf_eat(struct buf *b, size_t n)
{
	CHECK(n <= b->len);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->len - n + 1);
	b->len -= n;
}

const char *
buf_str(const struct buf *b)
{
	return b->p != NULL ? (const char *)b->p : "";
}
