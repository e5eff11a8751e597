/* shard-map/commitlog/record_wire.h - what record_encode.c, record_decode.c and the codecs of states
 * share.  Thread: any.  See docs/commit-log.md. */
#ifndef SHARD_MAP_COMMITLOG_RECORD_WIRE_H
#define SHARD_MAP_COMMITLOG_RECORD_WIRE_H

#include <string.h>

#include "gitproto/base/defs.h"

#define RECORD_WIRE_MAGIC "gsrc"
#define RECORD_WIRE_MAGIC_LEN 4
#define RECORD_WIRE_FREE 1u           /* flag: a free barrier */
#define RECORD_WIRE_NO_STRING 0xffffu /* length of a string that is not there */
#define RECORD_WIRE_TEXT_MAX 32768u   /* description, value of a pair */
#define RECORD_WIRE_MEMBER 20         /* bytes: node, incarnation */

/* n bytes in network order */
static inline uint64_t
record_wire_int(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* 40 or 64 lower-case hex digits */
static inline bool
record_wire_is_hex(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return s[n] == '\0' && (n == 40 || n == 64);
}

#endif
