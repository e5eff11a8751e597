/* The HTTP/1.1 server as raw clients see it. */
#include "tests/unit/gitproto/net/http1_test.h"

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
broken_body_is_a_death_and_a_400(void **state)
{
	struct client c;

	(void)state;
	client_open(&c, &site);
	stream_write(c.s, SLICE_LIT("POST /len HTTP/1.1\r\nHost: x\r\n"
				    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"));
	run_msec(loop, 10);
	assert_int_equal(site.begun, 1);
	stream_write(c.s, SLICE_LIT("zz\r\nGET /empty HTTP/1.1\r\nHost: x\r\n\r\n"));
	wait_for(&c, NULL);
	assert_int_equal(status_of(&c), 400);
	assert_int_equal(site.dead, 1);
	assert_int_equal(site.closed, 1);
	client_close(&c);
}

static bool
two_died(void *arg)
{
	return ((struct site *)arg)->dead == 2;
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
	assert_true(run_until(loop, two_died, &s));
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
	const struct CMUnitTest tests[] = {
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
		T(broken_body_is_a_death_and_a_400),
		T(deadlines),
		T(drain_lets_the_running_ones_finish),
		T(server_freed_in_a_callback),
		T(strangers_are_refused),
		T(curl_speaks_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
