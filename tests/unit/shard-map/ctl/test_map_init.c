#include "shard-map/ctl/map_init.h"

#include "shard-map/commitlog/map_follow.h"
#include "shard-map/commitlog/verdict.h"
#include "shard-map/ctl/log_call.h"
#include "tests/lib/log_test.h"
#include "tests/unit/shard-map/map_test.h"

#define SHARDS 8u

static struct log_test folder;
static struct map_node nodes[4];
static uint8_t incarnations[4][16];

static struct map_init
wish(uint32_t n)
{
	return (struct map_init){ .cluster = "test",
				  .nodes = nodes,
				  .incarnations = (const uint8_t(*)[16])incarnations,
				  .nnodes = n,
				  .shards = SHARDS,
				  .replicas = 3 };
}

static int
setup(void **state)
{
	log_test_setup(&folder);
	for (uint32_t i = 0; i < 4; i++) {
		nodes[i] = make_node(i + 1, 1, 0);
		memset(incarnations[i], (int)(i + 1), 16);
	}
	*state = log_test_open(folder.url);
	return 0;
}

static int
teardown(void **state)
{
	struct commitlog *log = *state;

	commitlog_close(&log);
	log_test_cleanup(&folder);
	return 0;
}

/* Offset 0 of each shard is an effective genesis with the members that the map names. */
static void
check_shards(struct commitlog *log, const struct map *m)
{
	for (uint32_t s = 0; s < m->nshards; s++) {
		struct verdict_content none = { 0 };
		struct verdict_state v;
		struct record r;
		struct err err = { 0 };

		assert_int_equal(log_call_read(&r, log, s, 0, &err), 0);
		verdict_init(&v, m->uuid, s);
		assert_int_equal(verdict_check(&v, 0, &r, &none, &err), VERDICT_EFFECTIVE);
		verdict_advance(&v, 0, &r, VERDICT_EFFECTIVE);
		assert_true(v.key_seed == m->key_seed && v.shards == m->nshards);
		assert_int_equal(v.n_voters, m->first[s + 1] - m->first[s]);
		assert_int_equal(v.single, v.n_voters == 1);
		for (uint32_t i = 0; i < v.n_voters; i++)
			assert_true(
				verdict_is_voter(&v, m->members[m->first[s] + i],
						 incarnations[m->members[m->first[s] + i] - 1]));
		assert_int_equal(log_test_next(log, s), 1);
		record_release(&r);
	}
}

static void
test_whole(void **state)
{
	struct map_init w = wish(3);
	const struct map *m = NULL, *again = NULL, *read = NULL;
	struct err err = { 0 };

	if (map_init_run(&m, *state, &w, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(m->version, 1);
	assert_int_equal(m->nnodes, 3);
	check_shards(*state, m);
	assert_int_equal(map_follow_read(&read, *state, &err), 0);
	assert_memory_equal(read->uuid, m->uuid, 16);
	assert_int_equal(map_init_run(&again, *state, &w, &err), ERR_EXISTS);
	assert_non_null(strstr(err.text, "shardctl map show"));
	map_unref(&read);
	map_unref(&m);
}

static void
test_single(void **state)
{
	struct map_init w = wish(1);
	const struct map *m = NULL;
	struct err err = { 0 };

	assert_int_equal(map_init_run(&m, *state, &w, &err), 0);
	check_shards(*state, m);
	map_unref(&m);
}

/* The genesis of some shards, as an interrupted run leaves them, copied from a whole one. */
static void
leave_half(struct commitlog *to, const struct map_init *w, uint32_t shards, uint8_t uuid[16])
{
	struct log_test other;
	struct commitlog *from;
	const struct map *m = NULL;
	struct err err = { 0 };

	log_test_setup(&other);
	from = log_test_open(other.url);
	assert_int_equal(map_init_run(&m, from, w, &err), 0);
	memcpy(uuid, m->uuid, 16);
	for (uint32_t s = 0; s < shards; s++) {
		struct buf bytes = BUF_MAX(COMMITLOG_MAX_RECORD);
		struct record r;

		assert_int_equal(log_call_read(&r, from, s, 0, &err), 0);
		assert_int_equal(record_encode(&bytes, &r, &err), 0);
		assert_int_equal(log_call_append(to, s, buf_slice(&bytes), &err), 0);
		record_release(&r);
		buf_release(&bytes);
	}
	map_unref(&m);
	commitlog_close(&from);
	log_test_cleanup(&other);
}

static void
test_resumed(void **state)
{
	for (uint32_t shards = 1; shards <= SHARDS; shards += 3) {
		struct map_init w = wish(4);
		const struct map *m = NULL;
		uint8_t uuid[16];
		struct err err = { 0 };

		leave_half(*state, &w, shards, uuid);
		if (map_init_run(&m, *state, &w, &err) < 0)
			fail_msg("%s", err.text);
		assert_memory_equal(m->uuid, uuid, 16);
		check_shards(*state, m);
		map_unref(&m);
		teardown(state);
		setup(state);
	}
}

static void
test_not_resumed(void **state)
{
	struct map_init w = wish(4), other = wish(4);
	const struct map *m = NULL;
	uint8_t uuid[16];
	struct err err = { 0 };

	leave_half(*state, &w, 3, uuid);
	other.shards = 16;
	assert_int_equal(map_init_run(&m, *state, &other, &err), ERR_CONFLICT);
	assert_non_null(strstr(err.text, "--shards 8"));
	other = wish(4);
	other.replicas = 2;
	assert_int_equal(map_init_run(&m, *state, &other, &err), ERR_CONFLICT);
	assert_non_null(strstr(err.text, "other nodes or disks"));
	for (uint32_t s = 0; s < SHARDS; s++) /* nothing was added */
		assert_int_equal(log_test_next(*state, s), s < 3);
	incarnations[0][3] ^= 1; /* every shard of 4 nodes with 3 members: some have node 1 */
	incarnations[1][3] ^= 1;
	assert_int_equal(map_init_run(&m, *state, &w, &err), ERR_CONFLICT);
	assert_int_equal(log_test_append(*state, 5, "strange").outcome, COMMITLOG_AT);
	assert_true(map_init_run(&m, *state, &w, &err) < 0);
	assert_null(m);
}

static void
test_strange_logs(void **state)
{
	struct map_init w = wish(3);
	const struct map *m = NULL;
	uint8_t uuid[16];
	struct err err = { 0 };

	/* Two runs at once: each wrote into some streams. */
	leave_half(*state, &w, 1, uuid);
	leave_half(*state, &w, 2, uuid);
	assert_int_equal(map_init_run(&m, *state, &w, &err), ERR_CONFLICT);
	assert_non_null(strstr(err.text, "at the same time"));
	assert_int_equal(log_test_append(*state, COMMITLOG_MAP, "strange").outcome, COMMITLOG_AT);
	assert_int_equal(map_init_run(&m, *state, &w, &err), ERR_CONFLICT);
	assert_non_null(strstr(err.text, "no map"));
	assert_null(m);
}

int
main(void)
{
#define WITH_LOG(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_LOG(test_whole),       WITH_LOG(test_single),       WITH_LOG(test_resumed),
		WITH_LOG(test_not_resumed), WITH_LOG(test_strange_logs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
