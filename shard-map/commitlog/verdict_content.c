/* The content half of verdict.h: is what a record in order wants possible at this offset?
 * What a name or a path may be is fixed here for record format version 1, for ever: gitproto's own
 * check may grow stricter, a verdict may not. */
#include "shard-map/commitlog/verdict.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/mutant.h"

#define COMPONENT_MAX 255 /* bytes of one component of a path */

static int
dead(struct err *why, int code, const char *what, const char *name)
{
	err_set(why, code, "%s%s%s", what, name[0] != '\0' ? ": " : "", name);
	return VERDICT_DEAD;
}

/* "owner/name": two components, no control bytes, no ASCII upper case, not "." or "..". */
static bool
is_path(const char *path)
{
	const char *slash = strchr(path, '/');
	size_t owner = slash != NULL ? (size_t)(slash - path) : 0, name;

	if (slash == NULL || strchr(slash + 1, '/') != NULL)
		return false;
	name = strlen(slash + 1);
	if (owner == 0 || name == 0 || owner > COMPONENT_MAX || name > COMPONENT_MAX)
		return false;
	for (const char *c = path; *c != '\0'; c++)
		if ((uint8_t)*c <= ' ' || *c == 0x7f || (*c >= 'A' && *c <= 'Z') || *c == '\\')
			return false;
	for (const char *c = path; c != NULL; c = c == path ? slash + 1 : NULL) {
		size_t n = c == path ? owner : name;

		if ((n == 1 && c[0] == '.') || (n == 2 && c[0] == '.' && c[1] == '.'))
			return false;
	}
	return true;
}

/* git check-ref-format, below "refs/". */
static bool
is_ref_name(const char *s)
{
	char before = '/';

	if (strncmp(s, "refs/", 5) != 0 || strlen(s) > RECORD_NAME_MAX)
		return false;
	for (const char *c = s; *c != '\0'; before = *c++) {
		if ((uint8_t)*c <= ' ' || *c == 0x7f || strchr("~^:?*[\\", *c) != NULL)
			return false;
		if ((before == '/' && (*c == '/' || *c == '.')) || (before == '.' && *c == '.') ||
		    (before == '@' && *c == '{'))
			return false;
		if (*c == '/' && c - s >= 5 && memcmp(c - 5, ".lock", 5) == 0)
			return false;
	}
	return before != '/' && before != '.' && strcmp(s + strlen(s) - 5, ".lock") != 0;
}

/* The refs of one update in the order of their names. */
struct sorted {
	const struct record_ref **r;
	size_t n;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(const struct record_ref *const *)a)->name,
		      (*(const struct record_ref *const *)b)->name);
}

/* The ref whose name is the first len bytes of name; NULL when the update has none. */
static const struct record_ref *
find_head(const struct sorted *s, const char *name, size_t len)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = slice_cmp(slice_str(s->r[mid]->name), slice_of(name, len));

		if (c == 0)
			return s->r[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool
is_deleted(const char *name, void *arg)
{
	const struct record_ref *f = find_head(arg, name, strlen(name));

	return f != NULL && record_oid_is_zero(&f->new);
}

/* A name of this update that stays and is a directory of `name`. */
static bool
has_file_on_the_way(const struct sorted *s, const char *name)
{
	for (const char *c = strchr(name, '/'); c != NULL; c = strchr(c + 1, '/')) {
		const struct record_ref *f = find_head(s, name, (size_t)(c - name));

		if (f != NULL && !record_oid_is_zero(&f->new))
			return true;
	}
	return false;
}

static int
check_ref(const struct record_update *u, const struct record_ref *f, struct sorted *all,
	  const struct verdict_content *content, struct err *why)
{
	struct record_oid now = { 0, { 0 } };
	bool absent;
	int rc;

	if (!is_ref_name(f->name))
		return dead(why, ERR_BAD, "not a ref name", f->name);
	rc = content->ref(u->id, f->name, &now, content->arg);
	if (rc < 0)
		return rc;
	absent = record_oid_is_zero(&now);
	if ((absent ? !record_oid_is_zero(&f->old) : !record_oid_eq(&now, &f->old)) &&
	    !MUTANT(NO_COMPARE))
		return dead(why, ERR_CONFLICT, "the ref was changed by another push", f->name);
	if (record_oid_is_zero(&f->new))
		return VERDICT_EFFECTIVE;
	if (has_file_on_the_way(all, f->name))
		return dead(why, ERR_CONFLICT, "another ref of this push is in the way of",
			    f->name);
	if (!absent)
		return VERDICT_EFFECTIVE; /* it exists: nothing can be in its way */
	rc = content->ref_conflict(u->id, f->name, is_deleted, all, content->arg);
	if (rc < 0)
		return rc;
	return rc == 0 ? (int)VERDICT_EFFECTIVE
		       : dead(why, ERR_CONFLICT, "an existing ref is in the way of", f->name);
}

static int
check_refs(const struct record_update *u, struct sorted *all, const struct verdict_content *content,
	   struct err *why)
{
	for (size_t i = 0; i < u->n_refs; i++)
		all->r[i] = &u->refs[i];
	qsort(all->r, all->n, sizeof(*all->r), by_name);
	for (size_t i = 1; i < all->n; i++)
		if (strcmp(all->r[i - 1]->name, all->r[i]->name) == 0)
			return dead(why, ERR_BAD, "a ref is named twice", all->r[i]->name);
	for (size_t i = 0; i < u->n_refs; i++) {
		int v = check_ref(u, &u->refs[i], all, content, why);

		if (v != VERDICT_EFFECTIVE)
			return v;
	}
	return VERDICT_EFFECTIVE;
}

/* 1: a repository with this id lives; *v is the verdict otherwise. */
static bool
is_alive(const uint8_t id[RECORD_ID], uint8_t *oid_len, const struct verdict_content *content,
	 int *v, struct err *why)
{
	int rc = content->repo(id, oid_len, content->arg);

	if (rc == 0)
		*v = dead(why, ERR_NOT_FOUND, "the repository does not exist any more", "");
	else if (rc < 0)
		*v = rc;
	return rc > 0;
}

static int
check_update(const struct verdict_state *s, const struct record *r,
	     const struct verdict_content *content, struct err *why)
{
	const struct record_update *u = &r->update;
	const struct record_ref *few[16]; /* the common push allocates nothing */
	struct sorted all = { few, u->n_refs };
	uint8_t oid_len = 0;
	int v;

	if (!is_alive(u->id, &oid_len, content, &v, why))
		return v;
	if (u->oid_len != oid_len)
		return dead(why, ERR_BAD, "the repository has another object format", "");
	if (u->config != s->config && !MUTANT(UPDATE_WITHOUT_CONFIG))
		return dead(why, ERR_CONFLICT, "the members of the shard changed meanwhile", "");
	if (u->head != NULL && !is_ref_name(u->head))
		return dead(why, ERR_BAD, "HEAD cannot point at", u->head);
	if (all.n > COUNT(few)) {
		all.r = mem_try_alloc(all.n * sizeof(*all.r));
		if (all.r == NULL)
			return err_set(why, ERR_NOMEM, "no memory for %zu refs", all.n);
	}
	v = check_refs(u, &all, content, why);
	if (all.r != few)
		free(all.r);
	return v;
}

static int
check_new_path(const char *path, const struct verdict_content *content, struct err *why)
{
	int rc;

	if (!is_path(path))
		return dead(why, ERR_BAD, "not a repository path (owner/name, lower case)", path);
	rc = content->path_taken(path, content->arg);
	if (rc < 0)
		return rc;
	return rc == 0 ? (int)VERDICT_EFFECTIVE
		       : dead(why, ERR_EXISTS, "a repository of this name exists", path);
}

static int
check_create(const struct record *r, const struct verdict_content *content, struct err *why)
{
	const struct record_create *c = &r->create;
	int rc = content->id_used(c->id, content->arg);

	if (rc < 0)
		return rc;
	if (rc > 0)
		return dead(why, ERR_EXISTS, "this repository id was given before", "");
	if (!is_ref_name(c->head))
		return dead(why, ERR_BAD, "HEAD cannot point at", c->head);
	return check_new_path(c->path, content, why);
}

int
verdict_content(const struct verdict_state *s, const struct record *r,
		const struct verdict_content *content, struct err *why)
{
	uint8_t oid_len;
	int v = VERDICT_EFFECTIVE;

	switch (r->type) {
	case RECORD_UPDATE:
		return check_update(s, r, content, why);
	case RECORD_CREATE:
		return check_create(r, content, why);
	case RECORD_DELETE:
		(void)is_alive(r->del.id, &oid_len, content, &v, why);
		return v;
	case RECORD_META:
		(void)is_alive(r->meta.id, &oid_len, content, &v, why);
		return v;
	case RECORD_RENAME:
		if (!is_alive(r->rename.id, &oid_len, content, &v, why))
			return v;
		return check_new_path(r->rename.path, content, why);
	default: /* says nothing of repositories */
		return VERDICT_EFFECTIVE;
	}
}
