#include "replica/serve/file_send.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

#define PIECE (256u * 1024)

struct file_send {
	struct work *work;     /* borrowed */
	struct stream *stream; /* borrowed; NULL once freed while a read is under way */
	int fds[2];            /* owned */
	uint64_t left[2], at[2];
	unsigned n, now;
	enum pack_to to;
	uint8_t *piece; /* owned */
	ssize_t got;
	bool reading;
	file_send_fn *done;
	void *arg;
};

static void
release(struct file_send *f)
{
	for (unsigned i = 0; i < f->n; i++)
		close(f->fds[i]);
	free(f->piece);
	free(f);
}

static void
read_piece(void *arg)
{
	struct file_send *f = arg;
	size_t want = MIN(f->left[f->now], PIECE);

	do
		f->got = pread(f->fds[f->now], f->piece, want, (off_t)f->at[f->now]);
	while (f->got < 0 && errno == EINTR);
}

static void
on_piece(void *arg)
{
	struct file_send *f = arg;

	f->reading = false;
	if (f->stream == NULL) {
		release(f);
		return;
	}
	if (f->got <= 0) {
		f->done(ERR_IO, f->arg);
		return;
	}
	stream_write(f->stream, slice_of(f->piece, (size_t)f->got));
	replica_stats_add(RSTAT_PACK_BYTES, f->to, (uint64_t)f->got);
	f->at[f->now] += (uint64_t)f->got;
	f->left[f->now] -= (uint64_t)f->got;
	file_send_go_on(f);
}

void
file_send_go_on(struct file_send *f)
{
	if (f->reading || f->now == f->n)
		return;
	while (f->now < f->n && f->left[f->now] == 0)
		f->now++;
	if (f->now == f->n) {
		f->done(0, f->arg);
		return;
	}
	if (stream_queued(f->stream) >= STREAM_HIGH || stream_is_dead(f->stream))
		return;
	f->reading = true;
	work_do(f->work, read_piece, on_piece, f);
}

uint64_t
file_send_left(const struct file_send *f)
{
	uint64_t n = 0;

	for (unsigned i = f->now; i < f->n; i++)
		n += f->left[i];
	return n;
}

struct file_send *
file_send_new(struct work *w, struct stream *s, const int *fds, const uint64_t *sizes, unsigned n,
	      enum pack_to to, file_send_fn *done, void *arg)
{
	struct file_send *f = MEM_NEW(struct file_send);

	CHECK(n <= COUNT(f->fds));
	f->work = w;
	f->stream = s;
	f->n = n;
	f->to = to;
	for (unsigned i = 0; i < n; i++) {
		f->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		f->left[i] = sizes[i];
	}
	f->piece = mem_alloc(PIECE);
	f->done = done;
	f->arg = arg;
	file_send_go_on(f);
	return f;
}

void
file_send_free(struct file_send **fp)
{
	struct file_send *f = *fp;

	if (f == NULL)
		return;
	*fp = NULL;
	f->stream = NULL;
	if (!f->reading)
		release(f);
}
