#include "shard-map/commitlog/directory_log.h"

#include "shard-map/commitlog/directory_judge.h"
#include "tests/lib/log_test.h"
#include "tests/unit/gitproto/net/net_test.h"
#include "tests/unit/shard-map/map_test.h"

#define MSEC 120000 /* patience */

static const uint8_t uuid[16] = { 5 };

struct world {
	struct log_test folder;
	struct loop *loop;
	struct commitlog *log;
	struct directory_log *one;
	unsigned done, want, troubles;
	int rc[8];
};

static void
on_trouble(uint32_t stream, const struct err *err, void *arg)
{
	struct world *w = arg;

	(void)stream;
	if (err->code != ERR_OK)
		__atomic_add_fetch(&w->troubles, 1, __ATOMIC_RELAXED);
}

static bool
has_trouble(void *arg)
{
	return __atomic_load_n(&((struct world *)arg)->troubles, __ATOMIC_RELAXED) > 0;
}

static int
setup(void **state)
{
	struct world *w = MEM_NEW(struct world);

	log_test_setup(&w->folder);
	w->loop = loop_new("test");
	w->log = log_test_open(w->folder.url);
	w->one = directory_log_new(w->log, w->loop, on_trouble, w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	directory_log_free(&w->one);
	commitlog_close(&w->log);
	loop_free(&w->loop);
	log_test_cleanup(&w->folder);
	free(w);
	return 0;
}

static void
on_done(int rc, void *arg)
{
	struct world *w = arg;

	assert_true(loop_here(w->loop));
	w->rc[w->done++] = rc;
}

static bool
has_done(void *arg)
{
	struct world *w = arg;

	return w->done == w->want;
}

static void
wait_done(struct world *w, unsigned n)
{
	w->want = n;
	assert_true(run_until(w->loop, has_done, w));
	w->done = 0;
}

static void
test_put_and_look(void **state)
{
	struct world *w = *state;
	uint32_t shard = 0;

	directory_log_put(w->one, directory_log_read(w->one), SLICE_LIT("a/b"), 3, "early", MSEC,
			  on_done, w);
	wait_done(w, 1);
	assert_int_equal(w->rc[0], ERR_UNAVAILABLE); /* not begun: no cluster is known */
	directory_log_begin(w->one, uuid);
	directory_log_put(w->one, directory_log_read(w->one), SLICE_LIT("a/b.wiki"), 3, "test",
			  MSEC, on_done, w);
	wait_done(w, 1);
	assert_int_equal(w->rc[0], 0);
	assert_true(directory_find(directory_log_directory(w->one), SLICE_LIT("a/b"), &shard));
	assert_int_equal(shard, 3);
	directory_log_look(w->one, MSEC, on_done, w);
	directory_log_look(w->one, MSEC, on_done, w);
	wait_done(w, 2);
	assert_int_equal(w->rc[0] | w->rc[1], 0);
	assert_int_equal(w->troubles, 0);
}

/* Two at once for one name: the first counts, the second is told so. */
static void
test_rivals(void **state)
{
	struct world *w = *state;

	directory_log_begin(w->one, uuid);
	directory_log_look(w->one, MSEC, on_done, w);
	wait_done(w, 1);
	directory_log_put(w->one, directory_log_read(w->one), SLICE_LIT("a/b"), 1, "test", MSEC,
			  on_done, w);
	directory_log_put(w->one, directory_log_read(w->one), SLICE_LIT("a/b"), 2, "test", MSEC,
			  on_done, w);
	directory_log_put(w->one, directory_log_read(w->one), SLICE_LIT("c/d"), DIRECTORY_SAME,
			  "test", MSEC, on_done, w);
	wait_done(w, 3);
	assert_int_equal(w->rc[0] + w->rc[1] + w->rc[2], ERR_CONFLICT);
	assert_int_equal(directory_count(directory_log_directory(w->one)), 1);
}

/* A look sees what another process had written before it. */
static void
test_fresh(void **state)
{
	struct world *w = *state;
	struct commitlog *log = log_test_open(w->folder.url);
	uint32_t shard = 0;

	directory_log_begin(w->one, uuid);
	for (uint32_t i = 0; i < 50; i++) {
		const uint8_t txn[RECORD_ID] = { 1, (uint8_t)i };
		struct buf bytes = BUF_MAX(4096);
		struct log_test_answers a;

		assert_int_equal(directory_judge_record(&bytes, uuid, i, SLICE_LIT("a/b"), i, NULL,
							txn, NULL),
				 0);
		log_test_answers_init(&a);
		commitlog_append(log, COMMITLOG_DIRECTORY, buf_slice(&bytes), log_test_on_answer,
				 &a);
		assert_true(log_test_gate_wait(&a.gate, 1, LOG_TEST_MSEC));
		log_test_gate_release(&a.gate);
		buf_release(&bytes);
		directory_log_look(w->one, MSEC, on_done, w);
		wait_done(w, 1);
		assert_int_equal(w->rc[0], 0);
		assert_true(
			directory_find(directory_log_directory(w->one), SLICE_LIT("a/b"), &shard));
		assert_int_equal(shard, i);
	}
	commitlog_close(&log);
}

/* Who waits is told, by the deadline or at the end. */
static void
test_end(void **state)
{
	struct world *w = *state;

	directory_log_look(w->one, 30, on_done, w); /* not begun: nothing is ever read */
	log_test_append(w->log, COMMITLOG_DIRECTORY, "x");
	directory_log_look(w->one, 30, on_done, w);
	w->want = 2;
	run_until(w->loop, has_done, w);
	assert_int_equal(w->done, 2);
	assert_int_equal(w->rc[1], ERR_UNAVAILABLE);
	w->done = 0;
	directory_log_begin(w->one, uuid);
	directory_log_put(w->one, directory_log_read(w->one), SLICE_LIT("a/b"), 1, "test", MSEC,
			  on_done, w);
	directory_log_look(w->one, MSEC, on_done, w);
	directory_log_free(&w->one);
	assert_int_equal(w->done, 2);
	run_msec(w->loop, 20); /* what was posted finds nobody */
	w->one = directory_log_new(w->log, w->loop, on_trouble, w);
}

/* That the log is away is told to whom it is to be told. */
static void
test_log_away(void **state)
{
	struct world *w = *state;
	const char *path = w->folder.url + strlen("file:");
	char away[600];

	directory_log_begin(w->one, uuid);
	snprintf(away, sizeof(away), "%s.away", path);
	assert_int_equal(rename(path, away), 0);
	assert_true(run_until(w->loop, has_trouble, w));
	assert_int_equal(rename(away, path), 0);
}

int
main(void)
{
#define WITH_LOG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_LOG(test_put_and_look), WITH_LOG(test_rivals),   WITH_LOG(test_fresh),
		WITH_LOG(test_end),          WITH_LOG(test_log_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
