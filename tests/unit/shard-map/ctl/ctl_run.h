/* tests/unit/shard-map/ctl/ctl_run.h - runs a command of shardctl against a log with a map of two
 * stub nodes, and keeps what it printed.  Thread: the test's. */
#ifndef TESTS_UNIT_SHARD_MAP_CTL_CTL_RUN_H
#define TESTS_UNIT_SHARD_MAP_CTL_CTL_RUN_H

#include <fcntl.h>

#include "gitproto/base/fsio.h"
#include "shard-map/commitlog/map_judge.h"
#include "shard-map/ctl/ctl.h"
#include "shard-map/ctl/log_call.h"
#include "tests/lib/log_test.h"
#include "tests/unit/shard-map/ctl/stub_node.h"

#define CTL_RUN_SHARDS 4u

struct ctl_run {
	struct log_test folder;
	struct stub_node node[2];
	struct buf out;       /* of the last command: its stdout */
	struct err err;       /* its error */
	struct ctl_opts opts; /* of the next command; its lists are freed by it */
	const char *second;   /* second word of the next command */
	bool partial, usage;
};

UNUSED static void
ctl_run_start(struct ctl_run *r, struct stub_answer *first, struct stub_answer *second)
{
	struct map_node node[2] = { make_node(1, 1, 0), make_node(2, 1, 0) };
	const struct map *empty = empty_map(CTL_RUN_SHARDS), *m;
	struct buf bytes = BUF_MAX(COMMITLOG_MAX_RECORD);
	uint8_t txn[RECORD_ID] = { 1 };
	struct commitlog *log;
	struct err err;

	buf_init(&r->out, 1024 * 1024);
	log_test_setup(&r->folder);
	stub_start(&r->node[0], first);
	stub_start(&r->node[1], second);
	memcpy(node[0].admin, r->node[0].addr, sizeof(r->node[0].addr));
	memcpy(node[1].admin, r->node[1].addr, sizeof(r->node[1].addr));
	m = place(empty, node, 2, 2);
	log = log_test_open(r->folder.url);
	assert_int_equal(map_judge_record(&bytes, m, txn, &err), 0);
	assert_int_equal(log_call_append(log, COMMITLOG_MAP, buf_slice(&bytes), &err), 0);
	commitlog_close(&log);
	buf_release(&bytes);
	map_unref(&empty);
	map_unref(&m);
}

UNUSED static void
ctl_run_end(struct ctl_run *r)
{
	stub_stop(&r->node[0]);
	stub_stop(&r->node[1]);
	buf_release(&r->out);
	log_test_cleanup(&r->folder);
}

/* word: the command's first own one, NULL for none. */
UNUSED static int
ctl_run(struct ctl_run *r, int (*command)(struct ctl *, struct err *), const char *word, bool json)
{
	char log[600], path[128];
	const char *set[] = { "cluster=test", log, "allow_weak_log=yes" };
	struct ctl c = { .json = json, .timeout_ms = 3000, .opts = r->opts };
	int kept = dup(STDOUT_FILENO), fd, rc;

	snprintf(log, sizeof(log), "log=%s", r->folder.url);
	snprintf(path, sizeof(path), "%s/out", r->folder.folder);
	assert_int_equal(conf_load(&ctl_conf_table, &c.conf, NULL, set, 3, &r->err), 0);
	r->opts = (struct ctl_opts){ 0 };
	if (word != NULL) {
		const char *words[] = { word, r->second };

		c.words.v = mem_dup(words, sizeof(words));
		c.words.n = r->second != NULL ? 2 : 1;
	}
	r->err.code = 0;
	fflush(stdout);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(fd, STDOUT_FILENO);
	rc = command(&c, &r->err);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	close(fd);
	r->partial = c.partial;
	r->usage = c.usage;
	ctl_release(&c);
	buf_clear(&r->out);
	assert_int_equal(fsio_read(&r->out, path, 1024 * 1024, &r->err), 0);
	return rc;
}

UNUSED static void
check_has(const struct ctl_run *r, const char *words)
{
	if (strstr(buf_str(&r->out), words) == NULL)
		fail_msg("'%s' is not in:\n%s", words, buf_str(&r->out));
}

#endif
