#include "gitproto/net/unix_server.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

struct unix_server {
	struct loop *loop; /* borrowed */
	char path[UNIX_SERVER_PATH];
	int fd;
	struct event *ev; /* owned */
	unix_server_fn *fn;
	void *arg;
};

static void
on_ready(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct unix_server *u = arg;
	int got;

	while ((got = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		u->fn(stream_open_fd(u->loop, got, got), u->arg);
}

int
unix_server_new(struct unix_server **out, struct loop *loop, const char *path, unix_server_fn *fn,
		void *arg, struct err *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct unix_server *u;
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(err, ERR_TOO_BIG, "the path of a unix socket is too long: %s", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, "cannot make a unix socket");
	unlink(path);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || chmod(path, 0600) != 0 ||
	    listen(fd, 1024) != 0) {
		int rc = err_errno(err, "cannot listen at %s", path);

		close(fd);
		return rc;
	}
	u = MEM_NEW(struct unix_server);
	u->loop = loop;
	memcpy(u->path, path, strlen(path) + 1);
	u->fd = fd;
	u->fn = fn;
	u->arg = arg;
	u->ev = event_new(loop_base(loop), fd, EV_READ | EV_PERSIST, on_ready, u);
	CHECK(u->ev != NULL && event_add(u->ev, NULL) == 0);
	*out = u;
	return 0;
}

void
unix_server_free(struct unix_server **up)
{
	struct unix_server *u = *up;

	if (u == NULL)
		return;
	*up = NULL;
	event_free(u->ev);
	close(u->fd);
	unlink(u->path);
	free(u);
}
