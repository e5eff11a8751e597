#include <unistd.h>

#include "gitproto/net/sock.h"
#include "tests/unit/gitproto/net/net_test.h"

static void
addresses(void **state)
{
	static const struct {
		const char *text;
		bool ok, loopback;
		unsigned port;
	} cases[] = {
		{ "127.0.0.1:7001", true, true, 7001 },
		{ "127.255.0.9:0", true, true, 0 },
		{ "[::1]:80", true, true, 80 },
		{ "0.0.0.0:80", true, false, 80 },
		{ "128.0.0.1:80", true, false, 80 },
		{ "[::]:80", true, false, 80 },
		{ "[::ffff:127.0.0.1]:80", true, true, 80 },
		{ "[2001:db8::1]:65535", true, false, 65535 },
		{ "127.0.0.1", false, false, 0 },
		{ "127.0.0.1:", false, false, 0 },
		{ "127.0.0.1:65536", false, false, 0 },
		{ "127.0.0.1:8x", false, false, 0 },
		{ "127.0.0.1:+80", false, false, 0 },
		{ "localhost:80", false, false, 0 },
		{ "::1:80", false, false, 0 },
		{ "[127.0.0.1]:80", false, false, 0 },
		{ ":80", false, false, 0 },
		{ "", false, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sock_addr a;
		struct err e = { 0 };
		char text[SOCK_TEXT];

		assert_int_equal(sock_parse(&a, cases[i].text, &e), cases[i].ok ? 0 : ERR_BAD);
		if (!cases[i].ok) {
			assert_non_null(strstr(e.text, cases[i].text));
			continue;
		}
		assert_int_equal(sock_is_loopback(&a), cases[i].loopback);
		assert_int_equal(sock_port(&a), cases[i].port);
		sock_format(text, &a);
		assert_string_equal(text, cases[i].text);
	}
}

struct attempt {
	int fd;
	bool done, failed;
};

static void
on_dialled(int fd, const char *why, void *arg)
{
	struct attempt *a = arg;

	a->fd = fd;
	a->done = true;
	a->failed = why != NULL;
	assert_int_equal(fd < 0, why != NULL);
}

static void
dialling(void **state)
{
	struct loop *l = loop_new("test");
	struct sock_addr at, bound, peer;
	struct attempt a = { 0 };
	struct sock_dial *d;
	int fd, c;

	(void)state;
	assert_int_equal(sock_parse(&at, "127.0.0.1:0", NULL), 0);
	assert_int_equal(sock_listen(&fd, &bound, &at, false, NULL), 0);
	assert_int_equal(sock_accept(fd, &peer), -1);
	d = sock_dial_new(l, &bound, 1000, on_dialled, &a);
	assert_false(a.done);
	assert_true(run_until(l, is_set, &a.done));
	assert_true(!a.failed && a.fd >= 0);
	sock_dial_free(&d);
	c = sock_accept(fd, &peer);
	assert_true(c >= 0);
	assert_true(sock_is_loopback(&peer));
	close(c);
	close(a.fd);
	close(fd);
	/* nobody listens there any more */
	a = (struct attempt){ 0 };
	d = sock_dial_new(l, &bound, 1000, on_dialled, &a);
	assert_true(run_until(l, is_set, &a.done));
	assert_true(a.failed);
	sock_dial_free(&d);
	/* given up: no call */
	a = (struct attempt){ 0 };
	d = sock_dial_new(l, &bound, 1000, on_dialled, &a);
	sock_dial_free(&d);
	run_msec(l, 10);
	assert_false(a.done);
	loop_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(dialling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
