/* Which packs are merged, and when the multi-pack index is written anew. */
#include "replica/repack/repack_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* One letter a pack: n named, m made, u unknown; upper case: kept; weights in KB. */
struct row {
	const char *kinds;
	uint64_t weight[10];
	const char *in_midx; /* a letter a pack: y or n; NULL: there is no index */
	const char *merge;   /* the same */
	size_t left;
	bool index;
};

static const struct row rows[] = {
	{ "", { 0 }, NULL, "", 0, false },
	{ "n", { 1 }, NULL, "n", 0, false },
	{ "nnn", { 1, 1, 1 }, NULL, "nnn", 3, false }, /* too few */
	{ "nnnn", { 1, 1, 1, 1 }, NULL, "yyyy", 0, true },
	{ "nnnnm", { 1, 1, 1, 1, 9 }, NULL, "yyyyn", 0, true },
	{ "nnnnm", { 1, 1, 1, 1, 9 }, "nnnny", "yyyyn", 0, false }, /* it still fits */
	{ "nnnnm", { 1, 1, 1, 1, 7 }, "nnnny", "yyyyy", 0, true },  /* its pack goes */
	{ "unnnun", { 1, 1, 1, 1, 1, 1 }, NULL, "nyyyny", 0, true },
	{ "uuuu", { 1, 1, 1, 1 }, NULL, "nnnn", 0, false },
	{ "NnnnNn", { 1, 1, 1, 1, 1, 1 }, NULL, "nyyyny", 0, true },
	/* one large pack: nothing to merge, and an index is worth while */
	{ "n", { 4096 }, NULL, "n", 0, true },
	{ "u", { 4096 }, NULL, "n", 0, false },
	{ "n", { 4096 }, "y", "n", 0, false },
	{ "nn", { 5000, 10000 }, "ny", "nn", 0, false }, /* half as much outside */
	{ "nn", { 5000, 10000 }, "yn", "nn", 0, true },
	/* light ones come and go outside the index of the heavy one */
	{ "nnnnm", { 9, 9, 9, 9, 10000 }, "nnnny", "yyyyn", 0, false },
	{ "nnnnmm", { 9, 9, 9, 9, 40, 10000 }, "nnnnny", "yyyyyn", 0, false },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		struct packs_item items[10] = { 0 };
		struct packs p = { items, strlen(row->kinds), row->in_midx != NULL };
		enum catalog_pack_kind kinds[10] = { 0 };
		struct repack_plan plan;
		uint64_t sum = 0;

		for (size_t k = 0; k < p.n; k++) {
			kinds[k] = row->kinds[k] == 'u'   ? CATALOG_PACK_UNKNOWN
				   : row->kinds[k] == 'm' ? CATALOG_PACK_MADE
							  : CATALOG_PACK_NAMED;
			items[k].weight = row->weight[k] * 1024;
			items[k].keep = row->kinds[k] < 'a';
			items[k].in_midx = row->in_midx != NULL && row->in_midx[k] == 'y';
		}
		repack_plan_make(&plan, &p, kinds, 4);
		for (size_t k = 0; k < p.n; k++) {
			if (plan.merge[k] != (row->merge[k] == 'y'))
				fail_msg("row %zu, pack %zu", i, k);
			sum += plan.merge[k] ? items[k].weight : 0;
			assert_false(plan.cover[k] && (plan.merge[k] || row->kinds[k] == 'u'));
			assert_false(plan.cover[k] && items[k].weight < 100 * 1024 &&
				     row->weight[0] == 9);
		}
		if (plan.weight != sum || plan.left != row->left || plan.index != row->index)
			fail_msg("row %zu: weight %llu left %zu index %d", i,
				 (unsigned long long)plan.weight, plan.left, plan.index);
		assert_false(plan.cover_made && row->weight[0] == 9);
		repack_plan_release(&plan);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
