/* tests/unit/replica/repo/git_run.h - a folder and the real git in it.  Thread: main; blocks. */
#ifndef TESTS_UNIT_REPLICA_REPO_GIT_RUN_H
#define TESTS_UNIT_REPLICA_REPO_GIT_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "gitproto/base/defs.h"

static char git_dir[64];

UNUSED static void
git_begin(void)
{
	snprintf(git_dir, sizeof(git_dir), "/tmp/gitshard-git-XXXXXX");
	assert_non_null(mkdtemp(git_dir));
	setenv("HOME", git_dir, 1);
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	setenv("GIT_AUTHOR_NAME", "a", 1);
	setenv("GIT_AUTHOR_EMAIL", "a@b", 1);
	setenv("GIT_COMMITTER_NAME", "a", 1);
	setenv("GIT_COMMITTER_EMAIL", "a@b", 1);
}

/* Runs a shell command in the folder; its output, without the last line feed, until the next call. */
UNUSED PRINTF_LIKE(1, 2) static const char *git_sh(const char *fmt, ...)
{
	static char out[65536];
	char command[8192], whole[8400];
	size_t n;
	va_list ap;
	FILE *p;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	snprintf(whole, sizeof(whole), "cd %s && { %s\n}", git_dir, command);
	p = popen(whole, "re");
	assert_non_null(p);
	n = fread(out, 1, sizeof(out) - 1, p);
	if (pclose(p) != 0)
		fail_msg("%s", command);
	while (n > 0 && out[n - 1] == '\n')
		n--;
	out[n] = '\0';
	return out;
}

UNUSED static void
git_end(void)
{
	git_sh("cd / && rm -rf %s", git_dir);
}

#endif
