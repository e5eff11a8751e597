/* The HTTP/1.1 server as raw clients see it. */
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gitproto/net/http1_policy.h"
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
static void
wait_for(struct client *c, const char *text)
{
	c->want = text;
	assert_true(run_until(c->loop, came, c));
	if (text != NULL && memmem(c->got.p, c->got.len, text, strlen(text)) == NULL)
		fail_msg("no \"%s\" in: %s", text, buf_str(&c->got));
}

static bool
quiet(void *arg)
{
	struct site *site = arg;

	return site->begun == site->closed && http_server_active(site->srv) == 0;
}

static bool
turns_over(void *arg)
{
	return (*(int *)arg)-- <= 0;
}

/* Sends in, cut after `cut` bytes, and waits for the end; returns the status of the last answer */
static void
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

static int
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

#define H "Host: x\r\nConnection: close\r\n"
#define REQ(fields) "GET /head HTTP/1.1\r\n" H fields "\r\n"
#define POST(fields, body) "POST /len HTTP/1.1\r\n" H fields "\r\n" body

static const struct attack {
	int status;
	struct slice in;
} attacks[] = {
	/* what must work */
	{ 200, SLICE_LIT(REQ("")) },
	{ 200, SLICE_LIT("\r\n" REQ("")) },
	{ 200, SLICE_LIT(REQ("X: \xc3\xa9\t a\r\n")) },
	{ 200, SLICE_LIT(REQ("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")) },
	{ 200, SLICE_LIT("GET /head HTTP/1.0\r\n\r\n") },
	{ 200, SLICE_LIT(POST("Content-Length: 5\r\n", "hello")) },
	{ 200, SLICE_LIT(POST("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")) },
	{ 200, SLICE_LIT(POST("Transfer-Encoding: Chunked\r\n",
			      "5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")) },
	{ 200, SLICE_LIT(POST("Content-Length: 0\r\n", "")) },
	/* request lines */
	{ 400, SLICE_LIT("GET /head\r\n\r\n") },
	{ 400, SLICE_LIT("GET\r\n\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/0.9\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.2\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/2.0\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.1 \r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET  /head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT(" GET /head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET http://x/head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /he\x01"
			 "ad HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /he\xff"
			 "ad HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /head#x HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("FROB /head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("get /head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("CONNECT x:1 HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("\r\n\r\n" REQ("")) },
	{ 400, SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
	/* line ends */
	{ 400, SLICE_LIT("GET /head HTTP/1.1\nHost: x\n\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\nHost: x\n\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\nHost: x\r\n\rX\r\n\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\nHost: x\rY: z\r\n\r\n") },
	{ 400, SLICE_LIT(REQ("X: a\0b\r\n")) },
	/* fields */
	{ 400, SLICE_LIT(REQ("X: a\r\n b\r\n")) },
	{ 400, SLICE_LIT(REQ("X: a\r\n\tb\r\n")) },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\n X: a\r\n" H "\r\n") },
	{ 400, SLICE_LIT(REQ("X : a\r\n")) },
	{ 400, SLICE_LIT(REQ(": a\r\n")) },
	{ 400, SLICE_LIT(REQ("X\r\n")) },
	{ 400, SLICE_LIT(REQ("X(y): a\r\n")) },
	{ 400, SLICE_LIT(REQ("X: a\x01\r\n")) },
	{ 400, SLICE_LIT(REQ("X: a\x7f\r\n")) },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\nConnection: close\r\n\r\n") },
	{ 400, SLICE_LIT(REQ("Host: x\r\n")) },
	{ 417, SLICE_LIT(POST("Expect: more\r\nContent-Length: 1\r\n", "x")) },
	/* framing */
	{ 400, SLICE_LIT("POST /len HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
	{ 400,
	  SLICE_LIT(POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")) },
	{ 400,
	  SLICE_LIT(POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
			      "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")) },
	{ 400, SLICE_LIT(POST("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")) },
	{ 400, SLICE_LIT(POST("Content-Length: +5\r\n", "hello")) },
	{ 400, SLICE_LIT(POST("Content-Length: 5 5\r\n", "hello")) },
	{ 400, SLICE_LIT(POST("Content-Length: 0x5\r\n", "hello")) },
	{ 400, SLICE_LIT(POST("Content-Length: -1\r\n", "")) },
	{ 400, SLICE_LIT(POST("Content-Length: \r\n", "")) },
	{ 400, SLICE_LIT(POST("Content-Length: 99999999999999999999\r\n", "")) },
/* chunks */
#define CH "Transfer-Encoding: chunked\r\n"
	{ 400, SLICE_LIT(POST(CH, "5\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5;x\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5\r\nhelloX\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "0x5\r\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "-5\r\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "fffffffffffffffff\r\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5\r\nhello\r\n0\r\nAuthorization: x\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5\r\nhello\r\n0\r\nHost: x\r\n\r\n")) },
};

static void
attack_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(attacks); i++) {
		const struct attack *a = &attacks[i];

		for (size_t cut = 0; cut < a->in.len; cut++) {
			struct client c;

			converse(&c, &site, a->in, cut);
			if (status_of(&c) != a->status)
				fail_msg("case %zu cut %zu: %s\nanswer: %s", i, cut,
					 (const char *)a->in.p, buf_str(&c.got));
			/* one answer, not two */
			assert_null(strstr(buf_str(&c.got) + 12, "HTTP/1.1 2"));
			assert_null(strstr(buf_str(&c.got) + 12, "HTTP/1.1 4"));
			client_close(&c);
		}
	}
	assert_true(run_until(loop, quiet, &site));
}

/* n bytes of x */
static void
add_x(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_add_byte(b, 'x');
}

static void
sizes(void **state)
{
	static const struct {
		size_t target, field, fields;
		int status;
	} cases[] = {
		{ 100, 100, 100, 200 },     { 8 * 1024 - 6, 10, 1, 200 }, { 8 * 1024, 10, 1, 414 },
		{ 70 * 1024, 10, 1, 414 },  { 10, 10, 126, 200 },         { 10, 10, 127, 431 },
		{ 10, 10, 5000, 431 },      { 10, 63 * 1024, 1, 200 },    { 10, 65 * 1024, 1, 431 },
		{ 10, 200 * 1024, 1, 431 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf in = BUF_MAX(MIB);
		struct client c;

		buf_add_str(&in, "GET /head?");
		add_x(&in, cases[i].target);
		buf_add_str(&in, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
		for (size_t k = 0; k < cases[i].fields; k++) {
			buf_addf(&in, "X-%zu: ", k);
			add_x(&in, cases[i].field);
			buf_add_str(&in, "\r\n");
		}
		buf_add_str(&in, "\r\n");
		converse(&c, &site, buf_slice(&in), 0);
		if (status_of(&c) != cases[i].status)
			fail_msg("case %zu: %.200s", i, buf_str(&c.got));
		client_close(&c);
		buf_release(&in);
	}
}

/* The scan alone, restarted at every byte. */
static void
scan_restarts(void **state)
{
	static const struct slice head = SLICE_LIT("\r\nGET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n");
	struct http1_scan s = { 0 };

	(void)state;
	for (size_t n = 0; n < head.len; n++)
		assert_int_equal(http1_policy_scan(&s, slice_head(head, n), NULL), 0);
	assert_int_equal(http1_policy_scan(&s, head, NULL), head.len);
}

static void
pipelined_answers_come_in_order(void **state)
{
	static const char in[] = "GET /sized?n=3 HTTP/1.1\r\nHost: x\r\n\r\n"
				 "POST /len HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
				 "GET /big?n=70000 HTTP/1.1\r\nHost: x\r\n\r\n"
				 "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n"
				 "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

	(void)state;
	for (size_t cut = 0; cut < sizeof(in) - 1; cut += 3) {
		const char *a, *b, *d;
		struct client c;

		converse(&c, &site, slice_str(in), cut);
		a = memmem(c.got.p, c.got.len, "\n5 ", 3);
		b = memmem(c.got.p, c.got.len, "transfer-encoding: chunked", 26);
		d = memmem(c.got.p, c.got.len, "204 No Content", 14);
		assert_true(a != NULL && b > a && d > b);
		assert_non_null(memmem(d, c.got.len - (size_t)(d - (char *)c.got.p), "404 Not", 7));
		client_close(&c);
	}
	assert_true(run_until(loop, quiet, &site));
	assert_int_equal(site.dead, 0);
}

static void
next_request_waits_for_the_answer(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, &site);
	stream_write(c.s, SLICE_LIT("GET /never HTTP/1.1\r\nHost: x\r\n\r\n"
				    "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n"));
	run_msec(loop, 20);
	assert_int_equal(site.begun, 1);
	client_close(&c);
	run_msec(loop, 20);
}

static void
http10_ends_by_close(void **state)
{
	struct client c;

	(void)state;
	converse(&c, &site, SLICE_LIT("GET /big?n=100000 HTTP/1.0\r\n\r\n"), 0);
	assert_null(strstr(buf_str(&c.got), "transfer-encoding"));
	assert_non_null(strstr(buf_str(&c.got), "connection: close\r\n"));
	assert_int_equal(c.got.len - (size_t)(strstr(buf_str(&c.got), "\r\n\r\n") + 4 -
					      buf_str(&c.got)),
			 100000);
	client_close(&c);
	client_open(&c, &site);
	stream_write(c.s, SLICE_LIT("GET /sized?n=5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
	wait_for(&c, "connection: keep-alive\r\n");
	assert_false(c.closed);
	stream_write(c.s, SLICE_LIT("GET /nowhere HTTP/1.0\r\n\r\n"));
	wait_for(&c, "404");
	client_close(&c);
}

static void
head_has_no_body(void **state)
{
	struct client c;

	(void)state;
	converse(&c, &site,
		 SLICE_LIT("HEAD /sized?n=1000 HTTP/1.1\r\nHost: x\r\n\r\n"
			   "HEAD /big?n=500000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
		 0);
	assert_non_null(strstr(buf_str(&c.got), "content-length: 1000\r\n"));
	assert_true(c.got.len < 600);
	client_close(&c);
}

static void
continue_is_said_when_the_handler_says_it(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, &site);
	stream_write(c.s, SLICE_LIT("POST /cont HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
				    "Content-Length: 5\r\n\r\n"));
	wait_for(&c, "HTTP/1.1 100 Continue\r\n\r\n");
	stream_write(c.s, SLICE_LIT("hello"));
	wait_for(&c, "200 OK");
	assert_false(c.closed);
	/* not asked for: not said */
	buf_clear(&c.got);
	stream_write(c.s,
		     SLICE_LIT("POST /cont HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"));
	wait_for(&c, "200 OK");
	assert_null(strstr(buf_str(&c.got), "100"));
	/* refused: the answer comes at once, and the connection is not used again */
	buf_clear(&c.got);
	stream_write(c.s, SLICE_LIT("POST /refuse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
				    "Content-Length: 5\r\n\r\n"));
	wait_for(&c, NULL);
	assert_int_equal(status_of(&c), 401);
	assert_non_null(strstr(buf_str(&c.got), "connection: close\r\n"));
	client_close(&c);
}

/* The whole body in pieces while the answer comes back. */
static void
echo_both_framings(void **state)
{
	uint8_t *data = mem_alloc(3 * MIB);

	(void)state;
	fill_pattern(data, 3 * MIB, 0);
	for (int chunked = 0; chunked < 2; chunked++) {
		struct buf in = BUF_MAX(8 * MIB);
		struct client c;

		buf_addf(&in, "POST /len HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
		if (chunked) {
			buf_add_str(&in, "Transfer-Encoding: chunked\r\n\r\n");
			for (size_t at = 0, n = 1; at < 3 * MIB; at += n, n = n * 3 + 1) {
				n = MIN(n, 3 * MIB - at);
				buf_addf(&in, "%zX\r\n", n);
				buf_add(&in, data + at, n);
				buf_add_str(&in, "\r\n");
			}
			buf_add_str(&in, "0\r\n\r\n");
		} else {
			buf_addf(&in, "Content-Length: %zu\r\n\r\n", 3 * MIB);
			buf_add(&in, data, 3 * MIB);
		}
		assert_true(buf_ok(&in));
		converse(&c, &site, buf_slice(&in), 0);
		{
			char want[64];

			snprintf(want, sizeof(want), "\n%zu %08x\n", 3 * MIB,
				 fnv(0, slice_of(data, 3 * MIB)));
			assert_non_null(strstr(buf_str(&c.got), want));
		}
		client_close(&c);
		buf_release(&in);
	}
	assert_true(site.peak <= 2 * STREAM_HIGH);
	free(data);
}

/* 401 while 20 MiB are on their way: git must read the 401, not a reset. */
static void
early_answer_lingers(void **state)
{
	uint8_t *data = mem_alloc(MIB);
	struct client c;

	(void)state;
	client_open(&c, &site);
	stream_write(c.s, SLICE_LIT("POST /refuse HTTP/1.1\r\nHost: x\r\n"
				    "Content-Length: 3000000\r\n\r\n"));
	for (int i = 0; i < 2; i++)
		stream_write(c.s, slice_of(data, MIB));
	wait_for(&c, NULL);
	assert_false(c.dead);
	assert_int_equal(status_of(&c), 401);
	assert_non_null(strstr(buf_str(&c.got), "no entry\n"));
	client_close(&c);
	/* without end: cut in the end */
	client_open(&c, &site);
	stream_write(c.s, SLICE_LIT("POST /refuse HTTP/1.1\r\nHost: x\r\n"
				    "Content-Length: 100000000\r\n\r\n"));
	for (int i = 0; i < 64; i++)
		stream_write(c.s, slice_of(data, MIB));
	wait_for(&c, NULL);
	assert_true(run_until(loop, quiet, &site));
	client_close(&c);
	free(data);
}

static void
slow_reader_bounds_the_memory(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, &site);
	stream_pause(c.s, true);
	stream_write(c.s, SLICE_LIT("GET /big?n=50000000 HTTP/1.1\r\nHost: x\r\n"
				    "Connection: close\r\n\r\n"));
	run_msec(loop, 100);
	assert_true(site.peak > 0 && site.peak <= 2 * STREAM_HIGH);
	assert_int_equal(site.closed, 0);
	stream_pause(c.s, false);
	wait_for(&c, NULL);
	assert_true(c.got.len > 50000000);
	assert_memory_equal(c.got.p + c.got.len - 5, "0\r\n\r\n", 5);
	client_close(&c);
}

static void
cut_answer_looks_cut(void **state)
{
	struct client c;

	(void)state;
	converse(&c, &site, SLICE_LIT("GET /cut?n=1000 HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
	assert_true(c.got.len < 1300);
	client_close(&c);
	assert_true(run_until(loop, quiet, &site));
	assert_int_equal(site.dead, 1);
}

static void
vanished_client_is_told(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, &site);
	stream_write(c.s,
		     SLICE_LIT("POST /len HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab"));
	run_msec(loop, 10);
	assert_int_equal(site.begun, 1);
	client_close(&c);
	assert_true(run_until(loop, quiet, &site));
	assert_int_equal(site.dead, 1);
}

static void
deadlines(void **state)
{
	static const struct http_server_opts o = { .idle_msec = 60,
						   .head_msec = 80,
						   .body_msec = 100 };
	struct site s = { 0 };
	struct client c;

	(void)state;
	site_open(&s, loop, &o);
	converse(&c, &s, SLICE_NONE, 0);
	assert_int_equal(c.got.len, 0);
	client_close(&c);
	converse(&c, &s, SLICE_LIT("GET / HTTP/1.1\r\nHo"), 0);
	assert_int_equal(status_of(&c), 408);
	client_close(&c);
	converse(&c, &s, SLICE_LIT("POST /len HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"),
		 0);
	assert_int_equal(c.got.len, 0);
	assert_int_equal(s.dead, 1);
	client_close(&c);
	/* it is our turn: no deadline of the client's */
	client_open(&c, &s);
	stream_write(c.s, SLICE_LIT("GET /never HTTP/1.1\r\nHost: x\r\n\r\n"));
	run_msec(loop, 300);
	assert_false(c.closed);
	client_close(&c);
	/* a client that reads nothing */
	client_open(&c, &s);
	stream_pause(c.s, true);
	stream_write(c.s, SLICE_LIT("GET /big?n=50000000 HTTP/1.1\r\nHost: x\r\n\r\n"));
	run_msec(loop, 400);
	assert_int_equal(s.dead, 2);
	client_close(&c);
	http_server_free(&s.srv);
	assert_int_equal(s.begun, s.closed);
}

static void
drain_lets_the_running_ones_finish(void **state)
{
	struct client busy, idle;

	(void)state;
	client_open(&idle, &site);
	stream_write(idle.s, SLICE_LIT("GET /empty HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for(&idle, "204");
	client_open(&busy, &site);
	stream_write(busy.s,
		     SLICE_LIT("POST /len HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"));
	run_msec(loop, 10);
	http_server_drain(site.srv);
	wait_for(&idle, NULL);
	stream_write(busy.s, SLICE_LIT("hello"));
	wait_for(&busy, NULL);
	assert_non_null(strstr(buf_str(&busy.got), "connection: close\r\n"));
	client_close(&idle);
	client_close(&busy);
}

static bool
no_server(void *arg)
{
	return ((struct site *)arg)->srv == NULL;
}

static void
server_freed_in_a_callback(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct site s = { .free_server_in_handler = i == 0,
				  .free_server_in_close = i == 1 };
		struct client c, other;

		site_open(&s, loop, NULL);
		client_open(&other, &s);
		client_open(&c, &s);
		stream_write(c.s, SLICE_LIT("GET /sized?n=3 HTTP/1.1\r\nHost: x\r\n\r\n"));
		assert_true(run_until(loop, no_server, &s));
		assert_int_equal(s.begun, s.closed);
		wait_for(&other, NULL);
		client_close(&c);
		client_close(&other);
	}
}

static void
strangers_are_refused(void **state)
{
	struct http_server_opts o = { .listen = "0.0.0.0:0", .handler = on_request };
	struct http_server *srv = NULL;
	struct err e;

	(void)state;
	assert_int_equal(http_server_new(&srv, loop, &o, &e), ERR_REFUSED);
	o.listen = "localhost:0";
	assert_int_equal(http_server_new(&srv, loop, &o, &e), ERR_BAD);
	o.listen = "127.0.0.1:99999";
	assert_int_equal(http_server_new(&srv, loop, &o, &e), ERR_BAD);
	o.listen = http_server_addr(site.srv);
	assert_int_equal(http_server_new(&srv, loop, &o, &e), ERR_IO);
	assert_null(srv);
}

static bool
child_ended(void *arg)
{
	int status;
	pid_t *pid = arg;

	if (waitpid(*pid, &status, WNOHANG) != *pid)
		return false;
	*pid = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return true;
}

/* A foreign client: curl uploads by chunks and compares what it gets. */
static void
curl_speaks_to_it(void **state)
{
	char cmd[512];
	pid_t pid;

	(void)state;
	if (system("curl --version >/dev/null 2>&1") != 0)
		skip();
	snprintf(cmd, sizeof(cmd),
		 "t=$(mktemp -d) && head -c 3000000 /dev/urandom >$t/a &&"
		 " curl -sf -T $t/a -H 'Transfer-Encoding: chunked' -H 'Expect: 100-continue'"
		 " -o $t/b http://%s/echo -X POST && cmp $t/a $t/b &&"
		 " curl -sf --data-binary @$t/a -o $t/c http://%s/echo && cmp $t/a $t/c; rc=$?;"
		 " rm -r $t; exit $rc",
		 http_server_addr(site.srv), http_server_addr(site.srv));
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", cmd, NULL);
		_exit(127);
	}
	assert_true(run_until(loop, child_ended, &pid));
	assert_int_equal(pid, 0);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(attack_table),
		T(sizes),
		T(scan_restarts),
		T(pipelined_answers_come_in_order),
		T(next_request_waits_for_the_answer),
		T(http10_ends_by_close),
		T(head_has_no_body),
		T(continue_is_said_when_the_handler_says_it),
		T(echo_both_framings),
		T(early_answer_lingers),
		T(slow_reader_bounds_the_memory),
		T(cut_answer_looks_cut),
		T(vanished_client_is_told),
		T(deadlines),
		T(drain_lets_the_running_ones_finish),
		T(server_freed_in_a_callback),
		T(strangers_are_refused),
		T(curl_speaks_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
