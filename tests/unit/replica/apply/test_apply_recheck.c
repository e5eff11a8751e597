/* R12: the log that was read, the same trimmed, a shorter one, another one. */
#include "tests/unit/replica/apply/world.h"

#include "shard-map/commitlog/runhash.h"

struct done {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned n;
};

static void
on_appended(enum commitlog_outcome o, uint64_t offset, const struct err *err, void *arg)
{
	struct done *d = arg;

	(void)offset;
	if (o != COMMITLOG_AT)
		fail_msg("%s", err->text);
	pthread_mutex_lock(&d->lock);
	d->n++;
	pthread_cond_signal(&d->cond);
	pthread_mutex_unlock(&d->lock);
}

/* A log of its own with the world's records from 0 to n; from offset `other` on they differ. */
static struct commitlog *
make_log(struct world *w, const char *name, uint64_t n, uint64_t other)
{
	struct done d = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
	struct commitlog_opts o = { .cluster = "demo", .create = true, .allow_weak = true };
	struct commitlog *log;
	struct err err = { 0 };
	char url[128];

	snprintf(url, sizeof(url), "file:%s/%s", w->dir, name);
	if (commitlog_open(&log, url, &o, &err) < 0)
		fail_msg("%s", err.text);
	for (uint64_t i = 0; i < n; i++) {
		struct slice bytes = buf_slice(&w->log[i]);

		if (i >= other)
			bytes = slice_head(bytes, bytes.len - 1);
		commitlog_append(log, SHARD, bytes, on_appended, &d);
	}
	pthread_mutex_lock(&d.lock);
	while (d.n < n)
		pthread_cond_wait(&d.cond, &d.lock);
	pthread_mutex_unlock(&d.lock);
	return log;
}

static void
expect_recheck(struct world *w, const char *name, uint64_t n, uint64_t other, int want,
	       const char *words)
{
	struct commitlog *log = make_log(w, name, n, other);
	struct err err = { 0 };
	int rc = apply_recheck(w->apply, log, SHARD, UINT64_MAX, &err);

	if (rc != want || strstr(err.text, words) == NULL)
		fail_msg("%s: %d %s", name, rc, err.text);
	/* What was cut moved the last ones, too. */
	assert_int_equal(apply_recheck(w->apply, log, SHARD, 8, &err), want);
	assert_int_equal(apply_recheck(w->apply, log, SHARD, 0, &err), want);
	if (want == 0) {
		assert_int_equal(commitlog_trim(log, SHARD, n / 2, &err), 0);
		assert_int_equal(apply_recheck(w->apply, log, SHARD, UINT64_MAX, &err), 0);
		assert_int_equal(commitlog_trim(log, SHARD, n, &err), 0);
		assert_int_equal(apply_recheck(w->apply, log, SHARD, UINT64_MAX, &err), 0);
	}
	commitlog_close(&log);
}

static void
append_barriers(struct world *w, unsigned n)
{
	uint64_t from = w->next;

	for (unsigned i = 0; i < n; i++) {
		struct record b = { .type = RECORD_BARRIER, .free = i % 2 == 0 };

		world_log(w, &b);
	}
	world_feed(w, from);
	WAIT_FOR(w, w->applied == w->next);
}

static void
test_few(void **state)
{
	struct world *w = world_new();
	struct commitlog *log = make_log(w, "none", 0, 0);
	struct err err;

	(void)state;
	assert_int_equal(apply_recheck(w->apply, log, SHARD, UINT64_MAX, &err), 0);
	assert_int_equal(apply_recheck(w->apply, log, SHARD + 1, UINT64_MAX, &err), 0);
	commitlog_close(&log);
	world_begin(w);
	append_barriers(w, 100);
	for (unsigned round = 0; round < 2; round++) {
		char name[3][20];

		for (unsigned i = 0; i < 3; i++)
			snprintf(name[i], sizeof(name[i]), "log%u-%u", round, i);
		expect_recheck(w, name[0], w->next, w->next, 0, "");
		expect_recheck(w, name[1], w->next - 1, w->next, ERR_CORRUPT, "it was cut");
		expect_recheck(w, name[2], w->next, 50, ERR_CORRUPT, "record 50 of the log");
		world_close(w);
		world_open(w);
	}
	world_free(w);
}

/* More records than are remembered. */
static void
test_window(void **state)
{
	struct world *w = world_new();

	(void)state;
	world_begin(w);
	append_barriers(w, RUNHASH_WINDOW + 100);
	world_close(w);
	world_open(w);
	expect_recheck(w, "same", w->next, w->next, 0, "");
	/* what is older than the window is not compared */
	expect_recheck(w, "old", w->next, w->next - 10, ERR_CORRUPT, "is not the one");
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_window),
	};

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
