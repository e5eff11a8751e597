#include "gitproto/base/check.h"
#include "replica/apply/apply_impl.h"

/* Only repositories of this shard exist for its records: a verdict is a function of one stream. */
static struct apply_repo *
find_here(struct apply_content_arg *c, const uint8_t id[16])
{
	struct apply_repo *r = apply_repo_find(c->a, id);

	return r != NULL && r->repo->shard == c->s->shard ? r : NULL;
}

static int
on_repo(const uint8_t id[RECORD_ID], uint8_t *oid_len, void *arg)
{
	const struct apply_repo *r = find_here(arg, id);

	if (r == NULL)
		return 0;
	*oid_len = (uint8_t)oid_size(r->repo->format);
	return 1;
}

static int
on_id_used(const uint8_t id[RECORD_ID], void *arg)
{
	struct apply_content_arg *c = arg;

	return catalog_id_used(c->a->catalog, c->s->shard, id, &c->err);
}

static int
on_path_taken(const char *path, void *arg)
{
	struct apply_content_arg *c = arg;
	struct repo *repo = repo_find(c->a->table, path);
	bool taken = repo != NULL && repo->shard == c->s->shard;

	repo_unref(&repo);
	return taken;
}

void
apply_content_ref(struct apply_repo *r, const char *name, struct oid *out)
{
	struct refset_ref ref;

	if (r->over == NULL || !refset_get(r->over, name, &ref))
		refset_get(r->repo->shared.refs, name, &ref);
	*out = ref.oid;
}

const char *
apply_content_head(struct apply_repo *r)
{
	return r->next_head != NULL ? r->next_head : r->head;
}

static int
on_ref(const uint8_t id[RECORD_ID], const char *name, struct record_oid *out, void *arg)
{
	struct apply_content_arg *c = arg;
	struct apply_repo *r = find_here(c, id);
	struct oid value;
	int rc;

	memset(out, 0, sizeof(*out));
	if (r == NULL)
		return 0;
	rc = apply_repo_load(c->a, r, &c->err);
	if (rc < 0)
		return rc;
	apply_content_ref(r, name, &value);
	out->len = value.len;
	memcpy(out->b, value.b, sizeof(out->b));
	return 0;
}

/* What the overlay knows hides what is visible. */
struct ignoring {
	const struct refset *over;
	bool (*ignore)(const char *name, void *arg);
	void *arg;
};

static bool
ignore_hidden(const char *name, void *arg)
{
	const struct ignoring *i = arg;
	struct refset_ref ref;

	if (i->over != NULL && refset_get(i->over, name, &ref))
		return true;
	return i->ignore != NULL && i->ignore(name, i->arg);
}

static int
on_ref_conflict(const uint8_t id[RECORD_ID], const char *name, bool (*ignore)(const char *, void *),
		void *ignore_arg, void *arg)
{
	struct apply_content_arg *c = arg;
	struct apply_repo *r = find_here(c, id);
	struct ignoring i = { NULL, ignore, ignore_arg };
	int rc;

	if (r == NULL)
		return 0;
	rc = apply_repo_load(c->a, r, &c->err);
	if (rc < 0)
		return rc;
	i.over = r->over;
	if (refset_conflict(r->repo->shared.refs, name, ignore_hidden, &i) != NULL)
		return 1;
	return r->over != NULL && refset_conflict(r->over, name, ignore, ignore_arg) != NULL;
}

struct verdict_content
apply_content(struct apply_content_arg *c)
{
	return (struct verdict_content){
		.repo = on_repo,
		.id_used = on_id_used,
		.path_taken = on_path_taken,
		.ref = on_ref,
		.ref_conflict = on_ref_conflict,
		.arg = c,
	};
}
