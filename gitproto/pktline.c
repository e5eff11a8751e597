#include "gitproto/pktline.h"

#include <stdarg.h>

#include "gitproto/base/check.h"

/* -1 when there is a byte that is no hex digit */
static int
read_length(const uint8_t *p)
{
	int n = 0;

	for (int i = 0; i < 4; i++) {
		int c = p[i];

		if (c >= '0' && c <= '9')
			c -= '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			c = (c | 0x20) - 'a' + 10;
		else
			return -1;
		n = n << 4 | c;
	}
	return n;
}

ssize_t
pktline_parse(struct pktline *out, struct slice in)
{
	int n;

	if (in.len < 4)
		return 0;
	n = read_length(in.p);
	if (n < 0 || n == 3 || n > PKTLINE_MAX)
		return ERR_BAD;
	if (n < 4) {
		out->kind = n == 0 ? PKTLINE_FLUSH : n == 1 ? PKTLINE_DELIM : PKTLINE_RESPONSE_END;
		out->data = SLICE_NONE;
		return 4;
	}
	if (in.len < (size_t)n)
		return 0;
	out->kind = PKTLINE_DATA;
	out->data = slice_of(in.p + 4, (size_t)n - 4);
	return n;
}

int
pktline_refuse(struct slice in, struct err *err)
{
	int n = in.len >= 4 ? read_length(in.p) : -1;
	char shown[5] = "";

	if (n >= 0)
		return err_set(err, ERR_BAD, "protocol error: bad line length %d", n);
	for (size_t i = 0; i < 4 && i < in.len; i++)
		shown[i] = in.p[i] >= 0x20 && in.p[i] < 0x7f ? (char)in.p[i] : '?';
	return err_set(err, ERR_BAD, "protocol error: bad line length character: %s", shown);
}

struct slice
pktline_text(const struct pktline *p)
{
	struct slice s = p->data;

	if (s.len > 0 && s.p[s.len - 1] == '\n')
		s.len--;
	return s;
}

void
pktline_head(uint8_t out[4], size_t size)
{
	static const char digits[] = "0123456789abcdef";

	CHECK(size <= PKTLINE_MAX);
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)digits[size >> (12 - 4 * i) & 15];
}

size_t
pktline_begin(struct buf *b)
{
	size_t at = b->len;

	buf_add(b, "0000", 4);
	return at;
}

void
pktline_end(struct buf *b, size_t begun)
{
	size_t size;

	if (b->failed)
		return;
	CHECK(begun + 4 <= b->len);
	size = b->len - begun;
	if (size > PKTLINE_MAX)
		b->failed = true;
	else
		pktline_head(b->p + begun, size);
}

void
pktline_add(struct buf *b, struct slice data)
{
	size_t at = pktline_begin(b);

	buf_add_slice(b, data);
	pktline_end(b, at);
}

void
pktline_add_text(struct buf *b, const char *text)
{
	size_t at = pktline_begin(b);

	buf_add_str(b, text);
	buf_add_byte(b, '\n');
	pktline_end(b, at);
}

void
pktline_addf(struct buf *b, const char *fmt, ...)
{
	size_t at = pktline_begin(b);
	va_list ap;

	va_start(ap, fmt);
	buf_addfv(b, fmt, ap);
	va_end(ap);
	pktline_end(b, at);
}

void
pktline_add_flush(struct buf *b)
{
	buf_add(b, "0000", 4);
}

void
pktline_add_delim(struct buf *b)
{
	buf_add(b, "0001", 4);
}

void
pktline_add_response_end(struct buf *b)
{
	buf_add(b, "0002", 4);
}
