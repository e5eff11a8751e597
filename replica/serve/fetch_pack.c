/* replica/serve/fetch_pack.c - the part of a fetch that is git's: upload-pack gets the request, what
 * was read of it first, and its output is the answer. */
#include <string.h>
#include <sys/wait.h>

#include "gitproto/base/check.h"
#include "gitproto/base/log.h"
#include "replica/repo/git_env.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/fetch_impl.h"

/* The answer ends cleanly only when git ended by itself: a killed one must look cut off. */
static void
finish_answer(struct fetch *f)
{
	if (!f->out_done || !f->exited || f->xchg == NULL)
		return;
	if (WIFSIGNALED(f->status))
		stream_reset(http_xchg_stream(f->xchg), "git upload-pack was killed");
	else
		stream_end(http_xchg_stream(f->xchg));
}

static void
on_out_done(enum relay_end end UNUSED, void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);

	f->out_done = true;
	finish_answer(f);
}

static void
on_child_exit(struct child *c, int status, void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);
	const char *words = child_complaint(c);

	f->exited = true;
	f->status = status;
	if (status != 0)
		log_info(serve_request_id(f->xchg), "upload-pack", "repo=%s status=%d stderr=%s",
			 f->path.repo.path, status, log_value(words, strlen(words)));
	finish_answer(f);
}

/* git speaks.  The head waited for that: until then the request can still be refused in words, and
 * a router that loses this node asks another one. */
static void
begin_answer(struct fetch *f)
{
	struct relay_opts o = { .done = on_out_done, .arg = f };
	struct http_head *head = fetch_answer_head(f);

	head->status = 200;
	head->content_length = -1;
	http_head_addf(head, "content-type", "%s", service_type_result(SERVICE_UPLOAD_PACK));
	http_xchg_respond(f->xchg, head);
	http_head_free(&head);
	replica_stats_add(RSTAT_FETCHES, FETCH_KIND_UPLOAD_PACK, 1);
	f->out = relay_new(child_io(f->child), http_xchg_stream(f->xchg), &o);
}

static void
on_child_io(struct stream *io UNUSED, enum stream_event ev, void *arg)
{
	struct fetch *f = OBJ_FROM(arg, struct fetch, FETCH_MAGIC);

	if (ev == STREAM_WRITABLE && f->body != NULL)
		body_on_stream(f->body, ev); /* the child's stdin has room again */
	else if (ev == STREAM_READABLE && f->out == NULL && f->xchg != NULL)
		begin_answer(f);
}

static int
spawn_upload_pack(struct fetch *f)
{
	char dir[4096];
	const char *const argv[] = { "git", "upload-pack", "--stateless-rpc", dir, NULL };
	struct git_env *env;
	struct child_opts o = { .argv = argv, .on_exit = on_child_exit, .arg = f };
	int rc;

	if (!repo_dir_of(dir, sizeof(dir), f->serve->repos, f->repo))
		return err_set(&f->err, ERR_NOT_FOUND, "repository '%s' does not exist",
			       f->path.repo.path);
	if (child_running(f->serve->children) >= f->serve->max_children)
		return err_set(&f->err, ERR_UNAVAILABLE,
			       "this replica runs as many git processes as it may; try again");
	env = git_env_new(GIT_ENV_FETCH, f->serve->home, f->serve->hooks);
	git_env_set(env, "GIT_PROTOCOL", version_text(f->version));
	o.env = git_env_list(env);
	rc = child_spawn(&f->child, f->serve->children, &o, &f->err);
	git_env_free(&env);
	return rc;
}

enum fetch_step
fetch_pack_start(struct fetch *f)
{
	if (spawn_upload_pack(f) != 0)
		return fetch_refuse(f);
	stream_on(child_io(f->child), on_child_io, f);
	stream_write(child_io(f->child), buf_slice(&f->read));
	buf_release(&f->read);
	body_pass(f->body, child_io(f->child));
	return FETCH_WAIT;
}
