#include "gitproto/base/check.h"

#include <stdio.h>
#include <stdlib.h>

void
check_failed(const char *file, int line, const char *cond)
{
	fprintf(stderr,
		"BUG %s:%d: CHECK(%s) failed; this is an error in gitshard, please report it\n",
		file, line, cond);
	abort();
}

void *
check_magic(void *p, unsigned want, const char *file, int line)
{
	if (p == NULL || *(const unsigned *)p != want)
		check_failed(file, line, "magic number");
	return p;
}
