/* gitproto/net/sock.h - addresses, listening and dialling.  Thread: loop.
 * Addresses are numeric: "127.0.0.1:7001", "[::1]:7001".  Names are resolved elsewhere. */
#ifndef GITPROTO_NET_SOCK_H
#define GITPROTO_NET_SOCK_H

#include <sys/socket.h>

#include "gitproto/base/err.h"
#include "gitproto/net/loop.h"

struct sock_addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

#define SOCK_TEXT 64 /* bytes that sock_format needs */

MUST_CHECK int sock_parse(struct sock_addr *out, const char *text, struct err *);
void sock_format(char out[SOCK_TEXT], const struct sock_addr *);
bool sock_is_loopback(const struct sock_addr *);
unsigned sock_port(const struct sock_addr *);

/* A listening descriptor, nonblocking; *bound is what the kernel chose. */
MUST_CHECK int sock_listen(int *fd, struct sock_addr *bound, const struct sock_addr *at,
			   bool reuse_port, struct err *);
/* The next connection: a descriptor with TCP_NODELAY and little that waits in the kernel to be sent (as
 * a dialled one), or -1 (errno). */
int sock_accept(int listen_fd, struct sock_addr *peer);

/* One attempt to connect.  fn is called once, from the loop: fd >= 0 is then its own, otherwise why
 * says what went wrong.  sock_dial_free ends the attempt without a call; also after it. */
struct sock_dial;
typedef void sock_dial_fn(int fd, const char *why, void *arg);
struct sock_dial *sock_dial_new(struct loop *, const struct sock_addr *, unsigned msec,
				sock_dial_fn *, void *arg);
void sock_dial_free(struct sock_dial **);

#endif
