/* What the tests of this room share: cmocka in its order, and a folder of one's own. */
#ifndef TESTS_UNIT_GITPROTO_BASE_BASE_TEST_H
#define TESTS_UNIT_GITPROTO_BASE_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gitproto/base/defs.h"

/* Makes a new folder below $TMPDIR (/tmp) and returns its path, valid until the next call. */
UNUSED static const char *
temp_folder(void)
{
	static char path[256];
	const char *base = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/gitshard-test-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(path));
	return path;
}

/* "folder/name", in one of four places that take turns. */
UNUSED static const char *
below(const char *folder, const char *name)
{
	static char ring[4][512];
	static unsigned turn;
	char *p = ring[turn++ % 4];

	snprintf(p, sizeof(ring[0]), "%s/%s", folder, name);
	return p;
}

#endif
