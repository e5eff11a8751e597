#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"
#include "replica/repo/disk.h"

#define AGAIN_MAX 8u /* 256 s */

static bool
hash_is(const EVP_MD *md, struct slice bytes, const uint8_t *want)
{
	uint8_t have[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	CHECK(EVP_Digest(bytes.p, bytes.len, have, &n, md, NULL) == 1);
	return memcmp(have, want, n) == 0;
}

/* The last n bytes are the hash of what stands before them.  Sources: gitformat-pack(5). */
static bool
has_trailer(const EVP_MD *md, struct slice s, size_t n)
{
	return s.len > n && hash_is(md, slice_head(s, s.len - n), s.p + s.len - n);
}

/* What came in the record is the pack and index that it names, whole, and they fit each other. */
static const char *
find_fault(const struct record_pack *p, struct slice pack, struct slice idx, enum oid_format f)
{
	const EVP_MD *md = f == OID_SHA1 ? EVP_sha1() : EVP_sha256();
	size_t n = oid_size(f);

	if (pack.len != p->size || idx.len != p->idx_size)
		return "sizes differ from the record";
	if (!hash_is(EVP_sha256(), pack, p->sha256) || !hash_is(EVP_sha256(), idx, p->idx_sha256))
		return "sums differ from the record";
	if (!slice_begins(pack, SLICE_LIT("PACK")) || !has_trailer(md, pack, n))
		return "the pack is damaged";
	if (idx.len < 2 * n || !has_trailer(md, idx, n) ||
	    memcmp(idx.p + idx.len - 2 * n, pack.p + pack.len - n, n) != 0)
		return "the index is damaged";
	return NULL;
}

int
apply_pack_dir(struct apply *a, struct apply_repo *r, char out[DISK_PATH], struct err *err)
{
	char dir[DISK_PATH];

	if (!repo_dir(dir, sizeof(dir), a->table, r->path))
		return err_set(err, ERR_TOO_BIG, "the path of %s is too long", r->path);
	return disk_path(out, err, "%s/objects/pack", dir);
}

static int
write_file(const char *base, const char *end, struct slice bytes, struct err *err)
{
	char temp[DISK_PATH], path[DISK_PATH];
	int rc = disk_path(temp, err, "%s.gs-tmp%s", base, end);

	if (rc == 0)
		rc = disk_path(path, err, "%s%s", base, end);
	if (rc < 0)
		return rc;
	if (unlink(temp) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s", temp);
	rc = disk_write_new(temp, bytes, 0444, err);
	if (rc == 0 && rename(temp, path) < 0)
		rc = err_errno(err, "rename %s", temp);
	if (rc < 0)
		unlink(temp);
	return rc;
}

/* 1: linked; 0: staging has no such file of this size. */
static int
link_file(struct apply *a, const char *base, const char *end, const uint8_t sha256[32],
	  uint64_t size, struct err *err)
{
	char staged[DISK_PATH], path[DISK_PATH], hex[65];
	int rc;

	hex_encode(hex, sha256, 32);
	rc = disk_path(staged, err, "%s/" APPLY_STAGING "/%s%s", a->data, hex, end);
	if (rc == 0)
		rc = disk_path(path, err, "%s%s", base, end);
	if (rc < 0)
		return rc;
	if (disk_size(staged) != (int64_t)size)
		return 0;
	if (link(staged, path) == 0)
		return 1;
	/* Another of that name was judged wrong by its size, or this step is repeated. */
	if (errno == EEXIST && unlink(path) == 0 && link(staged, path) == 0)
		return 1;
	return err_errno(err, "link %s", path);
}

static int
link_both(struct apply *a, const char *base, const struct record_pack *p, struct err *err)
{
	int rc = link_file(a, base, ".pack", p->sha256, p->size, err);

	FAULT("pack-placed");
	return rc == 1 ? link_file(a, base, ".idx", p->sha256, p->idx_size, err) : rc;
}

/* The primary's git put it there itself; or the record is applied again. */
static bool
is_there(const char *base, const struct record_pack *p)
{
	char path[DISK_PATH];

	if (disk_path(path, NULL, "%s.pack", base) < 0 || disk_size(path) != (int64_t)p->size)
		return false;
	return disk_path(path, NULL, "%s.idx", base) == 0 &&
	       disk_size(path) == (int64_t)p->idx_size;
}

/* 1: written; 0: it is not what the record says. */
static int
write_both(struct apply_repo *r, const char *base, const struct record_pack *p, struct slice pack,
	   struct slice idx, struct err *err)
{
	const char *fault = find_fault(p, pack, idx, r->repo->format);
	int rc;

	if (fault != NULL) {
		log_error("-", "apply.pack", "repo=%s pack=%s why=%s", r->path, p->name, fault);
		return 0;
	}
	/* git sees a pack by its index: that comes last. */
	rc = write_file(base, ".pack", pack, err);
	FAULT("pack-placed");
	if (rc == 0)
		rc = write_file(base, ".idx", idx, err);
	return rc < 0 ? rc : 1;
}

/* 1: its objects came with an earlier record, and are in another pack by now. */
static int
was_rolled_up(struct apply *a, struct apply_repo *r, const uint8_t sha256[32], struct err *err)
{
	struct catalog_pack row;
	int rc = catalog_find_pack(a->catalog, r->repo->id, sha256, &row, err);

	return rc == ERR_NOT_FOUND ? 0 : rc < 0 ? rc : 1;
}

int
apply_pack_place(struct apply *a, struct apply_repo *r, const struct record_pack *p,
		 struct slice pack, struct slice idx, struct err *err)
{
	char base[DISK_PATH], folder[DISK_PATH];
	int rc = apply_pack_dir(a, r, folder, err);

	if (rc == 0)
		rc = disk_path(base, err, "%s/pack-%s", folder, p->name);
	if (rc < 0)
		return rc;
	if (access(folder, F_OK) < 0 && errno == ENOENT) {
		log_error("-", "apply.pack", "repo=%s why=folder_is_gone", r->path);
		return APPLY_PACK_MISSING;
	}
	r->sync_packs = true;
	if (!is_there(base, p)) {
		rc = was_rolled_up(a, r, p->sha256, err);
		if (rc != 0)
			return rc < 0 ? rc : APPLY_PACK_KNOWN;
		rc = p->inlined ? write_both(r, base, p, pack, idx, err)
				: link_both(a, base, p, err);
		if (rc <= 0)
			return rc < 0 ? rc : APPLY_PACK_MISSING;
	}
	apply_count(a, &a->counts.packs, 1);
	if (a->opts.events.packed != NULL)
		a->opts.events.packed(r->repo->id, p->size + p->idx_size, a->opts.events.arg);
	return APPLY_PACK_HERE;
}

int
apply_pack_sync(struct apply *a, struct apply_repo *r, struct err *err)
{
	char dir[DISK_PATH];
	int rc = apply_pack_dir(a, r, dir, err);

	return rc < 0 ? rc : disk_sync_dir(dir, err);
}

static void
tell(struct apply *a, const struct catalog_need *n)
{
	struct apply_need need = { .shard = n->shard,
				   .offset = n->pack.offset,
				   .pack_size = n->pack.size,
				   .idx_size = n->pack.idx_size,
				   .from_node = n->from_node };

	memcpy(need.repo_id, n->pack.id, sizeof(need.repo_id));
	memcpy(need.pack_sha256, n->pack.sha256, sizeof(need.pack_sha256));
	memcpy(need.idx_sha256, n->pack.idx_sha256, sizeof(need.idx_sha256));
	a->opts.events.need(&need, a->opts.events.arg);
}

void
apply_pack_need(struct apply *a, struct apply_repo *r, const struct catalog_need *n)
{
	if (!apply_repo_need(a, r, n))
		return;
	apply_count(a, &a->counts.missing, 1);
	log_info("-", "apply.need", "repo=%s shard=%u offset=%llu pack=%s size=%llu", r->path,
		 n->shard, (unsigned long long)n->pack.offset, n->pack.name,
		 (unsigned long long)n->pack.size);
	tell(a, n);
}

void
apply_tell_needs(struct apply *a)
{
	struct apply_repo *r, *next;
	struct apply_need_list *n;

	HASH_ITER (hh, a->repos, r, next) {
		LIST_FOREACH (n, &r->needs, next)
			tell(a, &n->need);
	}
}

/* What the last pack brings is seen by those who wait for `whole`: peeled values and files before
 * shared.missing falls to 0. */
static int
take_in(struct apply *a, struct apply_repo *r, const struct catalog_pack *p, struct err *err)
{
	bool last = LIST_NEXT(LIST_FIRST(&r->needs), next) == NULL;
	int rc = apply_pack_sync(a, r, err);

	if (rc == 0)
		rc = catalog_begin(a->catalog, err);
	if (rc == 0)
		rc = catalog_put_pack(a->catalog, p, err);
	if (rc == 0)
		rc = catalog_drop_need(a->catalog, p->id, p->sha256, err);
	/* From offset 0: which of them was peeled before is not noted. */
	if (rc == 0 && last)
		rc = apply_repo_repeel(a, r, 0, err);
	return catalog_end(a->catalog, rc, err);
}

/* The name git gives a pack is its last bytes, the hash of what stands before. */
static int
name_of_staged(struct apply *a, struct apply_repo *r, const struct apply_pack_files *f,
	       char out[65], struct err *err)
{
	char path[DISK_PATH], hex[65];
	size_t n = oid_size(r->repo->format);
	uint8_t tail[32];
	int fd, rc;

	hex_encode(hex, f->sha256, 32);
	rc = disk_path(path, err, "%s/" APPLY_STAGING "/%s.pack", a->data, hex);
	if (rc < 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open %s", path);
	if (f->size < n || pread(fd, tail, n, (off_t)(f->size - n)) != (ssize_t)n)
		rc = err_set(err, ERR_CORRUPT, "%s is too short for a pack", path);
	else
		hex_encode(out, tail, n);
	close(fd);
	return rc;
}

/* The row of a pack that came, as the files that came: itself, or one made anew, which takes its
 * place under its own name. */
static int
fill_come(struct apply *a, struct apply_repo *r, const struct catalog_need *n,
	  const struct apply_pack_files *f, struct catalog_pack *row, struct err *err)
{
	*row = n->pack;
	if (memcmp(f->sha256, row->sha256, 32) == 0)
		return 0;
	memcpy(row->idx_sha256, f->idx_sha256, 32);
	row->size = f->size;
	row->idx_size = f->idx_size;
	return name_of_staged(a, r, f, row->name, err);
}

static int
come(struct apply *a, struct apply_repo *r, struct apply_need_list *n,
     const struct apply_pack_files *f, struct err *err)
{
	struct catalog_pack row;
	struct record_pack p = { .size = f->size, .idx_size = f->idx_size };
	int rc = fill_come(a, r, &n->need, f, &row, err);

	memcpy(p.sha256, f->sha256, sizeof(p.sha256));
	p.name = row.name;
	if (rc == 0)
		rc = apply_pack_place(a, r, &p, SLICE_NONE, SLICE_NONE, err);
	if (rc == APPLY_PACK_MISSING)
		rc = err_set(err, ERR_NOT_FOUND, "it is not in staging, or of another size");
	if (rc == APPLY_PACK_HERE || rc == APPLY_PACK_KNOWN)
		rc = take_in(a, r, &row, err);
	r->sync_packs = false;
	return rc;
}

void
apply_pack_come(struct apply *a, const uint8_t id[16], const uint8_t sha256[32],
		const struct apply_pack_files *files)
{
	struct apply_repo *r = apply_repo_find(a, id);
	struct apply_need_list *n = NULL;
	struct err err = { 0 };
	bool whole;
	int rc;

	if (r != NULL) {
		LIST_FOREACH (n, &r->needs, next) {
			if (memcmp(n->need.pack.sha256, sha256, 32) == 0)
				break;
		}
	}
	if (n == NULL)
		return;
	rc = come(a, r, n, files, &err);
	if (rc < 0) {
		log_error("-", "apply.pack", "repo=%s pack=%s why=%s", r->path, n->need.pack.name,
			  err.text);
		n->again = clock_boot_ns() + (CLOCK_SEC << MIN(n->tries++, AGAIN_MAX));
		a->next_again = MIN(a->next_again, n->again);
		return;
	}
	whole = LIST_NEXT(LIST_FIRST(&r->needs), next) == NULL;
	if (!whole) {
		apply_repo_needless(a, r, n);
		return;
	}
	LIST_REMOVE(n, next); /* so that the check writes the files */
	apply_folder_check(a, r);
	LIST_INSERT_HEAD(&r->needs, n, next);
	apply_repo_needless(a, r, n);
	a->opts.events.whole(id, a->opts.events.arg);
}

void
apply_pack_again(struct apply *a, uint64_t now)
{
	struct apply_repo *r, *next;
	struct apply_need_list *n;

	HASH_ITER (hh, a->repos, r, next) {
		LIST_FOREACH (n, &r->needs, next) {
			if (n->again == 0)
				continue;
			if (n->again > now || r->lost) {
				a->next_again = MIN(a->next_again, MAX(n->again, now + CLOCK_SEC));
				continue;
			}
			n->again = 0;
			tell(a, &n->need);
		}
	}
}
