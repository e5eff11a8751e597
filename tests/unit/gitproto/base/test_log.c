#include "gitproto/base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include "gitproto/base/clock.h"
#include "tests/unit/gitproto/base/base_test.h"

static void
test_value(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain/value-1", "plain/value-1" },    { "", "\"\"" },
		{ "two words", "\"two words\"" },        { "a\nb", "\"a\\x0ab\"" },
		{ "say \"x\"", "\"say \\x22x\\x22\"" },  { "\xff", "\"\\xff\"" },
		{ "back\\slash", "\"back\\x5cslash\"" },
	};
	char big[1000];

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_string_equal(log_value(cases[i].in, strlen(cases[i].in)), cases[i].out);
	memset(big, 1, sizeof(big));
	assert_true(strlen(log_value(big, sizeof(big))) < 500);
}

static void
test_levels(void **state)
{
	enum log_level l = LOG_INFO;

	(void)state;
	assert_true(log_level_parse(&l, "debug") && l == LOG_DEBUG);
	assert_true(log_level_parse(&l, "error") && l == LOG_ERROR);
	assert_false(log_level_parse(&l, "Error"));
	assert_false(log_level_parse(&l, ""));
}

/* Reads what fn writes to stderr. */
static size_t
capture(char *out, size_t size, void (*fn)(void))
{
	int p[2], kept = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	dup2(p[1], STDERR_FILENO);
	fn();
	dup2(kept, STDERR_FILENO);
	n = read(p[0], out, size - 1);
	close(p[0]);
	close(p[1]);
	close(kept);
	n = n < 0 ? 0 : n;
	out[n] = '\0';
	return (size_t)n;
}

static void
write_lines(void)
{
	char big[3000];

	memset(big, 'x', sizeof(big));
	log_info("id1", "word", "k=%d", 5);
	log_debug("id1", "unseen", "k=%d", 5);
	log_warn("-", "long", "v=%.*s", (int)sizeof(big), big);
}

static void
test_line(void **state)
{
	char out[8192];
	size_t n = capture(out, sizeof(out), write_lines);

	(void)state;
	assert_non_null(strstr(out, "Z info id1 word k=5\n"));
	assert_null(strstr(out, "unseen"));
	assert_true(n < 2200); /* a line has an end */
	assert_int_equal(out[n - 1], '\n');
}

static uint64_t now_ns;

static uint64_t
fake_clock(void *arg)
{
	(void)arg;
	return now_ns;
}

static void
next_second(void)
{
	static struct log_rate r;
	unsigned ok = 0;

	for (unsigned i = 0; i < 10; i++)
		ok += log_rate_ok(&r, 3, "noise");
	assert_int_equal(ok, 3);
	now_ns += CLOCK_SEC;
	assert_true(log_rate_ok(&r, 3, "noise"));
}

static void
test_rate(void **state)
{
	char out[2048];

	(void)state;
	now_ns = 100 * CLOCK_SEC;
	clock_inject(fake_clock, NULL);
	capture(out, sizeof(out), next_second);
	clock_inject(NULL, NULL);
	assert_non_null(strstr(out, "suppressed event=noise lines=7\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
