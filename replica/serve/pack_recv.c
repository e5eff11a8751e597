#include "replica/serve/pack_recv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "replica/repo/disk.h"

#define PIECE (512u * 1024)

struct pack_recv {
	unsigned magic;
#define PACK_RECV_MAGIC 0x9acc4ec5u
	struct work *work;   /* borrowed */
	struct stream *from; /* borrowed; NULL once freed while a job is under way */
	char dir[1024];
	char tmp[2][1200], final[2][1200];
	struct pack_name name;
	int fd[2];
	EVP_MD_CTX *md;
	unsigned now;   /* 0 pack, 1 index, 2 both are written */
	uint64_t left;  /* of the file in work */
	uint64_t todo;  /* of both, not taken from the stream; the loop's */
	uint8_t *piece; /* owned */
	size_t n;
	bool working, finished;
	struct err err;
	pack_recv_fn *done;
	loop_fn *gone; /* after pack_recv_drop; may be NULL */
	void *arg;     /* of both */
};

static void go_on(struct pack_recv *);

static void
release(struct pack_recv *r)
{
	for (unsigned i = 0; i < 2; i++)
		if (r->fd[i] >= 0) {
			close(r->fd[i]);
			unlink(r->tmp[i]);
		}
	EVP_MD_CTX_free(r->md);
	free(r->piece);
	free(r);
}

static void
begin_hash(struct pack_recv *r)
{
	CHECK(EVP_DigestInit_ex(r->md, EVP_sha256(), NULL) == 1);
}

static void
end_file(struct pack_recv *r)
{
	const uint8_t *want = r->now == 0 ? r->name.sha256 : r->name.idx_sha256;
	uint8_t got[32];

	EVP_DigestFinal_ex(r->md, got, NULL);
	if (memcmp(got, want, sizeof(got)) != 0)
		err_set(&r->err, ERR_CORRUPT, "a pack arrived damaged: its SHA-256 is another one");
	else if (fsync(r->fd[r->now]) != 0)
		err_errno(&r->err, "cannot make %s durable", r->tmp[r->now]);
	r->now++;
	r->left = r->now == 1 ? r->name.idx_size : 0;
	begin_hash(r);
}

/* Worker: one piece to disk. */
static void
write_piece(struct pack_recv *r)
{
	size_t at = 0;

	EVP_DigestUpdate(r->md, r->piece, r->n);
	while (at < r->n) {
		ssize_t n = write(r->fd[r->now], r->piece + at, r->n - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_errno(&r->err, "cannot write %s", r->tmp[r->now]);
			return;
		}
		at += (size_t)n;
	}
	r->left -= r->n;
	if (r->left == 0)
		end_file(r);
}

/* Worker: the names, index first: a pack without its index is of no use to anybody. */
static void
install(struct pack_recv *r)
{
	if (rename(r->tmp[1], r->final[1]) != 0 || rename(r->tmp[0], r->final[0]) != 0) {
		err_errno(&r->err, "cannot rename into %s", r->dir);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		close(r->fd[i]);
		r->fd[i] = -1;
	}
	if (disk_sync_dir(r->dir, &r->err) != 0)
		return;
}

static void
job(void *arg)
{
	struct pack_recv *r = arg;

	if (r->n > 0)
		write_piece(r);
	if (r->err.code == 0 && r->now == 1 && r->left == 0)
		end_file(r); /* an index of no bytes: its hash still must fit */
	if (r->err.code == 0 && r->now == 2)
		install(r);
}

static void
finish(struct pack_recv *r)
{
	if (r->finished)
		return;
	r->finished = true;
	r->done(&r->err, r->arg);
}

static void
let_go(struct pack_recv *r)
{
	loop_fn *gone = r->gone;
	void *arg = r->arg;

	release(r);
	if (gone != NULL)
		gone(arg);
}

static void
on_job(void *arg)
{
	struct pack_recv *r = arg;

	r->working = false;
	if (r->from == NULL) {
		let_go(r);
		return;
	}
	if (r->err.code != 0 || r->now == 2)
		finish(r);
	else
		go_on(r);
}

static void
go_on(struct pack_recv *r)
{
	struct slice in;

	if (r->working || r->finished)
		return;
	in = slice_head(stream_peek(r->from, 0), MIN(r->left, PIECE));
	if (in.len == 0) {
		if (stream_at_end(r->from) || stream_is_dead(r->from)) {
			err_set(&r->err, ERR_CLOSED, "a pack was cut off on its way");
			finish(r);
		}
		return;
	}
	memcpy(r->piece, in.p, in.len);
	r->n = in.len;
	stream_take(r->from, in.len);
	r->todo -= in.len;
	r->working = true;
	work_do(r->work, job, on_job, r);
}

static void
on_stream(struct stream *s UNUSED, enum stream_event ev UNUSED, void *arg)
{
	go_on(OBJ_FROM(arg, struct pack_recv, PACK_RECV_MAGIC));
}

static void
fail_soon(void *arg)
{
	struct pack_recv *r = arg;

	r->working = false;
	if (r->from == NULL)
		let_go(r);
	else
		finish(r);
}

static void
nothing(void *arg UNUSED)
{
}

struct pack_recv *
pack_recv_new(struct work *w, const char *staging, struct stream *from,
	      const struct pack_name *name, pack_recv_fn *done, void *arg)
{
	static const char *const ends[2] = { "pack", "idx" };
	struct pack_recv *r = MEM_NEW(struct pack_recv);
	char hex[65];

	r->magic = PACK_RECV_MAGIC;
	r->work = w;
	r->from = from;
	r->name = *name;
	r->left = name->size;
	r->todo = name->size + name->idx_size;
	r->piece = mem_alloc(PIECE);
	r->md = EVP_MD_CTX_new();
	r->done = done;
	r->arg = arg;
	CHECK(r->md != NULL);
	begin_hash(r);
	hex_encode(hex, name->sha256, 32);
	snprintf(r->dir, sizeof(r->dir), "%s", staging);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(r->tmp[i], sizeof(r->tmp[i]), "%s/tmp-%016" PRIx64 ".%s", staging,
			 rnd_u64(), ends[i]);
		snprintf(r->final[i], sizeof(r->final[i]), "%s/%s.%s", staging, hex, ends[i]);
		r->fd[i] = open(r->tmp[i], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		if (r->fd[i] < 0 && r->err.code == 0)
			err_errno(&r->err, "cannot create %s", r->tmp[i]);
	}
	stream_on(from, on_stream, r);
	if (r->err.code != 0) {
		r->working = true;
		work_do(w, nothing, fail_soon, r); /* the caller has the pointer by then */
	} else {
		go_on(r);
	}
	return r;
}

void
pack_recv_drop(struct pack_recv **rp, loop_fn *gone, void *arg)
{
	struct pack_recv *r = *rp;

	*rp = NULL;
	stream_on(r->from, NULL, NULL);
	r->from = NULL;
	r->finished = true;
	r->gone = gone;
	r->arg = arg;
	if (!r->working)
		let_go(r);
}

void
pack_recv_free(struct pack_recv **rp)
{
	if (*rp != NULL)
		pack_recv_drop(rp, NULL, NULL);
}

uint64_t
pack_recv_left(const struct pack_recv *r)
{
	return r->todo;
}

bool
pack_name_parse(uint8_t sha256[32], uint64_t *size, const char *text)
{
	char *end;

	if (text == NULL || strlen(text) < 66 || text[64] != ':' ||
	    hex_decode(sha256, 32, slice_of(text, 64)) != 0)
		return false;
	errno = 0;
	*size = strtoull(text + 65, &end, 10);
	return errno == 0 && *end == '\0' && text[65] >= '0' && text[65] <= '9';
}

void
pack_name_format(char out[PACK_NAME_TEXT], const uint8_t sha256[32], uint64_t size)
{
	hex_encode(out, sha256, 32);
	snprintf(out + 64, PACK_NAME_TEXT - 64, ":%" PRIu64, size);
}
