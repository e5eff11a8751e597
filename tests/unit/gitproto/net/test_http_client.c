/* Sessions and calls: what is told when a peer goes, drains, freezes or was never there. */
#include "tests/unit/gitproto/net/http2_test.h"

static void
freed_in_its_callback(void **state)
{
	struct fetch f = { .free_at_head = true }, after = { 0 };

	(void)state;
	fetch_start(&f, "GET", "/big?n=50000000");
	assert_true(run_until(loop, has_finished, &f));
	fetch_start(&after, "GET", "/sized?n=10");
	must_finish(&after, 200);
	buf_release(&f.text);
	fetch_stop(&after);
	assert_true(run_until(loop, quiet, &site));
	assert_int_equal(site.dead, 1);
}

static void
canceled_before_it_is_sent(void **state)
{
	struct fetch f = { 0 }, g = { 0 }, waiting = { 0 };

	(void)state;
	fetch_start(&waiting, "GET", "/never");
	fetch_stop(&waiting); /* no connection yet */
	fetch_start(&f, "GET", "/empty");
	must_finish(&f, 204);
	fetch_start(&g, "GET", "/never");
	assert_false(http_call_sent(g.call));
	fetch_stop(&g); /* queued in the session */
	run_msec(loop, 20);
	assert_int_equal(site.begun, 1);
	fetch_stop(&f);
}

static void
peer_death(void **state)
{
	struct fetch never = { 0 }, half = { .hold = true }, again = { 0 };
	unsigned port = http_server_port(site.srv);
	struct http_server_opts o = h2_opts;
	struct err e;
	char addr[32];

	(void)state;
	fetch_start(&never, "GET", "/never");
	fetch_start(&half, "GET", "/big?n=50000000");
	assert_true(run_until(loop, has_status, &half));
	http_server_free(&site.srv);
	assert_true(run_until(loop, has_finished, &never));
	assert_true(never.failed && http_call_sent(never.call));
	assert_true(run_until(loop, has_finished, &half));
	assert_true(half.dead && !half.failed && !half.ended);
	assert_false(http_session_connected(sess));
	fetch_start(&again, "GET", "/sized?n=5");
	assert_true(run_until(loop, has_finished, &again));
	assert_true(again.failed);
	assert_false(http_call_sent(again.call));
	fetch_stop(&again);
	/* and back */
	snprintf(addr, sizeof(addr), "127.0.0.1:%u", port);
	o.listen = addr;
	o.handler = on_request;
	o.arg = &site;
	assert_int_equal(http_server_new(&site.srv, loop, &o, &e), 0);
	for (int i = 0; i < 2; i++) { /* the first may still meet the attempt that failed */
		again = (struct fetch){ 0 };
		fetch_start(&again, "GET", "/sized?n=5");
		assert_true(run_until(loop, has_finished, &again));
		if (!again.failed)
			break;
		fetch_stop(&again);
	}
	assert_true(again.ended);
	fetch_stop(&again);
	fetch_stop(&never);
	fetch_stop(&half);
}

struct begun {
	unsigned n;
};

static bool
has_begun(void *arg)
{
	return site.begun >= ((struct begun *)arg)->n;
}

static void
drain_lets_the_running_ones_finish(void **state)
{
	struct fetch run = { .to_send = 3 * MIB, .wait_continue = true }, next = { 0 };
	struct begun one = { 1 };

	(void)state;
	fetch_start(&run, "POST", "/len"); /* says no "go on": the body comes when we want */
	assert_true(run_until(loop, has_begun, &one));
	http_server_drain(site.srv);
	run_msec(loop, 30);
	assert_false(http_session_connected(sess));
	fetch_start(&next, "GET", "/sized?n=5");
	assert_true(run_until(loop, has_finished, &next));
	assert_true(next.failed);
	assert_false(http_call_sent(next.call));
	run.continued = true;
	fetch_write(&run);
	must_finish(&run, 200);
	fetch_stop(&run);
	fetch_stop(&next);
}

static void
silent_peer(void **state)
{
	struct http_session_opts o = { .connect_msec = 80 };
	struct sock_addr at, bound;
	struct fetch f = { 0 };
	uint64_t start = clock_boot_ns();
	char text[SOCK_TEXT];
	int fd;

	(void)state;
	assert_int_equal(sock_parse(&at, "127.0.0.1:0", NULL), 0);
	assert_int_equal(sock_listen(&fd, &bound, &at, false, NULL), 0);
	sock_format(text, &bound);
	http_session_free(&sess);
	o.addr = text;
	sess = http_session_new(loop, &o);
	fetch_start(&f, "GET", "/empty");
	assert_true(run_until(loop, has_finished, &f));
	assert_true(f.failed && !http_call_sent(f.call));
	assert_true(clock_boot_ns() - start < 5 * CLOCK_SEC);
	fetch_stop(&f);
	close(fd);
}

static void
frozen_peer(void **state)
{
	struct http_session_opts o = { .ping_msec = 1000 };
	struct fetch f = { 0 };
	int to_parent[2];
	char text[SOCK_TEXT];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(to_parent), 0);
	pid = fork();
	if (pid == 0) {
		struct loop *l = loop_new("child");
		struct site s = { 0 };

		site_open(&s, l, &h2_opts);
		if (write(to_parent[1], http_server_addr(s.srv), SOCK_TEXT) != SOCK_TEXT)
			_exit(1);
		alarm(300);
		loop_run(l);
		_exit(0);
	}
	assert_int_equal(read(to_parent[0], text, SOCK_TEXT), SOCK_TEXT);
	http_session_free(&sess);
	o.addr = text;
	sess = http_session_new(loop, &o);
	fetch_start(&f, "GET", "/empty");
	must_finish(&f, 204);
	fetch_stop(&f);
	run_msec(loop, 2500); /* PINGs go to and fro */
	assert_true(http_session_connected(sess));
	f = (struct fetch){ 0 };
	fetch_start(&f, "GET", "/never");
	run_msec(loop, 30);
	kill(pid, SIGSTOP);
	assert_true(run_until(loop, has_finished, &f));
	assert_true(f.failed && http_call_sent(f.call));
	fetch_stop(&f);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(to_parent[0]);
	close(to_parent[1]);
}

static void
session_freed_under_its_calls(void **state)
{
	struct fetch a = { 0 }, b = { .hold = true };

	(void)state;
	fetch_start(&b, "GET", "/big?n=50000000");
	assert_true(run_until(loop, has_status, &b));
	fetch_start(&a, "GET", "/never");
	http_session_free(&sess);
	assert_false(a.failed); /* not from inside the call */
	assert_true(run_until(loop, has_finished, &a));
	assert_true(run_until(loop, has_finished, &b));
	assert_true(a.failed && b.dead);
	fetch_stop(&a);
	fetch_stop(&b);
	session_open();
}

struct states {
	unsigned up, down;
	bool free_when_up, free_when_down;
};

static void
on_state(struct http_session *s, bool connected, void *arg)
{
	struct states *st = arg;

	assert_ptr_equal(s, sess);
	st->up += connected;
	st->down += !connected;
	if (connected ? st->free_when_up : st->free_when_down)
		http_session_free(&sess);
}

static bool
was_down(void *arg)
{
	return ((struct states *)arg)->down > 0 || sess == NULL;
}

/* Each change is told once, and the session may be freed when it is told. */
static void
states_are_told(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct states st = { .free_when_up = i == 1, .free_when_down = i == 2 };
		struct http_session_opts o = { .on_state = on_state, .arg = &st };
		struct fetch f = { 0 };

		http_session_free(&sess);
		http_server_free(&site.srv);
		site_open(&site, loop, &h2_opts);
		o.addr = http_server_addr(site.srv);
		sess = http_session_new(loop, &o);
		fetch_start(&f, "GET", "/never");
		run_msec(loop, 20);
		assert_int_equal(st.up, 1);
		http_server_free(&site.srv);
		assert_true(run_until(loop, was_down, &st));
		assert_true(run_until(loop, has_finished, &f));
		run_msec(loop, 60); /* attempts fail, nothing is told again */
		assert_int_equal(st.up, 1);
		assert_int_equal(st.down, i == 1 ? 0 : 1);
		assert_int_equal(sess == NULL, i > 0);
		fetch_stop(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(freed_in_its_callback),
		T(canceled_before_it_is_sent),
		T(peer_death),
		T(drain_lets_the_running_ones_finish),
		T(silent_peer),
		T(frozen_peer),
		T(session_freed_under_its_calls),
		T(states_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
