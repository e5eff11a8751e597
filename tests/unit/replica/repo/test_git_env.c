#include "replica/repo/git_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *
value_of(struct git_env *e, const char *name)
{
	size_t len = strlen(name);

	for (char *const *v = git_env_list(e); *v != NULL; v++)
		if (strncmp(*v, name, len) == 0 && (*v)[len] == '=')
			return *v + len + 1;
	return NULL;
}

/* The value git would take: the last one of a key. */
static const char *
config_of(struct git_env *e, const char *key)
{
	int n = atoi(value_of(e, "GIT_CONFIG_COUNT"));
	const char *found = NULL;

	for (int i = 0; i < n; i++) {
		char name[64];

		snprintf(name, sizeof(name), "GIT_CONFIG_KEY_%d", i);
		assert_non_null(value_of(e, name));
		if (strcmp(value_of(e, name), key) != 0)
			continue;
		snprintf(name, sizeof(name), "GIT_CONFIG_VALUE_%d", i);
		found = value_of(e, name);
		assert_non_null(found);
	}
	return found;
}

static void
test_uses(void **state UNUSED)
{
	static const struct {
		enum git_env_use use;
		const char *key, *value;
	} t[] = {
		{ GIT_ENV_PLAIN, "gc.auto", "0" },
		{ GIT_ENV_PLAIN, "core.hooksPath", "/hooks" },
		{ GIT_ENV_PLAIN, "safe.directory", "*" },
		{ GIT_ENV_PLAIN, "protocol.allow", "never" },
		{ GIT_ENV_PLAIN, "uploadpack.allowAnySHA1InWant", NULL },
		{ GIT_ENV_PLAIN, "receive.procReceiveRefs", NULL },
		{ GIT_ENV_FETCH, "uploadpack.allowAnySHA1InWant", "true" },
		{ GIT_ENV_FETCH, "uploadpack.allowRefInWant", "false" },
		{ GIT_ENV_FETCH, "receive.procReceiveRefs", NULL },
		{ GIT_ENV_PUSH, "receive.procReceiveRefs", "refs/" },
		{ GIT_ENV_PUSH, "receive.unpackLimit", "1" },
		{ GIT_ENV_PUSH, "receive.shallowUpdate", "false" },
		{ GIT_ENV_PUSH, "transfer.fsckObjects", "true" },
		{ GIT_ENV_PUSH, "core.bigFileThreshold", "50m" },
		{ GIT_ENV_PUSH, "uploadpack.allowAnySHA1InWant", NULL },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct git_env *e = git_env_new(t[i].use, "/home", "/hooks");
		const char *got = config_of(e, t[i].key);

		if (t[i].value == NULL)
			assert_null(got);
		else
			assert_string_equal(got, t[i].value);
		git_env_free(&e);
		assert_null(e);
	}
}

static void
test_nothing_of_ours(void **state UNUSED)
{
	struct git_env *e;

	setenv("GIT_DIR", "/elsewhere", 1);
	setenv("GITSHARD_SECRET", "x", 1);
	setenv("TMPDIR", "/scratch", 1);
	e = git_env_new(GIT_ENV_PLAIN, "/home", "/hooks");
	assert_null(value_of(e, "GIT_DIR"));
	assert_null(value_of(e, "GITSHARD_SECRET"));
	assert_string_equal(value_of(e, "TMPDIR"), "/scratch");
	assert_string_equal(value_of(e, "HOME"), "/home");
	assert_string_equal(value_of(e, "LC_ALL"), "C");
	assert_string_equal(value_of(e, "GIT_CONFIG_NOSYSTEM"), "1");
	assert_non_null(value_of(e, "PATH"));
	git_env_free(&e);
	unsetenv("TMPDIR");
	unsetenv("GIT_DIR");
	e = git_env_new(GIT_ENV_PLAIN, "/home", "/hooks");
	assert_null(value_of(e, "TMPDIR"));
	git_env_set(e, "NEW", "1");
	git_env_set(e, "NONE", NULL);
	git_env_config(e, "a.b", "c=d e");
	assert_string_equal(value_of(e, "NEW"), "1");
	assert_null(value_of(e, "NONE"));
	assert_string_equal(config_of(e, "a.b"), "c=d e");
	git_env_free(&e);
	git_env_free(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uses),
		cmocka_unit_test(test_nothing_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
