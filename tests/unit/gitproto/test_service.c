#include "gitproto/service.h"

#include "tests/unit/gitproto/git_test.h"

static void
names(void **state)
{
	static const struct {
		const char *text;
		enum service want; /* NONE: refused */
	} rows[] = {
		{ "git-upload-pack", SERVICE_UPLOAD_PACK },
		{ "git-receive-pack", SERVICE_RECEIVE_PACK },
		{ "git-upload-archive", SERVICE_UPLOAD_ARCHIVE },
		{ "upload-pack", SERVICE_NONE },
		{ "git-upload-packx", SERVICE_NONE },
		{ "GIT-upload-pack", SERVICE_NONE },
		{ "", SERVICE_NONE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum service s = SERVICE_NONE;

		assert_int_equal(service_parse(&s, slice_str(rows[i].text)),
				 rows[i].want != SERVICE_NONE);
		assert_int_equal(s, rows[i].want);
		if (s != SERVICE_NONE)
			assert_string_equal(service_name(s), rows[i].text);
	}
	assert_string_equal(service_word(SERVICE_UPLOAD_PACK), "upload-pack");
	assert_string_equal(service_word(SERVICE_NONE), "");
	assert_true(service_writes(SERVICE_RECEIVE_PACK));
	assert_false(service_writes(SERVICE_UPLOAD_PACK));
	assert_string_equal(service_type_request(SERVICE_UPLOAD_PACK),
			    "application/x-git-upload-pack-request");
	assert_string_equal(service_type_result(SERVICE_RECEIVE_PACK),
			    "application/x-git-receive-pack-result");
	assert_string_equal(service_type_advertisement(SERVICE_RECEIVE_PACK),
			    "application/x-git-receive-pack-advertisement");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
