#include "replica/repo/peel.h"

#include <git2/common.h>
#include <git2/errors.h>
#include <git2/global.h>
#include <git2/odb.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "replica/repo/disk.h"
#include "replica/repo/git_env.h"
#include "replica/repo/run.h"

/* Descriptors of packs that libgit2 may keep; without it, one for every pack it ever looked into. */
#define MAX_PACKS_OPEN 128
#define MAX_DEPTH 1000 /* tags of tags; hostile chains end there, unpeeled */

struct opened {
	TAILQ_ENTRY(opened) next;
	uint8_t id[16];
	git_odb *odb;
};

struct peel {
	TAILQ_HEAD(opened_list, opened) open; /* the last used first */
	unsigned n;
	struct git_env *env; /* owned */
};

struct peel *
peel_new(const char *home, const char *hooks)
{
	struct peel *p = MEM_NEW(struct peel);

	CHECK(git_libgit2_init() > 0);
	CHECK(git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, (size_t)MAX_PACKS_OPEN) == 0);
	TAILQ_INIT(&p->open);
	p->env = git_env_new(GIT_ENV_PLAIN, home, hooks);
	return p;
}

static void
close_odb(struct peel *p, struct opened *o)
{
	TAILQ_REMOVE(&p->open, o, next);
	p->n--;
	git_odb_free(o->odb);
	free(o);
}

void
peel_free(struct peel **pp)
{
	struct peel *p = *pp;

	if (p == NULL)
		return;
	*pp = NULL;
	while (!TAILQ_EMPTY(&p->open))
		close_odb(p, TAILQ_FIRST(&p->open));
	git_env_free(&p->env);
	git_libgit2_shutdown();
	free(p);
}

static struct opened *
find_open(struct peel *p, const uint8_t id[16])
{
	struct opened *o;

	TAILQ_FOREACH (o, &p->open, next) {
		if (memcmp(o->id, id, 16) == 0)
			return o;
	}
	return NULL;
}

void
peel_forget(struct peel *p, const uint8_t id[16])
{
	struct opened *o = find_open(p, id);

	if (o != NULL)
		close_odb(p, o);
}

static int
git2_error(const char *what, const char *dir, struct err *err)
{
	const git_error *e = git_error_last();

	return err_set(err, ERR_IO, "%s of %s: %s", what, dir, e != NULL ? e->message : "unknown");
}

static int
open_odb(git_odb **out, struct peel *p, const uint8_t id[16], const char *dir, struct err *err)
{
	struct opened *o = find_open(p, id);
	char objects[DISK_PATH];
	git_odb *odb;
	int rc;

	if (o != NULL) {
		TAILQ_REMOVE(&p->open, o, next);
		TAILQ_INSERT_HEAD(&p->open, o, next);
		*out = o->odb;
		return 0;
	}
	rc = disk_path(objects, err, "%s/objects", dir);
	if (rc < 0)
		return rc;
	if (git_odb_open(&odb, objects) < 0)
		return git2_error("objects", dir, err);
	if (p->n >= PEEL_OPEN)
		close_odb(p, TAILQ_LAST(&p->open, opened_list));
	o = MEM_NEW(struct opened);
	memcpy(o->id, id, sizeof(o->id));
	o->odb = odb;
	TAILQ_INSERT_HEAD(&p->open, o, next);
	p->n++;
	*out = odb;
	return 0;
}

/* The first line of a tag object: "object HEX".  Source: gitformat-object, "git help mktag". */
static bool
parse_tag(git_odb_object *tag, struct oid *target)
{
	struct slice s = slice_of(git_odb_object_data(tag), git_odb_object_size(tag));

	if (!slice_begins(s, SLICE_LIT("object ")))
		return false;
	return oid_parse(target, slice_head(slice_skip(s, 7), 40), OID_SHA1) == 0;
}

/* One step from a tag to what it names. */
static int
read_tag(git_odb *odb, struct oid *at, const char *dir, struct err *err)
{
	git_odb_object *tag;
	git_oid id;
	int rc = 0;

	memcpy(id.id, at->b, sizeof(id.id));
	if (git_odb_read(&tag, odb, &id) < 0)
		return git2_error("a tag", dir, err);
	if (!parse_tag(tag, at))
		rc = err_set(err, ERR_CORRUPT, "tag %s of %s cannot be read", oid_text(at), dir);
	git_odb_object_free(tag);
	return rc;
}

static int
peel_one(git_odb *odb, struct peel_item *it, const char *dir, struct err *err)
{
	struct oid at = it->oid;
	git_object_t type;
	git_oid id;
	size_t len;
	int rc;

	it->peeled = OID_NONE;
	it->missing = false;
	for (unsigned i = 0; i < MAX_DEPTH; i++) {
		memcpy(id.id, at.b, sizeof(id.id));
		rc = git_odb_read_header(&len, &type, odb, &id);
		if (rc == GIT_ENOTFOUND) {
			it->missing = true;
			return 0;
		}
		if (rc < 0)
			return git2_error("an object", dir, err);
		if (type != GIT_OBJECT_TAG) {
			if (i > 0)
				it->peeled = at;
			return 0;
		}
		rc = read_tag(odb, &at, dir, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Lines of cat-file, in the order of the items: "HEX TYPE", or "HEX^{} missing". */
static int
read_lines(struct slice s, struct peel_item *items, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct slice line = slice_cut(&s, '\n');
		struct slice hex = slice_cut(&line, ' ');
		struct oid got;

		items[i].peeled = OID_NONE;
		items[i].missing = slice_eq_str(line, "missing");
		if (items[i].missing)
			continue;
		if (oid_parse(&got, hex, OID_SHA256) < 0)
			return err_set(err, ERR_CORRUPT, "git cat-file answered '%.*s'",
				       SLICE_ARG(slice_head(hex, 80)));
		if (!oid_eq(&got, &items[i].oid))
			items[i].peeled = got;
	}
	return 0;
}

static int
ask_git(struct peel *p, const char *dir, struct peel_item *items, size_t n, struct err *err)
{
	char option[DISK_PATH + 16];
	const char *argv[] = { "git", option, "cat-file",
			       "--batch-check=%(objectname) %(objecttype)", NULL };
	struct buf in = BUF_MAX(n * (OID_HEX_SIZE + 4)), out = BUF_MAX(n * (OID_HEX_SIZE + 16) + 1);
	int rc;

	snprintf(option, sizeof(option), "--git-dir=%s", dir);
	for (size_t i = 0; i < n; i++) {
		oid_add(&in, &items[i].oid);
		buf_add_str(&in, "^{}\n");
	}
	CHECK(buf_ok(&in));
	rc = run_git(argv, git_env_list(p->env), buf_slice(&in), &out, err);
	if (rc == 0)
		rc = read_lines(buf_slice(&out), items, n, err);
	buf_release(&in);
	buf_release(&out);
	return rc;
}

int
peel_run(struct peel *p, const uint8_t id[16], const char *dir, enum oid_format format,
	 struct peel_item *items, size_t n, struct err *err)
{
	git_odb *odb;
	int rc;

	if (n == 0)
		return 0;
	if (format == OID_SHA256)
		return ask_git(p, dir, items, n, err);
	rc = open_odb(&odb, p, id, dir, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = peel_one(odb, &items[i], dir, err);
	return rc;
}
