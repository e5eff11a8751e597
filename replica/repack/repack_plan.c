#include "replica/repack/repack_plan.h"

#include <stdlib.h>
#include <string.h>

#include "gitproto/base/mem.h"

/* Below this weight packs outside the multi-pack index are not worth a new one by themselves. */
#define INDEX_MIN (4u * 1024 * 1024)
#define COVER_PART 16u

static bool
is_ours(const struct packs *p, const enum catalog_pack_kind *kinds, size_t i)
{
	return kinds[i] != CATALOG_PACK_UNKNOWN && !p->v[i].keep;
}

static void
choose(struct repack_plan *out, const struct packs *p, const enum catalog_pack_kind *kinds,
       size_t min_packs)
{
	uint64_t *weights = mem_array(p->n, sizeof(*weights));
	size_t n = 0, k;

	for (size_t i = 0; i < p->n; i++)
		if (is_ours(p, kinds, i))
			weights[n++] = p->v[i].weight;
	k = packs_geometry(weights, n);
	free(weights);
	if (k < min_packs) {
		out->left = k;
		return;
	}
	for (size_t i = 0; k > 0; i++) {
		if (!is_ours(p, kinds, i))
			continue;
		out->merge[i] = true;
		out->weight += p->v[i].weight;
		k--;
	}
}

/* Which packs are heavy enough for the index, as they will stand. */
static void
choose_cover(struct repack_plan *plan, const struct packs *p, const enum catalog_pack_kind *kinds)
{
	uint64_t all = plan->weight, least = plan->weight;

	for (size_t i = 0; i < p->n; i++) {
		if (plan->merge[i] || kinds[i] == CATALOG_PACK_UNKNOWN)
			continue;
		all += p->v[i].weight;
		least = MAX(least, p->v[i].weight);
	}
	least = MIN(least, all / COVER_PART); /* the heaviest in any case */
	for (size_t i = 0; i < p->n; i++)
		plan->cover[i] = !plan->merge[i] && kinds[i] != CATALOG_PACK_UNKNOWN &&
				 p->v[i].weight >= least;
	plan->cover_made = plan->weight > 0 && plan->weight >= least;
}

static bool
needs_index(const struct repack_plan *plan, const struct packs *p)
{
	uint64_t in = 0, out = plan->cover_made ? plan->weight : 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct packs_item *it = &p->v[i];

		if (it->in_midx && plan->merge[i])
			return true;
		if (it->in_midx)
			in += it->weight;
		else if (plan->cover[i])
			out += it->weight;
	}
	return out >= INDEX_MIN ? out >= in : plan->weight > 0 && !p->midx;
}

void
repack_plan_make(struct repack_plan *out, const struct packs *p,
		 const enum catalog_pack_kind *kinds, size_t min_packs)
{
	memset(out, 0, sizeof(*out));
	out->merge = mem_array(p->n, sizeof(*out->merge));
	out->cover = mem_array(p->n, sizeof(*out->cover));
	choose(out, p, kinds, min_packs);
	choose_cover(out, p, kinds);
	out->index = needs_index(out, p);
}

void
repack_plan_release(struct repack_plan *plan)
{
	free(plan->merge);
	free(plan->cover);
	memset(plan, 0, sizeof(*plan));
}
