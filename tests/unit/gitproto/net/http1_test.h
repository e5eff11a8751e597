/* A raw HTTP/1.1 client, for the tests of what the server lets in and of how it behaves. */
#ifndef TESTS_UNIT_GITPROTO_NET_HTTP1_TEST_H
#define TESTS_UNIT_GITPROTO_NET_HTTP1_TEST_H

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gitproto/net/sock.h"
#include "tests/unit/gitproto/net/http_test.h"

#define MIB ((size_t)1024 * 1024)

struct client {
	struct loop *loop;
	struct stream *s;
	struct buf got;
	bool closed, dead;
	bool hold;        /* reads nothing */
	const char *want; /* until this text came */
};

static void
on_client(struct stream *s, enum stream_event e, void *arg)
{
	struct client *c = arg;

	if (e == STREAM_READABLE && !c->hold) {
		while (stream_readable(s) > 0) {
			struct slice got = stream_peek(s, 0);

			buf_add_slice(&c->got, got);
			stream_take(s, got.len);
		}
		c->closed = stream_at_end(s);
	}
	if (e == STREAM_DEAD)
		c->closed = c->dead = true;
}

static void
client_open(struct client *c, struct site *site)
{
	struct sock_addr a;
	int fd;

	*c = (struct client){ .loop = site->loop, .got = BUF_MAX(256 * MIB) };
	assert_int_equal(sock_parse(&a, http_server_addr(site->srv), NULL), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a.ss, a.len), 0);
	c->s = stream_open_fd(site->loop, fd, fd);
	stream_on(c->s, on_client, c);
}

static void
client_close(struct client *c)
{
	stream_free(&c->s);
	buf_release(&c->got);
}

static bool
came(void *arg)
{
	struct client *c = arg;

	return c->closed || (c->want != NULL && c->got.len > 0 &&
			     memmem(c->got.p, c->got.len, c->want, strlen(c->want)) != NULL);
}

/* Until the text came or the server closed; the text is NULL for "closed". */
UNUSED static void
wait_for(struct client *c, const char *text)
{
	c->want = text;
	assert_true(run_until(c->loop, came, c));
	if (text != NULL && memmem(c->got.p, c->got.len, text, strlen(text)) == NULL)
		fail_msg("no \"%s\" in: %s", text, buf_str(&c->got));
}

UNUSED static bool
quiet(void *arg)
{
	struct site *site = arg;

	return site->begun == site->closed && http_server_active(site->srv) == 0;
}

UNUSED static bool
turns_over(void *arg)
{
	return (*(int *)arg)-- <= 0;
}

/* Sends in, cut after `cut` bytes, and waits for the end; returns the status of the last answer */
UNUSED static void
converse(struct client *c, struct site *site, struct slice in, size_t cut)
{
	int turns = 1;

	client_open(c, site);
	stream_write(c->s, slice_head(in, cut));
	if (cut > 0 && cut < in.len)
		run_until(site->loop, turns_over, &turns);
	stream_write(c->s, slice_skip(in, cut));
	wait_for(c, NULL);
}

UNUSED static int
status_of(const struct client *c)
{
	return c->got.len > 12 ? (int)strtol(buf_str(&c->got) + 9, NULL, 10) : 0;
}

static struct site site;
static struct loop *loop;

static int
set_up(void **state)
{
	(void)state;
	site = (struct site){ 0 };
	loop = loop_new("test");
	site_open(&site, loop, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	http_server_free(&site.srv);
	assert_int_equal(site.begun, site.closed);
	loop_free(&loop);
	return 0;
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

#endif
