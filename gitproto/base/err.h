/* gitproto/base/err.h - the one table of failures: code, name, HTTP status.  Thread: any.
 * A function that can fail returns 0 or a negative ERR_* and, where it takes one, fills a last
 * parameter `struct err *` (which may be NULL) with words that the sender of the bad input can act
 * on.  Whoever handles an error logs it, once; layers between add words, not log lines. */
#ifndef GITPROTO_BASE_ERR_H
#define GITPROTO_BASE_ERR_H

#include "gitproto/base/defs.h"

enum err_code {
	ERR_OK = 0,
	ERR_BAD = -1,          /* malformed input */
	ERR_NOT_FOUND = -2,    /* no such repository, ref, record, file */
	ERR_EXISTS = -3,       /* it is there already */
	ERR_CONFLICT = -4,     /* a value is not what was expected (compare-and-set) */
	ERR_REFUSED = -5,      /* understood, and not allowed */
	ERR_TOO_BIG = -6,      /* over a limit that the text names */
	ERR_WRONG_NODE = -7,   /* another node must do it */
	ERR_UNAVAILABLE = -8,  /* not now: peer, log or node away; a retry may work */
	ERR_TIMEOUT = -9,      /* the deadline passed, nothing was changed */
	ERR_UNKNOWN = -10,     /* it may or may not have happened; the log decides */
	ERR_IO = -11,          /* a system call failed */
	ERR_FULL = -12,        /* disk or quota full */
	ERR_CORRUPT = -13,     /* stored data do not check out */
	ERR_VERSION = -14,     /* written by a newer gitshard */
	ERR_UNSUPPORTED = -15, /* a feature, type or encoding that is not spoken here */
	ERR_NOMEM = -16,       /* a bounded, input-driven allocation failed */
	ERR_CLOSED = -17,      /* the other end went away */
	ERR_LOG_AWAY = -18,    /* no commit log: nobody can do it now, a retry at once is no use */
	ERR_NCODES = 19
};

struct err {
	int code;       /* ERR_* */
	char text[480]; /* NUL-terminated, no line feed, UTF-8 as it came */
};

/* Fills *e (NULL: nothing) and returns code, so that it can end a function. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Same, with ": strerror(errno)" behind; ENOSPC and EDQUOT become ERR_FULL, others ERR_IO. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts words before the present text: "words: text".  Returns the code. */
int err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *err_name(int code);         /* "not_found"; "?" for what is no code */
int err_http_status(int code);          /* 404 */
const char *err_default_text(int code); /* a sentence, for an empty text */
/* e's own text, or the sentence of the code when it has none. */
const char *err_text(const struct err *e);

#endif
