#include "gitproto/base/conf.h"
#include "gitproto/base/fsio.h"
#include "tests/unit/gitproto/base/base_test.h"

struct demo {
	char *cluster, *listen, *empty;
	int64_t threads;
	bool weak;
	uint64_t wait, size;
};

static const struct conf_opt opts[] = {
	CONF_MUST(STR, struct demo, cluster, "cluster", "name of the cluster"),
	CONF(BOOL, struct demo, weak, "allow_weak_log", "no", "accept a log on one disk"),
	CONF(STR, struct demo, listen, "node.listen", "127.0.0.1:7010", "back plane"),
	CONF(STR, struct demo, empty, "node.root", NULL, "folder"),
	CONF(INT, struct demo, threads, "node.threads", "2", "loops", .min = 1, .max = 64),
	CONF(MSEC, struct demo, wait, "node.wait", "15s", "deadline"),
	CONF(BYTES, struct demo, size, "cache.size", "64M", "memory"),
};
static const char *const foreign[] = { "router", NULL };
static const struct conf_table table = { opts, COUNT(opts), foreign };

static char folder[256];

static int
load(struct demo *d, const char *text, struct err *err)
{
	assert_int_equal(fsio_write(below(folder, "c"), slice_str(text), 0600, err), 0);
	return conf_load(&table, d, below(folder, "c"), NULL, 0, err);
}

static void
test_values(void **state)
{
	struct demo d;
	struct err err = { 0 };

	(void)state;
	load(&d,
	     "# comment\ncluster = \"one two\"\nallow_weak_log = yes\n"
	     "node {\n\tlisten = 127.0.0.1:1 # end\n\tthreads = 7\n\twait = 500ms\n}\n"
	     "router { cache = \"/x\" any = 5 }\n"
	     "cache { size = 2G }\nnode { root = '/r' }\n",
	     &err);
	assert_string_equal(err.text, "");
	assert_string_equal(d.cluster, "one two");
	assert_string_equal(d.listen, "127.0.0.1:1");
	assert_string_equal(d.empty, "/r");
	assert_true(d.weak);
	assert_int_equal(d.threads, 7);
	assert_int_equal(d.wait, 500);
	assert_true(d.size == UINT64_C(2) << 30);
	conf_release(&table, &d);
	assert_null(d.cluster);
}

static void
test_defaults_and_overrides(void **state)
{
	static const char *const set[] = { "cluster=a=b", "node.wait=0", "cache.size=4096",
					   "node.wait=2m" };
	struct demo d;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(conf_load(&table, &d, NULL, set, COUNT(set), &err), 0);
	assert_string_equal(d.cluster, "a=b");
	assert_string_equal(d.listen, "127.0.0.1:7010");
	assert_null(d.empty);
	assert_false(d.weak);
	assert_int_equal(d.threads, 2);
	assert_int_equal(d.wait, 120000);
	assert_int_equal(d.size, 4096);
	conf_release(&table, &d);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *text, *place, *words;
	} cases[] = {
		{ "cluster = x\nclustr = y\n", "c:2", "did you mean 'cluster'?" },
		{ "cluster = x\nnode {\n lisen = y\n}\n", "c:3", "did you mean 'listen'?" },
		{ "cluster = x\nnod { listen = y }\n", "c:2", "did you mean 'node'?" },
		{ "cluster = x\nzzzzzzzz = y\n", "c:2", "no option 'zzzzzzzz'" },
		{ "cluster = x\nnode { threads = 65 }\n", "c:2",
		  "node.threads: 65 is not between" },
		{ "cluster = x\nnode { threads = many }\n", "c:2", "no whole number" },
		{ "cluster = x\n\nnode { wait = 5 }\n", "c:3", "is no time" },
		{ "cluster = x\ncache { size = 5X }\n", "c:2", "is no size" },
		{ "cluster = x\nallow_weak_log = maybe\n", "c:2", "neither yes nor no" },
		{ "cluster = x\ncache { size = 99999999999999999999 }\n", "c:2", "is no size" },
		{ "cluster = x\ncache { size = 9999999999T }\n", "c:2", "is no size" },
		{ "cluster = x\nnode {\n", "c:", "'node' is not closed" },
		{ "cluster = x\nrouter {\n x = 1\n", "c:", "'router' is not closed" },
		{ "# one\ncluster = x # two\nnode {\n # three\n wait = 1s\n}\nrouter {\n a = "
		  "1\n}\n\nxy = 1\n",
		  "c:11:", "no option 'xy'" },
		{ "cluster = {\n", "c:", "" },
		{ "allow_weak_log = yes\n", "c: ", "option 'cluster' is missing" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct err err = { 0 };
		struct demo d;

		if (load(&d, cases[i].text, &err) != ERR_BAD)
			fail_msg("case %u was taken", i);
		if (strstr(err.text, cases[i].place) == NULL ||
		    strstr(err.text, cases[i].words) == NULL)
			fail_msg("case %u: %s", i, err.text);
		assert_null(d.listen);
	}
}

static void
test_override_refused(void **state)
{
	static const struct {
		const char *item, *words;
	} cases[] = {
		{ "node.threads", "section.key=value" },
		{ "node.thread=1", "did you mean 'threads'?" },
		{ "cluter=1", "did you mean 'cluster'?" },
		{ "node.threads=0", "not between" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct err err = { 0 };
		struct demo d;

		assert_int_equal(conf_load(&table, &d, NULL, &cases[i].item, 1, &err), ERR_BAD);
		assert_non_null(strstr(err.text, cases[i].words));
	}
}

/* A file that was cut loads or is refused, and nothing else. */
static void
test_cut(void **state)
{
	static const char text[] =
		"cluster = \"abc\"\nnode {\n\tlisten = \"127.0.0.1:1\"\n\twait = 2s\n"
		"}\nrouter { x = \"y\" }\ncache { size = 64K }\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		char cut[sizeof(text)];
		struct err err = { 0 };
		struct demo d;
		int rc;

		snprintf(cut, sizeof(cut), "%.*s", (int)n, text);
		rc = load(&d, cut, &err);
		if (rc == 0)
			conf_release(&table, &d);
		else
			assert_int_equal(rc, ERR_BAD);
	}
}

static void
test_no_file(void **state)
{
	struct err err = { 0 };
	struct demo d;

	(void)state;
	assert_int_equal(conf_load(&table, &d, below(folder, "none"), NULL, 0, &err),
			 ERR_NOT_FOUND);
	assert_int_equal(fsio_write(below(folder, "c"), SLICE_LIT("clus\0ter"), 0600, &err), 0);
	assert_int_equal(conf_load(&table, &d, below(folder, "c"), NULL, 0, &err), ERR_BAD);
}

/* The manual is a file that loads, once what must be given is. */
static void
test_manual(void **state)
{
	struct buf text = BUF_MAX(10000);
	struct err err = { 0 };
	struct demo d;

	(void)state;
	conf_manual(&text, &table);
	assert_non_null(strstr(buf_str(&text), "must be given"));
	assert_non_null(strstr(buf_str(&text), "cache {\n\t# memory (size: 64K, 64M, 2G)\n"));
	buf_add_str(&text, "cluster = x\n");
	assert_int_equal(load(&d, buf_str(&text), &err), 0);
	assert_true(d.size == UINT64_C(64) << 20);
	conf_release(&table, &d);
	buf_release(&text);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "%s", temp_folder());
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return fsio_remove_tree(folder, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),  cmocka_unit_test(test_defaults_and_overrides),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_override_refused),
		cmocka_unit_test(test_cut),     cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
