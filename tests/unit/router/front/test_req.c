#include "router/front/req.h"

#include "gitproto/base/log.h"
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

static bool
is_over(void *arg)
{
	return ((struct client *)arg)->over;
}

/* One request from beginning to end. */
static void
ask(struct client *c, struct bed *b, const char *request, uint64_t body)
{
	client_open(c, b, request);
	client_body(c, body);
	assert_true(run_until(b->loop, is_over, c));
}

static int
status_of(struct bed *b, const char *request)
{
	struct client c;
	int status;

	ask(&c, b, request, 0);
	status = client_status(&c);
	client_close(&c);
	return status;
}

static void
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

static void
sum_body(struct hit *h)
{
	hit_read(h, reply_sum);
}

/* --- what never reaches a node --- */

static void
test_refused_at_the_door(void **state)
{
	static const struct {
		const char *request;
		int status;
	} cases[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404 },
		{ "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400 },
		{ "GET /a/../b.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n"
		  "Connection: close\r\n\r\n",
		  400 },
		{ "GET /a/b.git/info/refs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 403 },
		{ "GET /a/b.git/HEAD HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 403 },
		{ "POST /a/b.git/git-upload-archive HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		  "Content-Length: 0\r\n\r\n",
		  403 },
		{ "GET /a/b.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		  405 },
		{ "HEAD /a/b.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n"
		  "Connection: close\r\n\r\n",
		  405 },
		{ "POST /a/b.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		  "Content-Length: 0\r\n\r\n",
		  415 },
		{ POST("receive-pack", "Content-Length: 0\r\nContent-Encoding: br\r\n"), 415 },
	};
	struct bed b;

	(void)state;
	bed_open(&b, say_hello, 1, 500, 100);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct client c;

		ask(&c, &b, cases[i].request, 0);
		assert_int_equal(client_status(&c), cases[i].status);
		if (strncmp(cases[i].request, "HEAD", 4) != 0)
			assert_non_null(strstr(client_text(&c), "gitshard: "));
		assert_non_null(strstr(buf_str(&c.raw), "text/plain"));
		client_close(&c);
	}
	assert_int_equal(bed_hits(&b), 0);
	bed_close(&b);
}

static void
test_no_map(void **state)
{
	struct front_opts fo = { .listen = "127.0.0.1:0", .retry_msec = 300, .stall_msec = 1000 };
	struct bed b = { .loop = loop_new("test") };
	struct client c;
	struct err e;

	(void)state;
	b.stats = front_stats_new();
	admit_init(&b.admit, 10);
	fo.loop = b.loop;
	fo.route = b.route = route_new(b.loop, NULL);
	fo.admit = &b.admit;
	fo.stats = b.stats;
	assert_int_equal(front_new(&b.front, &fo, &e), 0);
	ask(&c, &b, GET("a/b"), 0);
	assert_int_equal(client_status(&c), 503);
	assert_non_null(strstr(buf_str(&c.raw), "retry-after: 1"));
	client_close(&c);
	front_free(&b.front);
	route_free(&b.route);
	stats_free(&b.stats);
	run_msec(b.loop, 1);
	loop_free(&b.loop);
}

static void
hang(struct hit *h)
{
	(void)h;
}

static void
test_too_many(void **state)
{
	struct bed b;
	struct client first;

	(void)state;
	bed_open(&b, hang, 1, 500, 1);
	client_open(&first, &b, GET("a/b"));
	run_msec(b.loop, 50);
	assert_int_equal(bed_hits(&b), 1);
	assert_int_equal(status_of(&b, GET("a/b")), 503);
	client_abort(&first);
	run_msec(b.loop, 50);
	assert_int_equal(admit_active(&b.admit), 0);
	bed_close(&b);
}

/* --- reads --- */

static void
show_fields(struct hit *h)
{
	const struct http_head *q = http_xchg_request(h->x);
	struct buf t = BUF_MAX(100000);

	buf_addf(&t, "%s %s\n", q->method, q->target);
	for (unsigned i = 0; i < q->nfields; i++)
		buf_addf(&t, "%s=%s\n", q->fields[i].name, q->fields[i].value);
	hit_reply(h, 200, buf_str(&t));
	buf_release(&t);
}

static void
test_fields(void **state)
{
	static const char *const want[] = {
		"GET /git/own/name.wiki.git/info/refs?service=git-upload-pack\n",
		"git-protocol=version=2\n",
		"user-agent=git/2.39.5\n",
		"authorization=Basic abc\n",
		"gitshard-after=0:9\n",
		"gitshard-map=1\n",
		"gitshard-shard=0\n",
		"gitshard-epoch=5\n",
		"x-forwarded-for=127.0.0.1\n"
	};
	struct bed b;
	struct client c;

	(void)state;
	bed_open(&b, show_fields, 1, 500, 100);
	ask(&c, &b,
	    "GET /Own/Name.wiki/info/refs?x=y&service=git-upload-pack HTTP/1.1\r\nHost: x\r\n"
	    "Git-Protocol: version=2\r\nUser-Agent: git/2.39.5\r\nAuthorization: Basic abc\r\n"
	    "Gitshard-After: 0:9\r\nGitshard-Request: forged\r\nX-Forwarded-For: 9.9.9.9\r\n"
	    "Cookie: secret\r\nConnection: close\r\n\r\n",
	    0);
	assert_int_equal(client_status(&c), 200);
	for (unsigned i = 0; i < COUNT(want); i++)
		assert_non_null(strstr(client_text(&c), want[i]));
	assert_null(strstr(client_text(&c), "forged"));
	assert_null(strstr(client_text(&c), "9.9.9.9"));
	assert_null(strstr(client_text(&c), "secret"));
	client_close(&c);
	bed_close(&b);
}

static void
send_head(struct hit *h)
{
	hit_send(h, 10, false);
}

static void
test_answer_fields(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	bed_open(&b, send_head, 1, 500, 100);
	ask(&c, &b, GET("a/b"), 0);
	assert_non_null(strstr(buf_str(&c.raw), "gitshard-offset: 0:7\r\n"));
	assert_non_null(strstr(buf_str(&c.raw), "application/x-git-upload-pack-result\r\n"));
	assert_non_null(strstr(buf_str(&c.raw), "gitshard-request: "));
	assert_null(strstr(buf_str(&c.raw), "x-private"));
	client_close(&c);
	bed_close(&b);
}

static void
test_spread_and_stick(void **state)
{
	struct bed b;
	char request[200];

	(void)state;
	bed_open(&b, say_hello, 1, 500, 100);
	for (unsigned i = 0; i < 60; i++) {
		snprintf(request, sizeof(request),
			 "GET /a/r%u.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n"
			 "Connection: close\r\n\r\n",
			 i);
		assert_int_equal(status_of(&b, request), 200);
	}
	for (unsigned i = 0; i < FAKES; i++)
		assert_true(b.node[i].hits_n >= 8);
	for (unsigned i = 0; i < FAKES; i++)
		b.node[i].hits_n = 0;
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(status_of(&b, GET("a/same")), 200);
	assert_int_equal(MAX(b.node[0].hits_n, MAX(b.node[1].hits_n, b.node[2].hits_n)), 12);
	bed_close(&b);
}

static void
refuse_503(struct hit *h)
{
	hit_reply(h, 503, "no lease here\n");
}

static void
refuse_421(struct hit *h)
{
	hit_wrong(h, 5, 0);
}

static void
break_off(struct hit *h)
{
	stream_reset(h->s, "died");
}

/* The first nodes that are asked do `bad`, the last one is well. */
static void
ask_past(void (*bad)(struct hit *), const char *request, uint64_t body, const char *want,
	 enum retry_reason why)
{
	struct bed b;

	bed_open(&b, bad, 1, 3000, 100);
	for (unsigned good = 0; good < FAKES; good++) {
		struct client c;
		unsigned before = bed_hits(&b);

		for (unsigned i = 0; i < FAKES; i++)
			b.node[i].git = i == good ? sum_body : bad;
		ask(&c, &b, request, body);
		assert_int_equal(client_status(&c), 200);
		assert_string_equal(client_text(&c), want);
		client_close(&c);
		assert_in_range(bed_hits(&b) - before, 1, FAKES);
	}
	assert_int_equal(stats_get(b.stats, FRONT_STATS_RETRIES, why), 0 + 1 + 2);
	bed_close(&b);
}

static void
test_read_goes_on(void **state)
{
	char want[64];

	(void)state;
	ask_past(refuse_503, GET("a/b"), 0, "0 00000000", RETRY_BUSY);
	ask_past(refuse_421, GET("a/b"), 0, "0 00000000", RETRY_WRONG_NODE);
	ask_past(break_off, GET("a/b"), 0, "0 00000000", RETRY_LOST);
	snprintf(want, sizeof(want), "500 %08x", fill_sum(500));
	ask_past(refuse_503, POST("upload-pack", "Content-Length: 500\r\n"), 500, want, RETRY_BUSY);
	ask_past(break_off, POST("upload-pack", "Content-Length: 500\r\n"), 500, want, RETRY_LOST);
	snprintf(want, sizeof(want), "65535 %08x", fill_sum(65535));
	ask_past(refuse_503, POST("upload-pack", "Content-Length: 65535\r\n"), 65535, want,
		 RETRY_BUSY);
}

static void
test_read_of_the_dead(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	bed_open(&b, refuse_503, 1, 400, 100);
	ask(&c, &b, GET("a/b"), 0);
	assert_int_equal(client_status(&c), 503);
	assert_non_null(strstr(buf_str(&c.raw), "retry-after: 1"));
	assert_non_null(strstr(client_text(&c), "no replica of this repository"));
	assert_non_null(strstr(client_text(&c), "no lease here"));
	assert_true(bed_hits(&b) > FAKES);
	client_close(&c);
	bed_close(&b);
}

/* Beats stop while a read waits: another node gets it. */
static void
test_silent_node(void **state)
{
	struct bed b;
	struct client c;
	struct fake *first = NULL;

	(void)state;
	bed_open(&b, hang, 1, 5000, 100);
	client_open(&c, &b, GET("a/b"));
	run_msec(b.loop, 50);
	for (unsigned i = 0; i < FAKES; i++) {
		if (b.node[i].hits_n > 0)
			first = &b.node[i];
		b.node[i].git = say_hello;
	}
	assert_non_null(first);
	first->mute = true;
	assert_true(run_until(b.loop, is_over, &c));
	assert_int_equal(client_status(&c), 200);
	assert_int_equal(stats_get(b.stats, FRONT_STATS_RETRIES, RETRY_SILENT), 1);
	assert_int_equal(first->closed, 1);
	client_close(&c);
	bed_close(&b);
}

static void
send_some(struct hit *h)
{
	uint8_t some[1000];

	fill(some, sizeof(some), 0);
	hit_head(h, 200);
	stream_write(h->s, slice_of(some, sizeof(some)));
}

static bool
has_some(void *arg)
{
	return ((struct client *)arg)->got > 1000;
}

static void
test_cut_answer(void **state)
{
	struct bed b;
	struct client c;
	uint64_t n;
	uint32_t sum;

	(void)state;
	bed_open(&b, send_some, 1, 500, 100);
	client_open(&c, &b, GET("a/b"));
	assert_true(run_until(b.loop, has_some, &c));
	for (unsigned i = 0; i < FAKES; i++)
		if (!LIST_EMPTY(&b.node[i].hits))
			stream_reset(LIST_FIRST(&b.node[i].hits)->s, "died");
	assert_true(run_until(b.loop, is_over, &c));
	assert_int_equal(client_status(&c), 200);
	assert_false(client_dechunk(&c, &n, &sum));
	assert_int_equal(bed_hits(&b), 1);
	client_close(&c);
	assert_int_equal(stats_get(b.stats, FRONT_STATS_REQUESTS, 0 * 6 + 4), 1);
	bed_close(&b);
}

/* --- pushes --- */

static void
admit_push(struct hit *h)
{
	http_xchg_continue(h->x);
	sum_body(h);
}

/* Only node `leader` takes pushes; the others say who leads, as of `epoch`. */
static uint32_t leader;
static uint64_t epoch;

static void
push_or_421(struct hit *h)
{
	if (h->f->number == leader)
		admit_push(h);
	else
		hit_wrong(h, epoch, leader);
}

static void
test_push_to_primary(void **state)
{
	char want[64];
	struct bed b;
	struct client c;

	(void)state;
	leader = 2;
	epoch = 5;
	bed_open(&b, push_or_421, 2, 3000, 100);
	ask(&c, &b, POST("receive-pack", "Content-Length: 100000\r\n"), 100000);
	snprintf(want, sizeof(want), "100000 %08x", fill_sum(100000));
	assert_int_equal(client_status(&c), 200);
	assert_string_equal(client_text(&c), want);
	client_close(&c);
	assert_int_equal(b.node[1].hits_n, 1);
	assert_int_equal(bed_hits(&b), 1);
	assert_int_equal(status_of(&b, GET_PUSH), 200);
	assert_int_equal(b.node[1].hits_n, 2);
	bed_close(&b);
}

/* The statuses are behind: a 421 tells the new primary, and not a byte of the body is lost. */
static void
test_push_learns(void **state)
{
	char want[64];
	struct bed b;
	struct client c;

	(void)state;
	leader = 3;
	epoch = 6;
	bed_open(&b, push_or_421, 2, 3000, 100);
	ask(&c, &b, POST("receive-pack", "Content-Length: 100000\r\n"), 100000);
	snprintf(want, sizeof(want), "100000 %08x", fill_sum(100000));
	assert_string_equal(client_text(&c), want);
	client_close(&c);
	assert_int_equal(b.node[1].hits_n, 1);
	assert_int_equal(b.node[1].body_max, 0);
	assert_int_equal(b.node[2].hits_n, 1);
	/* and it is remembered */
	assert_int_equal(status_of(&b, GET_PUSH), 200);
	assert_int_equal(b.node[1].hits_n, 1);
	bed_close(&b);
}

static void
test_push_without_primary(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	leader = 3;
	epoch = 5;
	bed_open(&b, push_or_421, 0, 3000, 100);
	ask(&c, &b, POST("receive-pack", "Content-Length: 10\r\n"), 10);
	assert_int_equal(client_status(&c), 200);
	client_close(&c);
	bed_close(&b);
}

static unsigned refusals;

static void
refuse_some(struct hit *h)
{
	if (refusals == 0) {
		admit_push(h);
	} else {
		refusals--;
		refuse_503(h);
	}
}

static void
test_push_waits_out(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	refusals = 4;
	bed_open(&b, refuse_some, 2, 5000, 100);
	ask(&c, &b, POST("receive-pack", "Content-Length: 10\r\nExpect: 100-continue\r\n"), 10);
	assert_int_equal(strncmp(buf_str(&c.raw), "HTTP/1.1 100 ", 13), 0);
	assert_non_null(strstr(buf_str(&c.raw), "HTTP/1.1 200 "));
	assert_int_equal(b.node[1].hits_n, 5);
	assert_int_equal(b.node[1].body_max, 0);
	client_close(&c);
	refusals = 1000;
	ask(&c, &b, POST("receive-pack", "Content-Length: 10\r\nExpect: 100-continue\r\n"), 10);
	assert_int_equal(client_status(&c), 503); /* without a 100 before */
	assert_non_null(strstr(client_text(&c), "primary"));
	client_close(&c);
	bed_close(&b);
}

/* Nobody leads; then somebody does, and the push goes there at once. */
static void
test_push_hears_news(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	leader = 1;
	epoch = 5;
	bed_open(&b, push_or_421, 2, 20000, 100);
	leader = 0;
	client_open(&c, &b, POST("receive-pack", "Content-Length: 10\r\n"));
	client_body(&c, 10);
	run_msec(b.loop, 600);
	assert_false(c.over);
	leader = 3;
	for (unsigned i = 0; i < FAKES; i++)
		fake_say(&b.node[i],
			 i == 2 ? "shard 0 primary 6 3 11 11\n" : "shard 0 follower 6 3 11 11\n");
	run_msec(b.loop, 30);
	assert_int_equal(b.node[2].hits_n > 0, true);
	assert_true(run_until(b.loop, is_over, &c));
	assert_int_equal(client_status(&c), 200);
	client_close(&c);
	bed_close(&b);
}

static void
admit_and_die(struct hit *h)
{
	http_xchg_continue(h->x);
	stream_on(h->s, on_hit_stream, h);
	h->whole = break_off;
}

static void
test_push_lost(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	bed_open(&b, admit_and_die, 2, 3000, 100);
	ask(&c, &b, POST("receive-pack", "Content-Length: 1000\r\n"), 1000);
	assert_int_equal(client_status(&c), 503);
	assert_non_null(strstr(client_text(&c), "push again"));
	assert_int_equal(bed_hits(&b), 1);
	client_close(&c);
	/* a large fetch, too, whose body is no longer here */
	for (unsigned i = 0; i < FAKES; i++)
		b.node[i].git = admit_and_die;
	ask(&c, &b, POST("upload-pack", "Content-Length: 200000\r\n"), 200000);
	assert_int_equal(client_status(&c), 503);
	assert_int_equal(bed_hits(&b), 2);
	client_close(&c);
	bed_close(&b);
}

static void
refuse_401(struct hit *h)
{
	struct http_head *extra = http_head_new();

	http_head_addf(extra, "www-authenticate", "Basic realm=\"x\"");
	http_xchg_reply(h->x, 401, extra, "text/plain", SLICE_LIT("who are you\n"));
	http_head_free(&extra);
}

static void
test_pass_401(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	bed_open(&b, refuse_401, 2, 3000, 100);
	ask(&c, &b, POST("receive-pack", "Content-Length: 100000\r\n"), 100000);
	assert_int_equal(client_status(&c), 401);
	assert_non_null(strstr(buf_str(&c.raw), "www-authenticate: Basic realm=\"x\"\r\n"));
	assert_int_equal(bed_hits(&b), 1);
	client_close(&c);
	bed_close(&b);
}

/* --- large bodies --- */

#define LARGE ((uint64_t)40 * 1000 * 1000)

static void
test_large_push(void **state)
{
	char head[200], want[64];
	struct bed b;
	struct client c;

	(void)state;
	bed_open(&b, admit_push, 2, 3000, 100);
	snprintf(head, sizeof(head), POST("receive-pack", "Content-Length: %llu\r\n"),
		 (unsigned long long)LARGE);
	ask(&c, &b, head, LARGE);
	snprintf(want, sizeof(want), "%llu %08x", (unsigned long long)LARGE, fill_sum(LARGE));
	assert_string_equal(client_text(&c), want);
	client_close(&c);
	assert_int_equal(stats_get(b.stats, FRONT_STATS_BYTES, 0), LARGE);
	bed_close(&b);
}

static void
send_large(struct hit *h)
{
	hit_send(h, LARGE, false);
}

/* A client that does not read stops the node; then all comes. */
static void
test_large_fetch(void **state)
{
	struct bed b;
	struct client c;
	struct hit *h = NULL;
	uint64_t n, sent;
	uint32_t sum;

	(void)state;
	bed_open(&b, send_large, 2, 3000, 100);
	client_open(&c, &b, GET("a/b"));
	c.lazy = true;
	run_msec(b.loop, 500);
	for (unsigned i = 0; i < FAKES; i++)
		if (!LIST_EMPTY(&b.node[i].hits))
			h = LIST_FIRST(&b.node[i].hits);
	assert_non_null(h);
	sent = h->sent;
	assert_true(sent < LARGE / 2);
	run_msec(b.loop, 200);
	assert_int_equal(h->sent, sent);
	c.lazy = false;
	stream_on(c.s, on_client_stream, &c);
	assert_true(run_until(b.loop, is_over, &c));
	assert_true(client_dechunk(&c, &n, &sum));
	assert_int_equal(n, LARGE);
	assert_int_equal(sum, fill_sum(LARGE));
	client_close(&c);
	bed_close(&b);
}

/* A client that leaves, in each phase: the node hears of it and nothing is left. */
static void
test_client_leaves(void **state)
{
	static const struct {
		void (*git)(struct hit *);
		const char *request;
		uint64_t body;
	} cases[] = {
		{ hang, GET("a/b"), 0 },
		{ send_large, GET("a/b"), 0 },
		{ hang, POST("upload-pack", "Content-Length: 10\r\n"), 10 },
		{ hang, POST("upload-pack", "Content-Length: 10000000\r\n"), 100000 },
		{ hang, POST("receive-pack", "Content-Length: 1000\r\n"), 100 },
		{ admit_push, POST("receive-pack", "Content-Length: 1000\r\n"), 100 },
		{ admit_push, POST("receive-pack", "Content-Length: 100000000\r\n"), 10000000 },
		{ refuse_503, POST("receive-pack", "Content-Length: 1000\r\n"), 100 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct bed b;
		struct client c;

		bed_open(&b, cases[i].git, 2, 3000, 100);
		client_open(&c, &b, cases[i].request);
		c.lazy = true;
		client_body(&c, cases[i].body);
		run_msec(b.loop, 100);
		assert_true(bed_hits(&b) > 0);
		client_abort(&c);
		run_msec(b.loop, 100);
		assert_int_equal(front_active(b.front), 0);
		assert_int_equal(b.node[0].closed + b.node[1].closed + b.node[2].closed,
				 bed_hits(&b));
		bed_close(&b);
	}
}

/* --- the map changes, nodes come and go --- */

static void
test_node_restarts(void **state)
{
	struct bed b;
	char addr[64];

	(void)state;
	bed_open(&b, say_hello, 1, 10000, 100);
	for (unsigned i = 0; i < FAKES; i++) {
		http_server_free(&b.node[i].srv);
		timer_free(&b.node[i].beat);
	}
	run_msec(b.loop, 50);
	assert_int_equal(pool_well(route_pool(b.route)), 0);
	snprintf(addr, sizeof(addr), "%s", b.node[2].addr);
	fake_open(&b.node[2], b.loop, 3, addr);
	assert_int_equal(status_of(&b, GET("a/b")), 200);
	assert_int_equal(b.node[2].hits_n, 1);
	bed_close(&b);
}

static void
test_address_changes(void **state)
{
	struct bed b;
	struct client c;
	const struct map *m;
	uint64_t n;
	uint32_t sum;

	(void)state;
	bed_open(&b, send_large, 1, 10000, 100);
	client_open(&c, &b, GET("a/b"));
	c.lazy = true;
	run_msec(b.loop, 50);
	/* each node gets another one's address; what runs goes on */
	snprintf(b.node[0].addr, sizeof(b.node[0].addr), "%s", http_server_addr(b.node[1].srv));
	snprintf(b.node[1].addr, sizeof(b.node[1].addr), "%s", http_server_addr(b.node[2].srv));
	snprintf(b.node[2].addr, sizeof(b.node[2].addr), "%s", http_server_addr(b.node[0].srv));
	m = bed_map(&b, 2);
	route_set_map(b.route, m, NULL);
	map_unref(&m);
	assert_int_equal(route_map_version(b.route), 2);
	c.lazy = false;
	stream_on(c.s, on_client_stream, &c);
	assert_true(run_until(b.loop, is_over, &c));
	assert_true(client_dechunk(&c, &n, &sum));
	assert_int_equal(n, LARGE);
	client_close(&c);
	assert_true(run_until(b.loop, all_well, &b));
	for (unsigned i = 0; i < FAKES; i++)
		b.node[i].git = say_hello;
	assert_int_equal(status_of(&b, GET("a/b")), 200);
	bed_close(&b);
}

/* Cut off with all in flight. */
static void
test_front_ends(void **state)
{
	struct bed b;
	struct client c[3];

	(void)state;
	leader = 0;
	bed_open(&b, admit_push, 2, 10000, 100);
	client_open(&c[0], &b, POST("receive-pack", "Content-Length: 1000\r\n"));
	client_body(&c[0], 10);
	client_open(&c[1], &b, POST("upload-pack", "Content-Length: 1000\r\n"));
	run_msec(b.loop, 50);
	for (unsigned i = 0; i < FAKES; i++)
		b.node[i].git = refuse_503;
	client_open(&c[2], &b, GET("a/b"));
	run_msec(b.loop, 50);
	front_free(&b.front);
	for (unsigned i = 0; i < 3; i++)
		client_close(&c[i]);
	bed_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_at_the_door),
		cmocka_unit_test(test_no_map),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_answer_fields),
		cmocka_unit_test(test_spread_and_stick),
		cmocka_unit_test(test_read_goes_on),
		cmocka_unit_test(test_read_of_the_dead),
		cmocka_unit_test(test_silent_node),
		cmocka_unit_test(test_cut_answer),
		cmocka_unit_test(test_push_to_primary),
		cmocka_unit_test(test_push_learns),
		cmocka_unit_test(test_push_without_primary),
		cmocka_unit_test(test_push_waits_out),
		cmocka_unit_test(test_push_hears_news),
		cmocka_unit_test(test_push_lost),
		cmocka_unit_test(test_pass_401),
		cmocka_unit_test(test_large_push),
		cmocka_unit_test(test_large_fetch),
		cmocka_unit_test(test_client_leaves),
		cmocka_unit_test(test_node_restarts),
		cmocka_unit_test(test_address_changes),
		cmocka_unit_test(test_front_ends),
	};

	log_level_now = LOG_WARN;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
