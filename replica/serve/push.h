/* replica/serve/push.h - THE LIFE OF A PUSH on its primary.  Thread: loop.
 *
 *	push.c		request, repository, admission, git receive-pack, the answer
 *	push_hook.c	what git's hooks ask on the way: the last refusals, and staging
 *	push_commit.c	lock, validation, the record, its fate, the report per ref
 *	push_check.c	may this ref move so? (pure but for the catalog's refs) */
#ifndef REPLICA_SERVE_PUSH_H
#define REPLICA_SERVE_PUSH_H

#include "gitproto/net/http_server.h"
#include "gitproto/smart_path.h"

struct serve;
struct pushes;
struct repo_locks;

/* Makes the hook socket at serve->sock. */
MUST_CHECK int pushes_new(struct pushes **out, struct serve *, struct err *);
/* After every thread that may call back has ended: pushes still under way are forgotten, their git
 * processes killed.  The log decides what becomes of their records. */
void pushes_free(struct pushes **);
unsigned pushes_active(const struct pushes *);
/* The write locks, one a repository: who changes one by another record takes its lock too. */
struct repo_locks *pushes_locks(struct pushes *);

/* POST git-receive-pack.  The exchange is answered, always. */
void push_start(struct serve *, struct http_xchg *, const struct smart_path *);

#endif
