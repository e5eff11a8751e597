/* gitproto/base/hex.h - bytes as lower-case hexadecimal digits and back.  Thread: any. */
#ifndef GITPROTO_BASE_HEX_H
#define GITPROTO_BASE_HEX_H

#include "gitproto/base/slice.h"

/* Writes 2n digits and a NUL to out. */
void hex_encode(char *out, const void *p, size_t n);
/* text must be exactly 2n lower-case digits, else ERR_BAD and out is undefined. */
MUST_CHECK int hex_decode(void *out, size_t n, struct slice text);

#endif
