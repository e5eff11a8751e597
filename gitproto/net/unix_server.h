/* gitproto/net/unix_server.h - a listening unix socket whose connections are streams.  Thread: loop. */
#ifndef GITPROTO_NET_UNIX_SERVER_H
#define GITPROTO_NET_UNIX_SERVER_H

#include "gitproto/base/err.h"
#include "gitproto/net/loop.h"
#include "gitproto/net/stream.h"

#define UNIX_SERVER_PATH 108 /* bytes of a path, NUL included (unix(7)) */

struct unix_server;
/* The stream is the callee's. */
typedef void unix_server_fn(struct stream *, void *arg);

/* Mode 0600; what lies at path is replaced.  ERR_TOO_BIG for a long path, ERR_IO. */
MUST_CHECK int unix_server_new(struct unix_server **out, struct loop *, const char *path,
			       unix_server_fn *, void *arg, struct err *);
void unix_server_free(struct unix_server **); /* removes the path */

#endif
