#include "gitproto/refname.h"

#include "tests/unit/gitproto/git_test.h"

static const struct {
	const char *name;
	int want; /* of refname_check */
} rows[] = {
	{ "refs/heads/main", 0 },
	{ "refs/heads/a/b", 0 },
	{ "refs/pull/1/head", 0 },
	{ "refs/heads/HEAD", 0 },
	{ "refs/heads/-x", 0 },
	{ "refs/heads/a@b", 0 },
	{ "refs/heads/@", 0 },
	{ "refs/heads/{x}", 0 },
	{ "refs/heads/\xc3\xa4", 0 },
	{ "refs/heads/a.lockx", 0 },
	{ "refs/heads/a.b", 0 },
	{ "refs/onelevel", ERR_BAD },
	{ "refs/", ERR_BAD },
	{ "refs", ERR_BAD },
	{ "HEAD", ERR_BAD },
	{ "heads/main", ERR_BAD },
	{ "", ERR_BAD },
	{ "/refs/heads/x", ERR_BAD },
	{ "refs/heads/", ERR_BAD },
	{ "refs/heads//x", ERR_BAD },
	{ "refs/heads/x/", ERR_BAD },
	{ "refs/../heads/x", ERR_BAD },
	{ "refs/heads/..", ERR_BAD },
	{ "refs/heads/a..b", ERR_BAD },
	{ "refs/heads/.x", ERR_BAD },
	{ "refs/.heads/x", ERR_BAD },
	{ "refs/heads/x.", ERR_BAD },
	{ "refs/heads/x./y", 0 },
	{ "refs/heads/x.lock", ERR_BAD },
	{ "refs/heads/x.lock/y", ERR_BAD },
	{ "refs/heads/.lock", ERR_BAD },
	{ "refs/heads/a@{1}", ERR_BAD },
	{ "refs/heads/a b", ERR_BAD },
	{ "refs/heads/a\tb", ERR_BAD },
	{ "refs/heads/a\nb", ERR_BAD },
	{ "refs/heads/a\x7f", ERR_BAD },
	{ "refs/heads/a~", ERR_BAD },
	{ "refs/heads/a^", ERR_BAD },
	{ "refs/heads/a:b", ERR_BAD },
	{ "refs/heads/a?", ERR_BAD },
	{ "refs/heads/*", ERR_BAD },
	{ "refs/heads/a[", ERR_BAD },
	{ "refs/heads/a\\b", ERR_BAD },
	{ "refs/gitshard/x", ERR_REFUSED },
	{ "refs/gitshard/a/b", ERR_REFUSED },
	{ "refs/gitshardx/a", 0 },
};

static void
known_answers(void **state)
{
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int rc = refname_check(slice_str(rows[i].name), &err);

		if (rc != rows[i].want)
			print_message("name: '%s'\n", rows[i].name);
		assert_int_equal(rc, rows[i].want);
		if (rc == ERR_BAD)
			assert_memory_equal(err.text, "funny refname", 13);
	}
	assert_int_equal(refname_check(SLICE_LIT("refs/heads/a\0b"), NULL), ERR_BAD);
}

/* The installed git has the same opinion of the same names. */
static void
as_git_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char quoted[200];
		int git;

		if (slice_find(slice_str(rows[i].name), '\n') >= 0)
			continue;
		snprintf(quoted, sizeof(quoted), "'%s'", rows[i].name);
		git = shell(NULL, "git check-ref-format %s", quoted);
		assert_int_equal(git == 0, refname_wrong(slice_str(rows[i].name)) == NULL);
	}
}

static void
lengths(void **state)
{
	char name[REFNAME_MAX + 2] = "refs/heads/";
	size_t at = strlen(name);

	(void)state;
	memset(name + at, 'a', sizeof(name) - at);
	assert_int_equal(refname_check(slice_of(name, at + 250), NULL), 0);
	assert_int_equal(refname_check(slice_of(name, at + 251), NULL), ERR_BAD);
	for (size_t i = at + 200; i < sizeof(name) - 1; i += 201)
		name[i] = '/';
	assert_int_equal(refname_check(slice_of(name, REFNAME_MAX), NULL), 0);
	assert_int_equal(refname_check(slice_of(name, REFNAME_MAX + 1), NULL), ERR_BAD);
}

static void
directories(void **state)
{
	static const struct {
		const char *dir, *name;
		bool want;
	} pairs[] = {
		{ "refs/heads/a", "refs/heads/a/b", true },
		{ "refs/heads/a", "refs/heads/a/b/c", true },
		{ "refs/heads/a", "refs/heads/a", false },
		{ "refs/heads/a", "refs/heads/ab", false },
		{ "refs/heads/a/b", "refs/heads/a", false },
		{ "refs/heads/a", "refs/heads/b/a", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++)
		assert_int_equal(refname_is_dir_of(slice_str(pairs[i].dir),
						   slice_str(pairs[i].name)),
				 pairs[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(as_git_says),
		cmocka_unit_test(lengths),
		cmocka_unit_test(directories),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
