/* The exchange of several packs of a repository for one: what only the engine may do, which alone knows
 * where the folder is and what effective records named. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/fsio.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/log.h"
#include "replica/apply/apply_impl.h"

/* A pack may have these beside it; git looks for them by the name of the pack. */
static const char *const ends[] = { ".idx", ".rev", ".bitmap", ".pack" };

static int
find(struct apply *a, const struct apply_roll *roll, struct apply_repo **out, struct err *err)
{
	struct apply_repo *r = apply_repo_find(a, roll->id);

	*out = r;
	if (r == NULL || r->gone || r->lost)
		return err_set(err, ERR_NOT_FOUND, "the repository is gone");
	if (r->in_batch || r->was_path != NULL || r->why != NULL || !LIST_EMPTY(&r->needs))
		return err_set(err, ERR_CONFLICT, "it waits for packs, or is quarantined");
	return 0;
}

static int
tell_kinds(struct apply *a, const struct apply_roll *roll, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < roll->n; i++)
		rc = catalog_pack_kind(a->catalog, roll->id, roll->names[i], &roll->kinds[i], err);
	return rc;
}

/* One change of the catalog for each name, all or none. */
static int
note(struct apply *a, const struct apply_roll *roll, const char *const *names, size_t n,
     int (*change)(struct catalog *, const uint8_t id[16], const char *, struct err *),
     struct err *err)
{
	int rc = catalog_begin(a->catalog, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = change(a->catalog, roll->id, names[i], err);
	return catalog_end(a->catalog, rc, err);
}

static int
take_name(const char *dir, const struct apply_roll *roll, const char *end, struct err *err)
{
	char from[DISK_PATH], to[DISK_PATH];
	int rc = disk_path(from, err, "%s%s", roll->from, end);

	if (rc == 0)
		rc = disk_path(to, err, "%s/pack-%s%s", dir, roll->made, end);
	if (rc < 0)
		return rc;
	/* A pack of this name has these very bytes: git names it by them. */
	if (link(from, to) < 0 && errno != EEXIST)
		return err_errno(err, "link %s", to);
	return 0;
}

static int
bring_in(struct apply *a, struct apply_repo *r, const struct apply_roll *roll, struct err *err)
{
	char dir[DISK_PATH];
	int rc = apply_pack_dir(a, r, dir, err);

	if (rc == 0)
		rc = note(a, roll, &roll->made, 1, catalog_put_made, err);
	if (rc == 0)
		rc = take_name(dir, roll, ".pack", err);
	FAULT("roll-in");
	if (rc == 0)
		rc = take_name(dir, roll, ".idx", err);
	return rc < 0 ? rc : disk_sync_dir(dir, err);
}

struct keep {
	const char *idx; /* "DIR/pack-NAME.idx" */
	char dir[DISK_PATH];
	bool any;
};

static int
keep_idx(const uint8_t sha256[32], void *arg, struct err *err)
{
	struct keep *k = arg;
	char path[DISK_PATH], hex[65];
	int rc = 0;

	hex_encode(hex, sha256, 32);
	if (!k->any)
		rc = disk_mkdirs(k->dir, err);
	if (rc == 0)
		rc = disk_path(path, err, "%s/%s.idx", k->dir, hex);
	if (rc < 0)
		return rc;
	k->any = true;
	if (link(k->idx, path) < 0 && errno != EEXIST)
		return err_errno(err, "link %s", path);
	return 0;
}

/* What members may ask for later stays known by its index. */
static int
keep_all(struct apply *a, const char *dir, const struct apply_roll *roll, struct err *err)
{
	struct keep k = { .any = false };
	char idx[DISK_PATH], hex[33];
	int rc;

	hex_encode(hex, roll->id, 16);
	rc = disk_path(k.dir, err, "%s/" APPLY_ROLLED "/%s", a->data, hex);
	for (size_t i = 0; rc == 0 && i < roll->n; i++) {
		rc = disk_path(idx, err, "%s/pack-%s.idx", dir, roll->names[i]);
		k.idx = idx;
		if (rc == 0)
			rc = catalog_staged_packs(a->catalog, roll->id, roll->names[i], keep_idx,
						  &k, err);
	}
	return rc == 0 && k.any ? disk_sync_dir(k.dir, err) : rc;
}

/* Index first: what has none is no pack to git. */
static int
remove_pack(const char *dir, const char *name, struct err *err)
{
	char path[DISK_PATH];

	for (size_t i = 0; i < COUNT(ends); i++) {
		int rc = disk_path(path, err, "%s/pack-%s%s", dir, name, ends[i]);

		if (rc < 0)
			return rc;
		if (unlink(path) < 0 && errno != ENOENT)
			return err_errno(err, "remove %s", path);
		FAULT("roll-out");
	}
	return 0;
}

static int
take_out(struct apply *a, struct apply_repo *r, const struct apply_roll *roll, struct err *err)
{
	char dir[DISK_PATH], path[DISK_PATH];
	int rc = apply_pack_dir(a, r, dir, err);

	if (rc == 0)
		rc = disk_path(path, err, "%s/pack-%s.idx", dir, roll->made);
	if (rc == 0 && disk_size(path) <= 0)
		rc = err_set(err, ERR_CONFLICT, "the new pack %s is not there", roll->made);
	if (rc == 0)
		rc = keep_all(a, dir, roll, err);
	for (size_t i = 0; rc == 0 && i < roll->n; i++)
		rc = remove_pack(dir, roll->names[i], err);
	/* It has some of them open, and would look for others by an older multi-pack index. */
	peel_forget(a->peel, roll->id);
	if (rc == 0)
		rc = disk_sync_dir(dir, err);
	if (rc == 0)
		rc = note(a, roll, roll->names, roll->n, catalog_drop_made, err);
	return rc;
}

void
apply_roll_forget(struct apply *a, const uint8_t id[16])
{
	char dir[DISK_PATH], hex[33];
	struct err err = { 0 };

	hex_encode(hex, id, 16);
	if (disk_path(dir, NULL, "%s/" APPLY_ROLLED "/%s", a->data, hex) == 0 &&
	    fsio_remove_tree(dir, &err) < 0)
		log_warn("-", "apply.rolled", "why=%s", err.text);
}

void
apply_roll_step(struct apply *a, const struct apply_command *c)
{
	struct err err = { 0 };
	struct apply_repo *r;
	int rc = find(a, c->roll, &r, &err);

	if (rc == 0 && c->step == APPLY_ROLL_KINDS)
		rc = tell_kinds(a, c->roll, &err);
	else if (rc == 0 && c->step == APPLY_ROLL_IN)
		rc = bring_in(a, r, c->roll, &err);
	else if (rc == 0)
		rc = take_out(a, r, c->roll, &err);
	c->roll->done(rc, &err, c->roll->arg);
}
