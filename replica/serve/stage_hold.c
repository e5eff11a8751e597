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
#include "replica/repo/disk.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/pack_recv.h"
#include "replica/serve/serve.h"
#include "shard-map/commitlog/staging.h"

#define HOLD_FILE_MAX 65536

/* An unknown offset: the log has not decided about this hold. */
#define OPEN UINT64_MAX

struct hold {
	uint32_t shard;
	struct staging_hold h;
	bool confirmed;      /* false: the pack is still coming */
	uint64_t decided_at; /* offset of the record that ended it; OPEN */
	LIST_ENTRY(hold) next;
};

struct stage_holds {
	struct serve *serve; /* borrowed */
	char dir[1024];
	LIST_HEAD(, hold) all;
	size_t n;
};

/* One pack on its way to us. */
struct coming {
	unsigned magic;
#define COMING_MAGIC 0xc0314601u
	struct stage_holds *holds;
	struct http_xchg *xchg; /* borrowed until its close */
	struct shard *shard;
	struct hold *hold; /* borrowed: in the list */
	struct pack_recv *recv;
	uint64_t bytes;
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

/* The holds of one pack, as its .hold file has them. */
static void
encode_holds(struct buf *out, const struct stage_holds *s, const uint8_t sha256[32])
{
	const struct hold *h;

	LIST_FOREACH (h, &s->all, next)
		if (memcmp(h->h.sha256, sha256, 32) == 0) {
			buf_add_u32(out, h->shard);
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

static void
end_hold(struct stage_holds *s, struct hold *h)
{
	uint8_t sha256[32];

	memcpy(sha256, h->h.sha256, sizeof(sha256));
	LIST_REMOVE(h, next);
	free(h);
	s->n--;
	if (same_pack(s, sha256) == 0)
		remove_files(s, sha256);
}

static struct hold *
add_hold(struct stage_holds *s, uint32_t shard, const struct staging_hold *h)
{
	struct hold *new = MEM_NEW(struct hold);

	new->shard = shard;
	new->h = *h;
	new->decided_at = OPEN;
	LIST_INSERT_HEAD(&s->all, new, next);
	s->n++;
	return new;
}

static void
load_file(struct stage_holds *s, const char *name)
{
	struct buf b = BUF_MAX(HOLD_FILE_MAX);
	char path[1400];
	struct slice in;
	struct staging_hold h;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	if (fsio_read(&b, path, HOLD_FILE_MAX, NULL) == 0)
		for (in = buf_slice(&b); in.len >= 4 + STAGING_HOLD_BYTES;
		     in = slice_skip(in, 4 + STAGING_HOLD_BYTES)) {
			uint32_t shard = (uint32_t)in.p[0] << 24 | (uint32_t)in.p[1] << 16 |
					 (uint32_t)in.p[2] << 8 | in.p[3];

			if (staging_hold_decode(&h,
						slice_head(slice_skip(in, 4), STAGING_HOLD_BYTES),
						NULL) == 0)
				add_hold(s, shard, &h)->confirmed = true;
		}
	buf_release(&b);
}

static void
load_all(struct stage_holds *s)
{
	DIR *d = opendir(s->dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		struct slice name = slice_str(e->d_name);
		char path[1400];

		if (slice_begins(name, SLICE_LIT("tmp-"))) {
			snprintf(path, sizeof(path), "%s/%s", s->dir, e->d_name);
			unlink(path);
		} else if (slice_ends(name, SLICE_LIT(".hold"))) {
			load_file(s, e->d_name);
		}
	}
	if (d != NULL)
		closedir(d);
}

int
stage_holds_new(struct stage_holds **out, struct serve *serve, struct err *err)
{
	struct stage_holds *s = MEM_NEW(struct stage_holds);
	int rc;

	s->serve = serve;
	LIST_INIT(&s->all);
	snprintf(s->dir, sizeof(s->dir), "%s/%s", serve->data, APPLY_STAGING);
	rc = fsio_mkdirs(s->dir, 0700, err);
	if (rc != 0) {
		free(s);
		return rc;
	}
	load_all(s);
	*out = s;
	return 0;
}

void
stage_holds_free(struct stage_holds **sp)
{
	struct stage_holds *s = *sp;
	struct hold *h;

	if (s == NULL)
		return;
	*sp = NULL;
	while ((h = LIST_FIRST(&s->all)) != NULL) {
		LIST_REMOVE(h, next);
		free(h);
	}
	free(s);
}

/* --- receiving ------------------------------------------------------------------------------ */

static void
on_coming_gone(void *arg)
{
	struct coming *c = OBJ_FROM(arg, struct coming, COMING_MAGIC);

	if (c->recv != NULL) { /* not confirmed: the primary heard nothing */
		pack_recv_free(&c->recv);
		end_hold(c->holds, c->hold);
	}
	free(c);
}

static void
on_received(const struct err *err, void *arg)
{
	struct coming *c = OBJ_FROM(arg, struct coming, COMING_MAGIC);
	struct err why = *err; /* it dies with the recv */
	char text[40];

	pack_recv_free(&c->recv);
	/* The log may have moved on while the pack came in (R8: confirmed in this reign). */
	if (why.code != 0 || !staging_may_hold(shard_state(c->shard), &c->hold->h.reign)) {
		if (why.code == 0)
			err_set(&why, ERR_WRONG_NODE, "that reign is over");
		end_hold(c->holds, c->hold);
		serve_refuse(c->holds->serve, c->xchg, c->shard, &why);
		return;
	}
	c->hold->confirmed = true;
	replica_stats_add(RSTAT_STAGED, 0, c->bytes);
	hex_encode(text, c->holds->serve->incarnation, 16);
	text[32] = '\n';
	http_xchg_reply(c->xchg, 200, NULL, "text/plain", slice_of(text, 33));
}

static bool
parse_reign(struct record_reign *out, const char *text)
{
	return text != NULL && sscanf(text, "%" SCNu64 ":%" SCNu32 ":%" SCNu64, &out->epoch,
				      &out->node, &out->boot) == 3;
}

static int
parse_hold(struct staging_hold *h, uint64_t *size, const struct http_head *req, struct err *err)
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
stage_hold_receive(struct stage_holds *s, struct http_xchg *x, struct shard *shard)
{
	const struct http_head *req = http_xchg_request(x);
	struct buf holds = BUF_MAX(HOLD_FILE_MAX);
	struct pack_name name;
	struct staging_hold h;
	struct coming *c;
	struct err err;
	int rc = parse_hold(&h, &name.size, req, &err);

	if (rc == 0 &&
	    !pack_name_parse(name.idx_sha256, &name.idx_size, http_head_get(req, "gitshard-idx")))
		rc = err_set(&err, ERR_BAD, "gitshard-idx is missing or malformed");
	if (rc == 0 && !staging_may_hold(shard_state(shard), &h.reign))
		rc = err_set(&err, ERR_WRONG_NODE, "that reign is over");
	if (rc != 0) {
		serve_refuse(s->serve, x, shard, &err);
		return;
	}
	memcpy(name.sha256, h.sha256, sizeof(name.sha256));
	c = MEM_NEW(struct coming);
	c->magic = COMING_MAGIC;
	c->holds = s;
	c->xchg = x;
	c->shard = shard;
	c->bytes = name.size + name.idx_size;
	c->hold = add_hold(s, shard_index(shard), &h);
	encode_holds(&holds, s, h.sha256);
	http_xchg_on_close(x, on_coming_gone, c);
	c->recv = pack_recv_new(s->serve->work, s->dir, http_xchg_stream(x), &name,
				buf_slice(&holds), on_received, c);
	buf_release(&holds);
}

void
stage_hold_release(struct stage_holds *s, struct http_xchg *x, struct shard *shard)
{
	struct staging_hold want;
	struct hold *h, *after;
	uint64_t size;
	struct err err;

	if (parse_hold(&want, &size, http_xchg_request(x), &err) != 0) {
		serve_refuse(s->serve, x, shard, &err);
		return;
	}
	for (h = LIST_FIRST(&s->all); h != NULL; h = after) {
		after = LIST_NEXT(h, next);
		if (h->confirmed && h->shard == shard_index(shard) && h->decided_at == OPEN &&
		    staging_on_release(&h->h, &want.reign, want.push) == STAGING_DROP)
			end_hold(s, h);
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
		if (h->shard == shard && h->decided_at == OPEN &&
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
			end_hold(s, h);
	}
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
