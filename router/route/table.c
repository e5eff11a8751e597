/* HOT: no allocation, no log line, no lock */
#include "router/route/table.h"

#include "gitproto/base/check.h"

void
table_set(struct table *t, const struct map *m, const struct directory *d)
{
	const struct map *old = t->map;

	t->map = map_ref(m);
	t->directory = d;
	if (old != NULL)
		map_unref(&old);
}

void
table_release(struct table *t)
{
	if (t->map != NULL)
		map_unref(&t->map);
	t->directory = NULL;
}

uint32_t
table_shard(const struct table *t, struct slice repo)
{
	CHECK(t->map != NULL);
	return directory_shard(t->directory, t->map, repo);
}

const uint32_t *
table_members(const struct table *t, uint32_t shard, uint32_t *n)
{
	CHECK(t->map != NULL);
	return map_members(t->map, shard, n);
}

uint64_t
table_version(const struct table *t)
{
	return t->map != NULL ? t->map->version : 0;
}
