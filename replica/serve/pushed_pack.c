#include "replica/serve/pushed_pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/slice.h"
#include "replica/repo/packs.h"

#define PIECE (256u * 1024)
#define MAX_PATH 4096

struct job {
	char quarantine[MAX_PATH];
	uint64_t inline_max;
	struct pushed_pack *pack;
	struct err err;
	pushed_pack_fn *done;
	void *arg;
};

int
pushed_file_hash(int fd, uint8_t sha256[32], uint64_t *size, struct err *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t *piece = mem_alloc(PIECE);
	off_t at = 0;
	ssize_t n;

	CHECK(md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	while ((n = pread(fd, piece, PIECE, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		EVP_DigestUpdate(md, piece, (size_t)n);
		at += n;
	}
	EVP_DigestFinal_ex(md, sha256, NULL);
	EVP_MD_CTX_free(md);
	free(piece);
	*size = (uint64_t)at;
	return n < 0 ? err_errno(err, "cannot read a pack") : 0;
}

static int
open_file(struct pushed_file *f, int dir, const char *name, struct err *err)
{
	f->fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd < 0)
		return err_errno(err, "cannot open the pushed %s", name);
	if (fsync(f->fd) != 0)
		return err_errno(err, "cannot make the pushed %s durable", name);
	return pushed_file_hash(f->fd, f->sha256, &f->size, err);
}

static int
read_bytes(struct pushed_file *f, struct err *err)
{
	uint8_t *to;
	ssize_t n;

	buf_init(&f->bytes, f->size);
	to = buf_grow(&f->bytes, f->size);
	if (to == NULL)
		return err_set(err, ERR_NOMEM, "out of memory; try again");
	n = pread(f->fd, to, f->size, 0);
	if (n != (ssize_t)f->size)
		return err_errno(err, "cannot read a pack");
	return 0;
}

/* git makes exactly one pack of a push (unpackLimit 1), or none when it brought no objects. */
static int
find_pack(const char *quarantine, const char *dir, char name[65], bool *found, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	*found = false;
	if (d == NULL && errno == ENOENT && access(quarantine, F_OK) == 0)
		return 0;
	if (d == NULL) /* a quarantine that is gone tells nothing of what was in it */
		return err_errno(err, "cannot open %s", dir);
	while ((e = readdir(d)) != NULL) {
		struct slice hash = packs_hex_of(slice_str(e->d_name), ".pack");

		if (hash.len == 0)
			continue;
		if (*found) {
			closedir(d);
			return err_set(err, ERR_UNSUPPORTED, "git made two packs of one push");
		}
		*found = true;
		memcpy(name, hash.p, hash.len);
		name[hash.len] = '\0';
	}
	closedir(d);
	return 0;
}

static int
examine(struct job *j)
{
	struct pushed_pack *p = j->pack;
	char dir[MAX_PATH + 8], file[96];
	int fd, rc;

	snprintf(dir, sizeof(dir), "%s/pack", j->quarantine);
	rc = find_pack(j->quarantine, dir, p->name, &p->present, &j->err);
	if (rc != 0 || !p->present)
		return rc;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(&j->err, "cannot open %s", dir);
	snprintf(file, sizeof(file), "pack-%s.pack", p->name);
	rc = open_file(&p->pack, fd, file, &j->err);
	snprintf(file, sizeof(file), "pack-%s.idx", p->name);
	if (rc == 0)
		rc = open_file(&p->idx, fd, file, &j->err);
	close(fd);
	p->inlined = rc == 0 && p->pack.size + p->idx.size <= j->inline_max;
	if (p->inlined)
		rc = read_bytes(&p->pack, &j->err);
	if (p->inlined && rc == 0)
		rc = read_bytes(&p->idx, &j->err);
	return rc;
}

static void
run(void *arg)
{
	struct job *j = arg;

	j->err.code = examine(j);
}

static void
done(void *arg)
{
	struct job *j = arg;

	j->done(j->pack, &j->err, j->arg);
	free(j);
}

void
pushed_pack_examine(struct work *w, const char *quarantine, uint64_t inline_max, pushed_pack_fn *fn,
		    void *arg)
{
	struct job *j = MEM_NEW(struct job);

	snprintf(j->quarantine, sizeof(j->quarantine), "%s", quarantine);
	j->inline_max = inline_max;
	j->pack = MEM_NEW(struct pushed_pack);
	j->pack->pack.fd = -1;
	j->pack->idx.fd = -1;
	j->done = fn;
	j->arg = arg;
	work_do(w, run, done, j);
}

static void
release(struct pushed_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	buf_release(&f->bytes);
}

void
pushed_pack_free(struct pushed_pack **pp)
{
	struct pushed_pack *p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	release(&p->pack);
	release(&p->idx);
	free(p);
}
