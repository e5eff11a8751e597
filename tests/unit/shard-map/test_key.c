#include "shard-map/key.h"
#include "tests/unit/shard-map/map_test.h"

/* These answers decide where repositories live: they never change. */
static void
test_known(void **state)
{
	static const struct {
		const char *repo;
		uint64_t seed, hash;
	} cases[] = {
		{ "", 0, UINT64_C(0x2d06800538d394c2) }, /* of XXH3's own test vectors */
		{ "a/b", 0, UINT64_C(0x48f71e9475860604) },
		{ "a/b", 1, UINT64_C(0x46030070e4e4420f) },
		{ "demo/hello", UINT64_C(0x0123456789abcdef), UINT64_C(0x535e023e15f2ba4b) },
		{ "demo/hello.wiki", UINT64_C(0x0123456789abcdef), UINT64_C(0x535e023e15f2ba4b) },
		{ "some-organisation/a-repository-with-a-rather-long-name.and.dots_too", 42,
		  UINT64_C(0xe9d5af5c323e7fc3) },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint64_t got = key_hash(slice_str(cases[i].repo), cases[i].seed);

		if (got != cases[i].hash)
			fail_msg("case %u: 0x%016llx", i, (unsigned long long)got);
	}
	assert_int_equal(key_shard(SLICE_LIT("demo/hello"), UINT64_C(0x0123456789abcdef), 256), 75);
}

static void
test_wiki(void **state)
{
	static const struct {
		const char *repo, *key;
	} cases[] = {
		{ "a/b.wiki", "a/b" },
		{ "a/b", "a/b" },
		{ "a/.wiki", "a/.wiki" },
		{ ".wiki", ".wiki" },
		{ "a/wiki", "a/wiki" },
		{ "a/b.wiki.wiki", "a/b.wiki" },
		{ "", "" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_true(slice_eq_str(key_of(slice_str(cases[i].repo)), cases[i].key));
}

static void
test_doubling(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		char repo[32];
		uint32_t few, many;

		snprintf(repo, sizeof(repo), "owner%u/name", i);
		few = key_shard(slice_str(repo), i, 64);
		many = key_shard(slice_str(repo), i, 128);
		assert_true(many == few || many == few + 64);
		assert_int_equal(key_shard(slice_str(repo), i, 1), 0);
	}
}

static void
test_spread(void **state)
{
	unsigned count[64] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 64000; i++) {
		char repo[32];

		snprintf(repo, sizeof(repo), "owner/%u", i);
		count[key_shard(slice_str(repo), 99, 64)]++;
	}
	for (unsigned i = 0; i < 64; i++)
		assert_in_range(count[i], 850, 1150);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_wiki),
		cmocka_unit_test(test_doubling),
		cmocka_unit_test(test_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
