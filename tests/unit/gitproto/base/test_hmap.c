#include "gitproto/base/hmap.h"

#include "gitproto/base/mem.h"
#include "tests/unit/gitproto/base/base_test.h"

struct entry {
	char name[24];
	unsigned value;
	UT_hash_handle hh;
};

static void
test_table(void **state)
{
	struct entry *table = NULL, *e, *next;
	char name[24];

	(void)state;
	assert_true(hmap_seed() != 0 && hmap_seed() == hmap_seed());
	for (unsigned i = 0; i < 5000; i++) {
		e = MEM_NEW(struct entry);
		snprintf(e->name, sizeof(e->name), "owner/%u", i);
		e->value = i;
		HASH_ADD_STR(table, name, e);
	}
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "owner/%u", i);
		HASH_FIND_STR(table, name, e);
		assert_non_null(e);
		assert_int_equal(e->value, i);
	}
	HASH_FIND_STR(table, "nobody", e);
	assert_null(e);
	HASH_ITER (hh, table, e, next) {
		HASH_DEL(table, e);
		free(e);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
