#include "replica/repo/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/fsio.h"
#include "replica/repo/disk.h"
#include "replica/repo/git_env.h"
#include "replica/repo/run.h"

#define CONFIG_MAX (1u << 20)
#define ID_HEX 32

struct layout {
	char *data, *hooks;  /* owned */
	struct git_env *env; /* owned; for git's own children */
};

/* The id in the folder as hex digits, "" when there is none. */
static void
read_id(char out[ID_HEX + 1], const char *dir)
{
	char path[DISK_PATH];
	uint8_t *p;
	size_t n;

	out[0] = 0;
	if (disk_path(path, NULL, "%s/" LAYOUT_ID, dir) < 0 ||
	    disk_read(&p, &n, path, 256, NULL) < 0)
		return;
	if (n >= ID_HEX && strspn((char *)p, "0123456789abcdef") == ID_HEX)
		memcpy(out, p, ID_HEX + 1);
	out[n >= ID_HEX ? ID_HEX : 0] = 0;
	free(p);
}

bool
layout_is(const char *dir, const uint8_t id[16])
{
	char have[ID_HEX + 1], want[ID_HEX + 1];

	read_id(have, dir);
	hex_encode(want, id, 16);
	return strcmp(have, want) == 0;
}

/* What every repository's config says beyond what git init writes.  Source of the quoting:
 * git-config(1), "Syntax". */
static void
add_config(struct buf *b, const char *hooks)
{
	buf_add_str(b, "[core]\n\thooksPath = \"");
	for (const char *p = hooks; *p != 0; p++) {
		if (*p == '"' || *p == '\\')
			buf_add_byte(b, '\\');
		buf_add_byte(b, (uint8_t)*p);
	}
	buf_add_str(b, "\"\n[receive]\n\tadvertisePushOptions = true\n"
		       "[uploadpack]\n\tallowFilter = true\n");
}

static int
extend_config(struct layout *l, const char *dir, struct err *err)
{
	struct buf b = BUF_MAX(CONFIG_MAX);
	char path[DISK_PATH];
	uint8_t *p = NULL;
	size_t n;
	int rc = disk_path(path, err, "%s/config", dir);

	if (rc == 0)
		rc = disk_read(&p, &n, path, CONFIG_MAX / 2, err);
	if (rc < 0)
		return rc;
	buf_add(&b, p, n);
	add_config(&b, l->hooks);
	free(p);
	rc = disk_replace(path, buf_slice(&b), err);
	buf_release(&b);
	return rc;
}

static int
make_extras(const char *dir, struct err *err)
{
	char path[DISK_PATH];
	int rc = disk_path(path, err, "%s/hooks", dir);

	if (rc == 0)
		rc = disk_mkdirs(path, err);
	if (rc == 0)
		rc = disk_path(path, err, "%s/info", dir);
	if (rc == 0)
		rc = disk_mkdirs(path, err);
	if (rc == 0)
		rc = disk_path(path, err, "%s/description", dir);
	return rc < 0 ? rc : disk_replace(path, SLICE_NONE, err);
}

/* Anew at each start: the installed git or the hooks directory may have changed. */
static int
make_template(struct layout *l, enum oid_format format, struct err *err)
{
	char dir[DISK_PATH], option[64];
	const char *argv[] = {
		"git", "init", "--quiet", "--bare", "--template=", option, "--initial-branch=main",
		dir,   NULL
	};
	int rc = disk_path(dir, err, "%s/templates/%s.git", l->data, oid_name(format));

	snprintf(option, sizeof(option), "--object-format=%s", oid_name(format));
	if (rc == 0)
		rc = fsio_remove_tree(dir, err);
	if (rc == 0)
		rc = run_git(argv, git_env_list(l->env), SLICE_NONE, NULL, err);
	if (rc == 0)
		rc = make_extras(dir, err);
	return rc < 0 ? rc : extend_config(l, dir, err);
}

static int
make_dirs(struct layout *l, struct err *err)
{
	static const char *const names[] = { "templates", "trash", "tmp" };
	char dir[DISK_PATH];
	int rc = disk_path(dir, err, "%s/tmp", l->data);

	if (rc == 0)
		rc = fsio_remove_tree(dir, err);
	for (size_t i = 0; rc == 0 && i < COUNT(names); i++) {
		rc = disk_path(dir, err, "%s/%s", l->data, names[i]);
		if (rc == 0)
			rc = disk_mkdirs(dir, err);
	}
	return rc;
}

int
layout_new(struct layout **out, const char *data, const char *home, const char *hooks,
	   struct err *err)
{
	struct layout *l = MEM_NEW(struct layout);
	int rc;

	l->data = mem_strdup(data);
	l->hooks = mem_strdup(hooks);
	l->env = git_env_new(GIT_ENV_PLAIN, home, hooks);
	rc = make_dirs(l, err);
	if (rc == 0)
		rc = make_template(l, OID_SHA1, err);
	if (rc == 0)
		rc = make_template(l, OID_SHA256, err);
	if (rc < 0)
		layout_free(&l);
	*out = l;
	return rc;
}

void
layout_free(struct layout **lp)
{
	struct layout *l = *lp;

	if (l == NULL)
		return;
	*lp = NULL;
	git_env_free(&l->env);
	free(l->data);
	free(l->hooks);
	free(l);
}

/* The folder above dir goes when it is empty; nobody else makes folders there (apply thread). */
static void
drop_owner(const char *dir)
{
	char owner[DISK_PATH];
	const char *slash = strrchr(dir, '/');

	if (slash != NULL && disk_path(owner, NULL, "%.*s", (int)(slash - dir), dir) == 0)
		rmdir(owner);
}

static int
move_dir(const char *from, const char *to, struct err *err)
{
	int rc;

	if (rename(from, to) < 0)
		return err_errno(err, "move %s to %s", from, to);
	FAULT("layout-moved");
	rc = disk_sync_parent(to, err);
	if (rc == 0)
		rc = disk_sync_parent(from, err);
	if (rc == 0)
		drop_owner(from);
	return rc;
}

/* Into the trash under its own id, or under `name` when it has none; a number makes it unique. */
static int
throw_away(struct layout *l, const char *dir, const char *name, struct err *err)
{
	char to[DISK_PATH];
	int rc = disk_path(to, err, "%s/trash/%s", l->data, name);

	for (unsigned i = 1; rc == 0 && access(to, F_OK) == 0; i++)
		rc = disk_path(to, err, "%s/trash/%s-%u", l->data, name, i);
	if (rc == 0)
		rc = move_dir(dir, to, err);
	/* The grace time counts from now. */
	if (rc == 0 && utimensat(AT_FDCWD, to, NULL, 0) < 0)
		rc = err_errno(err, "touch %s", to);
	return rc;
}

/* Nothing but this repository may lie at dir; 1: it does already. */
static int
make_way(struct layout *l, const char *dir, const uint8_t id[16], struct err *err)
{
	char other[ID_HEX + 1], name[2 * ID_HEX];

	if (access(dir, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (layout_is(dir, id))
		return 1;
	read_id(other, dir);
	hex_encode(name, id, 16);
	log_warn("-", "layout.stranger", "dir=%s holds=%s moved_to=trash",
		 log_value(dir, strlen(dir)), other[0] != 0 ? other : "unknown");
	if (other[0] != 0)
		return throw_away(l, dir, other, err);
	snprintf(name + ID_HEX, ID_HEX, "-stranger");
	return throw_away(l, dir, name, err);
}

static int
write_head(const char *dir, const char *head, struct err *err)
{
	struct buf b = BUF_MAX(8192);
	char path[DISK_PATH];
	int rc = disk_path(path, err, "%s/HEAD", dir);

	buf_addf(&b, "ref: %s\n", head);
	if (rc == 0 && unlink(path) < 0 && errno != ENOENT)
		rc = err_errno(err, "remove %s", path);
	if (rc == 0)
		rc = disk_write_new(path, buf_slice(&b), 0666, err);
	buf_release(&b);
	return rc;
}

static int
write_id(const char *dir, const char *hex, struct err *err)
{
	char path[DISK_PATH], line[ID_HEX + 2];
	int rc = disk_path(path, err, "%s/" LAYOUT_ID, dir);

	snprintf(line, sizeof(line), "%s\n", hex);
	return rc < 0 ? rc : disk_write_new(path, slice_str(line), 0444, err);
}

int
layout_create(struct layout *l, const char *dir, const uint8_t id[16], enum oid_format format,
	      const char *head, struct err *err)
{
	char temp[DISK_PATH], from[DISK_PATH], owner[DISK_PATH], hex[ID_HEX + 1];
	const char *slash = strrchr(dir, '/');
	int rc;

	hex_encode(hex, id, 16);
	rc = make_way(l, dir, id, err);
	if (rc == 1)
		return disk_sync_parent(dir, err);
	if (rc == 0)
		rc = disk_path(temp, err, "%s/tmp/%s.git", l->data, hex);
	if (rc == 0)
		rc = disk_path(from, err, "%s/templates/%s.git", l->data, oid_name(format));
	if (rc == 0)
		rc = disk_path(owner, err, "%.*s", (int)(slash - dir), dir);
	if (rc == 0)
		rc = fsio_remove_tree(temp, err);
	if (rc == 0)
		rc = disk_copy_tree(from, temp, err);
	if (rc == 0)
		rc = write_head(temp, head, err);
	if (rc == 0)
		rc = write_id(temp, hex, err);
	if (rc == 0)
		rc = disk_sync_dir(temp, err);
	if (rc == 0)
		rc = disk_mkdirs(owner, err);
	if (rc < 0)
		return rc;
	if (rename(temp, dir) < 0)
		return err_errno(err, "move %s to %s", temp, dir);
	FAULT("layout-moved");
	return disk_sync_dir(owner, err);
}

int
layout_move(struct layout *l, const char *from, const char *to, const uint8_t id[16],
	    struct err *err)
{
	char owner[DISK_PATH];
	const char *slash = strrchr(to, '/');
	int rc = make_way(l, to, id, err);

	if (rc == 1)
		return disk_sync_parent(to, err);
	if (rc == 0)
		rc = disk_path(owner, err, "%.*s", (int)(slash - to), to);
	if (rc == 0)
		rc = disk_mkdirs(owner, err);
	return rc < 0 ? rc : move_dir(from, to, err);
}

int
layout_trash(struct layout *l, const char *dir, const uint8_t id[16], struct err *err)
{
	char hex[ID_HEX + 1];

	if (!layout_is(dir, id))
		return 0;
	hex_encode(hex, id, 16);
	return throw_away(l, dir, hex, err);
}

/* Is this the name of what a dead git child may leave?  Sources: git's tempfile.c, tmp-objdir.c,
 * receive-pack (lock_file of a pack). */
static bool
is_leftover(const char *dir, const char *name)
{
	struct slice s = slice_str(name), d = slice_str(dir);

	if (slice_ends(s, SLICE_LIT(".lock")))
		return true;
	if (slice_ends(d, SLICE_LIT("/objects")))
		return slice_begins(s, SLICE_LIT("tmp_objdir-")) ||
		       slice_begins(s, SLICE_LIT("incoming-"));
	if (slice_ends(d, SLICE_LIT("/objects/pack")))
		return slice_begins(s, SLICE_LIT("tmp_")) || slice_begins(s, SLICE_LIT(".tmp-")) ||
		       slice_ends(s, SLICE_LIT(".keep"));
	return false;
}

/* A .keep of receive-pack says so ("receive-pack PID on HOST"); an operator's does not. */
static bool
is_keep_of_push(const char *dir, const char *name)
{
	struct slice begin = SLICE_LIT("receive-pack ");
	char path[DISK_PATH];
	uint8_t *p;
	size_t n;
	bool is;

	if (!slice_ends(slice_str(name), SLICE_LIT(".keep")) ||
	    disk_path(path, NULL, "%s/%s", dir, name) < 0 ||
	    disk_read(&p, &n, path, CONFIG_MAX, NULL) < 0)
		return false;
	is = slice_begins(slice_of(p, n), begin);
	free(p);
	return is;
}

/* The same for children of this very process. */
static bool
is_of_push(const char *dir, const char *name)
{
	struct slice s = slice_str(name), d = slice_str(dir);

	if (slice_ends(d, SLICE_LIT("/objects")))
		return slice_begins(s, SLICE_LIT("tmp_objdir-incoming-")) ||
		       slice_begins(s, SLICE_LIT("incoming-"));
	return is_keep_of_push(dir, name);
}

typedef bool leftover_fn(const char *dir, const char *name);

static void
mend_entry(const char *dir, const char *name, uint64_t born_ms, leftover_fn *is)
{
	char path[DISK_PATH];
	struct stat st;
	struct err err;

	if (!is(dir, name) || disk_path(path, NULL, "%s/%s", dir, name) < 0)
		return;
	if (lstat(path, &st) < 0 || disk_mtime_ms(&st) >= born_ms)
		return;
	if (fsio_remove_tree(path, &err) < 0)
		log_warn("-", "layout.leftover", "path=%s why=%s", path, err.text);
	else
		log_info("-", "layout.leftover", "removed=%s", log_value(path, strlen(path)));
}

static void
mend_dir(const char *dir, const char *below, uint64_t born_ms, leftover_fn *is)
{
	char path[DISK_PATH];
	struct dirent *e;
	DIR *d;

	if (disk_path(path, NULL, "%s%s", dir, below) < 0 || (d = opendir(path)) == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		mend_entry(path, e->d_name, born_ms, is);
	closedir(d);
}

/* Does the config name our hooks, in either way of writing it? */
static bool
names_hooks(struct layout *l, const char *config)
{
	struct buf b = BUF_MAX(CONFIG_MAX), plain = BUF_MAX(CONFIG_MAX);
	bool found;

	add_config(&b, l->hooks);
	*strchr((char *)b.p + strlen("[core]\n"), '\n') = 0;
	buf_addf(&plain, "\thooksPath = %s\n", l->hooks);
	found = strstr(config, (char *)b.p + strlen("[core]\n")) != NULL ||
		strstr(config, buf_str(&plain)) != NULL;
	buf_release(&b);
	buf_release(&plain);
	return found;
}

static int
mend_config(struct layout *l, const char *dir, struct err *err)
{
	char path[DISK_PATH];
	const char *argv[] = { "git", "config", "--file", path, "core.hooksPath", l->hooks, NULL };
	uint8_t *p;
	size_t n;
	bool good;
	int rc = disk_path(path, err, "%s/config", dir);

	if (rc == 0)
		rc = disk_read(&p, &n, path, CONFIG_MAX, err);
	if (rc < 0)
		return rc;
	good = names_hooks(l, (char *)p);
	free(p);
	if (good)
		return 0;
	log_warn("-", "layout.config", "dir=%s core.hooksPath=mended", log_value(dir, strlen(dir)));
	return run_git(argv, git_env_list(l->env), SLICE_NONE, NULL, err);
}

int
layout_mend(struct layout *l, const char *dir, uint64_t born_ms, struct err *err)
{
	mend_dir(dir, "", born_ms, is_leftover);
	mend_dir(dir, "/objects", born_ms, is_leftover);
	mend_dir(dir, "/objects/pack", born_ms, is_leftover);
	mend_dir(dir, "/objects/info", born_ms, is_leftover);
	return mend_config(l, dir, err);
}

void
layout_mend_pushes(const char *dir, uint64_t since_ms)
{
	mend_dir(dir, "/objects", since_ms, is_of_push);
	mend_dir(dir, "/objects/pack", since_ms, is_of_push);
}

/* Pushes have such files in their quarantines only. */
static bool
is_of_repack(const char *dir UNUSED, const char *name)
{
	return slice_begins(slice_str(name), SLICE_LIT("tmp_")) ||
	       slice_ends(slice_str(name), SLICE_LIT(".lock"));
}

void
layout_mend_repack(const char *dir)
{
	mend_dir(dir, "/objects/pack", UINT64_MAX, is_of_repack);
	mend_dir(dir, "/objects/info", UINT64_MAX, is_of_repack);
	mend_dir(dir, "/objects/info/commit-graphs", UINT64_MAX, is_of_repack);
}

int
layout_empty_trash(struct layout *l, int64_t grace_sec, struct err *err)
{
	int64_t now = (int64_t)(clock_wall_ms() / 1000);
	char dir[DISK_PATH], path[DISK_PATH] = "";
	struct dirent *e;
	struct stat st;
	bool found = false;
	DIR *d;
	int rc = disk_path(dir, err, "%s/trash", l->data);

	if (rc < 0)
		return rc;
	d = opendir(dir);
	if (d == NULL)
		return err_errno(err, "open %s", dir);
	while (!found && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || disk_path(path, NULL, "%s/%s", dir, e->d_name) < 0)
			continue;
		found = lstat(path, &st) == 0 && st.st_mtime + grace_sec < now;
	}
	closedir(d);
	if (!found)
		return 0;
	log_info("-", "layout.trash", "removed=%s", log_value(path, strlen(path)));
	rc = fsio_remove_tree(path, err);
	return rc < 0 ? rc : 1;
}
