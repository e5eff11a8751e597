#include "router/back/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* c connected, d disconnected, l a line, x status stream lost, t a tick */
static const struct {
	const char *story;
	enum health_state want;
} cases[] = {
	{ "", HEALTH_AWAY },           { "c", HEALTH_SILENT },
	{ "cl", HEALTH_WELL },         { "clttt", HEALTH_WELL },
	{ "cltttt", HEALTH_SILENT },   { "clttttttttl", HEALTH_WELL },
	{ "clttltt", HEALTH_WELL },    { "clx", HEALTH_SILENT },
	{ "clxttttttl", HEALTH_WELL }, { "clxttttttlttt", HEALTH_WELL },
	{ "cld", HEALTH_AWAY },        { "cldc", HEALTH_SILENT },
	{ "cldttttt", HEALTH_AWAY },   { "tttttcl", HEALTH_WELL },
};

static void
test_stories(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct health h = { 0 };

		for (const char *p = cases[i].story; *p != '\0'; p++)
			switch (*p) {
			case 'c':
			case 'd':
				health_connect(&h, *p == 'c');
				break;
			case 'l':
				health_line(&h);
				break;
			case 'x':
				health_lost(&h);
				break;
			case 't':
				health_tick(&h);
				break;
			}
		assert_int_equal(health_state(&h), cases[i].want);
	}
}

static void
test_words(void **state)
{
	(void)state;
	assert_string_equal(health_word(HEALTH_AWAY), "away");
	assert_string_equal(health_word(HEALTH_SILENT), "silent");
	assert_string_equal(health_word(HEALTH_WELL), "well");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
