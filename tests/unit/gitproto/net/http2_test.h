/* A server and a session to it, and calls that check their answers. */
#ifndef TESTS_UNIT_GITPROTO_NET_HTTP2_TEST_H
#define TESTS_UNIT_GITPROTO_NET_HTTP2_TEST_H

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gitproto/net/http_client.h"
#include "gitproto/net/sock.h"
#include "tests/unit/gitproto/net/http_test.h"

#define MIB ((size_t)1024 * 1024)

static struct site site;
static struct loop *loop;
static struct http_session *sess;

static const struct http_server_opts h2_opts = { .http2 = true };

static void
session_open(void)
{
	struct http_session_opts o = { .addr = http_server_addr(site.srv) };

	sess = http_session_new(loop, &o);
}

static int
set_up(void **state)
{
	(void)state;
	site = (struct site){ 0 };
	loop = loop_new("test");
	site_open(&site, loop, &h2_opts);
	session_open();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	http_session_free(&sess);
	http_server_free(&site.srv);
	assert_int_equal(site.begun, site.closed);
	loop_free(&loop);
	return 0;
}

struct fetch {
	struct http_call *call;
	struct stream *s;
	uint64_t to_send, sent, got, seen_at_continue;
	uint32_t sum;
	struct buf text; /* the first bytes */
	bool wait_continue, continued, failed, ended, dead;
	bool hold; /* reads nothing */
	bool free_at_head;
	bool keep_sending; /* writes on whatever the answer */
	int status;
	uint64_t ended_ns;
};

static void
fetch_write(struct fetch *f)
{
	uint8_t block[16384];

	if (f->wait_continue && !f->continued)
		return;
	while (f->sent < f->to_send && stream_queued(f->s) < STREAM_HIGH) {
		size_t n = MIN(sizeof(block), f->to_send - f->sent);

		fill_pattern(block, n, f->sent);
		stream_write(f->s, slice_of(block, n));
		f->sent += n;
	}
	if (f->sent == f->to_send)
		stream_end(f->s);
}

static void
fetch_read(struct fetch *f)
{
	while (stream_readable(f->s) > 0) {
		struct slice got = stream_peek(f->s, 0);

		f->sum = fnv(f->sum, got);
		f->got += got.len;
		if (f->text.len < 4096)
			buf_add_slice(&f->text, slice_head(got, 4096));
		stream_take(f->s, got.len);
	}
	if (stream_at_end(f->s)) {
		f->ended = true;
		f->ended_ns = clock_boot_ns();
	}
}

static void
on_fetch_stream(struct stream *s, enum stream_event e, void *arg)
{
	struct fetch *f = arg;

	(void)s;
	if (e == STREAM_READABLE && !f->hold) {
		assert_true(f->status != 0); /* the head comes first */
		fetch_read(f);
	}
	if (e == STREAM_WRITABLE && f->to_send > 0)
		fetch_write(f);
	if (e == STREAM_DEAD)
		f->dead = true;
}

static void
on_fetch(struct http_call *c, enum http_call_event e, void *arg)
{
	struct fetch *f = arg;

	assert_ptr_equal(c, f->call);
	switch (e) {
	case CALL_CONTINUE:
		f->continued = true;
		f->seen_at_continue = f->sent;
		fetch_write(f);
		break;
	case CALL_HEAD:
		f->status = http_call_response(c)->status;
		if (f->free_at_head)
			http_call_free(&f->call);
		break;
	case CALL_FAILED:
		f->failed = true;
		assert_string_not_equal(http_call_why(c), "");
		break;
	}
}

static void
fetch_start(struct fetch *f, const char *method, const char *target)
{
	struct http_head *h = http_head_new();

	f->text = BUF_MAX(8192);
	http_head_request(h, method, target);
	http_head_addf(h, "x-test", "%s", "yes");
	if (f->wait_continue)
		http_head_addf(h, "expect", "100-continue");
	f->call = http_call_new(sess, h, f->to_send > 0, on_fetch, f);
	http_head_free(&h);
	f->s = http_call_stream(f->call);
	stream_on(f->s, on_fetch_stream, f);
	if (f->to_send > 0)
		fetch_write(f);
}

static void
fetch_stop(struct fetch *f)
{
	http_call_free(&f->call);
	buf_release(&f->text);
}

static bool
has_finished(void *arg)
{
	struct fetch *f = arg;

	return f->ended || f->failed || f->dead || f->call == NULL;
}

UNUSED static bool
has_status(void *arg)
{
	struct fetch *f = arg;

	return f->status != 0 || f->failed;
}

UNUSED static void
must_finish(struct fetch *f, int status)
{
	assert_true(run_until(loop, has_finished, f));
	if (f->failed)
		fail_msg("failed: %s", http_call_why(f->call));
	if (f->dead)
		fail_msg("dead: %s", stream_why(f->s));
	assert_int_equal(f->status, status);
}

UNUSED static bool
quiet(void *arg)
{
	struct site *s = arg;

	return s->begun == s->closed && http_server_active(s->srv) == 0;
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

#endif
