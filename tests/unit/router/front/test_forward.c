#include "router/front/forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "gitproto/base/mem.h"

static void
test_peer_host(void **state)
{
	static const struct {
		const char *peer, *host;
	} cases[] = {
		{ "127.0.0.1:5555", "127.0.0.1" },
		{ "[::1]:5", "::1" },
		{ "[fe80::1%eth0]:65535", "fe80::1%eth0" },
		{ "", "" },
		{ "unix", "unix" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_true(slice_eq_str(forward_peer_host(cases[i].peer), cases[i].host));
}

static void
test_targets(void **state)
{
	static const struct {
		const char *target, *method, *want;
	} cases[] = {
		{ "/A/B.git/info/refs?service=git-upload-pack", "GET",
		  "/git/a/b.git/info/refs?service=git-upload-pack" },
		{ "/a/b/info/refs?service=git-receive-pack", "GET",
		  "/git/a/b.git/info/refs?service=git-receive-pack" },
		{ "/a/b.wiki.git/git-upload-pack", "POST", "/git/a/b.wiki.git/git-upload-pack" },
		{ "/a/b.git/git-receive-pack", "POST", "/git/a/b.git/git-receive-pack" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct smart_path p;
		struct http_head *in = http_head_new(), *out;
		struct forward f = { .path = &p, .from = in, .peer = "[::1]:1", .id = "0" };

		assert_int_equal(smart_path_parse(&p, slice_str(cases[i].target), SLICE_NONE, NULL),
				 0);
		http_head_request(in, cases[i].method, cases[i].target);
		in->content_length = i;
		assert_int_equal(forward_request(&out, &f, NULL), 0);
		assert_string_equal(out->target, cases[i].want);
		assert_string_equal(out->method, cases[i].method);
		assert_string_equal(http_head_get(out, "x-forwarded-for"), "::1");
		assert_int_equal(out->content_length, i);
		http_head_free(&in);
		http_head_free(&out);
	}
}

/* A head that just passed the client's limits, and does not pass with what is added to it. */
static void
test_too_big(void **state)
{
	struct smart_path p;
	struct http_head *in = http_head_new(), *out = NULL;
	struct forward f = { .path = &p, .from = in, .peer = "1.2.3.4:5", .id = "0" };
	char *large = mem_alloc(HTTP_MAX_HEAD);

	(void)state;
	assert_int_equal(
		smart_path_parse(&p, SLICE_LIT("/a/b.git/git-upload-pack"), SLICE_NONE, NULL), 0);
	http_head_request(in, "POST", "/a/b.git/git-upload-pack");
	memset(large, 'x', HTTP_MAX_HEAD - strlen("authorization"));
	assert_int_equal(http_head_add(in, "authorization", large), 0);
	assert_int_equal(forward_request(&out, &f, NULL), ERR_TOO_BIG);
	assert_null(out);
	http_head_free(&in);
	free(large);
}

static void
test_response(void **state)
{
	static const struct {
		const char *name;
		bool passes;
	} cases[] = {
		{ "content-type", true },    { "cache-control", true },
		{ "expires", true },         { "pragma", true },
		{ "retry-after", true },     { "www-authenticate", true },
		{ "gitshard-offset", true }, { "gitshard-level", true },
		{ "set-cookie", false },     { "server", false },
		{ "date", false },           { "connection", false },
		{ "x-gitshard", false },
	};
	struct http_head *in = http_head_new(), *out;

	(void)state;
	in->status = 207;
	for (unsigned i = 0; i < COUNT(cases); i++)
		http_head_addf(in, cases[i].name, "value");
	http_head_addf(in, "www-authenticate", "second");
	http_head_addf(in, "gitshard-request", "node's own");
	assert_int_equal(forward_response(&out, in, "id", NULL), 0);
	assert_int_equal(out->status, 207);
	assert_int_equal(out->content_length, -1);
	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_int_equal(http_head_get(out, cases[i].name) != NULL, cases[i].passes);
	assert_string_equal(http_head_get(out, "gitshard-request"), "id");
	assert_int_equal(out->nfields, 1 + 8 + 1);
	http_head_free(&in);
	http_head_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer_host),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
