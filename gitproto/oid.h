/* gitproto/oid.h - object ids, SHA-1 and SHA-256, and their hex form.  Thread: any.
 * The unused bytes of a struct oid are always zero, so two of them may be compared as memory. */
#ifndef GITPROTO_OID_H
#define GITPROTO_OID_H

#include <string.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/slice.h"

enum oid_format { OID_SHA1, OID_SHA256 };

#define OID_MAX 32      /* bytes */
#define OID_HEX_MAX 64  /* digits */
#define OID_HEX_SIZE 65 /* digits and NUL */

struct oid {
	uint8_t len; /* 20 or 32; 0: none at all */
	uint8_t b[OID_MAX];
};

#define OID_NONE ((struct oid){ 0, { 0 } })

size_t oid_size(enum oid_format);      /* 20, 32 */
size_t oid_hex_len(enum oid_format);   /* 40, 64 */
const char *oid_name(enum oid_format); /* "sha1", "sha256" */
/* "sha1" or "sha256"; false for another word */
MUST_CHECK bool oid_name_parse(enum oid_format *out, struct slice name);

struct oid oid_null(enum oid_format); /* all zero, with its length */
bool oid_is_zero(const struct oid *); /* null or none */

/* Exactly oid_hex_len digits of either case; ERR_BAD otherwise. */
MUST_CHECK int oid_parse(struct oid *out, struct slice hex, enum oid_format);
/* The number of digits decides: 40 or 64. */
MUST_CHECK int oid_parse_any(struct oid *out, struct slice hex);
/* A copy of raw bytes; len is 20 or 32. */
struct oid oid_of(const void *p, size_t len);

/* Lower-case digits and NUL. */
void oid_hex(char out[OID_HEX_SIZE], const struct oid *);
/* The same in a ring of 8 per thread, for log lines and error texts. */
const char *oid_text(const struct oid *);
void oid_add(struct buf *, const struct oid *); /* digits, no NUL */

static inline bool
oid_eq(const struct oid *a, const struct oid *b)
{
	return a->len == b->len && memcmp(a->b, b->b, OID_MAX) == 0;
}

/* Bytewise order, SHA-1 before SHA-256. */
static inline int
oid_cmp(const struct oid *a, const struct oid *b)
{
	return a->len != b->len ? (a->len > b->len) - (a->len < b->len)
				: memcmp(a->b, b->b, OID_MAX);
}

#endif
