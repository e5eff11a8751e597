#include "gitproto/net/unix_server.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/gitproto/net/net_test.h"

struct world {
	struct loop *loop;
	char dir[64], path[96];
	struct stream *got[4];
	unsigned n;
};

static int
begin(void **state)
{
	struct world *w = MEM_NEW(struct world);

	w->loop = loop_new("test");
	snprintf(w->dir, sizeof(w->dir), "/tmp/gitshard-unix-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/sock", w->dir);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < w->n; i++)
		stream_free(&w->got[i]);
	loop_free(&w->loop);
	unlink(w->path);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
	return 0;
}

static void
on_stream(struct stream *s, void *arg)
{
	struct world *w = arg;

	w->got[w->n++] = s;
}

static int
dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool
has_two_that_spoke(void *arg)
{
	struct world *w = arg;

	return w->n == 2 && stream_readable(w->got[0]) == 2 && stream_readable(w->got[1]) == 2;
}

static void
test_connections(void **state)
{
	struct world *w = *state;
	struct unix_server *u;
	struct stat st;
	int a, b;
	char c;

	assert_int_equal(unix_server_new(&u, w->loop, w->path, on_stream, w, NULL), 0);
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	a = dial(w->path);
	b = dial(w->path);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(write(a, "hi", 2) + write(b, "ho", 2), 4);
	assert_true(run_until(w->loop, has_two_that_spoke, w));
	stream_write(w->got[0], SLICE_LIT("x"));
	run_msec(w->loop, 5);
	unix_server_free(&u);
	assert_int_equal(access(w->path, F_OK), -1);
	assert_int_equal(dial(w->path), -1);
	/* Connections live on. */
	assert_int_equal(read(a, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(a);
	close(b);
}

static void
test_takes_the_place_of_a_dead_one(void **state)
{
	struct world *w = *state;
	struct unix_server *old, *u;

	assert_int_equal(unix_server_new(&old, w->loop, w->path, on_stream, w, NULL), 0);
	assert_int_equal(unix_server_new(&u, w->loop, w->path, on_stream, w, NULL), 0);
	close(dial(w->path));
	unix_server_free(&u);
	unix_server_free(&old);
	unix_server_free(&old);
}

static void
test_refusals(void **state)
{
	struct world *w = *state;
	struct unix_server *u;
	struct err err;
	char path[UNIX_SERVER_PATH + 2];

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[UNIX_SERVER_PATH] = '\0';
	assert_int_equal(unix_server_new(&u, w->loop, path, on_stream, w, &err), ERR_TOO_BIG);
	path[UNIX_SERVER_PATH - 1] = '\0'; /* fits, but is nowhere */
	memcpy(path, "/no-such-folder/", 16);
	assert_int_equal(unix_server_new(&u, w->loop, path, on_stream, w, &err), ERR_IO);
	assert_non_null(strstr(err_text(&err), "/no-such-folder/"));
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_connections),
		T(test_takes_the_place_of_a_dead_one),
		T(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
