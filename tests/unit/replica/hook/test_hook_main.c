/* The hook program as git runs it, against an agent of the test's own. */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/fsio.h"
#include "gitproto/pktline.h"
#include "tests/unit/replica/repo/git_run.h"

#define PUSH "0123456789abcdef0123456789abcdef"
#define ZERO "0000000000000000000000000000000000000000"
#define MAX_MESSAGES 3

/* --- the agent ------------------------------------------------------------------------------- */

struct agent {
	int fd;
	pthread_t thread;
	const char *replies[MAX_MESSAGES]; /* lines ended by LF; NULL: hangs up instead */
	struct buf got[MAX_MESSAGES];      /* lines ended by LF */
	unsigned n;
};

static bool
read_whole(int fd, void *p, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = read(fd, (uint8_t *)p + at, n - at);

		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

/* One message up to its flush. */
static bool
read_message(int fd, struct buf *out)
{
	static uint8_t bytes[PKTLINE_MAX];
	char head[5] = "";
	size_t len;

	for (;;) {
		if (!read_whole(fd, head, 4))
			return false;
		len = strtoul(head, NULL, 16);
		if (len == 0)
			return true;
		if (len < 4 || !read_whole(fd, bytes, len - 4))
			return false;
		buf_add(out, bytes, len - 4);
		buf_add_byte(out, '\n');
	}
}

static void
write_lines(int fd, const char *lines)
{
	struct buf b = BUF_MAX(1u << 20);
	struct slice rest = slice_str(lines);

	while (rest.len > 0)
		pktline_add(&b, slice_cut(&rest, '\n'));
	pktline_add_flush(&b);
	if (write(fd, b.p, b.len) != (ssize_t)b.len)
		fprintf(stderr, "the hook went away\n");
	buf_release(&b);
}

static void *
serve(void *arg)
{
	struct agent *a = arg;
	int fd = accept(a->fd, NULL, NULL);

	while (fd >= 0 && a->n < MAX_MESSAGES && read_message(fd, &a->got[a->n])) {
		const char *reply = a->replies[a->n++];

		if (reply == NULL)
			break;
		write_lines(fd, reply);
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void
agent_begin(struct agent *a, const char *first, const char *second)
{
	struct sockaddr_un s = { .sun_family = AF_UNIX };

	memset(a, 0, sizeof(*a));
	a->replies[0] = first;
	a->replies[1] = second;
	for (unsigned i = 0; i < MAX_MESSAGES; i++)
		buf_init(&a->got[i], 1u << 20);
	snprintf(s.sun_path, sizeof(s.sun_path), "%s/sock", git_dir);
	unlink(s.sun_path);
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(a->fd, (struct sockaddr *)&s, sizeof(s)), 0);
	assert_int_equal(listen(a->fd, 4), 0);
	assert_int_equal(pthread_create(&a->thread, NULL, serve, a), 0);
}

/* From here on got holds all that the hook said. */
static void
agent_join(struct agent *a)
{
	shutdown(a->fd, SHUT_RDWR); /* ends an accept that nobody came for */
	pthread_join(a->thread, NULL);
	close(a->fd);
}

static void
agent_end(struct agent *a)
{
	for (unsigned i = 0; i < MAX_MESSAGES; i++)
		buf_release(&a->got[i]);
}

/* --- the hook -------------------------------------------------------------------------------- */

static void
put(const char *name, struct slice bytes)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", git_dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	if (bytes.len > 0)
		assert_int_equal(fwrite(bytes.p, 1, bytes.len, f), bytes.len);
	fclose(f);
}

static const char *
file(const char *name)
{
	static struct buf out;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", git_dir, name);
	buf_release(&out);
	buf_init(&out, 1u << 20);
	if (fsio_read(&out, path, 1u << 20, NULL) != 0)
		return "(none)";
	return buf_str(&out);
}

/* As git runs it: in the repository, with our environment.  Its exit status. */
static int
run_hook(const char *command, struct slice input, bool with_agent)
{
	char line[2048];
	int status;

	put("in", input);
	snprintf(line, sizeof(line),
		 "cd %s/r.git && %s%s%s env GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.hooksPath "
		 "GIT_CONFIG_VALUE_0=/ours GIT_CONFIG_GLOBAL=/dev/null GIT_PUSH_OPTION_COUNT=1 "
		 "GIT_PUSH_OPTION_0=opt GIT_QUARANTINE_PATH=/q ../ours/%s <../in >../out 2>../err",
		 git_dir, with_agent ? "GITSHARD_PUSH=" PUSH " GITSHARD_SOCK=" : "",
		 with_agent ? git_dir : "", with_agent ? "/sock" : "", command);
	status = system(line);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
own_hook(const char *name, const char *script)
{
	char path[64];

	snprintf(path, sizeof(path), "r.git/hooks/%s", name);
	put(path, slice_str(script));
	git_sh("chmod +x %s", path);
}

static void
lines_are(const struct buf *got, const char *want)
{
	assert_string_equal(buf_str(got), want);
}

static void
has(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("'%s' is not in: %s", what, text);
}

static void
clean_environment(const char *env)
{
	assert_null(strstr(env, "GITSHARD_"));
	assert_null(strstr(env, "GIT_CONFIG_"));
	has(env, "GIT_PUSH_OPTION_0=opt\n");
	has(env, "GIT_QUARANTINE_PATH=/q\n");
}

/* Where the program lies: a folder above the test's own, or what `make` made here. */
static void
find_program(char out[4096])
{
	char self[4000];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	assert_true(n > 0);
	self[n] = '\0';
	while ((slash = strrchr(self, '/')) != NULL) {
		*slash = '\0';
		snprintf(out, 4096, "%s/gitshard-hook", self);
		if (access(out, X_OK) == 0)
			return;
	}
	assert_non_null(realpath("build/debug/gitshard-hook", out));
}

static int
begin(void **state UNUSED)
{
	char program[4096];

	git_begin();
	find_program(program);
	git_sh("git init -q --bare r.git && rm -rf r.git/hooks && mkdir r.git/hooks ours && "
	       "for h in pre-receive proc-receive post-receive post-update reference-transaction; "
	       "do ln -s %s ours/$h; done",
	       program);
	return 0;
}

static int
end(void **state UNUSED)
{
	git_end();
	return 0;
}

#define A "1111111111111111111111111111111111111111"
#define B "2222222222222222222222222222222222222222"
#define COMMANDS ZERO " " A " refs/heads/good\n" A " " B " refs/heads/bad\n"

static void
test_pre_receive(void **state UNUSED)
{
	struct agent a;

	own_hook("pre-receive", "#!/bin/sh\nenv >../env; cat >../saw; echo hello\n");
	own_hook("update", "#!/bin/sh\necho \"$@\" >>../updates\n[ $1 != refs/heads/bad ]\n");
	agent_begin(&a, "go\n", "go\n");
	assert_int_equal(run_hook("pre-receive", SLICE_LIT(COMMANDS), true), 0);
	agent_join(&a);
	lines_are(&a.got[0], "pre-receive " PUSH "\nquarantine /q\ncommand " ZERO " " A
			     " refs/heads/good\ncommand " A " " B " refs/heads/bad\n");
	lines_are(&a.got[1], "ng refs/heads/bad hook declined\n");
	assert_string_equal(file("saw"), COMMANDS);
	clean_environment(file("env"));
	assert_string_equal(file("updates"),
			    "refs/heads/good " ZERO " " A "\nrefs/heads/bad " A " " B "\n");
	has(file("err"), "hello\n"); /* the user sees what it says */
	assert_string_equal(file("out"), "");
	agent_end(&a);
}

static void
test_pre_receive_declined(void **state UNUSED)
{
	struct agent a;

	own_hook("pre-receive", "#!/bin/sh\necho not today >&2; exit 7\n");
	own_hook("update", "#!/bin/sh\ntouch ../updated\n");
	agent_begin(&a, "go\n", "go\n");
	assert_int_equal(run_hook("pre-receive", SLICE_LIT(COMMANDS), true), 1);
	has(file("err"), "not today\n");
	agent_join(&a);
	lines_are(&a.got[1], "declined\n");
	assert_string_equal(file("updated"), "(none)");
	agent_end(&a);
}

static void
test_pre_receive_refused(void **state UNUSED)
{
	static const char *const replies[][2] = { { "refuse no room\n", NULL },
						  { "go\n", "refuse no room\nrefuse at all\n" } };
	struct agent a;

	own_hook("update", "#!/bin/sh\nexit 0\n");
	for (unsigned i = 0; i < 2; i++) {
		own_hook("pre-receive", "#!/bin/sh\ntouch ../ran\n");
		git_sh("rm -f ran");
		agent_begin(&a, replies[i][0], replies[i][1]);
		assert_int_equal(run_hook("pre-receive", SLICE_LIT(COMMANDS), true), 1);
		agent_join(&a);
		has(file("err"), "error: no room\n");
		assert_string_equal(file("ran"), i == 0 ? "(none)" : "");
		agent_end(&a);
	}
}

static void
test_agent_goes_away(void **state UNUSED)
{
	struct agent a;

	own_hook("pre-receive", "#!/bin/sh\nexit 0\n");
	for (unsigned i = 0; i < 2; i++) {
		agent_begin(&a, i == 0 ? NULL : "go\n", NULL);
		assert_int_equal(run_hook("pre-receive", SLICE_LIT(COMMANDS), true), 1);
		agent_join(&a);
		has(file("err"), "went away; nothing was changed, push again");
		agent_end(&a);
	}
	git_sh("rm sock"); /* nobody listens */
	assert_int_equal(run_hook("pre-receive", SLICE_LIT(COMMANDS), true), 1);
	has(file("err"), "does not answer");
	assert_int_equal(run_hook("pre-receive", SLICE_LIT(COMMANDS), false), 1);
	has(file("err"), "push to it through the server's URL");
}

/* What git itself no longer checks for refs that proc-receive takes. */
static void
test_rules_of_the_repository(void **state UNUSED)
{
	char one[64], two[64], input[1024];
	struct agent a;

	git_sh("rm -f r.git/hooks/*");
	snprintf(one, sizeof(one), "%s",
		 git_sh("cd r.git && git commit-tree -m 1 $(git mktree </dev/null)"));
	snprintf(two, sizeof(two), "%s",
		 git_sh("cd r.git && git commit-tree -m 2 -p %s $(git mktree </dev/null)", one));
	snprintf(input, sizeof(input),
		 "%s %s refs/heads/ff\n%s %s refs/heads/back\n%s " ZERO " refs/heads/gone\n%s " ZERO
		 " refs/tags/gone\n" ZERO " %s refs/heads/new\n",
		 one, two, two, one, one, one, one);
	agent_begin(&a, "go\n", "go\n");
	assert_int_equal(run_hook("pre-receive", slice_str(input), true), 0);
	agent_join(&a);
	lines_are(&a.got[1], "");
	agent_end(&a);
	git_sh("git -C r.git config receive.denyNonFastForwards true && "
	       "git -C r.git config receive.denyDeletes true");
	agent_begin(&a, "go\n", "go\n");
	assert_int_equal(run_hook("pre-receive", slice_str(input), true), 0);
	agent_join(&a);
	lines_are(&a.got[1],
		  "ng refs/heads/back non-fast-forward\nng refs/heads/gone deletion prohibited\n");
	has(file("err"), "denying non-fast-forward refs/heads/back");
	agent_end(&a);
	git_sh("git -C r.git config receive.denyNonFastForwards false && "
	       "git -C r.git config --unset receive.denyDeletes");
}

/* --- proc-receive ---------------------------------------------------------------------------- */

static struct buf
from_git(const char *greeting, size_t len, const char *commands, const char *options)
{
	struct buf b = BUF_MAX(65536);
	struct slice rest = slice_str(commands);

	pktline_add(&b, slice_of(greeting, len));
	pktline_add_flush(&b);
	while (rest.len > 0)
		pktline_add(&b, slice_cut(&rest, '\n'));
	pktline_add_flush(&b);
	if (options != NULL) {
		pktline_add(&b, slice_str(options));
		pktline_add_flush(&b);
	}
	return b;
}

/* What it told git: lines, "-" for a flush. */
static const char *
to_git(void)
{
	static struct buf out;
	struct slice rest = slice_str("");
	struct pktline pkt;
	struct buf raw = BUF_MAX(65536);
	char path[128];

	snprintf(path, sizeof(path), "%s/out", git_dir);
	assert_int_equal(fsio_read(&raw, path, 65536, NULL), 0);
	buf_release(&out);
	buf_init(&out, 65536);
	for (rest = buf_slice(&raw); rest.len > 0;) {
		ssize_t n = pktline_parse(&pkt, rest);

		assert_true(n > 0);
		rest = slice_skip(rest, (size_t)n);
		for (size_t i = 0; pkt.kind == PKTLINE_DATA && i < pktline_text(&pkt).len; i++)
			buf_add_byte(&out,
				     pktline_text(&pkt).p[i] != 0 ? pktline_text(&pkt).p[i] : '|');
		buf_add_str(&out, pkt.kind == PKTLINE_DATA ? "\n" : "-\n");
	}
	buf_release(&raw);
	return buf_str(&out);
}

static void
test_proc_receive(void **state UNUSED)
{
	static const char greeting[] = "version=1\0push-options atomic";
	struct buf in = from_git(greeting, sizeof(greeting) - 1, COMMANDS, "opt");
	struct agent a;

	agent_begin(&a, "say error: some words\nok refs/heads/good\nng refs/heads/bad not so\n",
		    NULL);
	assert_int_equal(run_hook("proc-receive", buf_slice(&in), true), 0);
	agent_join(&a);
	lines_are(&a.got[0], "proc-receive " PUSH "\ncommand " ZERO " " A
			     " refs/heads/good\ncommand " A " " B " refs/heads/bad\noption opt\n");
	assert_string_equal(to_git(), "version=1|push-options atomic\n-\nok refs/heads/good\n"
				      "ng refs/heads/bad not so\n-\n");
	has(file("err"), "error: some words\n");
	agent_end(&a);
	buf_release(&in);
}

static void
test_proc_receive_without_an_answer(void **state UNUSED)
{
	struct buf in = from_git("version=1", 9, COMMANDS, NULL);
	struct agent a;

	for (unsigned i = 0; i < 2; i++) {
		agent_begin(&a, NULL, NULL);
		assert_int_equal(run_hook("proc-receive", buf_slice(&in), i == 0), 0);
		agent_join(&a);
		assert_string_equal(to_git(), "version=1|\n-\n"
					      "ng refs/heads/good outcome unknown, push again\n"
					      "ng refs/heads/bad outcome unknown, push again\n-\n");
		has(file("err"), "outcome unknown");
		agent_end(&a);
	}
	buf_release(&in);
}

/* Cut at every byte by git: it must end, and tell the agent nothing whole. */
static void
test_proc_receive_cut(void **state UNUSED)
{
	struct buf in = from_git("version=1", 9, ZERO " " A " refs/heads/x\n", NULL);
	struct agent a;

	for (size_t cut = 0; cut < in.len; cut++) {
		agent_begin(&a, "ok refs/heads/x\n", NULL);
		assert_int_equal(run_hook("proc-receive", slice_of(in.p, cut), true), 1);
		agent_join(&a);
		agent_end(&a);
	}
	buf_release(&in);
}

/* --- the others ------------------------------------------------------------------------------ */

static void
test_post_receive(void **state UNUSED)
{
	git_sh("rm -f r.git/hooks/* env saw args");
	assert_int_equal(run_hook("post-receive", SLICE_LIT(COMMANDS), true), 0);
	own_hook("post-receive", "#!/bin/sh\nenv >../env; cat >../saw; exit 3\n");
	own_hook("post-update", "#!/bin/sh\necho \"$@\" >../args\n");
	assert_int_equal(run_hook("post-receive", SLICE_LIT(COMMANDS), true), 3);
	clean_environment(file("env"));
	assert_string_equal(file("saw"), COMMANDS);
	assert_int_equal(run_hook("post-update refs/heads/a refs/heads/b", SLICE_NONE, true), 0);
	assert_string_equal(file("args"), "refs/heads/a refs/heads/b\n");
	/* A hook that does not read its input is no failure. */
	own_hook("post-receive", "#!/bin/sh\nexit 0\n");
	assert_int_equal(run_hook("post-receive", SLICE_LIT(COMMANDS), true), 0);
}

static void
test_fence(void **state UNUSED)
{
	static const struct {
		const char *state, *input;
		int status;
	} t[] = {
		{ "prepared", COMMANDS, 1 },  { "preparing", COMMANDS, 1 }, { "prepared", "", 0 },
		{ "committed", COMMANDS, 0 }, { "aborted", COMMANDS, 0 },
	};
	char command[64];

	for (size_t i = 0; i < COUNT(t); i++) {
		snprintf(command, sizeof(command), "reference-transaction %s", t[i].state);
		assert_int_equal(run_hook(command, slice_str(t[i].input), false), t[i].status);
		if (t[i].status != 0)
			has(file("err"), "managed by gitshard");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pre_receive),
		cmocka_unit_test(test_pre_receive_declined),
		cmocka_unit_test(test_pre_receive_refused),
		cmocka_unit_test(test_agent_goes_away),
		cmocka_unit_test(test_rules_of_the_repository),
		cmocka_unit_test(test_proc_receive),
		cmocka_unit_test(test_proc_receive_without_an_answer),
		cmocka_unit_test(test_proc_receive_cut),
		cmocka_unit_test(test_post_receive),
		cmocka_unit_test(test_fence),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
