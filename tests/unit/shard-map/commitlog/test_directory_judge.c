#include "shard-map/commitlog/directory_judge.h"

#include "tests/unit/shard-map/map_test.h"

static const uint8_t uuid[16] = { 5 }, other[16] = { 6 };

struct stream {
	struct directory_judge judge;
	struct directory *d;
	uint64_t next;
};

static struct stream *
begin(void)
{
	struct stream *s = MEM_NEW(struct stream);

	s->d = directory_new();
	return s;
}

static void
end(struct stream *s)
{
	directory_free(&s->d);
	free(s);
}

/* The next record of the stream: key to shard, by one who had read all below `read`. */
static int
put_as(struct stream *s, const uint8_t cluster[16], const char *key, uint32_t shard, uint64_t read)
{
	uint8_t txn[RECORD_ID] = { 1, (uint8_t)s->next }, got[RECORD_ID];
	struct buf bytes = BUF_MAX(4096);
	struct err err;
	int rc;

	assert_int_equal(directory_judge_record(&bytes, cluster, read, slice_str(key), shard, NULL,
						txn, &err),
			 0);
	rc = directory_judge(&s->judge, s->d, uuid, s->next++, buf_slice(&bytes), got, &err);
	assert_memory_equal(got, txn, sizeof(txn));
	buf_release(&bytes);
	return rc;
}

static int
put(struct stream *s, const char *key, uint32_t shard, uint64_t read)
{
	return put_as(s, uuid, key, shard, read);
}

static uint32_t
lives(struct stream *s, const char *key)
{
	uint32_t shard;

	return directory_find(s->d, slice_str(key), &shard) ? shard : DIRECTORY_NONE;
}

/* Of two who want a name only the first gets it; the second has to look again. */
static void
test_first_one_counts(void **state)
{
	struct stream *s = begin();

	(void)state;
	assert_int_equal(put(s, "a/b", 1, 0), 1);
	assert_int_equal(put(s, "a/b", 2, 0), 0);
	assert_int_equal(lives(s, "a/b"), 1);
	assert_int_equal(put(s, "c/d", 2, 0), 1); /* what came of others is no hindrance */
	assert_int_equal(put(s, "a/b", 3, 1), 0); /* one that did not count is one too */
	assert_int_equal(put(s, "a/b", 3, 4), 1);
	assert_int_equal(put(s, "a/b", DIRECTORY_NONE, 5), 1);
	assert_int_equal(lives(s, "a/b"), DIRECTORY_NONE);
	assert_int_equal(lives(s, "c/d"), 2);
	end(s);
}

/* Who has read back a record of his own that changes nothing knows: what is late means nothing. */
static void
test_same(void **state)
{
	struct stream *s = begin();

	(void)state;
	assert_false(directory_knows(s->d, SLICE_LIT("a/b")));
	assert_int_equal(put(s, "a/b", DIRECTORY_SAME, 0), 1);
	assert_true(directory_knows(s->d, SLICE_LIT("a/b.wiki")));
	assert_int_equal(directory_count(s->d), 0);
	assert_int_equal(put(s, "a/b", 7, 0), 0);
	assert_int_equal(lives(s, "a/b"), DIRECTORY_NONE);
	assert_int_equal(put(s, "a/b", 7, 2), 1);
	assert_int_equal(put(s, "a/b.wiki", DIRECTORY_SAME, 3), 1); /* one key */
	assert_int_equal(put(s, "a/b", DIRECTORY_NONE, 3), 0);
	assert_int_equal(lives(s, "a/b"), 7);
	end(s);
}

static void
test_window(void **state)
{
	struct stream *s = begin();
	char key[32];

	(void)state;
	for (unsigned i = 0; i < DIRECTORY_JUDGE_WINDOW; i++) {
		snprintf(key, sizeof(key), "a/k%u", i);
		assert_int_equal(put(s, key, 1, i), 1);
	}
	assert_int_equal(put(s, "b/late", 1, 0), 0);
	assert_int_equal(put(s, "b/late", 1, 2), 0); /* the one before was one of its key */
	assert_int_equal(put(s, "b/other", 1, 3), 1);
	assert_int_equal(put(s, "b/ahead", 1, s->next + 1), 0); /* nobody has read so much */
	end(s);
}

static void
test_nonsense(void **state)
{
	struct stream *s = begin();
	struct buf bytes = BUF_MAX(4096);
	const uint8_t txn[RECORD_ID] = { 3 };
	struct err err;
	char key[DIRECTORY_KEY_MAX + 2];

	(void)state;
	assert_int_equal(put_as(s, other, "a/b", 1, 0), 0);
	assert_int_equal(directory_judge(&s->judge, s->d, uuid, s->next++, SLICE_LIT("nonsense"),
					 NULL, &err),
			 0);
	assert_int_equal(put(s, "a/b", 1, 0), 1);
	memset(key, 'k', sizeof(key));
	key[sizeof(key) - 1] = '\0';
	assert_int_equal(directory_judge_record(&bytes, uuid, 0, slice_str(key), 1, NULL, txn,
						&err),
			 ERR_BAD);
	assert_int_equal(directory_judge_record(&bytes, uuid, 0, SLICE_NONE, 1, NULL, txn, &err),
			 ERR_BAD);
	/* A stream whose beginning was trimmed: what its writers had read is not known. */
	s->next = 1000;
	assert_int_equal(put(s, "a/b", 2, 999), 0);
	assert_int_equal(put(s, "c/d", 2, 1000), 1);
	buf_release(&bytes);
	end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_one_counts),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
