/* gitproto/base/check.h - invariants that stay on in release builds.  Thread: any.
 * CHECK is for bugs only: what the world can do wrong is an ERR_* code (err.h). */
#ifndef GITPROTO_BASE_CHECK_H
#define GITPROTO_BASE_CHECK_H

#include "gitproto/base/defs.h"

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))

/* The struct behind a `void *`: it begins with `unsigned magic`, which is compared. */
#define OBJ_FROM(p, type, want) ((type *)check_magic((p), (want), __FILE__, __LINE__))

/* Prints place and condition to stderr and aborts. */
NORETURN void check_failed(const char *file, int line, const char *cond);
void *check_magic(void *p, unsigned want, const char *file, int line);

#endif
