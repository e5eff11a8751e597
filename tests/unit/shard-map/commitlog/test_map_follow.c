#include "shard-map/commitlog/map_follow.h"

#include <unistd.h>

#include "gitproto/base/fsio.h"

#include "shard-map/commitlog/directory_judge.h"
#include "shard-map/commitlog/map_judge.h"
#include "shard-map/map_file.h"
#include "tests/lib/log_test.h"
#include "tests/unit/gitproto/net/net_test.h"
#include "tests/unit/shard-map/map_test.h"

/* What the callbacks told. */
struct seen {
	struct loop *loop;
	struct map_follow *follow;
	uint64_t version, want; /* version to wait for, told with want_log */
	bool from_log, want_log;
	unsigned maps;
	struct err trouble;
	int want_trouble;
};

static struct log_test folder;
static char cache[128];

static void
on_map(const struct map *m, bool from_log, void *arg)
{
	struct seen *s = arg;

	assert_true(loop_here(s->loop));
	assert_true(m->version >= s->version);
	s->version = m->version;
	s->from_log = from_log;
	s->maps++;
}

static void
on_trouble(const struct err *err, void *arg)
{
	struct seen *s = arg;

	assert_true(loop_here(s->loop));
	if (s->trouble.code == ERR_OK)
		s->trouble = *err;
}

static bool
has_version(void *arg)
{
	struct seen *s = arg;

	return s->version == s->want && s->from_log == s->want_log;
}

static bool
has_trouble(void *arg)
{
	struct seen *s = arg;

	return s->trouble.code == s->want_trouble;
}

static void
wait_version(struct seen *s, uint64_t version, bool from_log)
{
	s->want = version;
	s->want_log = from_log;
	if (!run_until(s->loop, has_version, s))
		fail_msg("version %d, %s", (int)s->version, s->trouble.text);
}

static void
follow(struct seen *s, struct commitlog *log, const char *cluster, const char *file)
{
	struct map_follow_opts o = { .log = log,
				     .loop = s->loop,
				     .cluster = cluster,
				     .cache = file,
				     .on_map = on_map,
				     .on_trouble = on_trouble,
				     .arg = s };

	s->follow = map_follow_new(&o);
	assert_int_equal(s->maps, 0);
}

static void
append_bytes(struct commitlog *log, uint32_t stream, struct slice bytes)
{
	struct log_test_answers a;

	log_test_answers_init(&a);
	commitlog_append(log, stream, bytes, log_test_on_answer, &a);
	assert_true(log_test_gate_wait(&a.gate, 1, LOG_TEST_MSEC));
	assert_int_equal(a.at, 1);
	log_test_gate_release(&a.gate);
}

static void
append_map(struct commitlog *log, const struct map *m)
{
	static const uint8_t txn[RECORD_ID] = { 7 };
	struct buf bytes = BUF_MAX(COMMITLOG_MAX_RECORD);
	struct err err;

	assert_int_equal(map_judge_record(&bytes, m, txn, &err), 0);
	append_bytes(log, COMMITLOG_MAP, buf_slice(&bytes));
	buf_release(&bytes);
}

static void
append_exception(struct commitlog *log, const struct map *m, const char *key, uint32_t shard,
		 uint64_t read)
{
	static const uint8_t txn[RECORD_ID] = { 7 };
	struct buf bytes = BUF_MAX(4096);
	struct err err;

	assert_int_equal(directory_judge_record(&bytes, m->uuid, read, slice_str(key), shard,
						"test", txn, &err),
			 0);
	append_bytes(log, COMMITLOG_DIRECTORY, buf_slice(&bytes));
	buf_release(&bytes);
}

/* n versions, each of n+1 nodes; version 1 first. */
static void
make_versions(const struct map **m, unsigned n)
{
	struct map_node node[8];
	const struct map *before = empty_map(16);

	for (unsigned i = 0; i < 8; i++)
		node[i] = make_node(i + 1, 1, 0);
	for (unsigned i = 0; i < n; i++) {
		m[i] = place(i > 0 ? m[i - 1] : before, node, i + 2, 2);
		assert_int_equal(m[i]->version, i + 1);
	}
	map_unref(&before);
}

static int
setup(void **state)
{
	struct seen *s = MEM_NEW(struct seen);

	log_test_setup(&folder);
	snprintf(cache, sizeof(cache), "%s/map", folder.folder);
	s->loop = loop_new("test");
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct seen *s = *state;

	loop_free(&s->loop);
	free(s);
	log_test_cleanup(&folder);
	return 0;
}

static void
test_follow(void **state)
{
	struct seen *s = *state;
	struct commitlog *log = log_test_open(folder.url);
	const struct map *m[4], *read = NULL;
	struct err err;

	make_versions(m, 4);
	assert_int_equal(map_follow_read(&read, log, &err), 0);
	assert_null(read);
	append_map(log, m[0]);
	append_bytes(log, COMMITLOG_MAP, SLICE_LIT("nonsense"));
	append_map(log, m[2]); /* not the next one: means nothing */
	append_map(log, m[1]);
	append_map(log, m[1]);
	follow(s, log, "test", NULL);
	wait_version(s, 2, true);
	assert_true(map_follow_from_log(s->follow));
	assert_int_equal(map_follow_map(s->follow)->nnodes, 3);
	append_map(log, m[2]);
	append_map(log, m[3]);
	wait_version(s, 4, true);
	assert_int_equal(s->trouble.code, ERR_OK);
	assert_int_equal(map_follow_read(&read, log, &err), 0);
	assert_int_equal(read->version, 4);
	map_unref(&read);
	map_follow_free(&s->follow);
	assert_null(s->follow);
	for (unsigned i = 0; i < 4; i++)
		map_unref(&m[i]);
	commitlog_close(&log);
}

static bool
is_saved(void *arg UNUSED)
{
	const struct map *m = NULL;
	bool is = map_file_load(&m, cache, NULL) == 0 && m->version == 3;

	map_unref(&m);
	return is;
}

/* From the cache first, and never back to what the log says about the past. */
static void
test_cache(void **state)
{
	struct seen *s = *state;
	struct commitlog *log = log_test_open(folder.url);
	const struct map *m[3];
	struct err err = { 0 };

	make_versions(m, 3);
	assert_int_equal(map_file_save(m[1], cache, &err), 0);
	follow(s, log, "test", cache);
	wait_version(s, 2, false);
	assert_false(map_follow_from_log(s->follow));
	append_map(log, m[0]);
	append_map(log, m[1]);
	wait_version(s, 2, true);
	append_map(log, m[2]);
	wait_version(s, 3, true);
	assert_true(run_until(s->loop, is_saved, NULL));
	assert_int_equal(s->trouble.code, ERR_OK);
	map_follow_free(&s->follow);
	for (unsigned i = 0; i < 3; i++)
		map_unref(&m[i]);
	commitlog_close(&log);
}

static void
test_strange_caches(void **state)
{
	struct seen *s = *state;
	struct commitlog *log = log_test_open(folder.url);
	const struct map *m[1];
	struct err err = { 0 };

	make_versions(m, 1);
	append_map(log, m[0]);
	assert_int_equal(fsio_write(cache, SLICE_LIT("{}"), 0600, &err), 0);
	follow(s, log, "test", cache);
	wait_version(s, 1, true);
	assert_int_equal(s->trouble.code, ERR_BAD);
	assert_non_null(strstr(s->trouble.text, cache));
	map_follow_free(&s->follow);
	s->maps = 0;
	s->version = 0;
	s->trouble.code = ERR_OK;
	follow(s, log, "test", "/nonexistent/folder/map");
	wait_version(s, 1, true);
	s->want_trouble = ERR_IO;
	assert_true(run_until(s->loop, has_trouble, s));
	map_follow_free(&s->follow);
	map_unref(&m[0]);
	commitlog_close(&log);
}

static void
test_other_cluster(void **state)
{
	struct seen *s = *state;
	struct commitlog *log = log_test_open(folder.url);
	const struct map *m[1];

	make_versions(m, 1);
	append_map(log, m[0]);
	follow(s, log, "other", NULL);
	s->want_trouble = ERR_REFUSED;
	assert_true(run_until(s->loop, has_trouble, s));
	assert_non_null(strstr(s->trouble.text, "not of other"));
	assert_int_equal(s->maps, 0);
	map_follow_free(&s->follow);
	map_unref(&m[0]);
	commitlog_close(&log);
}

static bool
directory_is(void *arg)
{
	struct seen *s = arg;
	const struct directory *d = map_follow_directory(s->follow);
	uint32_t shard = 0;

	return directory_count(d) == 1 && directory_find(d, SLICE_LIT("a/b"), &shard) && shard == 5;
}

static void
test_directory(void **state)
{
	struct seen *s = *state;
	struct commitlog *log = log_test_open(folder.url);
	const struct map *m[1];

	make_versions(m, 1);
	append_map(log, m[0]);
	append_exception(log, m[0], "a/b", 3, 0);
	append_exception(log, m[0], "c/d", 4, 0);
	append_bytes(log, COMMITLOG_DIRECTORY, SLICE_LIT("nonsense"));
	append_exception(log, m[0], "a/b", 5, 2);
	append_exception(log, m[0], "a/b", 6, 3); /* its writer had not read the one before */
	append_exception(log, m[0], "c/d", DIRECTORY_NONE, 5);
	follow(s, log, "test", NULL);
	assert_true(run_until(s->loop, directory_is, s));
	map_follow_free(&s->follow);
	map_unref(&m[0]);
	commitlog_close(&log);
}

/* Freed while maps are on their way: nothing is told any more. */
static void
test_free_early(void **state)
{
	struct seen *s = *state;
	struct commitlog *log = log_test_open(folder.url);
	const struct map *m[1];

	make_versions(m, 1);
	append_map(log, m[0]);
	for (unsigned i = 0; i < 20; i++) {
		follow(s, log, "test", cache);
		if (i % 2 == 0)
			usleep(i * 500);
		map_follow_free(&s->follow);
	}
	run_msec(s->loop, 20);
	assert_int_equal(s->maps, 0);
	map_unref(&m[0]);
	commitlog_close(&log);
}

int
main(void)
{
#define WITH_LOG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_LOG(test_follow),         WITH_LOG(test_cache),
		WITH_LOG(test_strange_caches), WITH_LOG(test_other_cluster),
		WITH_LOG(test_directory),      WITH_LOG(test_free_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
