#include "replica/serve/stage_hold.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/fsio.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/serve/pack_get.h"
#include "replica/serve/pack_recv.h"
#include "replica/serve/serve.h"
#include "replica/serve/stage_hold_impl.h"
#include "shard-map/commitlog/staging.h"

#define HOLD_BYTES (4 + 16 + STAGING_HOLD_BYTES) /* shard, repository id, hold: in a .hold file */
#define LOOK_MSEC 3000

struct stage_holds {
	struct serve *serve; /* borrowed */
	char dir[1024];
	LIST_HEAD(, hold) all;
	size_t n;
	struct timer *timer;
	LIST_HEAD(, look) looks; /* not answered yet */
};

/* Is the pack of a hold in its repository by now? */
struct look {
	struct stage_holds *holds;
	uint32_t shard;
	uint8_t repo[16], sha256[32];
	uint64_t offset; /* of the record that named it; STAGE_HOLD_OPEN: none did */
	LIST_ENTRY(look) next;
};

static size_t
same_pack(const struct stage_holds *s, const uint8_t sha256[32])
{
	const struct hold *h;
	size_t n = 0;

	LIST_FOREACH (h, &s->all, next)
		n += memcmp(h->h.sha256, sha256, 32) == 0;
	return n;
}

void
stage_hold_encode(struct buf *out, const struct stage_holds *s, const uint8_t sha256[32])
{
	const struct hold *h;

	LIST_FOREACH (h, &s->all, next)
		if (memcmp(h->h.sha256, sha256, 32) == 0) {
			buf_add_u32(out, h->shard);
			buf_add(out, h->repo, sizeof(h->repo));
			staging_hold_encode(out, &h->h);
		}
}

static void
remove_files(struct stage_holds *s, const uint8_t sha256[32])
{
	static const char *const ends[] = { "pack", "idx", "hold" };
	char path[1200], hex[65];

	hex_encode(hex, sha256, 32);
	for (unsigned i = 0; i < COUNT(ends); i++) {
		snprintf(path, sizeof(path), "%s/%s.%s", s->dir, hex, ends[i]);
		if (unlink(path) != 0 && errno != ENOENT)
			log_warn("-", "unstage", "file=%s why=%s", path, strerror(errno));
	}
}

void
stage_hold_end(struct stage_holds *s, struct hold *h)
{
	uint8_t sha256[32];

	memcpy(sha256, h->h.sha256, sizeof(sha256));
	LIST_REMOVE(h, next);
	free(h);
	s->n--;
	if (same_pack(s, sha256) == 0 && !pack_get_wants(s->serve->wants, sha256))
		remove_files(s, sha256);
}

struct hold *
stage_hold_add(struct stage_holds *s, uint32_t shard, const uint8_t repo[16],
	       const struct staging_hold *h)
{
	struct hold *new = MEM_NEW(struct hold);

	new->shard = shard;
	memcpy(new->repo, repo, sizeof(new->repo));
	new->h = *h;
	new->decided_at = STAGE_HOLD_OPEN;
	LIST_INSERT_HEAD(&s->all, new, next);
	s->n++;
	return new;
}

static void
load_file(struct stage_holds *s, const char *name)
{
	struct buf b = BUF_MAX(STAGE_HOLD_FILE_MAX);
	char path[1400];
	struct slice in;
	struct staging_hold h;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	if (fsio_read(&b, path, STAGE_HOLD_FILE_MAX, NULL) == 0)
		for (in = buf_slice(&b); in.len >= HOLD_BYTES; in = slice_skip(in, HOLD_BYTES)) {
			uint32_t shard = (uint32_t)in.p[0] << 24 | (uint32_t)in.p[1] << 16 |
					 (uint32_t)in.p[2] << 8 | in.p[3];

			if (staging_hold_decode(&h,
						slice_head(slice_skip(in, 20), STAGING_HOLD_BYTES),
						NULL) == 0)
				stage_hold_add(s, shard, in.p + 4, &h)->confirmed = true;
		}
	buf_release(&b);
}

/* Is there a hold of the pack that this file belongs to? */
static bool
is_held(const struct stage_holds *s, struct slice file)
{
	uint8_t sha256[32];

	return file.len > 64 && hex_decode(sha256, 32, slice_head(file, 64)) == 0 &&
	       same_pack(s, sha256) > 0;
}

/* Leftovers: half a pack, and packs fetched for a record that is asked for anew if need be. */
static void
sweep(struct stage_holds *s)
{
	DIR *d = opendir(s->dir);
	struct dirent *e;
	char path[1400];

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || is_held(s, slice_str(e->d_name)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", s->dir, e->d_name);
		unlink(path);
	}
	if (d != NULL)
		closedir(d);
}

static void
load_all(struct stage_holds *s)
{
	DIR *d = opendir(s->dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (slice_ends(slice_str(e->d_name), SLICE_LIT(".hold")))
			load_file(s, e->d_name);
	if (d != NULL)
		closedir(d);
	sweep(s);
}

/* --- what is in its repository already ------------------------------------------------------ */

static void
loop_looked(void *arg)
{
	struct look *l = arg;
	struct stage_holds *s = l->holds;
	struct shard *shard = shards_get(s->serve->shards, l->shard);
	bool durable = shard != NULL && l->offset < shard_applied(shard);
	struct hold *h, *after;

	for (h = LIST_FIRST(&s->all); h != NULL && durable; h = after) {
		after = LIST_NEXT(h, next);
		if (h->confirmed && h->shard == l->shard && memcmp(h->repo, l->repo, 16) == 0 &&
		    memcmp(h->h.sha256, l->sha256, 32) == 0)
			stage_hold_end(s, h);
	}
	LIST_REMOVE(l, next);
	free(l);
}

/* On the apply thread. */
static void
on_looked(int rc, const struct catalog_pack *pack, void *arg)
{
	struct look *l = arg;

	l->offset = rc == 0 ? pack->offset : STAGE_HOLD_OPEN;
	loop_post(l->holds->serve->loop, loop_looked, l);
}

/* A hold is not always there when its record is read and applied: the pack of a push that the other
 * voters decided comes late, and a process may end just before its hold does.  Once an effective
 * record has brought the pack into its repository, that copy is kept for good. */
static void
look_for_all(void *arg)
{
	struct stage_holds *s = arg;
	struct hold *h;
	struct look *l;

	timer_set(s->timer, LOOK_MSEC);
	if (!LIST_EMPTY(&s->looks))
		return;
	LIST_FOREACH (h, &s->all, next) {
		if (!h->confirmed)
			continue;
		l = MEM_NEW(struct look);
		l->holds = s;
		l->shard = h->shard;
		memcpy(l->repo, h->repo, sizeof(l->repo));
		memcpy(l->sha256, h->h.sha256, sizeof(l->sha256));
		LIST_INSERT_HEAD(&s->looks, l, next);
		apply_find_pack(s->serve->apply, l->repo, l->sha256, on_looked, l);
	}
}

int
stage_holds_new(struct stage_holds **out, struct serve *serve, struct err *err)
{
	struct stage_holds *s = MEM_NEW(struct stage_holds);
	int rc;

	s->serve = serve;
	LIST_INIT(&s->all);
	LIST_INIT(&s->looks);
	snprintf(s->dir, sizeof(s->dir), "%s/%s", serve->data, APPLY_STAGING);
	rc = fsio_mkdirs(s->dir, 0700, err);
	if (rc != 0) {
		free(s);
		return rc;
	}
	load_all(s);
	s->timer = timer_new(serve->loop, look_for_all, s);
	timer_set(s->timer, LOOK_MSEC);
	*out = s;
	return 0;
}

void
stage_holds_free(struct stage_holds **sp)
{
	struct stage_holds *s = *sp;
	struct hold *h;
	struct look *l;

	if (s == NULL)
		return;
	*sp = NULL;
	timer_free(&s->timer);
	while ((l = LIST_FIRST(&s->looks)) != NULL) {
		LIST_REMOVE(l, next);
		free(l);
	}
	while ((h = LIST_FIRST(&s->all)) != NULL) {
		LIST_REMOVE(h, next);
		free(h);
	}
	free(s);
}

/* --- release -------------------------------------------------------------------------------- */

static bool
parse_reign(struct record_reign *out, const char *text)
{
	return text != NULL && sscanf(text, "%" SCNu64 ":%" SCNu32 ":%" SCNu64, &out->epoch,
				      &out->node, &out->boot) == 3;
}

int
stage_hold_parse(struct staging_hold *h, uint64_t *size, const struct http_head *req,
		 struct err *err)
{
	const char *push = http_head_get(req, "gitshard-push");

	memset(h, 0, sizeof(*h));
	if (!parse_reign(&h->reign, http_head_get(req, "gitshard-reign")) || push == NULL ||
	    hex_decode(h->push, 16, slice_str(push)) != 0 ||
	    !pack_name_parse(h->sha256, size, http_head_get(req, "gitshard-pack")))
		return err_set(err, ERR_BAD,
			       "gitshard-reign, -push or -pack is missing or malformed");
	return 0;
}

void
stage_hold_release(struct stage_holds *s, struct http_xchg *x, struct shard *shard)
{
	struct staging_hold want;
	struct hold *h, *after;
	uint64_t size;
	struct err err;

	if (stage_hold_parse(&want, &size, http_xchg_request(x), &err) != 0) {
		serve_refuse(s->serve, x, shard, &err);
		return;
	}
	for (h = LIST_FIRST(&s->all); h != NULL; h = after) {
		after = LIST_NEXT(h, next);
		if (h->shard != shard_index(shard) || h->decided_at != STAGE_HOLD_OPEN ||
		    staging_on_release(&h->h, &want.reign, want.push) != STAGING_DROP)
			continue;
		if (h->confirmed)
			stage_hold_end(s, h);
		else
			h->released = true; /* who receives the pack still needs it */
	}
	http_xchg_reply(x, 200, NULL, "text/plain", SLICE_LIT("ok\n"));
}

/* --- what the log says ---------------------------------------------------------------------- */

void
stage_hold_on_note(struct stage_holds *s, uint32_t shard, uint64_t offset, const struct record *r,
		   enum verdict v)
{
	struct hold *h;

	LIST_FOREACH (h, &s->all, next)
		if (h->shard == shard && h->decided_at == STAGE_HOLD_OPEN &&
		    staging_on_read(&h->h, r, v) != STAGING_KEEP)
			h->decided_at = offset;
}

/* Only now: apply links a pack out of staging after the record was judged. */
void
stage_hold_on_applied(struct stage_holds *s, uint32_t shard, uint64_t next)
{
	struct hold *h, *after;

	for (h = LIST_FIRST(&s->all); h != NULL; h = after) {
		after = LIST_NEXT(h, next);
		if (h->shard == shard && h->confirmed && h->decided_at < next)
			stage_hold_end(s, h);
	}
}

/* After a start: what the log said while this node was away is in the state. */
void
stage_hold_on_state(struct stage_holds *s, uint32_t shard, const struct verdict_state *state)
{
	struct hold *h, *after;

	for (h = LIST_FIRST(&s->all); h != NULL; h = after) {
		after = LIST_NEXT(h, next);
		if (h->shard == shard && h->confirmed &&
		    staging_on_state(&h->h, state) == STAGING_DROP)
			stage_hold_end(s, h);
	}
}

bool
stage_hold_has(const struct stage_holds *s, const uint8_t sha256[32])
{
	const struct hold *h;

	LIST_FOREACH (h, &s->all, next)
		if (h->confirmed && memcmp(h->h.sha256, sha256, 32) == 0)
			return true;
	return false;
}

void
stage_hold_fetched(struct stage_holds *s, const uint8_t sha256[32])
{
	if (same_pack(s, sha256) == 0)
		remove_files(s, sha256);
}

size_t
stage_holds_count(const struct stage_holds *s)
{
	return s->n;
}

const char *
stage_holds_dir(const struct stage_holds *s)
{
	return s->dir;
}
