/* tests/unit/shard-map/ctl/stub_node.h - an admin listener that gives prepared answers, on a thread
 * of its own.  Thread: the test's. */
#ifndef TESTS_UNIT_SHARD_MAP_CTL_STUB_NODE_H
#define TESTS_UNIT_SHARD_MAP_CTL_STUB_NODE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/shard-map/map_test.h"

struct stub_answer {
	const char *begins; /* of the request line: "GET /status" */
	int status;         /* 0: the connection is closed without an answer; -1: never answered */
	const char *body;
	unsigned times; /* then the next row that fits; 0: for ever */
};

struct stub_node {
	char addr[32];
	struct stub_answer *answers; /* borrowed; NULL begins at the end */
	unsigned asked;              /* read it after stub_stop */
	char last[4096];             /* the last request, same */
	int fd;
	pthread_t thread;
};

static const struct stub_answer *
stub_find(struct stub_node *s, const char *request)
{
	for (struct stub_answer *a = s->answers; a->begins != NULL; a++) {
		if (strncmp(request, a->begins, strlen(a->begins)) != 0)
			continue;
		if (a->times == 0)
			return a;
		if (a->times == 1) {
			a->begins = "used up";
			return a;
		}
		a->times--;
		return a;
	}
	return NULL;
}

/* A whole request: head, and body as Content-Length says. */
static void
stub_read(int c, char *to, size_t size)
{
	size_t n = 0, want = 0;

	memset(to, 0, size);
	while (n + 1 < size) {
		ssize_t got = read(c, to + n, size - 1 - n);
		const char *end, *length;

		if (got <= 0)
			return;
		n += (size_t)got;
		end = strstr(to, "\r\n\r\n");
		if (end == NULL)
			continue;
		length = strstr(to, "Content-Length: ");
		want = (size_t)(end - to) + 4;
		if (length != NULL)
			want += (size_t)atoi(length + 16);
		if (n >= want)
			return;
	}
}

static void *
stub_run(void *arg)
{
	struct stub_node *s = arg;
	int held[16], nheld = 0, c;

	while ((c = accept(s->fd, NULL, NULL)) >= 0) {
		const struct stub_answer *a;

		stub_read(c, s->last, sizeof(s->last));
		s->asked++;
		a = stub_find(s, s->last);
		if (a != NULL && a->status == -1 && nheld < 16) {
			held[nheld++] = c;
			continue;
		}
		if (a == NULL || a->status > 0)
			dprintf(c,
				"HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: "
				"close\r\n\r\n%s",
				a != NULL ? a->status : 404, strlen(a != NULL ? a->body : ""),
				a != NULL ? a->body : "");
		close(c);
	}
	while (nheld > 0)
		close(held[--nheld]);
	return NULL;
}

UNUSED static void
stub_start(struct stub_node *s, struct stub_answer *answers)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	*s = (struct stub_node){ .answers = answers };
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->fd, 16), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
	snprintf(s->addr, sizeof(s->addr), "127.0.0.1:%u", ntohs(a.sin_port));
	assert_int_equal(pthread_create(&s->thread, NULL, stub_run, s), 0);
}

UNUSED static void
stub_stop(struct stub_node *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

#endif
