#include "gitproto/oid.h"

#include "gitproto/base/check.h"
#include "gitproto/base/err.h"

static const char digits[] = "0123456789abcdef";

size_t
oid_size(enum oid_format f)
{
	return f == OID_SHA256 ? 32 : 20;
}

size_t
oid_hex_len(enum oid_format f)
{
	return 2 * oid_size(f);
}

const char *
oid_name(enum oid_format f)
{
	return f == OID_SHA256 ? "sha256" : "sha1";
}

bool
oid_name_parse(enum oid_format *out, struct slice name)
{
	if (slice_eq_str(name, "sha1"))
		*out = OID_SHA1;
	else if (slice_eq_str(name, "sha256"))
		*out = OID_SHA256;
	else
		return false;
	return true;
}

struct oid
oid_null(enum oid_format f)
{
	struct oid id = OID_NONE;

	id.len = (uint8_t)oid_size(f);
	return id;
}

bool
oid_is_zero(const struct oid *id)
{
	static const uint8_t zero[OID_MAX];

	return memcmp(id->b, zero, OID_MAX) == 0;
}

static int
read_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
oid_parse(struct oid *out, struct slice hex, enum oid_format f)
{
	struct oid id = oid_null(f);

	if (hex.len != oid_hex_len(f))
		return ERR_BAD;
	for (size_t i = 0; i < id.len; i++) {
		int hi = read_digit(hex.p[2 * i]), lo = read_digit(hex.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return ERR_BAD;
		id.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*out = id;
	return 0;
}

int
oid_parse_any(struct oid *out, struct slice hex)
{
	return oid_parse(out, hex, hex.len == OID_HEX_MAX ? OID_SHA256 : OID_SHA1);
}

struct oid
oid_of(const void *p, size_t len)
{
	struct oid id = OID_NONE;

	CHECK(len == 20 || len == 32);
	id.len = (uint8_t)len;
	memcpy(id.b, p, len);
	return id;
}

static void
write_digits(char *out, const struct oid *id)
{
	for (size_t i = 0; i < id->len; i++) {
		out[2 * i] = digits[id->b[i] >> 4];
		out[2 * i + 1] = digits[id->b[i] & 15];
	}
}

void
oid_hex(char out[OID_HEX_SIZE], const struct oid *id)
{
	CHECK(id->len <= OID_MAX);
	write_digits(out, id);
	out[2 * id->len] = '\0';
}

const char *
oid_text(const struct oid *id)
{
	static _Thread_local char ring[8][OID_HEX_SIZE];
	static _Thread_local unsigned at;
	char *out = ring[at++ % COUNT(ring)];

	oid_hex(out, id);
	return out;
}

void
oid_add(struct buf *b, const struct oid *id)
{
	uint8_t *to = buf_grow(b, 2u * id->len);

	if (to != NULL)
		write_digits((char *)to, id);
}
