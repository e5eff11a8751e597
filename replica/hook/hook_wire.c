#include "replica/hook/hook_wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool
read_whole(int fd, uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t got = read(fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

/* pkt-lines are read by their length alone, so that not a byte of what follows is taken. */
enum hook_wire_kind
hook_wire_read(int fd, struct buf *line)
{
	char head[5] = "", *end;
	uint8_t *to;
	size_t len;

	buf_clear(line);
	if (!read_whole(fd, (uint8_t *)head, 4))
		return HOOK_WIRE_END;
	len = strtoul(head, &end, 16);
	if (end != head + 4)
		return HOOK_WIRE_END;
	if (len < 4)
		return len == 0 ? HOOK_WIRE_FLUSH : HOOK_WIRE_END;
	to = buf_grow(line, len - 4);
	if (to == NULL || !read_whole(fd, to, len - 4))
		return HOOK_WIRE_END;
	if (line->len > 0 && line->p[line->len - 1] == '\n')
		line->p[--line->len] = '\0';
	return HOOK_WIRE_LINE;
}

bool
hook_wire_send(int fd, struct buf *out)
{
	size_t done = 0;
	bool ok = buf_ok(out);

	while (ok && done < out->len) {
		ssize_t n = write(fd, out->p + done, out->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		ok = n > 0;
		done += ok ? (size_t)n : 0;
	}
	buf_clear(out);
	return ok;
}

int
hook_wire_connect(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}
