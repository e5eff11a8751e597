/* git receive-pack of a push: its start, what it says, its end. */
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/pktline.h"
#include "gitproto/sideband.h"
#include "gitproto/version.h"
#include "replica/hook/hook_wire.h"
#include "replica/repo/git_env.h"
#include "replica/serve/push_impl.h"

static void
on_child_io(struct stream *io UNUSED, enum stream_event ev, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	if (ev == STREAM_WRITABLE && p->body != NULL)
		body_on_stream(p->body, ev);
}

void
push_git_cut_off(struct push *p, const char *why)
{
	if (p->out == NULL || p->xchg == NULL)
		return;
	relay_free(&p->out);
	stream_reset(http_xchg_stream(p->xchg), why);
}

/* git was killed, the folder being about to move (child_vacate). */
static void
tell_renamed(struct push *p)
{
	struct buf text = BUF_MAX(1024);

	pktline_addf(&text,
		     "%cgitshard: the repository was renamed meanwhile; push again, to its "
		     "new name\n",
		     SIDEBAND_ERROR);
	stream_write(http_xchg_stream(p->xchg), buf_slice(&text));
	stream_end(http_xchg_stream(p->xchg));
	buf_release(&text);
}

static void
finish_answer(struct push *p)
{
	if (!p->out_done || !p->exited || p->xchg == NULL)
		return;
	if (WIFSIGNALED(p->status) && p->vacated && p->req.side_band_64k)
		tell_renamed(p);
	else if (WIFSIGNALED(p->status))
		stream_reset(http_xchg_stream(p->xchg), "git receive-pack was killed");
	else
		stream_end(http_xchg_stream(p->xchg));
}

static void
on_out_done(enum relay_end end UNUSED, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	p->out_done = true;
	finish_answer(p);
}

static void
on_exit_child(struct child *c, int status, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);
	const char *words = child_complaint(c);

	p->exited = true;
	p->status = status;
	if (WIFSIGNALED(status) && !p->appended && repo_is_moving(p->repo, p->moves))
		p->vacated = true;
	log_info(p->request, "push",
		 "repo=%s refs=%zu committed=%s status=%d ms=%" PRIu64 " stderr=%s",
		 p->path.repo.path, p->n_refs, p->committed ? "yes" : "no", status,
		 (clock_boot_ns() - p->begun_ns) / CLOCK_MSEC, log_value(words, strlen(words)));
	finish_answer(p);
	if (p->hook == HOOK_ACCEPTED)
		push_commit_never(p);
	push_maybe_free(p);
}

/* A client may have taken its time over the commands.  What moves from now on lets no child begin. */
static bool
has_its_name(const struct push *p)
{
	struct repo *now = serve_repo(p->serve, p->shard, p->path.repo.path);
	bool same = now == p->repo;

	repo_unref(&now);
	return same;
}

static int
spawn_receive_pack(struct push *p)
{
	char dir[4096], max[32];
	const char *const argv[] = { "git", "receive-pack", "--stateless-rpc", dir, NULL };
	const char *asked = http_head_get(http_xchg_request(p->xchg), "git-protocol");
	enum version v = asked != NULL ? version_parse(slice_str(asked)) : VERSION_0;
	struct git_env *env;
	struct child_opts o = { .argv = argv, .repo = p->repo, .on_exit = on_exit_child, .arg = p };
	int rc;

	p->moves = o.moves = repo_moves(p->repo);
	if (!has_its_name(p))
		return err_set(&p->err, ERR_UNAVAILABLE,
			       "repository '%s' was renamed or deleted meanwhile; push again",
			       p->path.repo.path);
	if (!repo_dir_of(dir, sizeof(dir), p->serve->repos, p->repo))
		return err_set(&p->err, ERR_NOT_FOUND, "repository '%s' does not exist",
			       p->path.repo.path);
	env = git_env_new(GIT_ENV_PUSH, p->serve->home, p->serve->hooks);
	git_env_set(env, "GIT_PROTOCOL", version_text(version_spoken(SERVICE_RECEIVE_PACK, v)));
	git_env_set(env, HOOK_ENV_SOCK, p->serve->sock);
	git_env_set(env, HOOK_ENV_PUSH, p->id_text);
	if (p->serve->max_push > 0) {
		snprintf(max, sizeof(max), "%" PRIu64, p->serve->max_push);
		git_env_config(env, "receive.maxInputSize", max);
	}
	o.env = git_env_list(env);
	rc = child_spawn(&p->child, p->serve->children, &o, &p->err);
	git_env_free(&env);
	if (rc == ERR_CONFLICT) /* the client has but to come again */
		p->err.code = ERR_UNAVAILABLE;
	return rc;
}

int
push_git_start(struct push *p)
{
	struct relay_opts o = { .done = on_out_done, .arg = p };
	struct http_head *head;

	if (spawn_receive_pack(p) != 0)
		return p->err.code;
	head = http_head_new();
	head->status = 200;
	head->content_length = -1;
	http_head_addf(head, "content-type", "%s", service_type_result(SERVICE_RECEIVE_PACK));
	http_head_addf(head, "cache-control", "no-cache, max-age=0, must-revalidate");
	http_xchg_respond(p->xchg, head);
	http_head_free(&head);
	stream_on(child_io(p->child), on_child_io, p);
	stream_write(child_io(p->child), buf_slice(&p->read));
	buf_release(&p->read);
	p->out = relay_new(child_io(p->child), http_xchg_stream(p->xchg), &o);
	body_pass(p->body, child_io(p->child));
	return 0;
}
