#include "replica/repo/project.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/check.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/repo/disk.h"
#include "replica/repo/project_files.h"

/* "DIR/NAME" and "DIR/NAME.lock" */
static int
lock_paths(char path[DISK_PATH], char lock[DISK_PATH], const struct project *p, const char *name,
	   struct err *err)
{
	int rc = disk_path(path, err, "%s/%s", p->dir, name);

	return rc < 0 ? rc : disk_path(lock, err, "%s.lock", path);
}

/* A lock of a dead process goes away; true: try again. */
static bool
break_lock(const struct project *p, const char *lock)
{
	struct stat st;

	if (lstat(lock, &st) < 0)
		return errno == ENOENT;
	if (disk_mtime_ms(&st) >= p->born_ms)
		return false;
	log_warn("-", "project.lock", "removed=%s", log_value(lock, strlen(lock)));
	return unlink(lock) == 0;
}

/* Folders for a loose ref.  A file in the way is no ref of ours (there is no conflict in the
 * refset) and goes. */
static int
make_folders(const char *dir, const char *name, struct err *err)
{
	char path[DISK_PATH];

	for (const char *p = name; (p = strchr(p, '/')) != NULL; p++) {
		int rc = disk_path(path, err, "%s/%.*s", dir, (int)(p - name), name);

		if (rc < 0)
			return rc;
		if (mkdir(path, 0777) == 0)
			continue;
		if (errno != EEXIST)
			return err_errno(err, "mkdir %s", path);
		if (disk_size(path) >= 0 && (unlink(path) < 0 || mkdir(path, 0777) < 0))
			return err_errno(err, "mkdir %s", path);
	}
	return 0;
}

static int
open_lock(const struct project *p, const char *name, const char *lock, int *fd, struct err *err)
{
	for (unsigned tries = 0; tries < 3; tries++) {
		*fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (*fd >= 0)
			return 0;
		if (errno == EEXIST && !break_lock(p, lock))
			return err_set(err, ERR_UNAVAILABLE, "another process holds %s", lock);
		if (errno == ENOENT || errno == ENOTDIR) {
			int rc = make_folders(p->dir, name, err);

			if (rc < 0)
				return rc;
		}
	}
	return err_errno(err, "create %s", lock);
}

/* Removes the empty folders below and including path. */
static void
drop_empty_tree(const char *path)
{
	char below[DISK_PATH];
	struct dirent *e;
	DIR *d = opendir(path);

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    disk_path(below, NULL, "%s/%s", path, e->d_name) == 0)
			drop_empty_tree(below);
	}
	closedir(d);
	rmdir(path);
}

static int
replace_file(const struct project *p, const char *name, struct slice bytes, struct err *err)
{
	char path[DISK_PATH], lock[DISK_PATH];
	int fd = -1, rc = lock_paths(path, lock, p, name, err);

	if (rc == 0)
		rc = open_lock(p, name, lock, &fd, err);
	if (rc < 0)
		return rc;
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.p, bytes.len);

		if (n < 0 && errno != EINTR) {
			rc = err_errno(err, "write %s", lock);
			goto fail;
		}
		bytes = slice_skip(bytes, n > 0 ? (size_t)n : 0);
	}
	if (rename(lock, path) == 0)
		goto done;
	if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST) {
		drop_empty_tree(path);
		if (rename(lock, path) == 0)
			goto done;
	}
	rc = err_errno(err, "rename %s", lock);
fail:
	unlink(lock);
done:
	close(fd);
	return rc;
}

static int
write_loose(const struct project *p, const struct refset_change *c, struct err *err)
{
	char line[OID_HEX_SIZE + 1];
	size_t n;

	oid_hex(line, &c->oid);
	n = strlen(line);
	line[n] = '\n';
	return replace_file(p, c->name, slice_of(line, n + 1), err);
}

/* Folders that are empty now, up to refs/heads and its like, which git expects. */
static void
drop_parents(const struct project *p, const char *name)
{
	char path[DISK_PATH];
	char *slash;
	size_t keep;

	if (disk_path(path, NULL, "%s/%s", p->dir, name) < 0)
		return;
	keep = strlen(p->dir) + 1;
	for (unsigned i = 0; i < 2; i++) {
		const char *q = strchr(path + keep, '/');

		if (q == NULL)
			return;
		keep = (size_t)(q - path) + 1;
	}
	while ((slash = strrchr(path + keep, '/')) != NULL) {
		*slash = 0;
		if (rmdir(path) < 0)
			return;
	}
}

static int
drop_loose(const struct project *p, const char *name, struct err *err)
{
	char path[DISK_PATH];
	int rc = disk_path(path, err, "%s/%s", p->dir, name);

	if (rc < 0)
		return rc;
	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR && errno != EISDIR)
		return err_errno(err, "remove %s", path);
	drop_parents(p, name);
	return 0;
}

static int
write_head(const struct project *p, const struct refset *refs, struct err *err)
{
	struct buf b = BUF_MAX(8192);
	int rc;

	if (refset_head(refs) == NULL)
		return 0;
	buf_addf(&b, "ref: %s\n", refset_head(refs));
	rc = replace_file(p, "HEAD", buf_slice(&b), err);
	buf_release(&b);
	return rc;
}

/* All refs into packed-refs. */
static int
write_packed(const struct project *p, const struct refset *refs, struct err *err)
{
	struct buf b = BUF_MAX(PROJECT_PACKED_MAX);
	struct reflist list;
	int rc;

	buf_add_str(&b, "# pack-refs with: peeled fully-peeled sorted \n");
	refset_list(refs, &list);
	for (size_t i = 0; i < list.n; i++) {
		oid_add(&b, &list.items[i]->oid);
		buf_add_byte(&b, ' ');
		buf_add_str(&b, list.items[i]->name);
		buf_add_byte(&b, '\n');
		if (list.items[i]->peeled.len == 0)
			continue;
		buf_add_byte(&b, '^');
		oid_add(&b, &list.items[i]->peeled);
		buf_add_byte(&b, '\n');
	}
	rc = buf_ok(&b) ? replace_file(p, "packed-refs", buf_slice(&b), err)
			: err_set(err, ERR_TOO_BIG, "packed-refs of %s would pass %u bytes", p->dir,
				  PROJECT_PACKED_MAX);
	buf_release(&b);
	return rc;
}

static int
drop_loose_too(const char *name, const struct stat *st, void *arg, struct err *err)
{
	(void)st;
	if (slice_ends(slice_str(name), SLICE_LIT(".lock")))
		return 0; /* of a living process; project_check removes the others */
	return drop_loose(arg, name, err);
}

static int
pack_all(const struct project *p, const struct refset *refs, struct err *err)
{
	struct project to = *p;
	int rc = write_packed(p, refs, err);

	/* Only now: readers look for a loose file first, then into packed-refs. */
	return rc < 0 ? rc : project_files_walk(p->dir, drop_loose_too, &to, err);
}

/* Does packed-refs hold one of the deleted names? */
static int
packed_deleted(const struct project *p, const struct refset_change *c, size_t n, struct err *err)
{
	struct buf line = BUF_MAX(DISK_PATH);
	uint8_t *text = NULL;
	size_t len = 0;
	bool found = false;
	int rc = 0;

	for (size_t i = 0; !found && rc == 0 && i < n; i++) {
		if (!oid_is_zero(&c[i].oid))
			continue;
		if (text == NULL)
			rc = project_files_packed(&text, &len, p->dir, err);
		if (rc < 0)
			break;
		buf_clear(&line);
		buf_addf(&line, " %s\n", c[i].name);
		found = buf_ok(&line) && len > 0 && memmem(text, len, line.p, line.len) != NULL;
	}
	buf_release(&line);
	free(text);
	return rc < 0 ? rc : found;
}

/* A name that no file can have; packed-refs holds it all the same. */
static bool
is_too_long(const struct project *p, const char *name)
{
	size_t room = NAME_MAX - strlen(".lock");

	if (strlen(p->dir) + strlen(name) + sizeof("/.lock") > DISK_PATH)
		return true;
	for (const char *end = name; *end != 0; name = end + 1) {
		end = strchrnul(name, '/');
		if ((size_t)(end - name) > room)
			return true;
	}
	return false;
}

/* 1: loose files will not do. */
static int
wants_packing(const struct project *p, const struct refset_change *changes, size_t n,
	      struct err *err)
{
	if (n > PROJECT_LOOSE)
		return 1;
	for (size_t i = 0; i < n; i++) {
		if (is_too_long(p, changes[i].name))
			return 1;
	}
	return packed_deleted(p, changes, n, err);
}

int
project_write(const struct project *p, const struct refset *refs,
	      const struct refset_change *changes, size_t n, bool head, struct err *err)
{
	int rc = wants_packing(p, changes, n, err);

	if (rc == 1)
		rc = pack_all(p, refs, err);
	else if (rc == 0) {
		/* Deletes first: "a" may go and "a/b" come in one push. */
		for (size_t i = 0; rc == 0 && i < n; i++) {
			if (oid_is_zero(&changes[i].oid))
				rc = drop_loose(p, changes[i].name, err);
		}
		for (size_t i = 0; rc == 0 && i < n; i++) {
			if (!oid_is_zero(&changes[i].oid))
				rc = write_loose(p, &changes[i], err);
		}
	}
	if (rc == 0 && head)
		rc = write_head(p, refs, err);
	return rc;
}

/* What is wrong on disk, as changes to be made. */
struct findings {
	const struct project *p;
	const struct refset *refs;
	struct refset_change *changes; /* owned array; names borrowed */
	size_t n, cap;
};

static void
add_finding(struct findings *f, const char *name, const struct oid *is, const struct oid *want)
{
	if (f->n == f->cap) {
		f->cap = f->cap > 0 ? 2 * f->cap : 16;
		f->changes = mem_resize(f->changes, f->cap * sizeof(*f->changes));
	}
	f->changes[f->n++] = (struct refset_change){ name, *want };
	if (f->n <= 20)
		log_warn("-", "project.mend", "dir=%s ref=%s is=%s want=%s",
			 log_value(f->p->dir, strlen(f->p->dir)), log_value(name, strlen(name)),
			 is->len > 0 ? oid_text(is) : "absent",
			 want->len > 0 && !oid_is_zero(want) ? oid_text(want) : "absent");
}

/* Two sorted lists side by side. */
static void
compare(struct findings *f, const struct refset *disk)
{
	const struct oid none = OID_NONE;
	struct reflist want, have;
	size_t i = 0, k = 0;

	refset_list(f->refs, &want);
	refset_list(disk, &have);
	while (i < want.n || k < have.n) {
		int c = i == want.n   ? 1
			: k == have.n ? -1
				      : strcmp(want.items[i]->name, have.items[k]->name);

		if (c < 0)
			add_finding(f, want.items[i]->name, &none, &want.items[i]->oid);
		else if (c > 0)
			add_finding(f, have.items[k]->name, &have.items[k]->oid, &none);
		else if (!oid_eq(&want.items[i]->oid, &have.items[k]->oid))
			add_finding(f, want.items[i]->name, &have.items[k]->oid,
				    &want.items[i]->oid);
		i += c <= 0;
		k += c >= 0;
	}
}

static int
check_head(const struct project *p, const struct refset *refs, unsigned *mended, struct err *err)
{
	struct buf want = BUF_MAX(8192);
	char path[DISK_PATH];
	uint8_t *text;
	size_t n;
	int rc = disk_path(path, err, "%s/HEAD", p->dir);

	if (rc < 0 || refset_head(refs) == NULL)
		return rc;
	rc = disk_read(&text, &n, path, 8192, NULL);
	buf_addf(&want, "ref: %s\n", refset_head(refs));
	if (rc < 0 || !slice_eq(slice_of(text, n), buf_slice(&want))) {
		log_warn("-", "project.mend", "dir=%s ref=HEAD is=%s want=%s",
			 log_value(p->dir, strlen(p->dir)),
			 rc == 0 ? log_value(text, n) : err_name(rc), refset_head(refs));
		++*mended;
		/* It may be a symbolic link, which old gits used. */
		if (rc < 0)
			unlink(path);
		rc = write_head(p, refs, err);
	}
	free(text);
	buf_release(&want);
	return rc;
}

int
project_check(const struct project *p, const struct refset *refs, unsigned *mended, struct err *err)
{
	struct findings f = { .p = p, .refs = refs };
	struct project_files files = { .dir = p->dir, .born_ms = p->born_ms };
	unsigned wrong = 0;
	int rc;

	files.refs = refs;
	rc = project_files_read(&files, err);
	if (rc == 0) {
		compare(&f, files.found);
		wrong = (unsigned)f.n + files.removed;
		if (files.bad_packed) {
			wrong++;
			rc = pack_all(p, refs, err);
		}
		if (rc == 0 && f.n > 0)
			rc = project_write(p, refs, f.changes, f.n, false, err);
	}
	if (rc == 0)
		rc = check_head(p, refs, &wrong, err);
	if (mended != NULL)
		*mended = wrong;
	free(f.changes);
	refset_free(&files.found);
	return rc;
}
