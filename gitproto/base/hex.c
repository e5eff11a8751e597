#include "gitproto/base/hex.h"

#include "gitproto/base/err.h"

void
hex_encode(char *out, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *in = p;

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[in[i] >> 4];
		*out++ = digits[in[i] & 15];
	}
	*out = '\0';
}

static int
value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int
hex_decode(void *out, size_t n, struct slice text)
{
	uint8_t *to = out;

	if (text.len != 2 * n)
		return ERR_BAD;
	for (size_t i = 0; i < n; i++) {
		int high = value(text.p[2 * i]), low = value(text.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return ERR_BAD;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}
