#include "gitproto/reflist.h"

size_t
reflist_lower(const struct reflist *l, struct slice name)
{
	size_t from = 0, to = l->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (slice_cmp(slice_str(l->items[mid]->name), name) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

const struct reflist_item *
reflist_find(const struct reflist *l, struct slice name)
{
	size_t at = reflist_lower(l, name);

	if (at == l->n || !slice_eq_str(name, l->items[at]->name))
		return NULL;
	return l->items[at];
}

bool
reflist_head(const struct reflist *l, struct reflist_item *out)
{
	const struct reflist_item *target;

	if (l->head_target == NULL) {
		*out = (struct reflist_item){ "HEAD", l->head_detached, OID_NONE };
		return l->head_detached.len > 0;
	}
	target = reflist_find(l, slice_str(l->head_target));
	if (target == NULL)
		return false;
	*out = (struct reflist_item){ "HEAD", target->oid, target->peeled };
	return true;
}
