#include "replica/repo/objtype.h"

#include <git2/global.h>

#include "replica/repo/git_env.h"
#include "tests/unit/replica/repo/git_run.h"

static struct oid
read_oid(const char *hex, enum oid_format f)
{
	struct oid o;

	assert_int_equal(oid_parse(&o, slice_str(hex), f), 0);
	return o;
}

/* A blob, a tree, a commit and a tag in the repository, a commit in the quarantine, one nowhere. */
static void
look_at_all(enum oid_format f)
{
	static const bool want[] = { false, false, true, false, true, false };
	struct git_env *env = git_env_new(GIT_ENV_PLAIN, git_dir, "/dev/null");
	struct objtype_item items[COUNT(want)];
	char dir[128], quarantine[160], commit[80], tree[80];
	struct err err = { 0 };

	memset(items, 0, sizeof(items));
	snprintf(dir, sizeof(dir), "%s/%s.git", git_dir, oid_name(f));
	snprintf(quarantine, sizeof(quarantine), "%s/objects/incoming-1", dir);
	git_sh("git init -q --bare --object-format=%s %s && mkdir %s", oid_name(f), dir,
	       quarantine);
	items[0].oid = read_oid(git_sh("cd %s && echo x | git hash-object -w --stdin", dir), f);
	snprintf(tree, sizeof(tree), "%s", git_sh("cd %s && git mktree </dev/null", dir));
	items[1].oid = read_oid(tree, f);
	snprintf(commit, sizeof(commit), "%s",
		 git_sh("cd %s && git commit-tree -m 1 %s", dir, tree));
	items[2].oid = read_oid(commit, f);
	items[3].oid =
		read_oid(git_sh("cd %s && git tag -a -m t v %s && git rev-parse v", dir, commit),
			 f);
	items[4].oid = read_oid(git_sh("cd %s && GIT_OBJECT_DIRECTORY=%s "
				       "GIT_ALTERNATE_OBJECT_DIRECTORIES=%s/objects "
				       "git commit-tree -m 2 -p %s %s",
				       dir, quarantine, dir, commit, tree),
				f);
	items[5].oid = items[4].oid;
	items[5].oid.b[0] ^= 1;
	assert_int_equal(objtype_commits(dir, quarantine, f, git_env_list(env), items, COUNT(want),
					 &err),
			 0);
	for (size_t i = 0; i < COUNT(want); i++)
		if (items[i].commit != want[i])
			fail_msg("%s: object %zu", oid_name(f), i);
	/* Without the quarantine its commit is not there. */
	assert_int_equal(objtype_commits(dir, NULL, f, git_env_list(env), items, COUNT(want), &err),
			 0);
	assert_true(items[2].commit);
	assert_false(items[4].commit);
	assert_int_equal(objtype_commits(dir, NULL, f, git_env_list(env), items, 0, &err), 0);
	git_env_free(&env);
}

static void
test_sha1(void **state UNUSED)
{
	look_at_all(OID_SHA1);
}

static void
test_sha256(void **state UNUSED)
{
	look_at_all(OID_SHA256);
}

static void
test_no_repository(void **state UNUSED)
{
	struct git_env *env = git_env_new(GIT_ENV_PLAIN, git_dir, "/dev/null");
	struct objtype_item item = { .oid = read_oid("00000000000000000000000000000000000000000000"
						     "00000000000000000001",
						     OID_SHA256) };
	struct err err = { 0 };

	assert_int_equal(objtype_commits("/no-such-folder", NULL, OID_SHA256, git_env_list(env),
					 &item, 1, &err),
			 ERR_IO);
	item.oid = read_oid("0000000000000000000000000000000000000001", OID_SHA1);
	/* libgit2 opens an object folder that is not there: then nothing is found. */
	if (objtype_commits("/no-such-folder", NULL, OID_SHA1, git_env_list(env), &item, 1, &err) ==
	    0)
		assert_false(item.commit);
	git_env_free(&env);
}

static int
begin(void **state UNUSED)
{
	git_libgit2_init();
	git_begin();
	return 0;
}

static int
end(void **state UNUSED)
{
	git_end();
	git_libgit2_shutdown();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha1),
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_no_repository),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
