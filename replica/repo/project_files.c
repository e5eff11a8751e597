#include "replica/repo/project_files.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/refname.h"
#include "replica/repo/disk.h"

#define DEPTH_MAX 600 /* folders in each other: a name has at most REFNAME_MAX bytes */

struct walk {
	const char *dir;
	project_files_fn *fn;
	void *arg;
	char name[DISK_PATH]; /* "refs/heads/..." */
};

static int walk_folder(struct walk *, size_t len, unsigned depth, struct err *);

static int
walk_entry(struct walk *w, size_t len, unsigned depth, struct err *err)
{
	char path[DISK_PATH];
	struct stat st;
	int rc = disk_path(path, err, "%s/%s", w->dir, w->name);

	if (rc < 0)
		return rc;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return walk_folder(w, len, depth + 1, err);
	return w->fn(w->name, &st, w->arg, err);
}

static int
walk_folder(struct walk *w, size_t len, unsigned depth, struct err *err)
{
	char path[DISK_PATH];
	struct dirent *e;
	DIR *d;
	int rc = disk_path(path, err, "%s/%s", w->dir, w->name);

	if (rc < 0)
		return rc;
	if (depth > DEPTH_MAX)
		return err_set(err, ERR_TOO_BIG, "%s: too many folders in each other", path);
	d = opendir(path);
	if (d == NULL)
		return errno == ENOENT ? 0 : err_errno(err, "open %s", path);
	while (rc == 0 && (e = readdir(d)) != NULL) {
		int n;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		n = snprintf(w->name + len, sizeof(w->name) - len, "/%s", e->d_name);
		if (n < 0 || (size_t)n >= sizeof(w->name) - len)
			rc = err_set(err, ERR_TOO_BIG, "%s: a name is too long", path);
		else
			rc = walk_entry(w, len + (size_t)n, depth, err);
	}
	w->name[len] = 0;
	closedir(d);
	return rc;
}

int
project_files_walk(const char *dir, project_files_fn *fn, void *arg, struct err *err)
{
	struct walk w = { .dir = dir, .fn = fn, .arg = arg };

	snprintf(w.name, sizeof(w.name), "refs");
	return walk_folder(&w, strlen(w.name), 0, err);
}

int
project_files_packed(uint8_t **text, size_t *len, const char *dir, struct err *err)
{
	char path[DISK_PATH];
	struct err why;
	int rc = disk_path(path, err, "%s/packed-refs", dir);

	*text = NULL;
	*len = 0;
	if (rc < 0)
		return rc;
	rc = disk_read(text, len, path, PROJECT_PACKED_MAX, &why);
	if (rc == ERR_NOT_FOUND)
		return 0;
	return rc < 0 ? err_set(err, rc, "%s", why.text) : 0;
}

/* The oid format is seen from what should be. */
static enum oid_format
format_of(const struct project_files *f)
{
	struct reflist list;

	refset_list(f->refs, &list);
	return list.format;
}

/* Is the peeled value in packed-refs the one that should be?  Only refs with the right value are
 * compared: the others are mended anyway. */
static bool
peel_is_right(const struct project_files *f, const char *name, const struct oid *value,
	      const struct oid *peeled)
{
	struct reflist list;
	const struct reflist_item *it;

	refset_list(f->refs, &list);
	it = reflist_find(&list, slice_str(name));
	return it == NULL || !oid_eq(&it->oid, value) || oid_eq(&it->peeled, peeled);
}

/* One "HEX NAME" line and the "^HEX" line that may follow. */
static void
read_packed_line(struct project_files *f, struct slice line, struct slice *rest)
{
	enum oid_format format = format_of(f);
	struct slice hex = slice_cut(&line, ' ');
	struct oid value, peeled = OID_NONE;
	struct refset_ref there;
	char *name;

	if (rest->len > 0 && rest->p[0] == '^') {
		struct slice p = slice_skip(slice_cut(rest, '\n'), 1);

		if (oid_parse(&peeled, p, format) < 0)
			f->bad_packed = true;
	}
	if (oid_parse(&value, hex, format) < 0 || refname_wrong(line) != NULL ||
	    !slice_begins(line, SLICE_LIT("refs/"))) {
		f->bad_packed = true;
		return;
	}
	name = mem_strndup(line.p, line.len);
	if (!peel_is_right(f, name, &value, &peeled))
		f->bad_packed = true;
	if (refset_get(f->found, name, &there))
		f->bad_packed = true;
	else
		refset_load(f->found, name, &(struct refset_ref){ value, oid_null(format), 0 },
			    NULL);
	free(name);
}

static int
read_packed(struct project_files *f, struct err *err)
{
	uint8_t *text;
	size_t len;
	struct slice rest;
	int rc = project_files_packed(&text, &len, f->dir, err);

	if (rc < 0)
		return rc;
	rest = slice_of(text, len);
	if (len > 0 && text[len - 1] != '\n')
		f->bad_packed = true; /* cut */
	while (rest.len > 0) {
		struct slice line = slice_cut(&rest, '\n');

		if (line.len > 0 && line.p[0] != '#')
			read_packed_line(f, line, &rest);
	}
	free(text);
	return 0;
}

static int
remove_stranger(struct project_files *f, const char *path, const char *why, struct err *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, "remove %s", path);
	if (++f->removed <= 20)
		log_warn("-", "project.stranger", "removed=%s why=%s",
			 log_value(path, strlen(path)), why);
	return 0;
}

static bool
read_loose(const char *path, enum oid_format format, struct oid *out)
{
	uint8_t *text;
	size_t len;
	bool good;

	if (disk_read(&text, &len, path, 256, NULL) < 0)
		return false;
	good = len > 0 && text[len - 1] == '\n' &&
	       oid_parse(out, slice_of(text, len - 1), format) == 0;
	free(text);
	return good;
}

static int
on_loose(const char *name, const struct stat *st, void *arg, struct err *err)
{
	struct project_files *f = arg;
	char path[DISK_PATH];
	struct oid value;
	int rc = disk_path(path, err, "%s/%s", f->dir, name);

	if (rc < 0)
		return rc;
	if (slice_ends(slice_str(name), SLICE_LIT(".lock")))
		return disk_mtime_ms(st) < f->born_ms
			       ? remove_stranger(f, path, "lock of a dead process", err)
			       : 0;
	if (!S_ISREG(st->st_mode) || refname_wrong(slice_str(name)) != NULL)
		return remove_stranger(f, path, "no ref", err);
	if (!read_loose(path, format_of(f), &value))
		return remove_stranger(f, path, "not readable as a ref", err);
	refset_set(f->found, name, &value, NULL, 0);
	return 0;
}

int
project_files_read(struct project_files *f, struct err *err)
{
	int rc;

	f->found = refset_new(format_of(f));
	f->removed = 0;
	f->bad_packed = false;
	rc = read_packed(f, err);
	return rc < 0 ? rc : project_files_walk(f->dir, on_loose, f, err);
}
