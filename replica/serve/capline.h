/* replica/serve/capline.h - the capability lines of the installed git, learned once at start from an
 * empty repository of each object format, not kept by hand (design 12, 12).  Thread: any after
 * capline_learn, read-only. */
#ifndef REPLICA_SERVE_CAPLINE_H
#define REPLICA_SERVE_CAPLINE_H

#include "gitproto/base/err.h"
#include "gitproto/oid.h"

struct capline {              /* texts as advert_opts wants them; all owned, NULL: not spoken */
	char *upload;         /* v0/v1 upload-pack */
	char *receive;        /* v0/v1 receive-pack */
	char *v2;             /* v2 upload-pack */
	bool caps_when_empty; /* upload-pack of an empty repository says them too */
};

struct caplines {
	struct capline format[2]; /* by enum oid_format; sha256: NULLs when git has none */
	char git_version[64];
};

/* Runs git in DIR (made, ours), blocking: for start-up.  ERR_UNSUPPORTED for a git before 2.29. */
MUST_CHECK int capline_learn(struct caplines *out, const char *dir, char *const *env, struct err *);
void capline_release(struct caplines *);

#endif
