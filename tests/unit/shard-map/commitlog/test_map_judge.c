#include "shard-map/commitlog/map_judge.h"

#include "tests/unit/shard-map/map_test.h"

static const uint8_t txn[RECORD_ID] = { 9 };

static void
encode(struct buf *out, const struct map *m)
{
	struct err err = { 0 };

	buf_clear(out);
	if (map_judge_record(out, m, txn, &err) < 0)
		fail_msg("%s", err.text);
}

static void
test_sequence(void **state)
{
	struct map_node node[3] = { make_node(1, 1, 0), make_node(2, 1, 0), make_node(3, 1, 0) };
	const struct map *empty = empty_map(16), *a = place(empty, node, 2, 2),
			 *b = place(a, node, 3, 2), *rival = place(a, node, 2, 1), *got = NULL;
	struct buf bytes = BUF_MAX(COMMITLOG_MAX_RECORD);
	struct err err = { 0 };

	(void)state;
	encode(&bytes, b);
	assert_int_equal(map_judge(&got, NULL, buf_slice(&bytes), &err), 0); /* nothing before it */
	encode(&bytes, a);
	assert_int_equal(map_judge(&got, NULL, buf_slice(&bytes), &err), 1);
	assert_int_equal(got->version, 1);
	map_unref(&got);
	assert_int_equal(map_judge(&got, a, buf_slice(&bytes), &err), 0); /* the same again */
	encode(&bytes, rival);
	assert_int_equal(map_judge(&got, a, buf_slice(&bytes), &err), 1);
	assert_int_equal(got->replicas, 1);
	encode(&bytes, b); /* also based on a, but second */
	assert_int_equal(map_judge(&got, rival, buf_slice(&bytes), &err), 0);
	map_unref(&got);
	assert_null(got);
	buf_release(&bytes);
	map_unref(&empty);
	map_unref(&a);
	map_unref(&b);
	map_unref(&rival);
}

/* What is cut or damaged means nothing; what is of the future stops the reader. */
static void
test_bytes(void **state)
{
	const struct map *m = first_map(4, 2, 2), *got = NULL;
	struct buf bytes = BUF_MAX(COMMITLOG_MAX_RECORD);
	struct err err = { 0 };

	(void)state;
	encode(&bytes, m);
	for (size_t n = 0; n < bytes.len; n++)
		assert_int_equal(map_judge(&got, NULL, slice_of(bytes.p, n), &err), 0);
	for (size_t n = 0; n < bytes.len; n++) {
		int rc;

		bytes.p[n] ^= 4;
		rc = map_judge(&got, NULL, buf_slice(&bytes), &err);
		/* A few bytes of a record (txn, time) may be anything. */
		assert_true(rc == 0 || rc == 1 || rc == ERR_VERSION || rc == ERR_UNSUPPORTED);
		if (rc == 1) {
			assert_memory_equal(got->members, m->members,
					    m->nmembers * sizeof(*m->members));
			map_unref(&got);
		}
		bytes.p[n] ^= 4;
	}
	mem_fail_at(2);
	assert_int_equal(map_judge(&got, NULL, buf_slice(&bytes), &err), ERR_NOMEM);
	mem_fail_at(0);
	assert_null(got);
	buf_release(&bytes);
	map_unref(&m);
}

static void
test_other_record(void **state)
{
	struct record r = { .type = RECORD_DIRECTORY,
			    .shard = COMMITLOG_DIRECTORY,
			    .seen = RECORD_SEEN_NONE,
			    .directory = { .key = "a/b", .reason = "pinned", .shard = 3 } };
	struct buf bytes = BUF_MAX(4096);
	const struct map *got = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(record_encode(&bytes, &r, &err), 0);
	assert_int_equal(map_judge(&got, NULL, buf_slice(&bytes), &err), 0);
	assert_non_null(strstr(err.text, "directory"));
	buf_release(&bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_other_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
