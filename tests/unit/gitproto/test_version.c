#include "gitproto/version.h"

#include "tests/unit/gitproto/git_test.h"

static void
headers(void **state)
{
	static const struct {
		const char *in;
		enum version want;
	} rows[] = {
		{ "", VERSION_0 },
		{ "version=0", VERSION_0 },
		{ "version=1", VERSION_1 },
		{ "version=2", VERSION_2 },
		{ "version=3", VERSION_0 },
		{ "version=22", VERSION_0 },
		{ "version=", VERSION_0 },
		{ "version", VERSION_0 },
		{ "VERSION=2", VERSION_0 },
		{ "version=2 ", VERSION_0 },
		{ "version=2:version=1", VERSION_2 },
		{ "version=1:version=2", VERSION_2 },
		{ "a:b=c:version=1:version=9", VERSION_1 },
		{ ":::version=2:", VERSION_2 },
		{ "xversion=2", VERSION_0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(version_parse(slice_str(rows[i].in)), rows[i].want);
}

static void
spoken(void **state)
{
	(void)state;
	assert_int_equal(version_spoken(SERVICE_UPLOAD_PACK, VERSION_2), VERSION_2);
	assert_int_equal(version_spoken(SERVICE_RECEIVE_PACK, VERSION_2), VERSION_0);
	assert_int_equal(version_spoken(SERVICE_RECEIVE_PACK, VERSION_1), VERSION_1);
	assert_int_equal(version_spoken(SERVICE_UPLOAD_ARCHIVE, VERSION_2), VERSION_0);
	assert_string_equal(version_text(VERSION_2), "version=2");
	assert_null(version_text(VERSION_0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(spoken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
