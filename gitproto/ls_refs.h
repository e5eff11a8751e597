/* gitproto/ls_refs.h - v2's command ls-refs: its arguments and its answer, byte for byte as git's.
 * Thread: any.  Source: gitprotocol-v2(5), ls-refs.c. */
#ifndef GITPROTO_LS_REFS_H
#define GITPROTO_LS_REFS_H

#include "gitproto/reflist.h"
#include "gitproto/v2_request.h"

#define LS_REFS_PREFIXES 65536 /* so many or more count as none */

struct ls_refs {
	bool symrefs, peel, unborn;
	struct slice *prefixes; /* array owned, texts borrowed from the request; sorted, none of
				 * them the beginning of another */
	size_t n_prefixes;      /* 0: all refs */
};

/* The request is done and its command is ls-refs.  allow_unborn: `unborn` was advertised, otherwise
 * it is ignored.  ERR_BAD with git's words for an unknown argument, ERR_NOMEM. */
MUST_CHECK int ls_refs_parse(struct ls_refs *out, const struct v2_request *, bool allow_unborn,
			     struct err *);
void ls_refs_release(struct ls_refs *);
/* The whole answer with its flush.  Cost: a binary search for each prefix, and what matches. */
void ls_refs_write(struct buf *, const struct ls_refs *, const struct reflist *);

#endif
