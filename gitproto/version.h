/* gitproto/version.h - the protocol version that a client asks for.  Thread: any.
 * Source: git's protocol.c: GIT_PROTOCOL, or the header Git-Protocol, is a colon-separated list;
 * the highest known "version=N" in it counts, without one it is v0. */
#ifndef GITPROTO_VERSION_H
#define GITPROTO_VERSION_H

#include "gitproto/service.h"

enum version { VERSION_0, VERSION_1, VERSION_2 };

enum version version_parse(struct slice header);
/* What a service speaks when asked so: receive-pack has no v2 and answers v0; upload-archive has
 * no versions at all. */
enum version version_spoken(enum service, enum version asked);
/* "version=2" for a GIT_PROTOCOL of our own; NULL for v0, which is said by silence */
const char *version_text(enum version);

#endif
