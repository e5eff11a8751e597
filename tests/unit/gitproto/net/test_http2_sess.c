/* HTTP/2 connections: bodies, flow control, ends; also against foreign clients. */
#include "tests/unit/gitproto/net/http2_test.h"

static void
heads_travel(void **state)
{
	struct fetch f = { 0 };

	(void)state;
	fetch_start(&f, "GET", "/head?a=b%20c");
	must_finish(&f, 200);
	assert_non_null(strstr(buf_str(&f.text), "GET /head?a=b%20c len=-1 body=0\n"));
	assert_non_null(strstr(buf_str(&f.text), "x-test=yes\n"));
	assert_non_null(strstr(buf_str(&f.text), "host=127.0.0.1:"));
	assert_non_null(http_head_get(http_call_response(f.call), "date"));
	assert_string_equal(http_head_get(http_call_response(f.call), "content-type"),
			    "text/plain");
	assert_int_equal(http_call_response(f.call)->content_length, (int64_t)f.got);
	assert_true(http_call_sent(f.call));
	fetch_stop(&f);
	assert_true(run_until(loop, quiet, &site));
}

static void
statuses(void **state)
{
	static const struct {
		const char *method, *target;
		int status;
		uint64_t bytes;
	} cases[] = {
		{ "GET", "/empty", 204, 0 },
		{ "GET", "/nowhere", 404, 13 },
		{ "HEAD", "/sized?n=1000", 200, 0 },
		{ "HEAD", "/big?n=1000000", 200, 0 },
		{ "GET", "/sized?n=0", 200, 0 },
		{ "GET", "/big?n=1", 200, 1 },
		{ "GET", "/sized?n=70000", 200, 70000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fetch f = { 0 };

		fetch_start(&f, cases[i].method, cases[i].target);
		must_finish(&f, cases[i].status);
		assert_int_equal(f.got, cases[i].bytes);
		fetch_stop(&f);
	}
	assert_true(run_until(loop, quiet, &site));
	assert_int_equal(site.dead, 0);
}

static void
big_bodies_both_ways(void **state)
{
	static const uint64_t sizes[] = { 1, 16384, 1048576, 1048577, 40 * MIB };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct fetch up = { .to_send = sizes[i] }, echo = { .to_send = sizes[i] };
		char want[64];

		fetch_start(&up, "POST", "/len");
		fetch_start(&echo, "POST", "/echo");
		must_finish(&up, 200);
		must_finish(&echo, 200);
		snprintf(want, sizeof(want), "%llu %08x\n", (unsigned long long)sizes[i],
			 pattern_sum(sizes[i]));
		assert_string_equal(buf_str(&up.text), want);
		assert_int_equal(echo.got, sizes[i]);
		assert_int_equal(echo.sum, pattern_sum(sizes[i]));
		fetch_stop(&up);
		fetch_stop(&echo);
	}
	assert_true(run_until(loop, quiet, &site));
}

#define MANY 300

static bool
all_finished(void *arg)
{
	struct fetch *f = arg;

	for (int i = 0; i < MANY; i++)
		if (!has_finished(&f[i]))
			return false;
	return true;
}

static void
many_at_once(void **state)
{
	struct fetch *f = mem_array(MANY, sizeof(*f));
	char target[32];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(target, sizeof(target), "/big?n=%d", i * 1000);
		f[i].to_send = i % 3 == 0 ? 1 + (uint64_t)i * 500 : 0;
		fetch_start(&f[i], f[i].to_send > 0 ? "POST" : "GET",
			    f[i].to_send > 0 ? "/echo" : target);
	}
	assert_true(run_until(loop, all_finished, f));
	for (int i = 0; i < MANY; i++) {
		uint64_t want = f[i].to_send > 0 ? f[i].to_send : (uint64_t)i * 1000;

		assert_true(f[i].ended);
		assert_int_equal(f[i].got, want);
		assert_int_equal(f[i].sum, pattern_sum(want));
		fetch_stop(&f[i]);
	}
	free(f);
}

static void
slow_reader_stops_nobody_else(void **state)
{
	struct fetch slow[20], fast = { 0 };
	uint64_t held = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(slow); i++) { /* more than the connection's window in all */
		slow[i] = (struct fetch){ .hold = true };
		fetch_start(&slow[i], "GET", "/big?n=30000000");
	}
	run_msec(loop, 100);
	fetch_start(&fast, "GET", "/big?n=20000000");
	must_finish(&fast, 200);
	assert_int_equal(fast.got, 20000000);
	for (size_t i = 0; i < COUNT(slow); i++) {
		assert_int_equal(slow[i].status, 200);
		assert_true(stream_readable(slow[i].s) <= 1 * MIB);
		held += stream_readable(slow[i].s);
	}
	assert_true(held > 16 * MIB);
	assert_true(site.peak <= 2 * STREAM_HIGH); /* the server does not queue it either */
	slow[0].hold = false;
	fetch_read(&slow[0]);
	must_finish(&slow[0], 200);
	assert_int_equal(slow[0].sum, pattern_sum(30000000));
	for (size_t i = 0; i < COUNT(slow); i++)
		fetch_stop(&slow[i]);
	fetch_stop(&fast);
	assert_true(run_until(loop, quiet, &site));
	assert_int_equal(site.dead, COUNT(slow) - 1);
}

static void
cut_answer_is_a_death(void **state)
{
	struct fetch f = { 0 };

	(void)state;
	fetch_start(&f, "GET", "/cut?n=100");
	assert_true(run_until(loop, has_finished, &f));
	/* reset by the handler right after the head: with or without it, never a clean end */
	assert_false(f.ended);
	assert_true(f.dead);
	assert_string_not_equal(stream_why(f.s), "");
	fetch_stop(&f);
	assert_true(run_until(loop, quiet, &site));
}

static void
continue_both_ways(void **state)
{
	struct fetch f = { .to_send = 100000, .wait_continue = true };
	struct fetch refused = { .to_send = 100000, .wait_continue = true };

	(void)state;
	fetch_start(&f, "POST", "/cont");
	fetch_start(&refused, "POST", "/refuse");
	must_finish(&f, 200);
	assert_true(f.continued);
	assert_int_equal(f.seen_at_continue, 0);
	must_finish(&refused, 401);
	assert_false(refused.continued);
	assert_int_equal(refused.sent, 0);
	fetch_stop(&f);
	fetch_stop(&refused);
}

/* The server answers and ends while 50 MB are on their way. */
static void
early_answer_is_whole(void **state)
{
	struct fetch f = { .to_send = 50 * MIB };

	(void)state;
	fetch_start(&f, "POST", "/refuse");
	must_finish(&f, 401);
	assert_string_equal(buf_str(&f.text), "no entry\n");
	run_msec(loop, 20);
	assert_true(stream_write_failed(f.s));
	assert_false(f.dead);
	fetch_stop(&f);
	assert_true(run_until(loop, quiet, &site));
}

/* Waits until the server has begun so many exchanges. */
/* A port that accepts and says nothing: the call was not sent. */
/* A peer that stops answering in the middle is found by PING. */
static void
body_deadline(void **state)
{
	struct http_server_opts o = { .http2 = true, .body_msec = 100 };
	struct fetch stuck = { .hold = true }, turn = { 0 };

	(void)state;
	http_session_free(&sess);
	http_server_free(&site.srv);
	site_open(&site, loop, &o);
	session_open();
	fetch_start(&turn, "GET", "/never");
	fetch_start(&stuck, "GET", "/big?n=50000000");
	assert_true(run_until(loop, has_finished, &stuck));
	assert_true(stuck.dead);
	assert_false(turn.failed || turn.dead); /* it is the server's turn there */
	fetch_stop(&stuck);
	fetch_stop(&turn);
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
		struct fetch a = { 0 }, b = { 0 };

		http_session_free(&sess);
		http_server_free(&site.srv);
		site = (struct site){ .free_server_in_handler = i == 0,
				      .free_server_in_close = i == 1 };
		site_open(&site, loop, &h2_opts);
		session_open();
		fetch_start(&a, "GET", "/sized?n=5");
		fetch_start(&b, "GET", "/never");
		assert_true(run_until(loop, no_server, &site));
		assert_true(run_until(loop, has_finished, &b));
		assert_int_equal(site.begun, site.closed);
		fetch_stop(&a);
		fetch_stop(&b);
	}
}

/* Bytes that are no HTTP/2 close the connection and nothing else. */
static void
garbage(void **state)
{
	static const char *const in[] = { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02",
					  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxxxxxxxxxxx" };

	(void)state;
	for (size_t i = 0; i < COUNT(in); i++) {
		struct fetch f = { 0 };
		struct sock_addr a;
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		assert_int_equal(sock_parse(&a, http_server_addr(site.srv), NULL), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&a.ss, a.len), 0);
		assert_int_equal(write(fd, in[i], strlen(in[i])), strlen(in[i]));
		run_msec(loop, 10);
		fetch_start(&f, "GET", "/sized?n=5");
		must_finish(&f, 200);
		fetch_stop(&f);
		close(fd);
	}
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

static void
run_shell(const char *cmd)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", cmd, NULL);
		_exit(127);
	}
	assert_true(run_until(loop, child_ended, &pid));
	if (pid != 0)
		fail_msg("%d from %s", (int)pid, cmd);
}

static void
foreign_clients(void **state)
{
	const char *at = http_server_addr(site.srv);
	char cmd[640];

	(void)state;
	if (system("curl --version >/dev/null 2>&1") != 0)
		skip();
	snprintf(cmd, sizeof(cmd),
		 "t=$(mktemp -d) && head -c 5000000 /dev/urandom >$t/a &&"
		 " c='curl -sf --http2-prior-knowledge' &&"
		 " $c -T $t/a -X POST -o $t/b http://%s/echo && cmp $t/a $t/b &&"
		 " $c --data-binary @$t/a -H 'Expect: 100-continue' http://%s/cont >$t/c &&"
		 " grep -q '^5000000 ' $t/c &&"
		 " test $($c -o $t/d -w '%%{http_code}' http://%s/empty) = 204; rc=$?;"
		 " rm -r $t; exit $rc",
		 at, at, at);
	run_shell(cmd);
	if (system("h2load --version >/dev/null 2>&1") != 0)
		return;
	snprintf(cmd, sizeof(cmd),
		 "h2load -n 500 -c 5 -m 20 'http://%s/big?n=20000' | grep -q '500 succeeded'", at);
	run_shell(cmd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(heads_travel),
		T(statuses),
		T(big_bodies_both_ways),
		T(many_at_once),
		T(slow_reader_stops_nobody_else),
		T(cut_answer_is_a_death),
		T(continue_both_ways),
		T(early_answer_is_whole),
		T(body_deadline),
		T(server_freed_in_a_callback),
		T(garbage),
		T(foreign_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
