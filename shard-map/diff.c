#include "shard-map/diff.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

static void
add(struct diff *d, uint32_t shard, uint32_t node, enum diff_kind kind)
{
	size_t *count = kind == DIFF_JOIN    ? &d->joins
			: kind == DIFF_LEAVE ? &d->leaves
					     : &d->prefers;

	/* Doubling whenever the count is a power of two. */
	if ((d->n & (d->n - 1)) == 0)
		d->rows = mem_resize(d->rows, (d->n > 0 ? 2 * d->n : 16) * sizeof(*d->rows));
	d->rows[d->n++] = (struct diff_row){ shard, node, kind };
	++*count;
}

static int
by_place(const void *a, const void *b)
{
	const struct diff_row *x = a, *y = b;

	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return (x->node > y->node) - (x->node < y->node);
}

void
diff_make(struct diff *out, const struct map *from, const struct map *to)
{
	CHECK(from->nshards == to->nshards);
	*out = (struct diff){ 0 };
	for (uint32_t s = 0; s < to->nshards; s++) {
		uint32_t n_old, n_new;
		const uint32_t *old = map_members(from, s, &n_old);
		const uint32_t *new = map_members(to, s, &n_new);

		for (uint32_t i = 0; i < n_new; i++)
			if (!map_is_member(from, s, new[i]))
				add(out, s, new[i], DIFF_JOIN);
		for (uint32_t i = 0; i < n_old; i++)
			if (!map_is_member(to, s, old[i]))
				add(out, s, old[i], DIFF_LEAVE);
		if (n_new > 0 && (n_old == 0 || new[0] != old[0]))
			add(out, s, new[0], DIFF_PREFER);
	}
	if (out->n > 0)
		qsort(out->rows, out->n, sizeof(*out->rows), by_place);
}

void
diff_release(struct diff *d)
{
	free(d->rows);
	*d = (struct diff){ 0 };
}
