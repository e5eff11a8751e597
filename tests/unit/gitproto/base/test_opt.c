#include "gitproto/base/opt.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/gitproto/base/base_test.h"

struct demo {
	bool yes;
	const char *out;
	struct opt_list set;
};

static const struct opt table[] = {
	{ "yes", 'y', NULL, OPT_FLAG, offsetof(struct demo, yes), "do it" },
	{ "output", 'o', "FORM", OPT_STR, offsetof(struct demo, out), "table or json" },
	{ "set", 0, "KEY=VALUE", OPT_LIST, offsetof(struct demo, set), "an option" },
};

static void
test_parse(void **state)
{
	const char *const argv[] = { "prog",        "map", "--set",   "a=b", "-o", "json", "init",
				     "--set=c=d=e", "-y",  "-otable", "-",   "--", "--yes" };
	struct demo d = { 0 };
	struct opt_list words = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(
		opt_parse(&d, &words, table, COUNT(table), COUNT(argv), (char **)argv, &err), 0);
	assert_true(d.yes);
	assert_string_equal(d.out, "table");
	assert_int_equal(d.set.n, 2);
	assert_string_equal(d.set.v[1], "c=d=e");
	assert_int_equal(words.n, 4);
	assert_string_equal(words.v[1], "init");
	assert_string_equal(words.v[2], "-");
	assert_string_equal(words.v[3], "--yes");
	opt_list_release(&d.set);
	opt_list_release(&words);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *argv[3];
		const char *words;
	} cases[] = {
		{ { "p", "--nope", "x" }, "no option '--nope'" },
		{ { "p", "-x", "x" }, "no option '-x'" },
		{ { "p", "x", "--output" }, "needs a value: FORM" },
		{ { "p", "x", "-o" }, "needs a value" },
		{ { "p", "--yes=1", "x" }, "takes no value" },
		{ { "p", "-yes", "x" }, "takes no value" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		const char *argv[3];
		struct demo d = { 0 };
		struct opt_list words = { 0 };
		struct err err;

		memcpy(argv, cases[i].argv, sizeof(argv));
		assert_int_equal(opt_parse(&d, &words, table, COUNT(table), 3, (char **)argv, &err),
				 ERR_BAD);
		assert_non_null(strstr(err.text, cases[i].words));
		opt_list_release(&words);
	}
}

static void
test_help(void **state)
{
	struct buf out = BUF_MAX(4096);

	(void)state;
	opt_help(&out, table, COUNT(table));
	assert_non_null(
		strstr(buf_str(&out), "  -o, --output FORM                  table or json\n"));
	assert_non_null(strstr(buf_str(&out), "an option (may be repeated)\n"));
	buf_release(&out);
}

struct settings {
	char *cluster;
};
static const struct conf_opt rows[] = {
	CONF_MUST(STR, struct settings, cluster, "cluster", "its name"),
};
static const struct conf_table conf = { rows, COUNT(rows), NULL };

static int
check(const void *c, struct err *err)
{
	const struct settings *s = c;

	return strcmp(s->cluster, "bad") == 0 ? err_set(err, ERR_BAD, "a bad cluster") : 0;
}

static void
test_daemon(void **state)
{
	static const struct {
		const char *argv[3];
		int argc;
		enum opt_next next;
	} cases[] = {
		{ { "d", "--set", "cluster=x" }, 3, OPT_RUN },
		{ { "d", "--check-config", "--set=cluster=x" }, 3, OPT_DONE },
		{ { "d", "--check-config", "--set=cluster=bad" }, 3, OPT_WRONG },
		{ { "d", "--set", "cluster=bad" }, 3, OPT_WRONG },
		{ { "d", "--help" }, 2, OPT_DONE },
		{ { "d", "--version" }, 2, OPT_DONE },
		{ { "d", "--help-config" }, 2, OPT_DONE },
		{ { "d", "word" }, 2, OPT_WRONG },
		{ { "d" }, 1, OPT_WRONG },
		{ { "d", "--config", "/nonexistent/x" }, 3, OPT_WRONG },
	};
	const struct opt_daemon d = { "d", "tests", &conf, NULL, check };
	int out = dup(1), fd2 = dup(2), null = open("/dev/null", O_WRONLY);

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		const char *argv[3];
		struct settings s = { 0 };
		enum opt_next next;

		memcpy(argv, cases[i].argv, sizeof(argv));
		dup2(null, 1);
		dup2(null, 2);
		next = opt_daemon_start(&s, &d, cases[i].argc, (char **)argv);
		dup2(out, 1);
		dup2(fd2, 2);
		if (next != cases[i].next)
			fail_msg("case %u: %d", i, (int)next);
		conf_release(&conf, &s);
	}
	close(null);
	close(out);
	close(fd2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
