/* The table by id and by path, and references that outlive it. */
#include "replica/repo/repo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "gitproto/base/mem.h"

static const uint8_t id1[16] = { 1 }, id2[16] = { 2 };

static void
test_table(void **state)
{
	struct repo_table *t = repo_table_new("/srv/git");
	struct repo *one = repo_table_add(t, id1, 3, "o/one", OID_SHA1), *r, **all;
	char dir[64];
	size_t n;

	(void)state;
	repo_table_add(t, id2, 4, "o/two", OID_SHA256);
	assert_string_equal(repo_table_root(t), "/srv/git");
	assert_true(repo_dir(dir, sizeof(dir), t, "o/one"));
	assert_string_equal(dir, "/srv/git/o/one.git");
	assert_false(repo_dir(dir, 18, t, "o/one"));
	assert_true(repo_dir(dir, 19, t, "o/one"));
	r = repo_find(t, "o/one");
	assert_ptr_equal(r, one);
	repo_unref(&r);
	assert_null(r);
	assert_null(repo_find(t, "o/on"));
	assert_null(repo_find(t, "o/one2"));
	r = repo_find_id(t, id2);
	assert_int_equal(r->shard, 4);
	repo_table_move(t, r, "p/new");
	assert_null(repo_find(t, "o/two"));
	assert_true(repo_dir_of(dir, sizeof(dir), t, r));
	assert_string_equal(dir, "/srv/git/p/new.git");
	repo_table_move(t, r, "p/new"); /* to where it is */
	all = repo_table_all(t, &n);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++)
		repo_unref(&all[i]);
	free(all);
	repo_table_drop(t, r);
	assert_true(r->shared.deleted);
	assert_null(repo_find(t, "p/new"));
	assert_null(repo_find_id(t, id2));
	repo_table_free(&t);
	repo_unref(&r); /* the last one */
}

struct looker {
	struct repo_table *table;
	unsigned found;
	bool stop;
};

static void *
look(void *arg)
{
	struct looker *l = arg;

	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		struct repo *a = repo_find(l->table, "o/x"), *b = repo_find_id(l->table, id1);
		char dir[64];

		if (b != NULL && repo_dir_of(dir, sizeof(dir), l->table, b))
			__atomic_add_fetch(&l->found, 1, __ATOMIC_RELAXED);
		repo_unref(&a);
		repo_unref(&b);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct looker l = { .table = repo_table_new("/r") };
	pthread_t thread[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, look, &l), 0);
	for (unsigned i = 0; i < 300 || __atomic_load_n(&l.found, __ATOMIC_RELAXED) == 0; i++) {
		struct repo *r = repo_table_add(l.table, id1, 0, "o/x", OID_SHA1);

		repo_table_move(l.table, r, "o/y");
		repo_table_move(l.table, r, "o/x");
		repo_table_drop(l.table, r);
	}
	__atomic_store_n(&l.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	repo_table_free(&l.table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
