#include "replica/repo/child.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/gitproto/net/net_test.h"

struct run {
	struct loop *loop;
	struct child_reaper *reaper;
	struct child *child;
	unsigned exits;
	int status;
	unsigned events;
};

static int
begin(void **state)
{
	struct run *r = MEM_NEW(struct run);

	r->loop = loop_new("test");
	r->reaper = child_reaper_new(r->loop);
	*state = r;
	return 0;
}

static int
end(void **state)
{
	struct run *r = *state;

	child_free(&r->child);
	child_reaper_free(&r->reaper);
	loop_free(&r->loop);
	free(r);
	return 0;
}

static void
on_exit_child(struct child *c UNUSED, int status, void *arg)
{
	struct run *r = arg;

	r->exits++;
	r->status = status;
}

static int
spawn(struct run *r, const char *const *argv, struct err *err)
{
	char path[] = "PATH=/usr/bin:/bin", x[] = "X=1";
	char *const env[] = { path, x, NULL };
	struct child_opts o = { .argv = argv, .env = env, .dir = "/", .on_exit = on_exit_child };

	o.arg = r;
	return child_spawn(&r->child, r->reaper, &o, err);
}

static void
sh(struct run *r, const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct err err = { 0 };

	if (spawn(r, argv, &err) != 0)
		fail_msg("%s", err_text(&err));
}

static bool
is_over(void *arg)
{
	struct run *r = arg;

	return r->exits > 0 && stream_peer_ended(child_io(r->child));
}

static void
output_is(struct run *r, const char *want)
{
	struct stream *s = child_io(r->child);

	assert_int_equal(stream_readable(s), strlen(want));
	assert_memory_equal(stream_peek(s, strlen(want)).p, want, strlen(want));
}

static void
test_output_and_status(void **state)
{
	struct run *r = *state;

	sh(r, "cat; pwd; echo $X; echo oh no >&2; exit 3");
	assert_int_equal(child_running(r->reaper), 1);
	stream_write(child_io(r->child), SLICE_LIT("in\n"));
	stream_end(child_io(r->child));
	assert_true(run_until(r->loop, is_over, r));
	assert_int_equal(r->exits, 1);
	assert_true(WIFEXITED(r->status));
	assert_int_equal(WEXITSTATUS(r->status), 3);
	output_is(r, "in\n/\n1\n");
	assert_string_equal(child_complaint(r->child), "oh no\n");
	assert_int_equal(child_running(r->reaper), 0);
}

/* Descriptors, signal dispositions and the group are the child's own. */
static void
test_nothing_inherited(void **state)
{
	struct run *r = *state;
	int fd = dup(1);

	sh(r, "ls /proc/self/fd | wc -l; trap 2>/dev/null; kill -PIPE $$; echo alive");
	stream_end(child_io(r->child));
	assert_true(run_until(r->loop, is_over, r));
	output_is(r, "4\n"); /* 0, 1, 2 and ls's own */
	assert_true(WIFSIGNALED(r->status));
	assert_int_equal(WTERMSIG(r->status), SIGPIPE);
	close(fd);
}

static void
test_not_found(void **state)
{
	struct run *r = *state;
	const char *const argv[] = { "gitshard-no-such-program", NULL };
	struct err err;

	assert_int_equal(spawn(r, argv, &err), ERR_IO);
	assert_non_null(strstr(err_text(&err), "gitshard-no-such-program"));
	assert_null(r->child);
	assert_int_equal(child_running(r->reaper), 0);
}

static void
test_only_the_end_of_long_complaints(void **state)
{
	struct run *r = *state;
	size_t len;

	sh(r, "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; echo last >&2");
	assert_true(run_until(r->loop, is_over, r));
	run_msec(r->loop, 20);
	len = strlen(child_complaint(r->child));
	assert_int_equal(len, 1024);
	assert_string_equal(child_complaint(r->child) + len - 10, "1999\nlast\n");
}

static bool
nothing_runs(void *arg)
{
	return child_running(((struct run *)arg)->reaper) == 0;
}

static void
on_io(struct stream *s UNUSED, enum stream_event ev UNUSED, void *arg)
{
	((struct run *)arg)->events++;
}

/* The whole group dies; its owner hears of neither pipes nor exit any more. */
static void
test_free_kills_the_group(void **state)
{
	struct run *r = *state;
	pid_t grandchild = 0;
	struct slice out;

	sh(r, "sleep 1000 & echo $!; wait");
	while (grandchild == 0) {
		run_msec(r->loop, 5);
		out = stream_peek(child_io(r->child), 0);
		if (memchr(out.p != NULL ? out.p : (const void *)"", '\n', out.len) != NULL)
			grandchild = atoi((const char *)out.p);
	}
	stream_on(child_io(r->child), on_io, r);
	run_msec(r->loop, 20);
	r->events = 0;
	child_free(&r->child);
	assert_null(r->child);
	assert_true(run_until(r->loop, nothing_runs, r));
	run_msec(r->loop, 20);
	assert_int_equal(r->exits, 0);
	assert_int_equal(r->events, 0);
	while (kill(grandchild, 0) == 0) { /* init may take a moment to reap it */
		char path[64], state_of[512] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)grandchild);
		f = fopen(path, "r");
		if (f == NULL)
			break;
		if (fgets(state_of, sizeof(state_of), f) == NULL)
			state_of[0] = '\0';
		fclose(f);
		if (strstr(state_of, ") Z") != NULL)
			break;
		run_msec(r->loop, 5);
	}
}

/* A child that does not read its input: what is written is dropped, its answer still comes. */
static void
test_input_breaks(void **state)
{
	struct run *r = *state;
	uint8_t *big = mem_alloc(1u << 20);

	sh(r, "exec 0<&-; echo done");
	stream_write(child_io(r->child), slice_of(big, 1u << 20));
	assert_true(run_until(r->loop, is_over, r));
	assert_int_equal(WEXITSTATUS(r->status), 0);
	assert_true(stream_write_failed(child_io(r->child)));
	output_is(r, "done\n");
	free(big);
}

static void
test_signal(void **state)
{
	struct run *r = *state;

	sh(r, "sleep 1000; true");
	child_signal(r->child, SIGTERM);
	assert_true(run_until(r->loop, is_over, r));
	assert_int_equal(WTERMSIG(r->status), SIGTERM);
	child_signal(r->child, SIGTERM); /* reaped: nobody is hit */
}

/* Many that end in one tick, and owners that let go of them in the callback. */
#define MANY 20
static struct child *many[MANY];
static unsigned many_exits;

static void
on_exit_many(struct child *c, int status UNUSED, void *arg UNUSED)
{
	for (unsigned i = 0; i < MANY; i++)
		if (many[i] == c)
			child_free(&many[i]);
	many_exits++;
}

static bool
all_exited(void *arg UNUSED)
{
	return many_exits == MANY;
}

static void
test_many(void **state)
{
	struct run *r = *state;
	static char *const env[] = { NULL };
	static const char *const argv[] = { "/bin/true", NULL };
	struct child_opts o = { .argv = argv, .env = env, .on_exit = on_exit_many };

	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(child_spawn(&many[i], r->reaper, &o, NULL), 0);
	assert_true(run_until(r->loop, all_exited, NULL));
	assert_int_equal(child_running(r->reaper), 0);
}

/* Another child ends while the exit of the first is told: its own is told in the same turn of the loop,
 * before that came to its pipes. */
static const char *gate;

static void
on_exit_first(struct child *c, int status UNUSED, void *arg UNUSED)
{
	FILE *f = fopen(gate, "w");
	siginfo_t info;

	assert_non_null(f);
	fputs("go\n", f);
	fclose(f);
	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0); /* the other one */
	child_free(&c);
}

static void
on_exit_second(struct child *c, int status, void *arg)
{
	struct run *r = arg;

	output_is(r, "said\n");
	assert_string_equal(child_complaint(c), "why\n");
	on_exit_child(c, status, arg);
}

static void
test_all_is_there_at_exit(void **state)
{
	struct run *r = *state;
	char dir[] = "/tmp/gitshard-test-XXXXXX", path[64], script[160];
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	const char *const argv_first[] = { "/bin/true", NULL };
	static char *const env[] = { NULL };
	struct child_opts o = { .argv = argv, .env = env, .on_exit = on_exit_second, .arg = r };
	struct child *first;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/gate", dir);
	gate = path;
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(script, sizeof(script), "read x <%s; echo said; echo why >&2; exit 0", path);
	assert_int_equal(child_spawn(&r->child, r->reaper, &o, NULL), 0);
	o = (struct child_opts){ .argv = argv_first, .env = env, .on_exit = on_exit_first };
	assert_int_equal(child_spawn(&first, r->reaper, &o, NULL), 0);
	assert_true(run_until(r->loop, is_over, r));
	assert_int_equal(r->exits, 1);
	unlink(path);
	rmdir(dir);
}

/* No child works in a folder that moves: it is ended first, and none begins by the old path. */
static void
test_folder_moves(void **state)
{
	struct run *r = *state;
	char path[] = "PATH=/usr/bin:/bin";
	char *const env[] = { path, NULL };
	const char *const argv[] = { "sleep", "1000", NULL };
	struct repo_table *t = repo_table_new("/nowhere");
	struct repo *repo = repo_table_add(t, (const uint8_t[16]){ 1 }, 0, "a/b", OID_SHA1);
	struct child_opts o = { .argv = argv, .env = env, .repo = repo, .on_exit = on_exit_child };
	struct child *late = NULL;
	struct err err;

	o.arg = r;
	o.moves = repo_moves(repo);
	assert_int_equal(child_spawn(&r->child, r->reaper, &o, &err), 0);
	assert_false(repo_is_moving(repo, o.moves));
	assert_false(repo_move_begin(repo));
	assert_true(repo_is_moving(repo, o.moves));
	assert_int_equal(child_spawn(&late, r->reaper, &o, &err), ERR_CONFLICT);
	assert_false(repo_move_wait(repo, 20));
	assert_false(child_ends_in(r->reaper, repo));
	child_is_ending(r->child);
	assert_true(child_ends_in(r->reaper, repo));
	child_vacate(r->reaper, repo);
	assert_true(run_until(r->loop, is_over, r));
	assert_int_equal(WTERMSIG(r->status), SIGKILL);
	assert_true(repo_move_wait(repo, 0));
	repo_table_move(t, repo, "a/c");
	repo_move_end(repo);
	assert_int_equal(child_spawn(&late, r->reaper, &o, &err), ERR_CONFLICT);
	child_free(&r->child);
	o.moves = repo_moves(repo);
	assert_int_equal(child_spawn(&r->child, r->reaper, &o, &err), 0);
	child_free(&r->child); /* its owner is gone; it still counts until it is reaped */
	assert_false(repo_move_begin(repo));
	assert_true(run_until(r->loop, nothing_runs, r));
	assert_true(repo_move_begin(repo));
	repo_move_end(repo);
	repo_table_free(&t);
}

/* What still runs when the reaper goes is killed and waited for. */
static void
test_reaper_goes(void **state)
{
	struct run *r = *state;

	sh(r, "sleep 1000");
	child_free(&r->child);
	sh(r, "sleep 1000");
	r->child = NULL; /* the reaper frees it */
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_output_and_status),
		T(test_nothing_inherited),
		T(test_not_found),
		T(test_only_the_end_of_long_complaints),
		T(test_free_kills_the_group),
		T(test_input_breaks),
		T(test_signal),
		T(test_many),
		T(test_all_is_there_at_exit),
		T(test_folder_moves),
		T(test_reaper_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
