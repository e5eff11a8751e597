#include "shard-map/ctl/cmd_map_plan.h"

#include "shard-map/commitlog/map_follow.h"
#include "shard-map/ctl/cmd_map.h"
#include "shard-map/map_file.h"
#include "tests/unit/shard-map/ctl/ctl_run.h"

static struct ctl_run r;

static int
setup(void **state UNUSED)
{
	ctl_run_start(&r, NULL, NULL);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	ctl_run_end(&r);
	return 0;
}

static struct opt_list
one(const char *word)
{
	return (struct opt_list){ mem_dup(&word, sizeof(word)), 1 };
}

static void
test_plan(void **state UNUSED)
{
	r.opts.add = one("extra=h:1,h:2");
	assert_int_equal(ctl_run(&r, cmd_map_plan, NULL, false), 0);
	check_has(&r, "map version 1 to 2");
	check_has(&r, "extra");
	check_has(&r, "nothing was changed");
	r.opts.add = one("extra=h:1,h:2");
	assert_int_equal(ctl_run(&r, cmd_map_plan, NULL, true), 0);
	check_has(&r, "\"planned\": true");
	check_has(&r, "\"to_version\": 2");
	r.opts.drain = one("nobody");
	assert_int_equal(ctl_run(&r, cmd_map_plan, NULL, false), ERR_BAD);
	assert_true(r.usage);
}

/* The log still holds version 1 alone: a plan writes nothing. */
static void
test_diff(void **state UNUSED)
{
	struct commitlog *log = log_test_open(r.folder.url);
	const struct map *m = NULL;
	char file[128];

	assert_int_equal(log_test_next(log, COMMITLOG_MAP), 1);
	assert_int_equal(map_follow_read_version(&m, 1, log, &r.err), 0);
	assert_int_equal(m->version, 1);
	snprintf(file, sizeof(file), "%s/map.json", r.folder.folder);
	assert_int_equal(map_file_save(m, file, &r.err), 0);
	map_unref(&m);
	assert_int_equal(map_follow_read_version(&m, 0, log, &r.err), 0);
	assert_null(m);
	commitlog_close(&log);
	r.second = file;
	assert_int_equal(ctl_run(&r, cmd_map_diff, "1", false), 0);
	check_has(&r, "map version 1 to 1: of 8 copies of 4 shards 0 move");
	assert_int_equal(ctl_run(&r, cmd_map_show, NULL, true), 0);
	assert_int_equal(fsio_write(file, buf_slice(&r.out), 0600, &r.err), 0);
	assert_int_equal(ctl_run(&r, cmd_map_diff, "1", false), 0);
	assert_int_equal(ctl_run(&r, cmd_map_diff, "2", false), ERR_NOT_FOUND);
	assert_non_null(strstr(r.err.text, "no map of version 2"));
	assert_int_equal(ctl_run(&r, cmd_map_diff, "/nowhere/map", false), ERR_NOT_FOUND);
	r.second = "1";
	assert_int_equal(ctl_run(&r, cmd_map_diff, file, true), 0);
	check_has(&r, "\"planned\": false");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_diff),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
