#include "replica/repo/packs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/mem.h"
#include "replica/repo/disk.h"

#define PACKS_MAX 100000u
#define HEADER 12u
#define CHUNK_ROW 12u
#define CHUNK_PNAM 0x504e414du

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t
be64(const uint8_t *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 4);
}

struct slice
packs_hex_of(struct slice s, const char *end)
{
	struct slice begin = SLICE_LIT("pack-"), e = slice_str(end);

	if (!slice_begins(s, begin) || !slice_ends(s, e))
		return SLICE_NONE;
	s = slice_skip(slice_head(s, s.len - e.len), begin.len);
	for (size_t i = 0; i < s.len; i++)
		if (strchr("0123456789abcdef", s.p[i]) == NULL || s.p[i] == '\0')
			return SLICE_NONE;
	return s.len == 40 || s.len == 64 ? s : SLICE_NONE;
}

/* Where the names of the packs are; false when the file is not one. */
static bool
find_names(struct slice midx, struct slice *names)
{
	const uint8_t *rows = midx.p + HEADER;
	unsigned chunks;

	if (midx.len < HEADER || !slice_begins(midx, SLICE_LIT("MIDX\1")))
		return false;
	chunks = midx.p[6];
	if ((midx.len - HEADER) / CHUNK_ROW <= chunks)
		return false;
	for (unsigned i = 0; i < chunks; i++, rows += CHUNK_ROW) {
		uint64_t from = be64(rows + 4), to = be64(rows + CHUNK_ROW + 4);

		if (be32(rows) != CHUNK_PNAM)
			continue;
		if (from > to || to > midx.len)
			return false;
		*names = slice_of(midx.p + from, to - from);
		return true;
	}
	return false;
}

bool
packs_midx_names(struct slice midx, packs_name_fn *fn, void *arg)
{
	struct slice names;
	uint32_t n;

	if (!find_names(midx, &names))
		return false;
	n = be32(midx.p + 8);
	for (uint32_t i = 0; i < n && names.len > 0; i++) {
		struct slice one = slice_cut(&names, '\0');

		/* git writes the names of the indexes. */
		one = packs_hex_of(one, ".idx");
		if (one.len == 0)
			return false;
		fn(one, arg);
	}
	return true;
}

size_t
packs_geometry(const uint64_t *weights, size_t n)
{
	uint64_t sum = 0;
	size_t k = n;

	/* The heaviest that stand in order among themselves. */
	while (k > 1 && weights[k - 1] / 2 >= weights[k - 2])
		k--;
	if (k <= 1)
		return 0;
	for (size_t i = 0; i < k; i++)
		sum += weights[i];
	while (k < n && weights[k] / 2 < sum)
		sum += weights[k++];
	return k;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct packs_item *)a)->name, ((const struct packs_item *)b)->name);
}

static int
by_weight(const void *a, const void *b)
{
	const struct packs_item *x = a, *y = b;

	return x->weight != y->weight ? (x->weight < y->weight ? -1 : 1) : by_name(a, b);
}

static bool
has(const char *dir, const char *name, const char *end)
{
	char path[DISK_PATH];

	return disk_path(path, NULL, "%s/pack-%s%s", dir, name, end) == 0 &&
	       access(path, F_OK) == 0;
}

static void
add(struct packs *p, size_t *room, const char *dir, struct slice name)
{
	char path[DISK_PATH];
	struct packs_item it = { .keep = false };
	int64_t pack, idx;

	memcpy(it.name, name.p, name.len);
	if (disk_path(path, NULL, "%s/pack-%s.pack", dir, it.name) < 0)
		return;
	pack = disk_size(path);
	if (disk_path(path, NULL, "%s/pack-%s.idx", dir, it.name) < 0)
		return;
	idx = disk_size(path);
	if (pack < 0 || idx < 0 || p->n >= PACKS_MAX) /* another step of its life is under way */
		return;
	it.weight = (uint64_t)pack + (uint64_t)idx;
	it.keep = has(dir, it.name, ".keep") || has(dir, it.name, ".promisor") ||
		  has(dir, it.name, ".mtimes");
	if (p->n == *room) {
		*room = *room * 2 + 32;
		p->v = mem_resize(p->v, *room * sizeof(*p->v));
	}
	p->v[p->n++] = it;
}

static void
mark(struct slice name, void *arg)
{
	struct packs *p = arg;
	struct packs_item key = { .keep = false }, *it;

	memcpy(key.name, name.p, name.len);
	it = bsearch(&key, p->v, p->n, sizeof(*p->v), by_name);
	if (it != NULL)
		it->in_midx = true;
}

/* Which of them the multi-pack index covers; one that cannot be read is as good as none. */
static void
mark_all(struct packs *p, const char *dir)
{
	char path[DISK_PATH];
	struct stat st;
	void *map = MAP_FAILED;
	int fd = -1;

	if (disk_path(path, NULL, "%s/multi-pack-index", dir) == 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd >= 0)
		close(fd);
	if (map == MAP_FAILED)
		return;
	p->midx = packs_midx_names(slice_of(map, (size_t)st.st_size), mark, p);
	munmap(map, (size_t)st.st_size);
}

int
packs_read(struct packs *out, const char *repo, struct err *err)
{
	char dir[DISK_PATH];
	struct dirent *e;
	size_t room = 0;
	DIR *d;

	memset(out, 0, sizeof(*out));
	if (disk_path(dir, err, "%s/objects/pack", repo) < 0)
		return ERR_TOO_BIG;
	d = opendir(dir);
	if (d == NULL)
		return err_errno(err, "open %s", dir);
	while ((e = readdir(d)) != NULL) {
		struct slice name = packs_hex_of(slice_str(e->d_name), ".pack");

		if (name.len > 0)
			add(out, &room, dir, name);
	}
	closedir(d);
	if (out->n > 0) {
		qsort(out->v, out->n, sizeof(*out->v), by_name);
		mark_all(out, dir);
		qsort(out->v, out->n, sizeof(*out->v), by_weight);
	}
	return 0;
}

void
packs_release(struct packs *p)
{
	free(p->v);
	memset(p, 0, sizeof(*p));
}
