#include "gitproto/reflist.h"

#include <stdio.h>

#include "tests/unit/gitproto/git_test.h"

static struct oid
id(uint8_t n)
{
	struct oid o = oid_null(OID_SHA1);

	o.b[0] = n;
	return o;
}

static void
search(void **state)
{
	const struct reflist_item a = { "refs/heads/a", id(1), OID_NONE };
	const struct reflist_item b = { "refs/heads/b", id(2), OID_NONE };
	const struct reflist_item t = { "refs/tags/t", id(3), id(4) };
	const struct reflist_item *items[] = { &a, &b, &t };
	static const struct {
		const char *name;
		size_t lower;
		bool found;
	} rows[] = {
		{ "", 0, false },
		{ "refs/heads/a", 0, true },
		{ "refs/heads/aa", 1, false },
		{ "refs/heads/b", 1, true },
		{ "refs/tags/", 2, false },
		{ "refs/tags/t", 2, true },
		{ "refs/tags/tt", 3, false },
		{ "z", 3, false },
	};

	(void)state;
	for (size_t n = 0; n <= COUNT(items); n++) {
		struct reflist l = { .items = items, .n = n };

		for (size_t i = 0; i < COUNT(rows); i++) {
			struct slice name = slice_str(rows[i].name);

			assert_int_equal(reflist_lower(&l, name), MIN(n, rows[i].lower));
			assert_int_equal(reflist_find(&l, name) != NULL,
					 rows[i].found && rows[i].lower < n);
		}
	}
}

static void
heads(void **state)
{
	const struct reflist_item a = { "refs/heads/a", id(1), OID_NONE };
	const struct reflist_item *items[] = { &a };
	struct reflist l = { .items = items, .n = 1, .head_target = "refs/heads/a" };
	struct reflist_item head;

	(void)state;
	assert_true(reflist_head(&l, &head));
	assert_string_equal(head.name, "HEAD");
	assert_true(oid_eq(&head.oid, &a.oid));
	l.head_target = "refs/heads/none";
	assert_false(reflist_head(&l, &head));
	l.head_target = NULL;
	assert_false(reflist_head(&l, &head));
	l.head_detached = id(9);
	assert_true(reflist_head(&l, &head));
	assert_true(oid_eq(&head.oid, &l.head_detached));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(search),
		cmocka_unit_test(heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
