#include "gitproto/ls_refs.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

static int
compare_slices(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;

	return slice_cmp(*x, *y);
}

/* Sorted, and without those that begin with another one: what matches is then disjoint ranges. */
static void
order_prefixes(struct ls_refs *l)
{
	size_t kept = 0;

	qsort(l->prefixes, l->n_prefixes, sizeof(*l->prefixes), compare_slices);
	for (size_t i = 0; i < l->n_prefixes; i++)
		if (kept == 0 || !slice_begins(l->prefixes[i], l->prefixes[kept - 1]))
			l->prefixes[kept++] = l->prefixes[i];
	l->n_prefixes = kept;
}

int
ls_refs_parse(struct ls_refs *out, const struct v2_request *r, bool allow_unborn, struct err *err)
{
	const struct slice prefix = SLICE_LIT("ref-prefix ");
	size_t n = v2_request_count(r);

	CHECK(r->command == V2_REQUEST_LS_REFS);
	memset(out, 0, sizeof(*out));
	out->prefixes = mem_try_alloc((n > 0 ? n : 1) * sizeof(*out->prefixes));
	if (out->prefixes == NULL)
		return err_set(err, ERR_NOMEM, "no memory for the arguments of ls-refs");
	for (size_t i = 0; i < n; i++) {
		struct slice arg = v2_request_arg(r, i);

		if (slice_eq_str(arg, "peel")) {
			out->peel = true;
		} else if (slice_eq_str(arg, "symrefs")) {
			out->symrefs = true;
		} else if (slice_eq_str(arg, "unborn")) {
			out->unborn = allow_unborn;
		} else if (slice_begins(arg, prefix)) {
			out->prefixes[out->n_prefixes++] = slice_skip(arg, prefix.len);
		} else {
			ls_refs_release(out);
			return err_set(err, ERR_BAD, "unexpected line: '%.*s'",
				       SLICE_ARG(slice_head(arg, 200)));
		}
	}
	if (out->n_prefixes >= LS_REFS_PREFIXES)
		out->n_prefixes = 0;
	order_prefixes(out);
	return 0;
}

void
ls_refs_release(struct ls_refs *l)
{
	free(l->prefixes);
	memset(l, 0, sizeof(*l));
}

/* One line; ref->oid of length 0: unborn.  target: of a symbolic ref, or NULL. */
static void
add_ref(struct buf *b, const struct ls_refs *l, const struct reflist_item *ref, const char *target)
{
	size_t at = pktline_begin(b);

	if (ref->oid.len > 0)
		oid_add(b, &ref->oid);
	else
		buf_add_str(b, "unborn");
	buf_add_byte(b, ' ');
	buf_add_str(b, ref->name);
	if (l->symrefs && target != NULL) {
		buf_add_str(b, " symref-target:");
		buf_add_str(b, target);
	}
	if (l->peel && ref->peeled.len > 0) {
		buf_add_str(b, " peeled:");
		oid_add(b, &ref->peeled);
	}
	buf_add_byte(b, '\n');
	pktline_end(b, at);
}

static void
add_head(struct buf *b, const struct ls_refs *l, const struct reflist *refs)
{
	struct reflist_item head = { "HEAD", OID_NONE, OID_NONE };
	bool matches = l->n_prefixes == 0;

	for (size_t i = 0; i < l->n_prefixes && !matches; i++)
		matches = slice_begins(SLICE_LIT("HEAD"), l->prefixes[i]);
	if (!matches)
		return;
	if (!reflist_head(refs, &head)) {
		if (!l->unborn || !l->symrefs || refs->head_target == NULL)
			return;
		head = (struct reflist_item){ "HEAD", OID_NONE, OID_NONE };
	}
	add_ref(b, l, &head, refs->head_target);
}

void
ls_refs_write(struct buf *b, const struct ls_refs *l, const struct reflist *refs)
{
	add_head(b, l, refs);
	for (size_t i = 0; i < refs->n && l->n_prefixes == 0; i++)
		add_ref(b, l, refs->items[i], NULL);
	for (size_t p = 0; p < l->n_prefixes; p++)
		for (size_t i = reflist_lower(refs, l->prefixes[p]);
		     i < refs->n && slice_begins(slice_str(refs->items[i]->name), l->prefixes[p]);
		     i++)
			add_ref(b, l, refs->items[i], NULL);
	pktline_add_flush(b);
}
