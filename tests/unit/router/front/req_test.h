/* Requests as git makes them, and what most nodes of these tests do. */
#ifndef TESTS_UNIT_ROUTER_FRONT_REQ_TEST_H
#define TESTS_UNIT_ROUTER_FRONT_REQ_TEST_H

#include "gitproto/base/log.h"
#include "router/front/req.h"
#include "tests/unit/router/front/fake.h"

#define GET(repo)                                                                     \
	"GET /" repo ".git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n" \
	"Connection: close\r\n\r\n"
#define GET_PUSH                                                                  \
	"GET /a/b.git/info/refs?service=git-receive-pack HTTP/1.1\r\nHost: x\r\n" \
	"Connection: close\r\n\r\n"
#define POST(service, more)                                                          \
	"POST /a/b.git/git-" service " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" \
	"Content-Type: application/x-git-" service "-request\r\n" more "\r\n"

UNUSED static bool
is_over(void *arg)
{
	return ((struct client *)arg)->over;
}

/* One request from beginning to end. */
UNUSED static void
ask(struct client *c, struct bed *b, const char *request, uint64_t body)
{
	client_open(c, b, request);
	client_body(c, body);
	assert_true(run_until(b->loop, is_over, c));
}

UNUSED static int
status_of(struct bed *b, const char *request)
{
	struct client c;
	int status;

	ask(&c, b, request, 0);
	status = client_status(&c);
	client_close(&c);
	return status;
}

UNUSED static void
say_hello(struct hit *h)
{
	hit_reply(h, 200, "hello\n");
}

static void
reply_sum(struct hit *h)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu %08x", (unsigned long long)h->got, h->sum);
	hit_reply(h, 200, text);
}

UNUSED static void
sum_body(struct hit *h)
{
	hit_read(h, reply_sum);
}

UNUSED static void
hang(struct hit *h)
{
	(void)h;
}

UNUSED static void
refuse_503(struct hit *h)
{
	hit_reply(h, 503, "no lease here\n");
}

/* A node without a commit log. */
UNUSED static void
refuse_log_away(struct hit *h)
{
	struct http_head *extra = http_head_new();

	http_head_addf(extra, "gitshard-reason", "log-away");
	http_xchg_reply(h->x, 503, extra, "text/plain", SLICE_LIT("no log here\n"));
	http_head_free(&extra);
}

UNUSED static void
break_off(struct hit *h)
{
	stream_reset(h->s, "died");
}

UNUSED static void
admit_push(struct hit *h)
{
	http_xchg_continue(h->x);
	sum_body(h);
}

#endif
