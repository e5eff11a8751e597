#include "tests/unit/router/front/req_test.h"

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
test_too_many(void **state)
{
	struct bed b;
	struct client first;

	(void)state;
	bed_open(&b, hang, 1, 20000, 1);
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
refuse_421(struct hit *h)
{
	hit_wrong(h, 5, 0);
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

/* Each is asked once, and then the client is told, long before the deadline. */
static void
test_read_without_log(void **state)
{
	struct bed b;
	struct client c;
	uint64_t begin = clock_boot_ns();

	(void)state;
	bed_open(&b, refuse_log_away, 1, 20000, 100);
	ask(&c, &b, GET("a/b"), 0);
	assert_int_equal(client_status(&c), 503);
	assert_non_null(strstr(buf_str(&c.raw), "retry-after: "));
	assert_non_null(strstr(client_text(&c), "the commit log is away"));
	client_close(&c);
	ask(&c, &b, POST("upload-pack", "Content-Length: 10\r\n"), 10);
	assert_int_equal(client_status(&c), 200); /* in band */
	assert_non_null(strstr(client_text(&c), "ERR gitshard: the commit log is away"));
	client_close(&c);
	assert_int_equal(bed_hits(&b), 2 * FAKES);
	assert_true(clock_boot_ns() - begin < 5 * CLOCK_SEC);
	bed_close(&b);
}

/* One of them has it and is only busy: that is waited for. */
static void
test_read_beside_nodes_without_log(void **state)
{
	struct bed b;

	(void)state;
	bed_open(&b, refuse_log_away, 1, 1500, 100);
	b.node[1].git = refuse_503;
	assert_int_equal(status_of(&b, GET("a/b")), 503);
	assert_true(bed_hits(&b) > FAKES);
	bed_close(&b);
	ask_past(refuse_log_away, GET("a/b"), 0, "0 00000000", RETRY_LOG_AWAY);
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

static bool
all_were_asked(void *bed)
{
	return bed_hits(bed) >= 2 + FAKES;
}

/* A node lives and says nothing: another one is asked; when there is no other, it keeps the read. */
static void
test_slow_node(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	bed_open(&b, hang, 1, 3000, 100);
	client_open(&c, &b, GET("a/b"));
	run_msec(b.loop, 50);
	assert_int_equal(bed_hits(&b), 1);
	for (unsigned i = 0; i < FAKES; i++)
		b.node[i].git = say_hello;
	assert_true(run_until(b.loop, is_over, &c));
	assert_int_equal(client_status(&c), 200);
	assert_int_equal(bed_hits(&b), 2);
	assert_int_equal(stats_get(b.stats, FRONT_STATS_RETRIES, RETRY_SLOW), 1);
	client_close(&c);
	for (unsigned i = 0; i < FAKES; i++)
		b.node[i].git = hang;
	client_open(&c, &b, GET("a/b"));
	assert_true(run_until(b.loop, all_were_asked, &b));
	run_msec(b.loop, 1200);
	assert_int_equal(bed_hits(&b), 2 + FAKES);
	assert_false(c.over);
	for (unsigned i = 0; i < FAKES; i++)
		if (!LIST_EMPTY(&b.node[i].hits))
			hit_reply(LIST_FIRST(&b.node[i].hits), 200, "late\n");
	assert_true(run_until(b.loop, is_over, &c));
	assert_int_equal(client_status(&c), 200);
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
		cmocka_unit_test(test_read_without_log),
		cmocka_unit_test(test_read_beside_nodes_without_log),
		cmocka_unit_test(test_read_of_the_dead),
		cmocka_unit_test(test_silent_node),
		cmocka_unit_test(test_slow_node),
		cmocka_unit_test(test_cut_answer),
	};

	log_level_now = LOG_WARN;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
