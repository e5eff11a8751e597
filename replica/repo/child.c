#include "replica/repo/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "replica/repo/spawn.h"

struct child {
	unsigned magic;
#define CHILD_MAGIC 0xc417d001u
	struct child_reaper *reaper; /* borrowed */
	pid_t pid;                   /* 0 once reaped */
	struct stream *io, *err;     /* owned */
	char complaint[1025];
	struct repo *repo; /* owned reference; NULL: none, or reaped */
	bool ending;
	child_exit_fn *on_exit; /* NULL: nobody waits any more */
	void *arg;
	LIST_ENTRY(child) next;
};

struct child_reaper {
	struct loop *loop; /* borrowed */
	LIST_HEAD(, child) running, gone;
	unsigned n;
};

static void
release(struct child *c)
{
	LIST_REMOVE(c, next);
	stream_free(&c->io);
	stream_free(&c->err);
	free(c);
}

/* Reaped, it writes nowhere any more. */
static void
leave_repo(struct child *c)
{
	if (c->repo != NULL)
		repo_child_end(c->repo);
	repo_unref(&c->repo);
}

/* One signal may stand for many children: all are asked. */
static void
on_sigchld(void *arg)
{
	struct child_reaper *r = arg;
	struct child *c, *after;
	int status;

	for (c = LIST_FIRST(&r->running); c != NULL; c = after) {
		after = LIST_NEXT(c, next);
		if (waitpid(c->pid, &status, WNOHANG) != c->pid)
			continue;
		c->pid = 0;
		r->n--;
		leave_repo(c);
		LIST_REMOVE(c, next);
		LIST_INSERT_HEAD(&r->gone, c, next);
		if (c->on_exit == NULL) {
			release(c);
			continue;
		}
		stream_read_fd(c->io);
		stream_read_fd(c->err);
		c->on_exit(c, status, c->arg);
		/* The callback may have freed c and, with it, others: begin again. */
		after = LIST_FIRST(&r->running);
	}
}

struct child_reaper *
child_reaper_new(struct loop *loop)
{
	struct child_reaper *r = MEM_NEW(struct child_reaper);

	r->loop = loop;
	LIST_INIT(&r->running);
	LIST_INIT(&r->gone);
	loop_on_signal(loop, SIGCHLD, on_sigchld, r);
	return r;
}

void
child_reaper_free(struct child_reaper **rp)
{
	struct child_reaper *r = *rp;
	struct child *c;

	if (r == NULL)
		return;
	*rp = NULL;
	while ((c = LIST_FIRST(&r->running)) != NULL) {
		kill(-c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
		leave_repo(c);
		release(c);
	}
	while ((c = LIST_FIRST(&r->gone)) != NULL)
		release(c);
	free(r);
}

unsigned
child_running(const struct child_reaper *r)
{
	return r->n;
}

static void
on_complaint(struct stream *s, enum stream_event ev UNUSED, void *arg)
{
	struct child *c = OBJ_FROM(arg, struct child, CHILD_MAGIC);
	size_t have = strlen(c->complaint), room = sizeof(c->complaint) - 1;
	struct slice in;

	while ((in = stream_peek(s, 0)).len > 0) {
		size_t n = MIN(in.len, room);
		size_t drop = have + n > room ? have + n - room : 0;

		memmove(c->complaint, c->complaint + drop, have - drop);
		memcpy(c->complaint + have - drop, in.p + in.len - n, n);
		have = have - drop + n;
		c->complaint[have] = '\0';
		stream_take(s, in.len);
	}
}

/* The effort of a child for nobody's request.  What the kernel refuses is no reason not to run it. */
static void
be_nice(pid_t pid, int nice)
{
	enum { WHO_PROCESS = 1, CLASS_BEST_EFFORT = 2, CLASS_SHIFT = 13, LOWEST = 7 };

	setpriority(PRIO_PROCESS, (id_t)pid, nice);
	syscall(SYS_ioprio_set, WHO_PROCESS, pid, CLASS_BEST_EFFORT << CLASS_SHIFT | LOWEST);
}

int
child_spawn(struct child **out, struct child_reaper *r, const struct child_opts *o, struct err *err)
{
	int p[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct child *c;
	pid_t pid;
	int rc = 0;

	if (o->repo != NULL && !repo_child_begin(o->repo, o->moves))
		return err_set(err, ERR_CONFLICT, "the repository is being renamed; try again");
	for (int i = 0; i < 3 && rc == 0; i++)
		if (pipe2(p[i], O_CLOEXEC) != 0)
			rc = err_errno(err, "cannot make a pipe for %s", o->argv[0]);
	if (rc == 0)
		rc = spawn_git(&pid, o->argv, o->env, o->dir,
			       (const int[]){ p[0][0], p[1][1], p[2][1] }, err);
	for (int i = 0; i < 3; i++) { /* the child's ends; ours too after a failure */
		for (int end = 0; end < 2; end++)
			if (p[i][end] >= 0 && (rc != 0 || end == (i != 0)))
				close(p[i][end]);
	}
	if (rc != 0 && o->repo != NULL)
		repo_child_end(o->repo);
	if (rc != 0)
		return rc;
	if (o->nice > 0)
		be_nice(pid, o->nice);
	c = MEM_NEW(struct child);
	c->magic = CHILD_MAGIC;
	c->reaper = r;
	c->pid = pid;
	c->repo = o->repo != NULL ? repo_ref(o->repo) : NULL;
	c->io = stream_open_fd(r->loop, p[1][0], p[0][1]);
	c->err = stream_open_fd(r->loop, p[2][0], -1);
	c->on_exit = o->on_exit;
	c->arg = o->arg;
	stream_on(c->err, on_complaint, c);
	LIST_INSERT_HEAD(&r->running, c, next);
	r->n++;
	*out = c;
	return 0;
}

struct stream *
child_io(struct child *c)
{
	return c->io;
}

const char *
child_complaint(struct child *c)
{
	on_complaint(c->err, STREAM_READABLE, c);
	return c->complaint;
}

void
child_signal(struct child *c, int signo)
{
	if (c->pid > 0)
		kill(-c->pid, signo);
}

void
child_is_ending(struct child *c)
{
	c->ending = true;
}

bool
child_ends_in(const struct child_reaper *r, const struct repo *repo)
{
	const struct child *c;

	LIST_FOREACH (c, &r->running, next)
		if (c->repo == repo && c->ending)
			return true;
	return false;
}

void
child_vacate(struct child_reaper *r, const struct repo *repo)
{
	struct child *c;

	LIST_FOREACH (c, &r->running, next)
		if (c->repo == repo)
			child_signal(c, SIGKILL);
}

void
child_free(struct child **cp)
{
	struct child *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	if (c->pid == 0) {
		release(c);
		return;
	}
	/* Its owner goes and must hear no more of the pipes, which may end before SIGCHLD comes. */
	stream_free(&c->io);
	stream_free(&c->err);
	c->on_exit = NULL; /* on_sigchld releases it */
	kill(-c->pid, SIGKILL);
}
