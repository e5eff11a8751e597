/* Pushes: who is asked, what is learnt, what is never sent twice. */
#include "tests/unit/router/front/req_test.h"

/* --- pushes --- */

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

/* The first refusals speak of another shard, where a node has read that the repository is now. */
static void
push_or_other_shard(struct hit *h)
{
	if (h->f->hits_n <= 2)
		hit_wrong_of(h, "123456", 99, 1);
	else if (h->f->number == leader)
		admit_push(h);
	else
		hit_wrong(h, epoch, leader);
}

/* Of another shard nothing is believed for this one: the router waits until it has read it itself. */
static void
test_push_other_shard(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	leader = 2;
	epoch = 5;
	bed_open(&b, push_or_other_shard, 2, 3000, 100);
	ask(&c, &b, POST("receive-pack", "Content-Length: 10\r\n"), 10);
	assert_int_equal(client_status(&c), 200);
	client_close(&c);
	assert_int_equal(b.node[1].hits_n, 3);
	assert_int_equal(bed_hits(&b), 3);
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
	/* in words that git shows, and without a 100 before */
	assert_int_equal(client_status(&c), 200);
	assert_non_null(strstr(client_text(&c), "\3gitshard: the primary"));
	client_close(&c);
	bed_close(&b);
}

/* The primary has no log: that is the answer, at once, and nothing of the body was taken. */
static void
test_push_without_log(void **state)
{
	struct bed b;
	struct client c;
	uint64_t begin = clock_boot_ns();

	(void)state;
	bed_open(&b, refuse_log_away, 2, 20000, 100);
	ask(&c, &b, GET_PUSH, 0);
	assert_int_equal(client_status(&c), 503);
	assert_non_null(strstr(client_text(&c), "the commit log is away; nothing was changed"));
	client_close(&c);
	ask(&c, &b, POST("receive-pack", "Content-Length: 10\r\nExpect: 100-continue\r\n"), 10);
	assert_int_equal(client_status(&c), 200);
	assert_non_null(strstr(client_text(&c), "\3gitshard: the commit log is away; nothing was"));
	client_close(&c);
	assert_int_equal(b.node[1].hits_n, 2);
	assert_int_equal(b.node[1].body_max, 0);
	assert_true(clock_boot_ns() - begin < 5 * CLOCK_SEC);
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
	assert_int_equal(client_status(&c), 200);
	assert_non_null(strstr(client_text(&c), "push again"));
	assert_int_equal(bed_hits(&b), 1);
	client_close(&c);
	/* a large fetch, too, whose body is no longer here */
	for (unsigned i = 0; i < FAKES; i++)
		b.node[i].git = admit_and_die;
	ask(&c, &b, POST("upload-pack", "Content-Length: 200000\r\n"), 200000);
	assert_int_equal(client_status(&c), 200);
	assert_non_null(strstr(client_text(&c), "ERR gitshard: "));
	assert_int_equal(bed_hits(&b), 2);
	client_close(&c);
	bed_close(&b);
}

/* The head is out and nothing else: the words still find their place. */
static void
answer_and_die(struct hit *h)
{
	hit_head(h, 200);
	hit_read(h, break_off);
}

static bool
is_answered(void *arg)
{
	return client_status(arg) == 200;
}

static void
test_push_lost_late(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	bed_open(&b, answer_and_die, 2, 3000, 100);
	client_open(&c, &b, POST("receive-pack", "Content-Length: 10\r\n"));
	assert_true(run_until(b.loop, is_answered, &c));
	stream_reset(LIST_FIRST(&b.node[1].hits)->s, "died");
	assert_true(run_until(b.loop, is_over, &c));
	assert_non_null(strstr(client_text(&c), "\3gitshard: "));
	client_close(&c);
	bed_close(&b);
}

static void
refuse_507(struct hit *h)
{
	hit_reply(h, 507, "the disk is full\n");
}

/* A node's own trouble with a push: its words, where git shows them. */
static void
test_push_refused_by_node(void **state)
{
	struct bed b;
	struct client c;

	(void)state;
	bed_open(&b, refuse_507, 2, 3000, 100);
	ask(&c, &b, POST("receive-pack", "Content-Length: 10\r\n"), 10);
	assert_int_equal(client_status(&c), 200);
	assert_non_null(strstr(client_text(&c), "the disk is full"));
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push_to_primary),
		cmocka_unit_test(test_push_learns),
		cmocka_unit_test(test_push_other_shard),
		cmocka_unit_test(test_push_without_primary),
		cmocka_unit_test(test_push_waits_out),
		cmocka_unit_test(test_push_without_log),
		cmocka_unit_test(test_push_hears_news),
		cmocka_unit_test(test_push_lost),
		cmocka_unit_test(test_push_lost_late),
		cmocka_unit_test(test_push_refused_by_node),
		cmocka_unit_test(test_pass_401),
	};

	log_level_now = LOG_WARN;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
