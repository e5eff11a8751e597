/* replica/serve/push_check.c - may this ref move so?  git checks nothing of this for refs that
 * proc-receive takes, so all of it is here; the words are git's own where git has words. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "gitproto/refname.h"
#include "replica/serve/push_impl.h"

void
push_refuse_ref(struct push_ref *r, const char *fmt, ...)
{
	va_list ap;

	if (r->why != NULL)
		return; /* the first reason stays */
	va_start(ap, fmt);
	if (vasprintf(&r->why_text, fmt, ap) < 0)
		r->why_text = NULL;
	va_end(ap);
	r->why = r->why_text != NULL ? r->why_text : "out of memory";
}

bool
push_all_refused(const struct push *p)
{
	for (size_t i = 0; i < p->n_refs; i++)
		if (p->refs[i].why == NULL)
			return false;
	return p->n_refs > 0;
}

void
push_free_refs(struct push *p)
{
	for (size_t i = 0; i < p->n_refs; i++) {
		free(p->refs[i].name);
		free(p->refs[i].why_text);
	}
	free(p->refs);
	p->refs = NULL;
	p->n_refs = 0;
	buf_release(&p->say);
}

static int
by_name(const void *a, const void *b)
{
	const struct push_ref *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The push's refs in the order of their names, so that one can be found by name. */
struct names {
	struct push_ref **sorted; /* owned */
	size_t n;
};

static void
sort_names(struct names *s, struct push *p)
{
	s->n = p->n_refs;
	s->sorted = mem_array(s->n, sizeof(*s->sorted));
	for (size_t i = 0; i < s->n; i++)
		s->sorted[i] = &p->refs[i];
	qsort(s->sorted, s->n, sizeof(*s->sorted), by_name);
}

static struct push_ref *
find_name(const struct names *s, const char *name)
{
	struct push_ref key = { .name = (char *)(uintptr_t)name }, *k = &key, **got;

	got = bsearch(&k, s->sorted, s->n, sizeof(*s->sorted), by_name);
	return got != NULL ? *got : NULL;
}

/* Is this ref, which stands in the way, deleted by the push itself? */
static bool
deleted_here(const char *name, void *arg)
{
	const struct push_ref *r = find_name(arg, name);

	return r != NULL && r->why == NULL && oid_is_zero(&r->new);
}

static void
check_twice(struct push *p, const struct names *s)
{
	for (size_t i = 1; i < s->n; i++)
		if (strcmp(s->sorted[i - 1]->name, s->sorted[i]->name) == 0) {
			push_refuse_ref(s->sorted[i - 1], "multiple updates for ref");
			push_refuse_ref(s->sorted[i], "multiple updates for ref");
		}
	(void)p;
}

static void
say_lock(struct buf *say, const char *name, const char *why)
{
	buf_addf(say, "error: cannot lock ref '%s': %s\n", name, why);
}

/* Against the values of this moment. */
static void
check_value(struct push_ref *r, const struct refset *refs, struct buf *say)
{
	struct refset_ref now = { 0 };
	bool known = refset_get(refs, r->name, &now);
	bool lives = known && !oid_is_zero(&now.oid);
	const char *head = refset_head(refs);
	char why[256];

	if (oid_is_zero(&r->new) && oid_is_zero(&r->old) && !lives) {
		r->done = true; /* deleting what is not there is ok (stock behaviour) */
		return;
	}
	/* A repeated push: the state is what it asked for, and came from where it began. */
	if (known && (oid_is_zero(&r->new) ? !lives : oid_eq(&r->new, &now.oid)) &&
	    (oid_is_zero(&r->old) ? oid_is_zero(&now.before) : oid_eq(&r->old, &now.before))) {
		r->done = true;
		return;
	}
	if (oid_is_zero(&r->old) ? lives : !lives || !oid_eq(&r->old, &now.oid)) {
		if (!lives)
			snprintf(why, sizeof(why), "unable to resolve reference '%s'", r->name);
		else if (oid_is_zero(&r->old))
			snprintf(why, sizeof(why), "reference already exists");
		else
			snprintf(why, sizeof(why), "is at %s but expected %s", oid_text(&now.oid),
				 oid_text(&r->old));
		say_lock(say, r->name, why);
		push_refuse_ref(r, "failed to update ref");
		return;
	}
	if (oid_eq(&r->old, &r->new)) {
		r->done = true;
		return;
	}
	if (oid_is_zero(&r->new) && head != NULL && strcmp(head, r->name) == 0) {
		buf_addf(say, "error: refusing to delete the current branch: %s\n", r->name);
		push_refuse_ref(r, "deletion of the current branch prohibited");
	}
}

static void
check_conflict(struct push_ref *r, const struct refset *refs, struct names *s, struct buf *say)
{
	const char *other;
	char why[2400], parent[REFNAME_MAX + 1];
	size_t len = strlen(r->name);

	if (r->why != NULL || r->done || oid_is_zero(&r->new) || !oid_is_zero(&r->old))
		return;
	other = refset_conflict(refs, r->name, deleted_here, s);
	/* A new ref of the same push on the way to this one. */
	for (size_t i = 0; other == NULL && i < len && len <= REFNAME_MAX; i++) {
		const struct push_ref *up;

		if (r->name[i] != '/')
			continue;
		memcpy(parent, r->name, i);
		parent[i] = '\0';
		up = find_name(s, parent);
		if (up != NULL && up->why == NULL && !oid_is_zero(&up->new))
			other = up->name;
	}
	if (other == NULL)
		return;
	snprintf(why, sizeof(why), "'%s' exists; cannot create '%s'", other, r->name);
	say_lock(say, r->name, why);
	push_refuse_ref(r, "failed to update ref");
}

static void
refuse_rest(struct push *p)
{
	bool any = false;

	for (size_t i = 0; i < p->n_refs && p->atomic; i++)
		any = any || p->refs[i].why != NULL;
	for (size_t i = 0; i < p->n_refs && any; i++)
		push_refuse_ref(&p->refs[i], "atomic push failure");
}

bool
push_check(struct push *p, struct buf *say)
{
	struct names s;
	struct err err;
	bool ok;

	sort_names(&s, p);
	for (size_t i = 0; i < p->n_refs; i++) {
		p->refs[i].done = false;
		if (p->refs[i].why == NULL &&
		    refname_check(slice_str(p->refs[i].name), &err) != 0) {
			buf_addf(say, "error: refusing to create funny ref '%s' remotely\n",
				 p->refs[i].name);
			push_refuse_ref(&p->refs[i], "funny refname");
		}
	}
	check_twice(p, &s);
	pthread_mutex_lock(&p->repo->shared.lock);
	ok = p->repo->shared.refs != NULL && !p->repo->shared.deleted &&
	     !p->repo->shared.quarantined && p->repo->shared.missing == 0;
	for (size_t i = 0; ok && i < p->n_refs; i++)
		if (p->refs[i].why == NULL)
			check_value(&p->refs[i], p->repo->shared.refs, say);
	for (size_t i = 0; ok && i < p->n_refs; i++)
		check_conflict(&p->refs[i], p->repo->shared.refs, &s, say);
	pthread_mutex_unlock(&p->repo->shared.lock);
	free(s.sorted);
	if (ok)
		refuse_rest(p);
	return ok;
}
