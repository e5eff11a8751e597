#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gitproto/base/mem.h"
#include "gitproto/net/http.h"

static void
fields(void **state)
{
	static const struct {
		const char *name, *value;
		int rc;
		const char *kept; /* NULL: not a field */
	} cases[] = {
		{ "Git-Protocol", "version=2", 0, "version=2" },
		{ "X", " \t a b\t ", 0, "a b" },
		{ "x-empty", "", 0, "" },
		{ "x-tab", "a\tb", 0, "a\tb" },
		{ "x-high", "\xc3\xa9", 0, "\xc3\xa9" },
		{ "", "a", ERR_BAD, NULL },
		{ "a b", "a", ERR_BAD, NULL },
		{ "a:", "a", ERR_BAD, NULL },
		{ "a\x80", "a", ERR_BAD, NULL },
		{ "x", "a\r\nb", ERR_BAD, NULL },
		{ "x", "a\nb", ERR_BAD, NULL },
		{ "x", "a\x7f", ERR_BAD, NULL },
		{ "x", "a\x01", ERR_BAD, NULL },
		{ "Content-Length", "12", 0, NULL },
		{ "content-length", "", ERR_BAD, NULL },
		{ "content-length", "-1", ERR_BAD, NULL },
		{ "content-length", "1e3", ERR_BAD, NULL },
		{ "content-length", "9999999999999999999", ERR_BAD, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_head *h = http_head_new();

		assert_int_equal(http_head_add(h, cases[i].name, cases[i].value), cases[i].rc);
		assert_int_equal(h->nfields, cases[i].kept != NULL ? 1 : 0);
		if (cases[i].kept != NULL)
			assert_string_equal(h->fields[0].value, cases[i].kept);
		http_head_free(&h);
	}
}

static void
lookup_and_length(void **state)
{
	struct http_head *h = http_head_new();

	(void)state;
	assert_int_equal(h->content_length, -1);
	http_head_request(h, "POST", "/a/b.git/git-upload-pack");
	http_head_request(h, "GET", "/x?y");
	assert_string_equal(h->method, "GET");
	assert_string_equal(h->target, "/x?y");
	http_head_addf(h, "X-One", "%d", 1);
	http_head_addf(h, "x-one", "%d", 2);
	assert_string_equal(http_head_get(h, "x-one"), "1");
	assert_null(http_head_get(h, "x-two"));
	assert_int_equal(http_head_add(h, "content-length", "7"), 0);
	assert_int_equal(http_head_add(h, "content-length", "7"), ERR_BAD);
	assert_int_equal(h->content_length, 7);
	http_head_free(&h);
	http_head_free(&h);
}

static void
limits(void **state)
{
	struct http_head *h = http_head_new();
	char *big = mem_alloc(HTTP_MAX_HEAD + 2);

	(void)state;
	for (unsigned i = 0; i < HTTP_MAX_FIELDS; i++)
		assert_int_equal(http_head_add(h, "a", "b"), 0);
	assert_int_equal(http_head_add(h, "a", "b"), ERR_TOO_BIG);
	http_head_free(&h);
	memset(big, 'x', HTTP_MAX_HEAD);
	h = http_head_new();
	assert_int_equal(http_head_add(h, "a", big), ERR_TOO_BIG);
	big[HTTP_MAX_HEAD - 1] = '\0';
	assert_int_equal(http_head_add(h, "a", big), 0);
	assert_int_equal(http_head_add(h, "a", "b"), ERR_TOO_BIG);
	http_head_free(&h);
	free(big);
}

static void
queries(void **state)
{
	static const struct {
		const char *target, *name;
		int rc;
		const char *value;
	} cases[] = {
		{ "/x?service=git-upload-pack", "service", 0, "git-upload-pack" },
		{ "/x?a=1&b=2&a=3", "a", 0, "1" },
		{ "/x?a=1&b=2", "b", 0, "2" },
		{ "/x?a=1&b", "b", 0, "" },
		{ "/x?q=a%20b+c%2F%2f", "q", 0, "a b c//" },
		{ "/x?q=a=b", "q", 0, "a=b" },
		{ "/x", "a", ERR_NOT_FOUND, "" },
		{ "/x?", "a", ERR_NOT_FOUND, "" },
		{ "/x?ab=1", "a", ERR_NOT_FOUND, "" },
		{ "/a=1", "a", ERR_NOT_FOUND, "" },
		{ "/x?q=%", "q", ERR_BAD, NULL },
		{ "/x?q=%2", "q", ERR_BAD, NULL },
		{ "/x?q=%zz", "q", ERR_BAD, NULL },
		{ "/x?q=%00", "q", ERR_BAD, NULL },
		{ "/x?q=0123456789abcdefg", "q", ERR_TOO_BIG, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf b = BUF_MAX(16);

		assert_int_equal(http_query_get(cases[i].target, cases[i].name, &b), cases[i].rc);
		if (cases[i].value != NULL)
			assert_string_equal(buf_str(&b), cases[i].value);
		buf_release(&b);
	}
}

static void
small_things(void **state)
{
	static const struct {
		const char *target;
		bool ok;
	} targets[] = {
		{ "/", true },       { "*", true },          { "", false },
		{ "a", false },      { "/a b", false },      { "/a#b", false },
		{ "/a\x7f", false }, { "/a\xc3", false },    { "/%C3%A9", true },
		{ "/a?b#", false },  { "http://x/", false },
	};
	char date[HTTP_DATE];

	(void)state;
	for (size_t i = 0; i < COUNT(targets); i++)
		assert_int_equal(http_target_ok(slice_str(targets[i].target)), targets[i].ok);
	assert_true(http_list_has("gzip, Chunked ,x", "chunked"));
	assert_false(http_list_has("gzip, xchunked", "chunked"));
	assert_false(http_list_has("", "chunked"));
	assert_true(http_field_is_hop("transfer-encoding"));
	assert_true(http_field_is_hop("proxy-authorization"));
	assert_false(http_field_is_hop("content-type"));
	assert_string_equal(http_reason(404), "Not Found");
	assert_string_equal(http_reason(299), "Status");
	assert_true(http_status_bodiless(204) && http_status_bodiless(100));
	assert_false(http_status_bodiless(200));
	http_date(date, 784111777000);
	assert_string_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),       cmocka_unit_test(lookup_and_length),
		cmocka_unit_test(limits),       cmocka_unit_test(queries),
		cmocka_unit_test(small_things),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
