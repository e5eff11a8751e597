/* gitproto/base/defs.h - attributes and the few macros that every file may use.  Thread: any. */
#ifndef GITPROTO_BASE_DEFS_H
#define GITPROTO_BASE_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gitproto/base/banned.h"

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The struct whose member `field` p points at. */
#define CONTAINER_OF(p, type, field) ((type *)((char *)(p)-offsetof(type, field)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
