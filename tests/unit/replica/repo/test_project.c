/* What the projection writes, as the real git reads it. */
#include "replica/repo/project.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/fsio.h"
#include "replica/repo/disk.h"
#include "replica/repo/layout.h"
#include "replica/repo/peel.h"

static char top[64], dir[128];
static enum oid_format format;
static struct layout *layout;
static struct oid commits[3], tag; /* tag names commits[0] */
static const uint8_t id[16] = { 7 };

/* The output of a shell command, without its last line feed; in a ring of 4. */
static const char *sh(const char *fmt, ...) PRINTF_LIKE(1, 2);
static const char *
sh(const char *fmt, ...)
{
	static char out[4][1 << 16], line[8192];
	static unsigned at;
	char *o = out[at++ % 4];
	va_list ap;
	FILE *f;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	f = popen(line, "r");
	assert_non_null(f);
	n = fread(o, 1, sizeof(out[0]) - 1, f);
	o[n] = 0;
	if (pclose(f) != 0)
		fail_msg("failed: %s", line);
	if (n > 0 && o[n - 1] == '\n')
		o[n - 1] = 0;
	return o;
}

static struct oid
read_oid(const char *hex)
{
	struct oid o = OID_NONE;

	assert_int_equal(oid_parse(&o, slice_str(hex), format), 0);
	return o;
}

static int
setup_format(enum oid_format f)
{
	struct err err = { 0 };

	format = f;
	snprintf(top, sizeof(top), "/tmp/gs-project-XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/o/r.git", top);
	if (layout_new(&layout, top, top, "/opt/our \"hooks\"", &err) < 0 ||
	    layout_create(layout, dir, id, f, "refs/heads/main", &err) < 0)
		fail_msg("%s", err.text);
	setenv("GIT_DIR", dir, 1);
	setenv("GIT_AUTHOR_NAME", "a", 1);
	setenv("GIT_AUTHOR_EMAIL", "a@b", 1);
	setenv("GIT_COMMITTER_NAME", "a", 1);
	setenv("GIT_COMMITTER_EMAIL", "a@b", 1);
	for (unsigned i = 0; i < COUNT(commits); i++)
		commits[i] = read_oid(
			sh("git commit-tree -m %u $(git hash-object -t tree -w /dev/null)", i));
	tag = read_oid(
		sh("printf 'object %s\\ntype commit\\ntag v\\ntagger a <a@b> 0 +0000\\n\\n' |"
		   " git mktag",
		   oid_text(&commits[0])));
	return 0;
}

static int
setup_sha1(void **state)
{
	(void)state;
	return setup_format(OID_SHA1);
}

static int
setup_sha256(void **state)
{
	(void)state;
	return setup_format(OID_SHA256);
}

static int
teardown(void **state)
{
	(void)state;
	layout_free(&layout);
	return fsio_remove_tree(top, NULL);
}

static struct project
here(void)
{
	return (struct project){ dir, clock_wall_ms() - 3600 * 1000 };
}

/* git's own view and ours are one. */
static void
expect_same(const struct refset *refs)
{
	struct buf want = BUF_MAX(1u << 24);
	struct reflist list;
	const char *cmd = "git for-each-ref --format='%(refname) %(objectname) %(*objectname)' | "
			  "sed 's/ $//'";
	FILE *f;
	char *have = mem_alloc(1u << 24);

	refset_list(refs, &list);
	for (size_t i = 0; i < list.n; i++) {
		buf_addf(&want, "%s %s", list.items[i]->name, oid_text(&list.items[i]->oid));
		if (list.items[i]->peeled.len > 0)
			buf_addf(&want, " %s", oid_text(&list.items[i]->peeled));
		buf_add_byte(&want, '\n');
	}
	f = popen(cmd, "r");
	assert_non_null(f);
	have[fread(have, 1, (1u << 24) - 1, f)] = 0;
	assert_int_equal(pclose(f), 0);
	assert_string_equal(have, buf_str(&want));
	assert_string_equal(sh("git symbolic-ref HEAD"), refset_head(refs));
	buf_release(&want);
	free(have);
}

static void
write_changes(struct refset *refs, struct refset_change *c, size_t n, bool head)
{
	struct project p = here();
	struct err err = { 0 };

	for (size_t i = 0; i < n; i++)
		refset_set(refs, c[i].name, &c[i].oid, oid_eq(&c[i].oid, &tag) ? &commits[0] : NULL,
			   i);
	if (project_write(&p, refs, c, n, head, &err) < 0)
		fail_msg("%s", err.text);
	expect_same(refs);
}

static unsigned
mend(struct refset *refs)
{
	struct project p = here();
	struct err err = { 0 };
	unsigned n = 0;

	if (project_check(&p, refs, &n, &err) < 0)
		fail_msg("%s", err.text);
	expect_same(refs);
	return n;
}

static void
test_loose(void **state)
{
	struct refset *refs = refset_new(format);
	struct oid gone = oid_null(format);
	struct refset_change first[] = { { "refs/heads/main", commits[0] },
					 { "refs/heads/a", commits[1] },
					 { "refs/heads/deep/er/b", commits[1] },
					 { "refs/tags/v", tag } };
	struct refset_change swap[] = { { "refs/heads/a/b", commits[2] },
					{ "refs/heads/a", gone } };
	struct refset_change back[] = { { "refs/heads/a", commits[2] },
					{ "refs/heads/a/b", gone } };
	struct refset_change rest[] = { { "refs/heads/deep/er/b", gone },
					{ "refs/heads/main", commits[2] } };
	char path[256];

	(void)state;
	refset_set_head(refs, "refs/heads/main");
	assert_int_equal(mend(refs), 0);
	write_changes(refs, first, COUNT(first), false);
	write_changes(refs, swap, COUNT(swap), false);
	write_changes(refs, back, COUNT(back), false);
	refset_set_head(refs, "refs/heads/a");
	write_changes(refs, rest, COUNT(rest), true);
	snprintf(path, sizeof(path), "%s/refs/heads/deep", dir);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/packed-refs", dir);
	assert_int_equal(access(path, F_OK), -1);
	/* an empty folder where a file must be */
	snprintf(path, sizeof(path), "%s/refs/heads/new/x/y", dir);
	assert_int_equal(disk_mkdirs(path, NULL), 0);
	write_changes(refs, &(struct refset_change){ "refs/heads/new", commits[0] }, 1, false);
	sh("git fsck --strict 2>&1");
	assert_int_equal(mend(refs), 0);
	refset_free(&refs);
}

static void
test_packed(void **state)
{
	struct refset *refs = refset_new(format);
	struct refset_change c[100];
	char names[100][40];

	(void)state;
	refset_set_head(refs, "refs/heads/main");
	for (unsigned i = 0; i < COUNT(c); i++) {
		snprintf(names[i], sizeof(names[i]),
			 i % 3 != 0 ? "refs/heads/b%u" : "refs/tags/t%u", i);
		c[i] = (struct refset_change){ names[i], i % 3 != 0 ? commits[i % 2] : tag };
	}
	write_changes(refs, c, 20, false);
	write_changes(refs, c + 20, 80, false);
	assert_string_equal(sh("find %s/refs -type f | wc -l", dir), "0");
	assert_int_equal(mend(refs), 0);
	/* one loose over a packed one, then both go */
	c[1].oid = commits[2];
	write_changes(refs, &c[1], 1, false);
	assert_string_equal(sh("find %s/refs -type f | wc -l", dir), "1");
	c[1].oid = oid_null(format);
	write_changes(refs, &c[1], 1, false);
	assert_string_equal(sh("find %s/refs -type f | wc -l", dir), "0");
	sh("git pack-refs --all && git fsck --strict 2>&1");
	assert_int_equal(mend(refs), 0);
	for (unsigned i = 0; i < COUNT(c); i++)
		c[i].oid = oid_null(format);
	write_changes(refs, c, COUNT(c), false);
	assert_int_equal(refset_count(refs), 0);
	refset_free(&refs);
}

static void
test_mend(void **state)
{
	/* what may be done behind our back, and how many refs are wrong then */
	static const struct {
		const char *damage;
		unsigned wrong;
	} cases[] = {
		{ "true", 0 },
		{ "git update-ref refs/heads/stranger HEAD", 1 },
		{ "git update-ref -d refs/heads/a", 1 },
		{ "git update-ref refs/heads/a refs/heads/b", 1 },
		{ "git symbolic-ref HEAD refs/heads/b", 1 },
		{ "rm $GIT_DIR/HEAD", 1 },
		{ "ln -sf refs/heads/main $GIT_DIR/HEAD", 1 },
		{ "git symbolic-ref refs/heads/a refs/heads/b", 2 }, /* no ref, and a is absent */
		{ "git pack-refs --all", 0 },
		{ "git pack-refs --all && git update-ref refs/x/y/z HEAD", 1 },
		{ "git pack-refs --all && git update-ref -d refs/heads/a", 1 },
		{ ": >$GIT_DIR/refs/heads/a", 2 },
		{ "git pack-refs --all && : >$GIT_DIR/refs/heads/a", 1 },
		{ "printf x >$GIT_DIR/refs/heads/.tmp", 1 },
		{ "rm -rf $GIT_DIR/refs/heads $GIT_DIR/packed-refs; mkdir $GIT_DIR/refs/heads", 3 },
		{ "git update-ref -d refs/heads/a && git update-ref refs/heads/a/b HEAD", 2 },
		{ "ln -s /etc/passwd $GIT_DIR/refs/heads/p", 1 },
		{ "git pack-refs --all && truncate -s -30 $GIT_DIR/packed-refs", 1 },
		{ "git pack-refs --all && sed -i '/^\\^/d' $GIT_DIR/packed-refs", 1 },
		{ "git pack-refs --all && sed -i 's/^\\^./^0/' $GIT_DIR/packed-refs", 1 },
		{ "git pack-refs --all && sed -i 's, refs/heads/a, refs/../../a,' "
		  "$GIT_DIR/packed-refs",
		  2 },
		{ "touch -d 2001-01-01 $GIT_DIR/refs/heads/a.lock", 1 },
		{ "git update-ref -d refs/heads/a; touch -d 2001-01-01 $GIT_DIR/packed-refs.lock",
		  1 },
	};
	struct refset *refs = refset_new(format);
	struct refset_change c[] = { { "refs/heads/main", commits[0] },
				     { "refs/heads/a", commits[1] },
				     { "refs/heads/b", commits[2] },
				     { "refs/tags/v", tag } };

	(void)state;
	refset_set_head(refs, "refs/heads/main");
	write_changes(refs, c, COUNT(c), false);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		unsigned n;

		sh("%s", cases[i].damage);
		n = mend(refs);
		if (n < cases[i].wrong || n > cases[i].wrong + 1)
			fail_msg("case %u: %s: %u mended, expected %u", i, cases[i].damage, n,
				 cases[i].wrong);
		assert_int_equal(mend(refs), 0);
	}
	refset_free(&refs);
}

static void
test_living_lock(void **state)
{
	struct refset *refs = refset_new(format);
	struct refset_change c = { "refs/heads/main", commits[0] };
	struct project p = here();
	struct err err;

	(void)state;
	refset_set_head(refs, "refs/heads/main");
	refset_set(refs, c.name, &c.oid, NULL, 1);
	sh("touch $GIT_DIR/refs/heads/main.lock");
	assert_int_equal(project_write(&p, refs, &c, 1, false, &err), ERR_UNAVAILABLE);
	assert_int_equal(project_check(&p, refs, NULL, &err), ERR_UNAVAILABLE);
	p.born_ms = clock_wall_ms() + 60000;
	assert_int_equal(project_check(&p, refs, NULL, &err), 0);
	expect_same(refs);
	refset_free(&refs);
}

static void
test_peel(void **state)
{
	struct peel *p = peel_new(top, "/none");
	struct peel_item it[5] = { { .oid = commits[0] }, { .oid = tag }, { .oid = commits[1] } };
	struct err err = { 0 };

	(void)state;
	it[3].oid =
		read_oid(sh("printf 'object %s\\ntype tag\\ntag w\\ntagger a <a@b> 0 +0000\\n\\n'"
			    " | git mktag",
			    oid_text(&tag)));
	it[4].oid = commits[0];
	it[4].oid.b[3] ^= 0x55;
	for (unsigned round = 0; round < 2; round++) {
		if (peel_run(p, id, dir, format, it, COUNT(it), &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(it[0].peeled.len, 0);
		assert_true(oid_eq(&it[1].peeled, &commits[0]));
		assert_int_equal(it[2].peeled.len, 0);
		assert_true(oid_eq(&it[3].peeled, &commits[0]));
		for (unsigned i = 0; i < 4; i++)
			assert_false(it[i].missing);
		assert_true(it[4].missing);
		sh("git update-ref refs/heads/x %s && git update-ref refs/tags/w %s && git repack "
		   "-adq",
		   oid_text(&commits[1]), oid_text(&it[3].oid));
		peel_forget(p, id);
	}
	peel_free(&p);
}

static void
test_layout(void **state)
{
	char other[256], path[300];
	struct err err = { 0 };
	const uint8_t id2[16] = { 8 };

	(void)state;
	assert_string_equal(sh("git config core.hooksPath"), "/opt/our \"hooks\"");
	assert_string_equal(sh("git config uploadpack.allowFilter"), "true");
	assert_string_equal(sh("git config receive.advertisePushOptions"), "true");
	assert_string_equal(sh("git rev-parse --is-bare-repository --show-object-format"),
			    format == OID_SHA1 ? "true\nsha1" : "true\nsha256");
	assert_true(layout_is(dir, id));
	/* again: done already; another id: the old one goes to the trash */
	assert_int_equal(layout_create(layout, dir, id, format, "refs/heads/main", &err), 0);
	snprintf(other, sizeof(other), "%s/p/q.git", top);
	assert_int_equal(layout_move(layout, dir, other, id, &err), 0);
	assert_int_equal(layout_move(layout, dir, other, id, &err), 0);
	assert_true(layout_is(other, id));
	snprintf(path, sizeof(path), "%s/o", top);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(layout_create(layout, other, id2, format, "refs/heads/x", &err), 0);
	assert_true(layout_is(other, id2));
	assert_int_equal(layout_trash(layout, other, id, &err), 0);
	assert_true(layout_is(other, id2));
	assert_int_equal(layout_trash(layout, other, id2, &err), 0);
	assert_false(layout_is(other, id2));
	assert_string_equal(sh("ls %s/trash | wc -l", top), "2");
	assert_int_equal(layout_empty_trash(layout, 3600, &err), 0);
	assert_int_equal(layout_empty_trash(layout, -3600, &err), 1);
	assert_int_equal(layout_empty_trash(layout, -3600, &err), 1);
	assert_int_equal(layout_empty_trash(layout, -3600, &err), 0);
}

static void
test_layout_mend(void **state)
{
	struct layout *moved;
	struct err err = { 0 };

	(void)state;
	sh("cd %s && touch HEAD.lock objects/pack/pack-x.keep objects/pack/tmp_pack_1 &&"
	   " mkdir objects/tmp_objdir-incoming-1 && touch objects/tmp_objdir-incoming-1/x",
	   dir);
	assert_int_equal(layout_mend(layout, dir, 0, &err), 0);
	assert_string_equal(
		sh("find %s -name '*.keep' -o -name '*tmp*' -o -name '*.lock'|wc -l", dir), "4");
	assert_int_equal(layout_mend(layout, dir, UINT64_MAX, &err), 0);
	assert_string_equal(
		sh("find %s -name '*.keep' -o -name '*tmp*' -o -name '*.lock'|wc -l", dir), "0");
	assert_int_equal(layout_new(&moved, top, top, "/new/hooks", &err), 0);
	assert_int_equal(layout_mend(moved, dir, 0, &err), 0);
	assert_string_equal(sh("git config core.hooksPath"), "/new/hooks");
	assert_int_equal(layout_mend(moved, dir, 0, &err), 0);
	layout_free(&moved);
}

#define BOTH(test)                                                   \
	cmocka_unit_test_setup_teardown(test, setup_sha1, teardown), \
		cmocka_unit_test_setup_teardown(test, setup_sha256, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_loose), BOTH(test_packed), BOTH(test_mend),        BOTH(test_living_lock),
		BOTH(test_peel),  BOTH(test_layout), BOTH(test_layout_mend),
	};

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
