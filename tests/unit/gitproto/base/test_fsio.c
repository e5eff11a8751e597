#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/fsio.h"
#include "gitproto/base/mem.h"
#include "tests/unit/gitproto/base/base_test.h"

static int
make_dir(void **state)
{
	*state = mem_strdup(temp_folder());
	return 0;
}

static int
drop_dir(void **state)
{
	assert_int_equal(fsio_remove_tree(*state, NULL), 0);
	assert_int_equal(access(*state, F_OK), -1);
	free(*state);
	return 0;
}

static unsigned
entries(const char *folder)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static void
test_write_read(void **state)
{
	const char *path = below(*state, "file");
	struct buf got = BUF_MAX(100000);
	struct err err;
	struct stat st;

	assert_int_equal(fsio_write(path, SLICE_LIT("one"), 0600, &err), 0);
	assert_int_equal(fsio_write(path, SLICE_LIT("second"), 0640, &err), 0);
	assert_int_equal(entries(*state), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(fsio_read(&got, path, 6, &err), 0);
	assert_string_equal(buf_str(&got), "second");
	assert_int_equal(fsio_write(path, SLICE_NONE, 0600, &err), 0);
	buf_clear(&got);
	assert_int_equal(fsio_read(&got, path, 0, &err), 0);
	assert_int_equal(got.len, 0);
	buf_release(&got);
}

static void
test_read_limits(void **state)
{
	const char *path = below(*state, "big");
	struct buf got = BUF_MAX(50000), small = BUF_MAX(100);
	char *block = mem_alloc(40000);
	struct err err;

	assert_int_equal(fsio_write(path, slice_of(block, 40000), 0600, &err), 0);
	assert_int_equal(fsio_read(&got, path, 39999, &err), ERR_TOO_BIG);
	assert_non_null(strstr(err.text, path));
	buf_clear(&got);
	assert_int_equal(fsio_read(&got, path, 40000, &err), 0);
	assert_int_equal(got.len, 40000);
	assert_int_equal(fsio_read(&small, path, 40000, &err), ERR_NOMEM);
	assert_int_equal(fsio_read(&got, below(*state, "none"), 10, &err), ERR_NOT_FOUND);
	assert_int_equal(fsio_read(&got, *state, 10, &err), ERR_IO);
	buf_release(&got);
	buf_release(&small);
	free(block);
}

static void
test_write_fails(void **state)
{
	struct err err;

	assert_int_equal(fsio_write(below(*state, "no/such"), SLICE_LIT("x"), 0600, &err), ERR_IO);
	assert_int_equal(mkdir(below(*state, "folder"), 0700), 0);
	assert_int_equal(fsio_write(below(*state, "folder"), SLICE_LIT("x"), 0600, &err), ERR_IO);
	assert_int_equal(entries(*state), 1); /* no temporary file stays behind */
}

static void
test_mkdirs(void **state)
{
	struct err err;

	assert_int_equal(fsio_mkdirs(below(*state, "a//b/c/"), 0700, &err), 0);
	assert_int_equal(fsio_mkdirs(below(*state, "a/b/c"), 0700, &err), 0);
	assert_int_equal(entries(below(*state, "a/b")), 1);
	assert_int_equal(fsio_write(below(*state, "file"), SLICE_LIT("x"), 0600, &err), 0);
	assert_int_equal(fsio_mkdirs(below(*state, "file/b"), 0700, &err), ERR_IO);
	assert_non_null(strstr(err.text, "not a folder"));
	assert_int_equal(fsio_sync_dir(below(*state, "a"), &err), 0);
	assert_int_equal(fsio_sync_dir(below(*state, "b"), &err), ERR_NOT_FOUND);
}

static void
test_remove_follows_no_link(void **state)
{
	struct err err;

	assert_int_equal(fsio_mkdirs(below(*state, "keep/x"), 0700, &err), 0);
	assert_int_equal(fsio_mkdirs(below(*state, "tree/deep/er"), 0700, &err), 0);
	assert_int_equal(symlink("../keep", below(*state, "tree/link")), 0);
	assert_int_equal(symlink("/nowhere", below(*state, "tree/deep/dangling")), 0);
	assert_int_equal(fsio_write(below(*state, "tree/deep/f"), SLICE_LIT("x"), 0400, &err), 0);
	assert_int_equal(fsio_remove_tree(below(*state, "tree"), &err), 0);
	assert_int_equal(entries(*state), 1);
	assert_int_equal(entries(below(*state, "keep")), 1);
	assert_int_equal(symlink("keep", below(*state, "top")), 0);
	assert_int_equal(fsio_remove_tree(below(*state, "top"), &err), 0);
	assert_int_equal(entries(below(*state, "keep")), 1);
	assert_int_equal(fsio_remove_tree(below(*state, "never"), &err), 0);
}

int
main(void)
{
#define WITH_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		WITH_DIR(test_write_read),
		WITH_DIR(test_read_limits),
		WITH_DIR(test_write_fails),
		WITH_DIR(test_mkdirs),
		WITH_DIR(test_remove_follows_no_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
