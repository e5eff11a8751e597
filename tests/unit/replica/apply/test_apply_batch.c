/* Many records at once, records that stop the shard, and full disks. */
#include "tests/unit/replica/apply/pushes.h"

/* Hundreds of updates of one ref in a few batches. */
static void
test_batches(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct apply_counts n;
	struct change c;
	uint64_t from;

	(void)state;
	simple_push(w, mirror, "refs/heads/main", &commits[5], "");
	from = w->next;
	for (unsigned i = 0; i < 1000; i++) {
		char name[40];

		begin_change(&c, mirror);
		add_ref(&c, mirror, "refs/heads/main", &commits[i % 5]);
		snprintf(name, sizeof(name), "refs/heads/b%u/c", i % 50);
		add_ref(&c, mirror, name, i % 3 == 2 ? &zero : &commits[i % 4]);
		world_log(w, &c.r);
	}
	world_feed(w, from);
	WAIT_FOR(w, w->applied == w->next);
	for (uint64_t at = from; at < w->next; at++)
		assert_int_equal(w->verdict[at], VERDICT_EFFECTIVE);
	expect_refs(w, "o/one", mirror);
	expect_git(w, "o/one", mirror);
	apply_counts(w->apply, &n);
	assert_true(n.batches < 100);
	assert_int_equal(n.updates, 1001);
	assert_int_equal(n.quarantined, 0);
	refset_free(&mirror);
	world_free(w);
}

static void
expect_halt(struct world *w, int code, const char *words)
{
	WAIT_FOR(w, w->halts == 1);
	assert_int_equal(w->halt.code, code);
	if (strstr(w->halt.text, words) == NULL)
		fail_msg("'%s' is not in '%s'", words, w->halt.text);
}

static void
test_unknown_record(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record b = { .type = RECORD_BARRIER };
	uint64_t at;

	(void)state;
	at = world_log(w, &b);
	w->log[at].p[6] = 99; /* its type: see docs/commit-log.md */
	world_feed(w, at);
	expect_halt(w, ERR_UNSUPPORTED, "its type is not known");
	b = (struct record){ .type = RECORD_BARRIER };
	world_append(w, &b);
	/* nothing is skipped */
	world_close(w);
	world_open(w);
	assert_int_equal(w->applied, at);
	world_free(w);
}

static void
test_gap(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record b = { .type = RECORD_BARRIER };
	uint64_t at;

	(void)state;
	world_log(w, &b);
	b = (struct record){ .type = RECORD_BARRIER };
	at = world_append(w, &b);
	expect_halt(w, ERR_BAD, "is next");
	/* followed again: what comes from the reader before is no gap */
	apply_follow(w->apply, SHARD, cluster);
	world_feed(w, at);
	world_feed(w, at - 1);
	WAIT_FOR(w, w->applied == w->next);
	assert_int_equal(w->halts, 1);
	world_free(w);
}

static void
test_another_log(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record b = { .type = RECORD_BARRIER };
	uint64_t at;

	(void)state;
	b.seen = 2;
	memset(b.seen_hash, 7, sizeof(b.seen_hash));
	at = world_append(w, &b);
	expect_halt(w, ERR_CONFLICT, "another log");
	/* the log was read again and agrees: the writer is wrong */
	apply_trust(w->apply, SHARD, at);
	apply_follow(w->apply, SHARD, cluster);
	world_feed(w, at);
	WAIT_FOR(w, w->applied == w->next);
	assert_int_equal(w->decided_twice, 0);
	/* seen beyond its own place: it was cut */
	b = (struct record){ .type = RECORD_BARRIER, .seen = 50 };
	world_append(w, &b);
	WAIT_FOR(w, w->halts == 2);
	world_free(w);
}

static void
test_no_genesis(void **state)
{
	struct world *w = world_new();
	struct record b = { .type = RECORD_BARRIER };

	(void)state;
	world_append(w, &b);
	expect_halt(w, ERR_BAD, "genesis");
	world_free(w);
}

static void
test_full_disk(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], "");
	struct record create = make_create(repo2, "o/two", OID_SHA1);
	struct repo *repo;
	struct change c;
	uint64_t at;

	(void)state;
	/* At every write that these two records make: the pack's, the index's, ... */
	for (unsigned nth = 1; nth < 5; nth++) {
		unsigned resumes = w->resumes;

		disk_fail_from(nth);
		begin_change(&c, mirror);
		add_ref(&c, mirror, "refs/heads/main", &commits[nth % 2]);
		if (nth == 1)
			add_pack(&c, &p);
		at = world_append(w, &c.r);
		if (nth == 1) {
			WAIT_FOR(w, w->halts > 0);
			assert_int_equal(w->halt.code, ERR_FULL);
			assert_true(w->decided > at);
			assert_true(w->applied <= at);
			/* what needs no space goes on */
			repo = repo_find(w->table, "o/one");
			loaded(w, repo);
			repo_unref(&repo);
		}
		disk_fail_from(0);
		WAIT_FOR(w, w->applied > at);
		if (nth == 1)
			WAIT_FOR(w, w->resumes > resumes);
	}
	for (unsigned nth = 1; nth < 12; nth += 3) {
		create = make_create(repo2, "o/two", OID_SHA1);
		create.create.id[15] = (uint8_t)nth;
		create.create.path = nth == 1 ? "o/a" : nth == 4 ? "o/b" : nth == 7 ? "q/c" : "q/d";
		disk_fail_from(nth);
		at = world_append(w, &create);
		WAIT_FOR(w, w->halts > w->resumes || w->applied > at);
		disk_fail_from(0);
		WAIT_FOR(w, w->applied > at);
		sh("cd %s/repos/%s.git && git fsck", w->dir, create.create.path);
	}
	assert_int_equal(w->decided_twice, 0);
	drop_pack(&p);
	refset_free(&mirror);
	world_free(w);
}

static uint64_t
append_barrier(struct world *w)
{
	struct record r = { .type = RECORD_BARRIER };

	return world_append(w, &r);
}

/* While a batch waits for the disk, verdicts go on: what fits joins it, what must stand alone waits,
 * with all that follows it; all of it is applied in its order afterwards. */
static void
test_goes_on_while_full(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], "");
	struct record create = make_create(repo2, "o/two", OID_SHA1);
	struct change c;
	uint64_t at, end = 0;

	(void)state;
	disk_fail_from(1);
	begin_change(&c, mirror);
	add_pack(&c, &p);
	add_ref(&c, mirror, "refs/heads/main", &commits[0]);
	at = world_append(w, &c.r);
	WAIT_FOR(w, w->halts > 0);
	for (unsigned i = 0; i < 600; i++)
		end = append_barrier(w);
	WAIT_FOR(w, w->decided > end);
	begin_change(&c, mirror);
	add_ref(&c, mirror, "refs/heads/side", &commits[0]);
	at = world_append(w, &c.r);
	WAIT_FOR(w, w->decided > at);
	at = world_append(w, &create);
	end = append_barrier(w);
	usleep(50000);
	assert_true(w->decided == at);
	assert_true(w->applied < end - 600);
	disk_fail_from(0);
	WAIT_FOR(w, w->applied > end && w->resumes == w->halts);
	assert_int_equal(w->decided_twice, 0);
	expect_git(w, "o/one", mirror);
	expect_refs(w, "o/one", mirror);
	sh("cd %s/repos/o/two.git && git fsck", w->dir);
	drop_pack(&p);
	refset_free(&mirror);
	world_free(w);
}

/* Stopping in the middle of a full disk loses nothing: the records are read again. */
static void
test_stop_while_full(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], "");
	struct change c;
	uint64_t at;

	(void)state;
	disk_fail_from(1);
	begin_change(&c, mirror);
	add_pack(&c, &p);
	add_ref(&c, mirror, "refs/heads/main", &commits[0]);
	at = world_append(w, &c.r);
	WAIT_FOR(w, w->halts > 0);
	world_close(w);
	disk_fail_from(0);
	world_open(w);
	assert_int_equal(w->applied, at);
	world_feed(w, at);
	WAIT_FOR(w, w->applied == w->next);
	expect_git(w, "o/one", mirror);
	drop_pack(&p);
	refset_free(&mirror);
	world_free(w);
}

/* One folder that cannot be written does not hold up the others for long. */
static void
test_bad_folder(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], "");
	struct record create = make_create(repo2, "o/two", OID_SHA1);
	struct change c;

	(void)state;
	sh("cd %s/repos/o/one.git/objects && mv pack saved && touch pack", w->dir);
	begin_change(&c, mirror);
	add_pack(&c, &p);
	add_ref(&c, mirror, "refs/heads/main", &commits[0]);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	world_expect(w, &create, VERDICT_EFFECTIVE);
	WAIT_FOR(w, w->needs == 1 && w->halts == 1 && w->resumes == 1);
	stage(w, &p);
	arrive(w, &p.pack);
	WAIT_FOR(w, w->needs == 2); /* it could not be put there: asked for again */
	sh("cd %s/repos/o/one.git/objects && rm pack && mv saved pack", w->dir);
	arrive(w, &p.pack);
	WAIT_FOR(w, w->wholes == 1);
	expect_git(w, "o/one", mirror);
	expect_refs(w, "o/one", mirror);
	drop_pack(&p);
	refset_free(&mirror);
	world_free(w);
}

struct feeder {
	struct world *w;
	uint64_t at;
};

static void *
feed_without_end(void *arg)
{
	struct feeder *f = arg;
	struct commitlog_record r = { f->at, buf_slice(&f->w->log[f->at]) };

	/* 80 MB, although the engine's queue holds 64; repeated records are ignored in the end */
	for (size_t n = 0; n < 80u << 20; n += r.bytes.len)
		apply_records(SHARD, &r, 1, f->w->apply);
	return NULL;
}

/* Whoever feeds waits for room while the disk is full, and is let go at the end. */
static void
test_feeder_let_go(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record create = make_create(repo2, "o/two", OID_SHA1);
	struct record alone = make_create(repo2, "o/three", OID_SHA1); /* has to wait */
	struct feeder f = { .w = w };
	struct apply_counts n = { 0 };
	pthread_t thread;

	(void)state;
	disk_fail_from(1);
	world_append(w, &create);
	WAIT_FOR(w, w->halts > 0);
	alone.create.id[15] ^= 1;
	f.at = world_log(w, &alone);
	assert_int_equal(pthread_create(&thread, NULL, feed_without_end, &f), 0);
	for (uint64_t end = clock_boot_ns() + WAIT_SEC * CLOCK_SEC; n.queued_bytes < 64u << 20;) {
		assert_true(clock_boot_ns() < end);
		usleep(1000);
		apply_counts(w->apply, &n);
	}
	apply_stop(w->apply);
	pthread_join(thread, NULL);
	disk_fail_from(0);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_unknown_record),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_another_log),
		cmocka_unit_test(test_no_genesis),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_goes_on_while_full),
		cmocka_unit_test(test_stop_while_full),
		cmocka_unit_test(test_bad_folder),
		cmocka_unit_test(test_feeder_let_go),
	};

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
