/* Large bodies, clients that leave, nodes and maps that change. */
#include "tests/unit/router/front/req_test.h"

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

/* --- nodes that live and do nothing --- */

static void
send_and_stop(struct hit *h)
{
	hit_head(h, 200);
	stream_write(h->s, SLICE_LIT("beginning"));
}

static void
admit_and_stop(struct hit *h)
{
	http_xchg_continue(h->x);
	hit_read(h, hang);
}

static void
test_stalled_node(void **state)
{
	struct bed b;
	struct client c;
	uint64_t n;
	uint32_t sum;

	(void)state;
	bed_stall_msec = 100;
	/* a read is brought to another node; all are the same: words in the end */
	bed_open(&b, hang, 2, 1500, 100);
	ask(&c, &b, GET("a/b"), 0);
	assert_int_equal(client_status(&c), 503);
	assert_non_null(strstr(client_text(&c), "made no progress"));
	assert_true(bed_hits(&b) >= 2);
	client_close(&c);
	/* an answer that stops is cut off */
	for (unsigned i = 0; i < FAKES; i++)
		b.node[i].git = send_and_stop;
	ask(&c, &b, GET("a/b"), 0);
	assert_false(client_dechunk(&c, &n, &sum));
	client_close(&c);
	/* a push waits longer, not for ever */
	b.node[1].git = admit_and_stop;
	n = clock_boot_ns();
	ask(&c, &b, POST("receive-pack", "Content-Length: 10\r\n"), 10);
	assert_true(clock_boot_ns() - n > REQ_PUSH_PATIENCE * bed_stall_msec * CLOCK_MSEC);
	assert_non_null(strstr(client_text(&c), "push again"));
	client_close(&c);
	bed_close(&b);
	bed_stall_msec = 60000;
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
		cmocka_unit_test(test_large_push),    cmocka_unit_test(test_large_fetch),
		cmocka_unit_test(test_client_leaves), cmocka_unit_test(test_stalled_node),
		cmocka_unit_test(test_node_restarts), cmocka_unit_test(test_address_changes),
		cmocka_unit_test(test_front_ends),
	};

	log_level_now = LOG_WARN;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
