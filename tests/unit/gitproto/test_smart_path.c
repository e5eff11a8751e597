#include "gitproto/smart_path.h"

#include "tests/unit/gitproto/git_test.h"

#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A100 A50 A50
#define HEX38 "0123456789abcdef0123456789abcdef012345"

#define REFS SMART_PATH_INFO_REFS
#define UP SERVICE_UPLOAD_PACK
#define RP SERVICE_RECEIVE_PACK
#define NO SERVICE_NONE

static const struct {
	const char *target, *path, *key; /* path NULL: refused with rc */
	int rc;
	enum smart_path_endpoint endpoint;
	enum service service;
} target_rows[] = {
	{ "/o/n.git/info/refs?service=git-upload-pack", "o/n", "o/n", 0, REFS, UP },
	{ "/o/n/info/refs?service=git-receive-pack", "o/n", "o/n", 0, REFS, RP },
	{ "/o/n/info/refs", "o/n", "o/n", 0, REFS, NO },
	{ "/o/n/info/refs?x=1", "o/n", "o/n", 0, REFS, NO },
	{ "/o/n/info/refs?", "o/n", "o/n", 0, REFS, NO },
	{ "/o/n/info/refs?x=1&service=git-upload-pack&y", "o/n", "o/n", 0, REFS, UP },
	{ "/o/n/info/refs?service=git-upload-pack&service=git-receive-pack", "o/n", "o/n", 0, REFS,
	  RP },
	{ "/o/n/info/refs?service=x&service=git-receive-pack", "o/n", "o/n", 0, REFS, RP },
	{ "/o/n/info/refs?s%65rvice=git%2dupload-pack", "o/n", "o/n", 0, REFS, UP },
	{ "/o/n/info/refs?service=git-x", NULL, NULL, ERR_REFUSED, 0, 0 },
	{ "/o/n/info/refs?service=git-receive-pack&service=x", NULL, NULL, ERR_REFUSED, 0, 0 },
	{ "/o/n/info/refs?service", NULL, NULL, ERR_REFUSED, 0, 0 },
	{ "/o/n.git/git-upload-pack", "o/n", "o/n", 0, SMART_PATH_UPLOAD_PACK, UP },
	{ "/o/n.git/git-receive-pack", "o/n", "o/n", 0, SMART_PATH_RECEIVE_PACK, RP },
	{ "/o/n.git/git-upload-archive", "o/n", "o/n", 0, SMART_PATH_UPLOAD_ARCHIVE,
	  SERVICE_UPLOAD_ARCHIVE },
	{ "/o/n.git/HEAD", "o/n", "o/n", 0, SMART_PATH_DUMB, NO },
	{ "/o/n.git/objects/info/packs", "o/n", "o/n", 0, SMART_PATH_DUMB, NO },
	{ "/o/n.git/objects/ab/" HEX38, "o/n", "o/n", 0, SMART_PATH_DUMB, NO },
	{ "/o/n.git/objects/pack/pack-" HEX38 "ab.idx", "o/n", "o/n", 0, SMART_PATH_DUMB, NO },
	{ "/o/n.git/objects/pack/pack-" HEX38 "ab.keep", NULL, NULL, ERR_NOT_FOUND, 0, 0 },
	{ "/o/n.git/objects/pack/../../config", NULL, NULL, ERR_NOT_FOUND, 0, 0 },
	{ "/o/n.git/objects/ab/" HEX38 "a", NULL, NULL, ERR_NOT_FOUND, 0, 0 },
	{ "/o/n.git/config", NULL, NULL, ERR_NOT_FOUND, 0, 0 },
	{ "/o/n.git/", NULL, NULL, ERR_NOT_FOUND, 0, 0 },
	{ "/o/n.git", NULL, NULL, ERR_NOT_FOUND, 0, 0 },
	{ "/o/n.git//info/refs", NULL, NULL, ERR_NOT_FOUND, 0, 0 },
	{ "/o/n.git/info/refs/", NULL, NULL, ERR_NOT_FOUND, 0, 0 },
	{ "/o/p/n.git/info/refs", NULL, NULL, ERR_NOT_FOUND, 0, 0 },
	/* names */
	{ "/Owner/Name.GIT/info/refs", "owner/name", "owner/name", 0, REFS, NO },
	{ "/o/%6e%2egit/info/refs", "o/n", "o/n", 0, REFS, NO },
	{ "/o/n.wiki.git/info/refs", "o/n.wiki", "o/n", 0, REFS, NO },
	{ "/o/N.Wiki/info/refs", "o/n.wiki", "o/n", 0, REFS, NO },
	{ "/o.wiki/n/info/refs", "o.wiki/n", "o.wiki/n", 0, REFS, NO },
	{ "/o/a..b/info/refs", "o/a..b", "o/a..b", 0, REFS, NO },
	{ "/o/_-./info/refs", "o/_-.", "o/_-.", 0, REFS, NO },
	{ "/" A100 "/" A100 ".git/info/refs", A100 "/" A100, A100 "/" A100, 0, REFS, NO },
	{ "/o/" A100 "a/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/" A100 A100 "/n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n.git.git/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o.git/n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n.wiki.wiki/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n.git.wiki/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/.wiki/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/.git/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/../info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/../n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/./info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/%2e%2e/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/%252e/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o%2fn/x/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n%00/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n%0a/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n%/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n%4/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n%zz/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n\\x/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/-n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/-o/n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/~o/n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o/n\xc3\xa4/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/o//n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "//o/n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "/", NULL, NULL, ERR_BAD, 0, 0 },
	{ "", NULL, NULL, ERR_BAD, 0, 0 },
	{ "o/n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
	{ "http://h/o/n/info/refs", NULL, NULL, ERR_BAD, 0, 0 },
};

static void
targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(target_rows); i++) {
		struct smart_path p;
		struct err err = { 0 };
		int rc = smart_path_parse(&p, slice_str(target_rows[i].target), SLICE_NONE, &err);

		if (rc != target_rows[i].rc)
			print_message("target: %s: %s\n", target_rows[i].target, err.text);
		assert_int_equal(rc, target_rows[i].rc);
		if (rc < 0) {
			assert_true(err.text[0] != '\0');
			continue;
		}
		assert_string_equal(p.repo.path, target_rows[i].path);
		assert_string_equal(p.repo.key, target_rows[i].key);
		assert_int_equal(p.repo.wiki, strcmp(target_rows[i].path, target_rows[i].key) != 0);
		assert_int_equal(p.endpoint, target_rows[i].endpoint);
		assert_int_equal(p.service, target_rows[i].service);
	}
}

static void
dumb_files(void **state)
{
	struct smart_path p;

	(void)state;
	assert_int_equal(
		smart_path_parse(&p, SLICE_LIT("/o/n/objects/info/packs?x"), SLICE_NONE, NULL), 0);
	assert_slice_str(p.file, "objects/info/packs");
}

static void
prefixes(void **state)
{
	static const struct {
		const char *target, *prefix;
		int rc;
	} rows[] = {
		{ "/git/o/n/info/refs", "/git", 0 },
		{ "/git/o/n/info/refs", "git/", 0 },
		{ "/a/b/o/n/info/refs", "/a/b/", 0 },
		{ "/o/n/info/refs", "/", 0 },
		{ "/o/n/info/refs", "/git", ERR_NOT_FOUND },
		{ "/gitx/o/n/info/refs", "/git", ERR_NOT_FOUND },
		{ "/git", "/git", ERR_NOT_FOUND },
		{ "/git/", "/git", ERR_BAD },
		{ "/%67it/o/n/info/refs", "/git", ERR_NOT_FOUND },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct smart_path p;

		assert_int_equal(smart_path_parse(&p, slice_str(rows[i].target),
						  slice_str(rows[i].prefix), NULL),
				 rows[i].rc);
		if (rows[i].rc == 0)
			assert_string_equal(p.repo.path, "o/n");
	}
}

static void
names(void **state)
{
	static const struct {
		const char *name, *path, *key;
	} rows[] = {
		{ "o/n", "o/n", "o/n" },
		{ "O/N.git", "o/n", "o/n" },
		{ "o/n.wiki", "o/n.wiki", "o/n" },
		{ "o/n.wiki.git", "o/n.wiki", "o/n" },
		{ A100 "/" A100 ".git", A100 "/" A100, A100 "/" A100 },
		{ "o", NULL, NULL },
		{ "", NULL, NULL },
		{ "/o/n", NULL, NULL },
		{ "o/n/", NULL, NULL },
		{ "o/n/m", NULL, NULL },
		{ "o/", NULL, NULL },
		{ "/n", NULL, NULL },
		{ "o/n%41", NULL, NULL },
		{ "o/..", NULL, NULL },
		{ A100 A100 A100 "/n", NULL, NULL },
		{ "o/" A100 "a.git", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct smart_path_repo r;
		struct err err;
		int rc = smart_path_repo_parse(&r, slice_str(rows[i].name), &err);

		assert_int_equal(rc, rows[i].path != NULL ? 0 : ERR_BAD);
		if (rc < 0)
			continue;
		assert_string_equal(r.path, rows[i].path);
		assert_string_equal(r.key, rows[i].key);
	}
}

static void
too_long(void **state)
{
	char *target = mem_alloc(SMART_PATH_TARGET_MAX + 2);
	struct smart_path p;

	(void)state;
	memset(target, 'a', SMART_PATH_TARGET_MAX + 1);
	target[0] = '/';
	assert_int_equal(smart_path_parse(&p, slice_str(target), SLICE_NONE, NULL), ERR_TOO_BIG);
	free(target);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets), cmocka_unit_test(dumb_files), cmocka_unit_test(prefixes),
		cmocka_unit_test(names),   cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
