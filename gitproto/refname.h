/* gitproto/refname.h - legal ref names.  Thread: any.
 * Source: git-check-ref-format(1) and what receive-pack refuses ("funny refname"). */
#ifndef GITPROTO_REFNAME_H
#define GITPROTO_REFNAME_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"

#define REFNAME_MAX 1024          /* bytes of a name */
#define REFNAME_COMPONENT_MAX 250 /* a file name, with room for ".lock" */
#define REFNAME_INTERNAL "refs/gitshard/"

/* May a client create, move or delete this ref?  Full format, below refs/, at least two components
 * behind it, not internal, bounded.  0, ERR_BAD or ERR_REFUSED; the text is fit for an `ng` line. */
MUST_CHECK int refname_check(struct slice name, struct err *);
/* git check-ref-format alone (no one-level names); NULL when legal, otherwise why not. */
const char *refname_wrong(struct slice name);
/* Is dir a directory on the way to name: "refs/heads/a" of "refs/heads/a/b"?  Both cannot exist. */
bool refname_is_dir_of(struct slice dir, struct slice name);

#endif
