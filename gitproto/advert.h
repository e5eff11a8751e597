/* gitproto/advert.h - ref advertisements of v0 and v1 and the capability advertisement of v2, byte
 * for byte as git 2.39.5 writes them.  Thread: any.
 * Source: gitprotocol-pack(5), gitprotocol-http(5), gitprotocol-v2(5), upload-pack.c,
 * receive-pack.c.  Not written: `shallow` lines (repositories are never shallow) and `.have`.
 *
 * Capability texts are learned from the installed git, by advert_parse.h, from an advertisement of
 * a repository with a branch and a symbolic HEAD.  The writer replaces in place what belongs to one
 * repository or one answer: symref, object-format, session-id, push-cert. */
#ifndef GITPROTO_ADVERT_H
#define GITPROTO_ADVERT_H

#include "gitproto/base/err.h"
#include "gitproto/pktline.h"
#include "gitproto/reflist.h"
#include "gitproto/service.h"
#include "gitproto/version.h"

struct advert_opts {
	enum service service; /* upload-pack or receive-pack */
	enum version version; /* as version_spoken says */
	/* "# service=..." and a flush first (v0 and v1), and `no-done`, which is dropped from what
	 * was learned when false (SSH) */
	bool http;
	struct slice caps;           /* as learned; v0, v1: "a b=c"; v2: one a line, LF between */
	const char *session_id;      /* NULL: no session-id, even if one was learned */
	const char *push_cert_nonce; /* NULL: no push-cert */
	/* upload-pack of a repository without refs says "0... capabilities^{}" (git 2.41 and later)
	 * instead of nothing; receive-pack always says it */
	bool caps_when_empty;
};

void advert_add(struct buf *, const struct reflist *, const struct advert_opts *);
/* The list that dumb clients get from info/refs: "oid TAB ref LF", peeled ones after their tags. */
void advert_add_dumb(struct buf *, const struct reflist *);

#endif
