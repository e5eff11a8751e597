/* tests/unit/gitproto/git_test.h - what the tests of this room share: slices compared, a scratch
 * folder, and the installed git as the judge of bytes. */
#ifndef TESTS_UNIT_GITPROTO_GIT_TEST_H
#define TESTS_UNIT_GITPROTO_GIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/check.h"
#include "gitproto/base/err.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/slice.h"
#include "gitproto/reflist.h"

static inline void
assert_slice(struct slice got, struct slice want)
{
	if (slice_eq(got, want))
		return;
	print_message("got:  %.*s\nwant: %.*s\n", SLICE_ARG(got), SLICE_ARG(want));
	assert_true(false);
}

static inline void
assert_slice_str(struct slice got, const char *want)
{
	assert_slice(got, slice_str(want));
}

/* All that a shell command writes to its standard output; returns its exit code. */
PRINTF_LIKE(2, 3)
static inline int
shell(struct buf *out, const char *fmt, ...)
{
	char command[2048], part[4096];
	va_list ap;
	FILE *f;
	size_t n;
	int rc;

	va_start(ap, fmt);
	rc = vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	CHECK(rc >= 0 && (size_t)rc < sizeof(command));
	f = popen(command, "r");
	assert_non_null(f);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		if (out != NULL)
			buf_add(out, part, n);
	return pclose(f);
}

static inline void
write_file(const char *name, struct slice s)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(s.p, 1, s.len, f), s.len);
	assert_int_equal(fclose(f), 0);
}

/* A folder of its own, which becomes the working directory, and a git that reads no one's settings.
 * For cmocka's group setup and teardown. */
static char scratch[64];

static inline int
scratch_setup(void **state)
{
	(void)state;
	snprintf(scratch, sizeof(scratch), "%s", "/tmp/gitproto-test-XXXXXX");
	if (mkdtemp(scratch) == NULL || chdir(scratch) != 0)
		return -1;
	setenv("HOME", scratch, 1);
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	setenv("LC_ALL", "C", 1);
	setenv("GIT_AUTHOR_NAME", "A", 1);
	setenv("GIT_AUTHOR_EMAIL", "a@example.org", 1);
	setenv("GIT_COMMITTER_NAME", "A", 1);
	setenv("GIT_COMMITTER_EMAIL", "a@example.org", 1);
	setenv("GIT_HTTP_EXPORT_ALL", "1", 1);
	setenv("REMOTE_USER", "a", 1);
	setenv("GIT_PROJECT_ROOT", scratch, 1);
	unsetenv("GIT_PROTOCOL");
	unsetenv("GIT_DIR");
	return shell(NULL, "git config --global init.defaultBranch main");
}

static inline int
scratch_teardown(void **state)
{
	(void)state;
	return chdir("/") != 0 ? -1 : shell(NULL, "rm -rf '%s'", scratch);
}

static inline struct slice
first_line(const struct buf *b)
{
	struct slice s = buf_slice(b);

	return slice_cut(&s, '\n');
}

/* The refs of a repository as git tells them. */
struct git_refs {
	struct reflist list;
	struct reflist_item *items;
	const struct reflist_item **sorted;
	char *head;
};

static inline void
git_refs_release(struct git_refs *r)
{
	for (size_t i = 0; i < r->list.n; i++)
		free((char *)r->items[i].name);
	free(r->items);
	free(r->sorted);
	free(r->head);
	memset(r, 0, sizeof(*r));
}

static inline void
git_refs_head(struct git_refs *r, const char *repo)
{
	struct buf out = BUF_MAX(4096);

	if (shell(&out, "git -C %s symbolic-ref -q HEAD", repo) == 0) {
		struct slice line = first_line(&out);

		r->head = mem_strndup(line.p, line.len);
		r->list.head_target = r->head;
	} else if (shell(&out, "git -C %s rev-parse HEAD", repo) == 0) {
		assert_int_equal(oid_parse_any(&r->list.head_detached, first_line(&out)), 0);
	}
	buf_release(&out);
}

static inline void
git_refs_load(struct git_refs *r, const char *repo)
{
	const struct slice mark = SLICE_LIT("^{}");
	struct buf out = BUF_MAX(64 << 20);
	struct slice rest;
	size_t lines = 1;

	memset(r, 0, sizeof(*r));
	assert_int_equal(shell(&out, "git -C %s rev-parse --show-object-format", repo), 0);
	assert_true(oid_name_parse(&r->list.format, first_line(&out)));
	buf_clear(&out);
	(void)!shell(&out, "git -C %s show-ref -d", repo);
	for (size_t i = 0; i < out.len; i++)
		lines += out.p[i] == '\n';
	r->items = mem_array(lines, sizeof(*r->items));
	r->sorted = mem_array(lines, sizeof(*r->sorted));
	rest = buf_slice(&out);
	while (rest.len > 0) {
		struct slice name = slice_cut(&rest, '\n');
		struct oid oid;

		assert_int_equal(oid_parse(&oid, slice_cut(&name, ' '), r->list.format), 0);
		if (slice_ends(name, mark)) {
			r->items[r->list.n - 1].peeled = oid;
			continue;
		}
		r->items[r->list.n].name = mem_strndup(name.p, name.len);
		r->items[r->list.n].oid = oid;
		r->sorted[r->list.n] = &r->items[r->list.n];
		r->list.n++;
	}
	r->list.items = r->sorted;
	buf_release(&out);
	git_refs_head(r, repo);
}

/* Repositories of every shape that an advertisement can have: name, and how it is made. */
struct git_shape {
	const char *name, *make;
};

#define GIT_SHAPE_COMMIT(fmt)                                                           \
	"git init -q --bare --object-format=" fmt " $R && cd $R && "                    \
	"T=$(git hash-object -t tree -w /dev/null) && C=$(git commit-tree -m x $T) && " \
	"D=$(git commit-tree -p $C -m y $T) && git update-ref refs/heads/main $C && "

static const struct git_shape git_shapes[] = {
	{ "empty", "git init -q --bare $R" },
	{ "empty256", "git init -q --bare --object-format=sha256 $R" },
	{ "one", GIT_SHAPE_COMMIT("sha1") "true" },
	{ "unborn", GIT_SHAPE_COMMIT("sha1") "git symbolic-ref HEAD refs/heads/none" },
	{ "detached", GIT_SHAPE_COMMIT("sha1") "git update-ref --no-deref HEAD $D" },
	{ "tags",
	  GIT_SHAPE_COMMIT("sha1") "git tag light $D && git tag -a -m t full $C && "
				   "git tag -a -m t nested full && git tag -a -m t tree $T && "
				   "git update-ref refs/pull/1/head $D" },
	{ "packed", GIT_SHAPE_COMMIT("sha1") "git tag -a -m t v1 $C && git branch b $D && "
					     "git pack-refs --all && git branch loose $D" },
	{ "sorted", GIT_SHAPE_COMMIT("sha1") "for b in a-b a/b a.b aa a0 Z z refs; do "
					     "git branch $b $C; done" },
	{ "sha256", GIT_SHAPE_COMMIT("sha256") "git tag -a -m t v1 $C && git branch b $D" },
};

static inline void
git_shapes_make(void)
{
	for (size_t i = 0; i < COUNT(git_shapes); i++)
		assert_int_equal(shell(NULL, "R=%s; (%s) >/dev/null 2>&1", git_shapes[i].name,
				       git_shapes[i].make),
				 0);
}

#endif
