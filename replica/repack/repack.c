#include "replica/repack/repack.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/repack/repack_plan.h"
#include "replica/repo/disk.h"
#include "replica/repo/git_env.h"
#include "replica/repo/layout.h"
#include "replica/repo/packs.h"

#define LINES_MAX (16u * 1024 * 1024)
#define OUTPUT_MAX 4096u

enum step { LOOK, KINDS, PACK, BRING_IN, INDEX, GRAPH, TAKE_OUT, CLEAN };

struct repack {
	unsigned magic;
#define REPACK_MAGIC 0x4e9ac4edu
	struct serve *serve; /* borrowed */
	struct repo *repo;   /* owned reference */
	struct repack_opts opts;
	repack_fn *done;
	void *arg;
	enum step step;
	char dir[DISK_PATH - 64];   /* of the repository, as found */
	uint64_t moves;             /* of the repository, before */
	char temp[DISK_PATH - 128]; /* DATA/tmp/roll-ID: git adds -NAME */
	char from[DISK_PATH];
	uint64_t room; /* bytes that may be used on the disk */
	struct packs packs;
	enum catalog_pack_kind *kinds; /* owned, of packs.v */
	const char **names;            /* owned; into packs.v */
	struct repack_plan plan;
	struct apply_roll roll;
	char made[65];
	bool bitmap; /* the multi-pack index gets one */
	struct child *child;
	struct git_env *env;
	struct buf out; /* of the child */
	struct repack_result result;
};

static void next_step(struct repack *, enum step);

const char *
repack_step(const struct repack *r)
{
	static const char *const words[] = { "looking",  "looking",  "merging",    "exchanging",
					     "indexing", "indexing", "exchanging", "cleaning" };

	return words[r->step];
}

static void
finish(struct repack *r)
{
	/* Its child was ended because the folder moves, and nothing is wrong: later. */
	if (r->result.err.code != 0 && repo_is_moving(r->repo, r->moves))
		err_set(&r->result.err, ERR_CONFLICT, "it was renamed meanwhile");
	r->done(&r->result, r->arg);
}

/* What was made and has no name yet goes. */
static void
fail(struct repack *r, const struct err *err)
{
	r->result.err = *err;
	if (r->step == CLEAN || r->step <= KINDS)
		finish(r);
	else
		next_step(r, CLEAN);
}

/* --- looking -------------------------------------------------------------------------------- */

static void
look(void *arg)
{
	struct repack *r = arg;
	struct statvfs st;
	struct err *err = &r->result.err;

	r->moves = repo_moves(r->repo);
	if (!repo_dir_of(r->dir, sizeof(r->dir), r->serve->repos, r->repo) ||
	    !layout_is(r->dir, r->repo->id)) {
		err_set(err, ERR_NOT_FOUND, "its folder is not there");
		return;
	}
	if (packs_read(&r->packs, r->dir, err) != 0)
		return;
	if (statvfs(r->dir, &st) != 0) {
		err_errno(err, "cannot ask for the free room of %s", r->dir);
		return;
	}
	r->room = (uint64_t)st.f_bavail * st.f_frsize;
	r->room = r->room > r->serve->min_free ? r->room - r->serve->min_free : 0;
}

static void
on_looked(void *arg)
{
	struct repack *r = OBJ_FROM(arg, struct repack, REPACK_MAGIC);

	r->result.before = r->result.after = r->packs.n;
	if (r->result.err.code != 0 || r->packs.n == 0)
		finish(r);
	else
		next_step(r, KINDS);
}

/* --- what the apply thread does ------------------------------------------------------------- */

static void on_kinds(struct repack *);

static void
loop_rolled(void *arg)
{
	struct repack *r = OBJ_FROM(arg, struct repack, REPACK_MAGIC);

	if (r->result.err.code != 0) {
		fail(r, &r->result.err);
		return;
	}
	switch (r->step) {
	case KINDS:
		on_kinds(r);
		break;
	case BRING_IN:
		next_step(r, r->plan.index ? INDEX : TAKE_OUT);
		break;
	default:
		CHECK(r->step == TAKE_OUT);
		r->result.merged = r->roll.n;
		r->result.after = r->packs.n - r->roll.n + 1;
		next_step(r, CLEAN);
		break;
	}
}

/* On the apply thread. */
static void
on_rolled(int rc, const struct err *err, void *arg)
{
	struct repack *r = arg;

	if (rc != 0)
		r->result.err = *err;
	loop_post(r->serve->loop, loop_rolled, r);
}

static void
start_kinds(struct repack *r)
{
	r->kinds = mem_array(r->packs.n, sizeof(*r->kinds));
	r->names = mem_array(r->packs.n, sizeof(*r->names));
	for (size_t i = 0; i < r->packs.n; i++)
		r->names[i] = r->packs.v[i].name;
	r->roll = (struct apply_roll){
		.names = r->names, .n = r->packs.n, .kinds = r->kinds, .done = on_rolled, .arg = r
	};
	memcpy(r->roll.id, r->repo->id, sizeof(r->roll.id));
	apply_roll_kinds(r->serve->apply, &r->roll);
}

/* --- what is to be done --------------------------------------------------------------------- */

static void
on_kinds(struct repack *r)
{
	struct err err;
	uint64_t sum;

	repack_plan_make(&r->plan, &r->packs, r->kinds, r->opts.min_packs);
	sum = r->plan.weight;
	r->result.left = r->plan.left;
	r->bitmap = r->plan.index;
	if (sum == 0 && !r->plan.index) {
		finish(r);
	} else if (2 * sum > r->room) {
		err_set(&err, ERR_FULL,
			"it needs %" PRIu64 " MB of disk and %" PRIu64
			" MB may be used: free some, or lower node.min_free",
			2 * sum >> 20, r->room >> 20);
		fail(r, &err);
	} else {
		next_step(r, sum > 0 ? PACK : INDEX);
	}
}

/* --- children ------------------------------------------------------------------------------- */

static void
read_child(struct repack *r)
{
	struct stream *s = child_io(r->child);
	struct slice in;

	while ((in = stream_peek(s, 0)).len > 0) {
		buf_add(&r->out, in.p, MIN(in.len, OUTPUT_MAX - MIN(r->out.len, OUTPUT_MAX)));
		stream_take(s, in.len);
	}
}

static void
on_child_io(struct stream *s UNUSED, enum stream_event ev UNUSED, void *arg)
{
	read_child(OBJ_FROM(arg, struct repack, REPACK_MAGIC));
}

static bool
read_made(struct repack *r)
{
	struct slice hex = buf_slice(&r->out);

	while (hex.len > 0 && hex.p[hex.len - 1] == '\n')
		hex.len--;
	if (hex.len != oid_size(r->repo->format) * 2)
		return false;
	memcpy(r->made, hex.p, hex.len);
	return snprintf(r->from, sizeof(r->from), "%s-%s", r->temp, r->made) < (int)sizeof(r->from);
}

/* The new pack may be one of the old ones, which then holds all the others. */
static void
fill_roll(struct repack *r)
{
	r->roll.n = 0;
	for (size_t i = 0; i < r->packs.n; i++)
		if (r->plan.merge[i] && strcmp(r->packs.v[i].name, r->made) != 0)
			r->names[r->roll.n++] = r->packs.v[i].name;
	r->roll.made = r->made;
	r->roll.from = r->from;
}

static void
after_pack(struct repack *r, struct err *err)
{
	if (err->code == 0 && !read_made(r))
		err_set(err, ERR_CORRUPT, "git pack-objects named no pack");
	if (err->code != 0) {
		fail(r, err);
		return;
	}
	fill_roll(r);
	next_step(r, BRING_IN);
}

static void
after_index(struct repack *r, const struct err *err)
{
	if (err->code != 0 && r->bitmap) {
		/* A history that is not whole here has no bitmap; the index alone is useful. */
		log_info("-", "repack.bitmap", "dir=%s why=%s", r->dir,
			 log_value(err_text(err), strlen(err_text(err))));
		r->bitmap = false;
		next_step(r, INDEX);
	} else if (err->code != 0) {
		fail(r, err);
	} else {
		r->result.indexed = true;
		next_step(r, GRAPH);
	}
}

static void
after_graph(struct repack *r, const struct err *err)
{
	if (err->code != 0)
		log_info("-", "repack.commit_graph", "dir=%s why=%s", r->dir,
			 log_value(err_text(err), strlen(err_text(err))));
	next_step(r, r->made[0] != '\0' ? TAKE_OUT : CLEAN);
}

static void
on_child(struct child *c, int status, void *arg)
{
	struct repack *r = OBJ_FROM(arg, struct repack, REPACK_MAGIC);
	struct err err = { ERR_OK, "" };
	const char *words = child_complaint(c);

	read_child(r);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		err_set(&err, ERR_IO, "git ended with %d: %s",
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), words);
	child_free(&r->child);
	if (r->step == PACK)
		after_pack(r, &err);
	else if (r->step == INDEX)
		after_index(r, &err);
	else
		after_graph(r, &err);
}

static void
run_git_child(struct repack *r, const char *const *argv, struct slice input)
{
	struct child_opts o = { .argv = argv,
				.env = git_env_list(r->env),
				.nice = r->opts.nice,
				.repo = r->repo,
				.moves = r->moves,
				.on_exit = on_child,
				.arg = r };
	struct err err = { ERR_OK, "" };

	buf_clear(&r->out);
	if (child_spawn(&r->child, r->serve->children, &o, &err) != 0) {
		fail(r, &err);
		return;
	}
	stream_on(child_io(r->child), on_child_io, r);
	stream_write(child_io(r->child), input);
	stream_end(child_io(r->child));
}

static void
start_pack(struct repack *r)
{
	char option[DISK_PATH];
	const char *argv[] = {
		"git", option, "pack-objects", "-q", "--stdin-packs", r->temp, NULL
	};
	struct buf lines = BUF_MAX(LINES_MAX);

	snprintf(option, sizeof(option), "--git-dir=%s", r->dir);
	for (size_t i = 0; i < r->packs.n; i++)
		if (r->plan.merge[i])
			buf_addf(&lines, "pack-%s.pack\n", r->packs.v[i].name);
	run_git_child(r, argv, buf_slice(&lines));
	buf_release(&lines);
}

/* The packs as they will be, by the names of their indexes; which is the heaviest. */
static const char *
list_covered(const struct repack *r, struct buf *lines)
{
	const char *heaviest = r->made;

	if (r->plan.cover_made)
		buf_addf(lines, "pack-%s.idx\n", r->made);
	for (size_t i = 0; i < r->packs.n; i++) {
		const char *name = r->packs.v[i].name;

		if (!r->plan.cover[i])
			continue;
		buf_addf(lines, "pack-%s.idx\n", name);
		heaviest = name;
	}
	return heaviest;
}

static void
start_index(struct repack *r)
{
	char option[DISK_PATH], preferred[128];
	const char *argv[] = { "git",           option,          "multi-pack-index",
			       "write",         "--no-progress", preferred,
			       "--stdin-packs", "--bitmap",      NULL };
	struct buf lines = BUF_MAX(LINES_MAX);

	snprintf(option, sizeof(option), "--git-dir=%s", r->dir);
	snprintf(preferred, sizeof(preferred), "--preferred-pack=pack-%s.idx",
		 list_covered(r, &lines));
	if (!r->bitmap)
		argv[7] = NULL;
	run_git_child(r, argv, buf_slice(&lines));
	buf_release(&lines);
}

static void
start_graph(struct repack *r)
{
	char option[DISK_PATH];
	const char *argv[] = { "git",         option,    "commit-graph",  "write",
			       "--reachable", "--split", "--no-progress", NULL };

	snprintf(option, sizeof(option), "--git-dir=%s", r->dir);
	run_git_child(r, argv, SLICE_NONE);
}

/* --- the rest ------------------------------------------------------------------------------- */

static void
clean(void *arg)
{
	struct repack *r = arg;
	static const char *const ends[] = { ".pack", ".idx", ".rev" };
	char path[DISK_PATH];

	for (size_t i = 0; i < COUNT(ends); i++)
		if (r->from[0] != '\0' && disk_path(path, NULL, "%s%s", r->from, ends[i]) == 0)
			unlink(path);
}

static void
on_clean(void *arg)
{
	struct repack *r = OBJ_FROM(arg, struct repack, REPACK_MAGIC);

	finish(r);
}

static void
next_step(struct repack *r, enum step step)
{
	/* What was made while the folder moved may be less than it should. */
	if ((step == BRING_IN || step == TAKE_OUT) && repo_is_moving(r->repo, r->moves)) {
		err_set(&r->result.err, ERR_CONFLICT, "it was renamed meanwhile");
		step = CLEAN;
	}
	r->step = step;
	switch (step) {
	case LOOK:
		work_do(r->serve->work, look, on_looked, r);
		break;
	case KINDS:
		start_kinds(r);
		break;
	case PACK:
		start_pack(r);
		break;
	case BRING_IN:
		apply_roll_in(r->serve->apply, &r->roll);
		break;
	case INDEX:
		start_index(r);
		break;
	case GRAPH:
		start_graph(r);
		break;
	case TAKE_OUT:
		apply_roll_out(r->serve->apply, &r->roll);
		break;
	case CLEAN:
		work_do(r->serve->work, clean, on_clean, r);
		break;
	}
}

struct repack *
repack_new(struct serve *s, struct repo *repo, const struct repack_opts *opts, repack_fn *done,
	   void *arg)
{
	struct repack *r = MEM_NEW(struct repack);
	char hex[33];

	r->magic = REPACK_MAGIC;
	r->serve = s;
	r->repo = repo_ref(repo);
	r->opts = *opts;
	r->done = done;
	r->arg = arg;
	r->out = (struct buf)BUF_MAX(OUTPUT_MAX);
	hex_encode(hex, repo->id, 16);
	snprintf(r->temp, sizeof(r->temp), "%s/tmp/roll-%s", s->data, hex);
	r->env = git_env_new(GIT_ENV_PLAIN, s->home, s->hooks);
	git_env_config(r->env, "pack.threads", "1");
	git_env_config(r->env, "pack.windowMemory", "64m");
	git_env_config(r->env, "pack.deltaCacheSize", "16m");
	git_env_config(r->env, "pack.writeReverseIndex", "false");
	next_step(r, LOOK);
	return r;
}

void
repack_stop(struct repack *r)
{
	if (r->child != NULL)
		child_signal(r->child, SIGTERM);
}

void
repack_free(struct repack **rp)
{
	struct repack *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	child_free(&r->child);
	git_env_free(&r->env);
	buf_release(&r->out);
	packs_release(&r->packs);
	repo_unref(&r->repo);
	free(r->kinds);
	free(r->names);
	repack_plan_release(&r->plan);
	free(r);
}
