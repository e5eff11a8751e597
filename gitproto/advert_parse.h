/* gitproto/advert_parse.h - reads advertisements of v0, v1 and v2: for the learner of capability
 * texts (advert.h) and for tests.  Thread: any.  Source: as advert.h. */
#ifndef GITPROTO_ADVERT_PARSE_H
#define GITPROTO_ADVERT_PARSE_H

#include "gitproto/base/err.h"
#include "gitproto/pktline.h"
#include "gitproto/reflist.h"
#include "gitproto/service.h"
#include "gitproto/version.h"

/* What an advertisement said; all owned, released by advert_release. */
struct advert {
	enum version version;
	enum service service;       /* of "# service=", NONE without one */
	struct buf caps;            /* text as in advert_opts */
	struct reflist_item *items; /* without HEAD; names owned */
	size_t n;
	struct oid head;   /* the HEAD line; len 0: none */
	char *head_target; /* of symref=HEAD:...; NULL: not told */
	bool said_caps_when_empty;
	enum oid_format format;
};

/* Bytes eaten, with the last flush; 0: wants more, nothing was stored; ERR_BAD; ERR_TOO_BIG (more
 * than max_refs); ERR_NOMEM; an ERR packet is ERR_REFUSED with its text. */
MUST_CHECK ssize_t advert_parse(struct advert *out, struct slice in, size_t max_refs, struct err *);
void advert_release(struct advert *);

#endif
