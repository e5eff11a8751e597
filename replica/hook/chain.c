#include "replica/hook/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gitproto/base/buf.h"

extern char **environ;

/* The names are collected first: unsetenv moves the list under a reader. */
void
chain_clean_env(void)
{
	static const char *const ours[] = {
		"GITSHARD_",         "GIT_CONFIG_KEY_",       "GIT_CONFIG_VALUE_",
		"GIT_CONFIG_COUNT",  "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_NOSYSTEM",
		"GIT_CONFIG_GLOBAL", "GIT_ATTR_NOSYSTEM"
	};
	bool again = true;

	while (again) {
		again = false;
		for (char **v = environ; *v != NULL && !again; v++)
			for (size_t i = 0; i < COUNT(ours) && !again; i++) {
				struct slice var = slice_str(*v), name = slice_cut(&var, '=');
				char copy[128];

				if (!slice_begins(name, slice_str(ours[i])) ||
				    name.len >= sizeof(copy))
					continue;
				memcpy(copy, name.p, name.len);
				copy[name.len] = '\0';
				unsetenv(copy);
				again = true;
			}
	}
}

bool
chain_has(const char *hook)
{
	char path[256];

	snprintf(path, sizeof(path), "hooks/%s", hook);
	return access(path, X_OK) == 0;
}

static int
wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 255;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int
start(pid_t *pid, const char *path, const char *const *argv, int in, int out)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t pipe_only;
	int rc;

	/* We ignore SIGPIPE; a hook expects it as everybody has it. */
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	posix_spawnattr_init(&at);
	posix_spawnattr_setsigdefault(&at, &pipe_only);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	rc = posix_spawnp(pid, path, &fa, &at, (char *const *)argv, environ);
	posix_spawnattr_destroy(&at);
	posix_spawn_file_actions_destroy(&fa);
	return rc;
}

int
chain_run(const char *const *argv, struct slice input)
{
	char path[256];
	int in[2], rc;
	pid_t pid;

	if (!chain_has(argv[0]))
		return 0;
	snprintf(path, sizeof(path), "./hooks/%s", argv[0]);
	if (pipe2(in, O_CLOEXEC) != 0)
		return 255;
	rc = start(&pid, path, argv, in[0], STDERR_FILENO);
	close(in[0]);
	if (rc != 0) {
		close(in[1]);
		fprintf(stderr, "error: cannot run hook '%s': %s\n", argv[0], strerror(rc));
		return 255;
	}
	/* A hook need not read its input: a broken pipe is no failure (SIGPIPE is ignored). */
	while (input.len > 0) {
		ssize_t n = write(in[1], input.p, input.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		input = slice_skip(input, (size_t)n);
	}
	close(in[1]);
	return wait_for(pid);
}

int
chain_program(const char *const *argv, struct buf *out)
{
	int p[2], nothing = open("/dev/null", O_RDONLY | O_CLOEXEC), rc;
	char piece[512];
	ssize_t n;
	pid_t pid;

	if (nothing < 0 || pipe2(p, O_CLOEXEC) != 0)
		return 255;
	rc = start(&pid, argv[0], argv, nothing, p[1]);
	close(nothing);
	close(p[1]);
	while (rc == 0 && (n = read(p[0], piece, sizeof(piece))) > 0)
		if (out != NULL)
			buf_add(out, piece, (size_t)n);
	close(p[0]);
	return rc == 0 ? wait_for(pid) : 255;
}
