/* gitproto/base/units.h - numbers, sizes and times as people write them.  Thread: any.
 * All at most INT64_MAX; else, and for anything that is none, ERR_BAD with an example. */
#ifndef GITPROTO_BASE_UNITS_H
#define GITPROTO_BASE_UNITS_H

#include "gitproto/base/err.h"

MUST_CHECK int units_int(int64_t *out, const char *text, struct err *);    /* "-12" */
MUST_CHECK int units_bytes(uint64_t *out, const char *text, struct err *); /* "4096" "64K" "2G" */
MUST_CHECK int units_msec(uint64_t *out, const char *text,
			  struct err *); /* "500ms" "2s" "1h" "0" */

#endif
