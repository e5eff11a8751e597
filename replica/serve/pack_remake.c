#include "replica/serve/pack_remake.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/rnd.h"
#include "replica/apply/apply.h"
#include "replica/repo/disk.h"
#include "replica/repo/git_env.h"
#include "replica/repo/run.h"
#include "replica/serve/pushed_pack.h"

/* An index of version 2: a head of 8 bytes, 256 counts, then the names in order.  Source:
 * gitformat-pack(5). */
#define NAMES_AT (8u + 256u * 4)
#define OBJECTS_MAX 20000000u

/* One line of hex per object. */
static int
list_objects(struct buf *out, struct slice idx, size_t oid_len, struct err *err)
{
	char hex[OID_HEX_SIZE];
	uint32_t n;

	if (idx.len < NAMES_AT || !slice_begins(idx, SLICE_LIT("\377tOc\0\0\0\2")))
		return err_set(err, ERR_CORRUPT, "the kept index is none");
	n = (uint32_t)idx.p[NAMES_AT - 4] << 24 | (uint32_t)idx.p[NAMES_AT - 3] << 16 |
	    (uint32_t)idx.p[NAMES_AT - 2] << 8 | idx.p[NAMES_AT - 1];
	if (n > OBJECTS_MAX || (idx.len - NAMES_AT) / oid_len < n)
		return err_set(err, ERR_CORRUPT, "the kept index is too short");
	for (uint32_t i = 0; i < n; i++) {
		hex_encode(hex, idx.p + NAMES_AT + i * oid_len, oid_len);
		buf_add(out, hex, 2 * oid_len);
		buf_add_byte(out, '\n');
	}
	return buf_ok(out) ? 0 : err_set(err, ERR_NOMEM, "too many objects");
}

static int
read_idx(struct buf *out, const struct pack_remake *m, struct err *err)
{
	char path[DISK_PATH], id[33], hex[65];
	uint8_t sum[32];
	uint64_t size;
	void *map;
	int fd, rc;

	hex_encode(id, m->id, 16);
	hex_encode(hex, m->sha256, 32);
	rc = disk_path(path, err, "%s/" APPLY_ROLLED "/%s/%s.idx", m->data, id, hex);
	if (rc != 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_NOT_FOUND, "this node does not have that pack");
	rc = pushed_file_hash(fd, sum, &size, err);
	if (rc == 0 && memcmp(sum, m->idx_sha256, 32) != 0)
		rc = err_set(err, ERR_CORRUPT, "%s is damaged", path);
	map = rc == 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	if (rc == 0 && map == MAP_FAILED)
		rc = err_errno(err, "cannot read %s", path);
	if (rc == 0) {
		rc = list_objects(out, slice_of(map, size), oid_size(m->format), err);
		munmap(map, size);
	}
	close(fd);
	return rc;
}

/* The files that git made, opened and without a name from now on. */
static int
open_made(int fd[2], const char *temp, struct slice name, struct err *err)
{
	static const char *const ends[] = { ".pack", ".idx" };
	char path[DISK_PATH];
	int rc = 0;

	while (name.len > 0 && name.p[name.len - 1] == '\n')
		name.len--;
	for (unsigned i = 0; i < 2; i++) {
		if (disk_path(path, err, "%s-%.*s%s", temp, SLICE_ARG(name), ends[i]) != 0)
			return ERR_TOO_BIG;
		fd[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (fd[i] < 0)
			rc = err_errno(err, "cannot open %s", path);
		unlink(path);
	}
	return rc;
}

int
pack_remake(int fd[2], const struct pack_remake *m, struct err *err)
{
	char option[DISK_PATH + 16], temp[DISK_PATH];
	const char *argv[] = { "git", option, "pack-objects", "-q", temp, NULL };
	struct buf in = BUF_MAX((size_t)OBJECTS_MAX * OID_HEX_SIZE), out = BUF_MAX(4096);
	struct git_env *env = git_env_new(GIT_ENV_PLAIN, m->home, m->hooks);
	uint64_t mark;
	int rc;

	git_env_config(env, "pack.threads", "1");
	git_env_config(env, "pack.windowMemory", "64m");
	git_env_config(env, "pack.writeReverseIndex", "false");
	snprintf(option, sizeof(option), "--git-dir=%s", m->dir);
	rnd_bytes(&mark, sizeof(mark));
	rc = disk_path(temp, err, "%s/tmp/made-%016llx", m->data, (unsigned long long)mark);
	if (rc == 0)
		rc = read_idx(&in, m, err);
	if (rc == 0)
		rc = run_git(argv, git_env_list(env), buf_slice(&in), &out, err);
	if (rc == 0)
		rc = open_made(fd, temp, buf_slice(&out), err);
	git_env_free(&env);
	buf_release(&in);
	buf_release(&out);
	return rc;
}
