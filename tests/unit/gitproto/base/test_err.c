#include "gitproto/base/err.h"

#include <errno.h>

#include "tests/unit/gitproto/base/base_test.h"

static void
test_table(void **state)
{
	(void)state;
	for (int code = 0; code > -ERR_NCODES; code--) {
		assert_string_not_equal(err_name(code), "?");
		assert_in_range(err_http_status(code), 200, 599);
		assert_true(strlen(err_default_text(code)) > 0);
		for (int other = code - 1; other > -ERR_NCODES; other--)
			assert_string_not_equal(err_name(code), err_name(other));
	}
	assert_string_equal(err_name(1), "?");
	assert_string_equal(err_name(-ERR_NCODES), "?");
	assert_int_equal(err_http_status(-ERR_NCODES), 500);
}

static void
test_words(void **state)
{
	struct err e = { 0 };
	char big[2000];

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(err_set(&e, ERR_BAD, "line\nbreak %d", 5), ERR_BAD);
	assert_string_equal(e.text, "line break 5");
	assert_int_equal(err_prefix(&e, "file %s", "f"), ERR_BAD);
	assert_string_equal(e.text, "file f: line break 5");
	assert_int_equal(err_set(NULL, ERR_IO, "nobody listens"), ERR_IO);
	assert_int_equal(err_prefix(NULL, "x"), ERR_OK);
	err_set(&e, ERR_BAD, "%s", big);
	err_prefix(&e, "%s", big);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	e = (struct err){ .code = ERR_NOT_FOUND };
	assert_string_equal(err_text(&e), "not found");
	err_prefix(&e, "a/b");
	assert_string_equal(e.text, "a/b: not found");
}

static void
test_errno(void **state)
{
	struct err e;

	(void)state;
	errno = ENOSPC;
	assert_int_equal(err_errno(&e, "writing %s", "f"), ERR_FULL);
	assert_non_null(strstr(e.text, "writing f: No space left"));
	errno = EDQUOT;
	assert_int_equal(err_errno(NULL, "x"), ERR_FULL);
	errno = EIO;
	assert_int_equal(err_errno(&e, "x"), ERR_IO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
