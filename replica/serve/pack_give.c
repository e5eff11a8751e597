#include "replica/serve/pack_give.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "replica/repo/disk.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/file_send.h"
#include "replica/serve/pack_remake.h"
#include "replica/serve/pack_recv.h"
#include "replica/serve/pushed_pack.h"
#include "replica/serve/serve.h"
#include "replica/serve/stage_hold.h"

struct give {
	unsigned magic;
#define GIVE_MAGIC 0x617e617eu
	struct serve *serve;
	struct http_xchg *xchg; /* NULL: the asker went away */
	struct pack_name name;  /* what is asked for, then what is given */
	struct repo *repo;      /* owned reference; NULL: not here */
	struct catalog_pack row;
	char dir[DISK_PATH - 32]; /* of the repository */
	bool made;                /* given is one made anew */
	char staged[2][1200];     /* where it may be in staging */
	char packs[DISK_PATH];    /* objects/pack of the repository */
	int fd[2];
	struct file_send *file;
	bool looking;
	struct err err;
};

static void
close_files(struct give *g)
{
	for (unsigned i = 0; i < 2; i++) {
		if (g->fd[i] >= 0)
			close(g->fd[i]);
		g->fd[i] = -1;
	}
}

static void
release(struct give *g)
{
	file_send_free(&g->file);
	close_files(g);
	repo_unref(&g->repo);
	free(g);
}

/* Worker: opens pack and idx when the pack is the one. */
static bool
try_files(struct give *g, const char *pack, const char *idx)
{
	struct stat st;
	uint8_t sha256[32];
	uint64_t size;

	g->fd[0] = open(pack, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (g->fd[0] >= 0 && fstat(g->fd[0], &st) == 0 && (uint64_t)st.st_size == g->name.size &&
	    pushed_file_hash(g->fd[0], sha256, &size, NULL) == 0 &&
	    memcmp(sha256, g->name.sha256, 32) == 0) {
		g->fd[1] = open(idx, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (g->fd[1] >= 0 &&
		    pushed_file_hash(g->fd[1], g->name.idx_sha256, &g->name.idx_size, NULL) == 0)
			return true;
	}
	close_files(g);
	return false;
}

static bool
search_repo(struct give *g)
{
	DIR *d = opendir(g->packs);
	struct dirent *e;
	bool found = false;
	char pack[DISK_PATH + 260], idx[DISK_PATH + 260];

	while (d != NULL && !found && (e = readdir(d)) != NULL) {
		struct slice n = slice_str(e->d_name);

		if (!slice_ends(n, SLICE_LIT(".pack")))
			continue;
		snprintf(pack, sizeof(pack), "%s/%s", g->packs, e->d_name);
		snprintf(idx, sizeof(idx), "%s/%.*s.idx", g->packs, (int)(n.len - 5), e->d_name);
		if (disk_size(pack) == (int64_t)g->name.size)
			found = try_files(g, pack, idx);
	}
	if (d != NULL)
		closedir(d);
	return found;
}

static void
look(void *arg)
{
	struct give *g = arg;

	if (!try_files(g, g->staged[0], g->staged[1]) && !search_repo(g))
		err_set(&g->err, ERR_NOT_FOUND, "this node does not have that pack");
}

static void
on_stream(struct stream *s UNUSED, enum stream_event ev, void *arg)
{
	struct give *g = OBJ_FROM(arg, struct give, GIVE_MAGIC);

	if (ev == STREAM_WRITABLE && g->file != NULL)
		file_send_go_on(g->file);
}

static void
on_sent(int rc, void *arg)
{
	struct give *g = OBJ_FROM(arg, struct give, GIVE_MAGIC);

	if (rc != 0)
		stream_reset(http_xchg_stream(g->xchg), "the pack cannot be read");
	else
		stream_end(http_xchg_stream(g->xchg));
}

/* Worker: the file that stands for the pack, or a new one of its objects. */
static int
open_other(struct give *g)
{
	struct pack_remake m = { .data = g->serve->data,
				 .home = g->serve->home,
				 .hooks = g->serve->hooks,
				 .dir = g->dir,
				 .id = g->repo->id,
				 .format = g->repo->format,
				 .sha256 = g->row.sha256,
				 .idx_sha256 = g->row.idx_sha256 };
	static const char *const ends[] = { ".pack", ".idx" };
	char path[DISK_PATH + 128];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/pack-%s%s", g->packs, g->row.name, ends[i]);
		g->fd[i] = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (g->fd[0] >= 0 && g->fd[1] >= 0)
		return 0;
	close_files(g);
	return pack_remake(g->fd, &m, &g->err);
}

static void
make(void *arg)
{
	struct give *g = arg;

	g->err = (struct err){ ERR_OK, "" };
	g->made = true;
	if (open_other(g) == 0 &&
	    pushed_file_hash(g->fd[0], g->name.sha256, &g->name.size, &g->err) == 0 &&
	    pushed_file_hash(g->fd[1], g->name.idx_sha256, &g->name.idx_size, &g->err) == 0)
		return;
	if (g->err.code == 0)
		err_set(&g->err, ERR_IO, "the pack cannot be made anew");
}

static void on_found(void *);

static void
on_made(void *arg)
{
	struct give *g = OBJ_FROM(arg, struct give, GIVE_MAGIC);

	g->serve->remakes--;
	on_found(g);
}

/* One is made at a time: the others ask again, or another member. */
static void
loop_row(void *arg)
{
	struct give *g = OBJ_FROM(arg, struct give, GIVE_MAGIC);

	if (g->err.code == 0 && g->serve->remakes > 0)
		err_set(&g->err, ERR_UNAVAILABLE, "another pack is being made; ask again");
	if (g->err.code == 0 && g->xchg != NULL) {
		g->serve->remakes++;
		work_do(g->serve->work, make, on_made, g);
	} else {
		on_found(g);
	}
}

/* On the apply thread. */
static void
on_row(int rc, const struct catalog_pack *row, void *arg)
{
	struct give *g = arg;

	g->err = (struct err){ ERR_OK, "" };
	if (rc == 0)
		g->row = *row;
	else
		err_set(&g->err, rc, "this node does not have that pack");
	loop_post(g->serve->loop, loop_row, g);
}

static void
look_in_catalog(struct give *g)
{
	g->row.name[0] = '-'; /* asked once */
	g->looking = true;
	apply_find_pack(g->serve->apply, g->repo->id, g->name.sha256, on_row, g);
}

static void
on_found(void *arg)
{
	struct give *g = OBJ_FROM(arg, struct give, GIVE_MAGIC);
	uint64_t sizes[2] = { g->name.size, g->name.idx_size };
	struct http_head *h;
	char text[PACK_NAME_TEXT];

	g->looking = false;
	if (g->xchg == NULL) {
		release(g);
		return;
	}
	if (g->err.code == ERR_NOT_FOUND && g->repo != NULL && g->row.name[0] == '\0') {
		look_in_catalog(g);
		return;
	}
	if (g->err.code != 0) {
		http_xchg_reply_err(g->xchg, &g->err);
		return;
	}
	h = http_head_new();
	if (g->made)
		http_head_addf(h, "gitshard-made", "yes");
	h->status = 200;
	h->content_length = (int64_t)(sizes[0] + sizes[1]);
	pack_name_format(text, g->name.sha256, sizes[0]);
	http_head_addf(h, "gitshard-pack", "%s", text);
	pack_name_format(text, g->name.idx_sha256, sizes[1]);
	http_head_addf(h, "gitshard-idx", "%s", text);
	http_xchg_respond(g->xchg, h);
	http_head_free(&h);
	replica_stats_add(RSTAT_PACKS_SENT, 0, 1);
	stream_on(http_xchg_stream(g->xchg), on_stream, g);
	g->file = file_send_new(g->serve->work, http_xchg_stream(g->xchg), g->fd, sizes, 2,
				PACK_TO_MEMBER, on_sent, g);
}

static void
on_close(void *arg)
{
	struct give *g = OBJ_FROM(arg, struct give, GIVE_MAGIC);

	g->xchg = NULL;
	file_send_free(&g->file);
	if (!g->looking)
		release(g);
}

void
pack_give(struct serve *s, struct http_xchg *x)
{
	const struct http_head *req = http_xchg_request(x);
	const char *id_text = http_head_get(req, "gitshard-repo");
	struct give *g = MEM_NEW(struct give);
	uint8_t id[16];
	char hex[65];

	g->magic = GIVE_MAGIC;
	g->serve = s;
	g->xchg = x;
	g->fd[0] = g->fd[1] = -1;
	http_xchg_on_close(x, on_close, g);
	if (id_text == NULL || hex_decode(id, 16, slice_str(id_text)) != 0 ||
	    !pack_name_parse(g->name.sha256, &g->name.size, http_head_get(req, "gitshard-pack"))) {
		err_set(&g->err, ERR_BAD, "gitshard-repo or gitshard-pack is missing or malformed");
		http_xchg_reply_err(x, &g->err);
		return;
	}
	hex_encode(hex, g->name.sha256, 32);
	snprintf(g->staged[0], sizeof(g->staged[0]), "%s/%s.pack", stage_holds_dir(s->holds), hex);
	snprintf(g->staged[1], sizeof(g->staged[1]), "%s/%s.idx", stage_holds_dir(s->holds), hex);
	g->repo = repo_find_id(s->repos, id);
	if (g->repo != NULL && repo_dir_of(g->dir, sizeof(g->dir), s->repos, g->repo))
		snprintf(g->packs, sizeof(g->packs), "%s/objects/pack", g->dir);
	g->looking = true;
	work_do(s->work, look, on_found, g);
}
