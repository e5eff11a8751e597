#include "tests/lib/log_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/cond.h"
#include "gitproto/base/log.h"

extern char **environ;

/* Of a log that has to be told how many there will be. */
static void
make_streams(const char *url)
{
	struct commitlog_opts opts = { .cluster = "test", .allow_weak = true };
	struct err err;

	log_level_now = LOG_ERROR;
	if (commitlog_create_topics(url, &opts, 8, &err) < 0) {
		fprintf(stderr, "%s: %s\n", url, err.text);
		abort();
	}
}

void
log_test_setup(struct log_test *t)
{
	const char *url = getenv("GITSHARD_LOG_URL");

	snprintf(t->folder, sizeof(t->folder), "/tmp/gitshard-log-XXXXXX");
	CHECK(mkdtemp(t->folder) != NULL);
	snprintf(t->path, sizeof(t->path), "%s/log", t->folder);
	snprintf(t->url, sizeof(t->url), "file:%s", t->path);
	if (url != NULL) {
		snprintf(t->url, sizeof(t->url), "%s", url);
		make_streams(url);
	}
}

void
log_test_cleanup(struct log_test *t)
{
	DIR *dir = opendir(t->folder);
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(t->folder);
}

static void
be_quiet(void)
{
	log_level_now = LOG_ERROR; /* that the log is weak is known */
}

struct commitlog *
log_test_open(const char *url)
{
	struct commitlog_opts opts = { .cluster = "test", .create = true, .allow_weak = true };
	static pthread_once_t once = PTHREAD_ONCE_INIT; /* several threads may open one */
	struct commitlog *log;
	struct err err;

	pthread_once(&once, be_quiet);
	if (commitlog_open(&log, url, &opts, &err) < 0) {
		fprintf(stderr, "%s: %s\n", url, err.text);
		abort();
	}
	return log;
}

void
log_test_gate_init(struct log_test_gate *g)
{
	g->count = 0;
	pthread_mutex_init(&g->lock, NULL);
	cond_init(&g->changed);
}

void
log_test_gate_release(struct log_test_gate *g)
{
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
}

void
log_test_gate_add(struct log_test_gate *g, unsigned n)
{
	pthread_mutex_lock(&g->lock);
	g->count += n;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

bool
log_test_gate_wait(struct log_test_gate *g, unsigned n, unsigned msec)
{
	struct timespec until = cond_moment(msec * CLOCK_MSEC);
	bool ok = true;

	pthread_mutex_lock(&g->lock);
	while (g->count < n && ok)
		ok = cond_wait_until(&g->changed, &g->lock, &until);
	ok = g->count >= n;
	pthread_mutex_unlock(&g->lock);
	return ok;
}

struct wait_answer {
	struct log_test_gate gate;
	struct log_test_answer answer;
};

static void
on_answer(enum commitlog_outcome outcome, uint64_t offset, const struct err *err, void *arg)
{
	struct wait_answer *w = arg;

	w->answer.outcome = outcome;
	w->answer.offset = offset;
	if (outcome != COMMITLOG_AT)
		w->answer.err = *err;
	log_test_gate_add(&w->gate, 1);
}

struct log_test_answer
log_test_append(struct commitlog *log, uint32_t stream, const char *text)
{
	struct wait_answer w;

	memset(&w, 0, sizeof(w));
	log_test_gate_init(&w.gate);
	commitlog_append(log, stream, slice_str(text), on_answer, &w);
	CHECK(log_test_gate_wait(&w.gate, 1, LOG_TEST_MSEC));
	log_test_gate_release(&w.gate);
	return w.answer;
}

void
log_test_answers_init(struct log_test_answers *a)
{
	memset(a, 0, sizeof(*a));
	log_test_gate_init(&a->gate);
}

void
log_test_on_answer(enum commitlog_outcome outcome, uint64_t offset UNUSED, const struct err *err,
		   void *arg)
{
	struct log_test_answers *a = arg;

	pthread_mutex_lock(&a->gate.lock);
	a->at += outcome == COMMITLOG_AT;
	a->not += outcome == COMMITLOG_NOT;
	a->unknown += outcome == COMMITLOG_UNKNOWN;
	if (outcome != COMMITLOG_AT)
		a->last = *err;
	pthread_mutex_unlock(&a->gate.lock);
	log_test_gate_add(&a->gate, 1);
}

uint64_t
log_test_next(struct commitlog *log, uint32_t stream)
{
	uint64_t first, next;
	struct err err;

	CHECK(commitlog_ends(log, stream, &first, &next, &err) == 0);
	CHECK(first <= next);
	return next;
}

static void
on_records(uint32_t stream UNUSED, const struct commitlog_record *r, size_t n, void *arg)
{
	struct log_test_reader *reader = arg;

	pthread_mutex_lock(&reader->gate.lock);
	for (size_t i = 0; i < n; i++) {
		CHECK(r[i].offset == reader->next);
		reader->next++;
		buf_add_slice(&reader->text, r[i].bytes);
		buf_add_byte(&reader->text, '\n');
	}
	pthread_mutex_unlock(&reader->gate.lock);
	CHECK(n >= 1 && buf_ok(&reader->text));
	log_test_gate_add(&reader->gate, (unsigned)n);
}

static void
on_trouble(uint32_t stream UNUSED, const struct err *err, void *arg)
{
	struct log_test_reader *reader = arg;

	pthread_mutex_lock(&reader->troubles.lock);
	reader->trouble = *err;
	pthread_mutex_unlock(&reader->troubles.lock);
	log_test_gate_add(&reader->troubles, 1);
}

void
log_test_reader_start(struct log_test_reader *reader, struct commitlog *log, uint32_t stream,
		      uint64_t from)
{
	memset(reader, 0, sizeof(*reader));
	log_test_gate_init(&reader->gate);
	log_test_gate_init(&reader->troubles);
	reader->first = reader->next = from;
	buf_init(&reader->text, 256u << 20);
	commitlog_read(log, stream, from, on_records, on_trouble, reader);
}

void
log_test_reader_release(struct log_test_reader *reader)
{
	buf_release(&reader->text);
	log_test_gate_release(&reader->gate);
	log_test_gate_release(&reader->troubles);
}

void
log_test_shell(const char *fmt, ...)
{
	char command[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	CHECK(system(command) == 0);
}

pid_t
log_test_spawn(int *out, const char *const *args)
{
	static char self[] = "/proc/self/exe";
	posix_spawn_file_actions_t actions;
	char *argv[16] = { self };
	pid_t pid;
	int fds[2];

	for (size_t i = 0; args[i] != NULL; i++) {
		CHECK(i + 2 < COUNT(argv));
		argv[i + 1] = (char *)(uintptr_t)args[i];
	}
	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	CHECK(posix_spawn(&pid, self, &actions, NULL, argv, environ) == 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	*out = fds[0];
	return pid;
}

int
log_test_wait(pid_t pid)
{
	uint64_t until = clock_boot_ns() + 2 * LOG_TEST_MSEC * CLOCK_MSEC;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_boot_ns() > until)
			kill(pid, SIGKILL);
		usleep(1000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
