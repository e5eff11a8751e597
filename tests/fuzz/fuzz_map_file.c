/* The text of a map: what is accepted keeps all invariants, and is written as text that says the
 * same. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/base/check.h"
#include "shard-map/map_check.h"
#include "shard-map/map_file.h"

static void
check_map(const struct map *m)
{
	struct buf text = BUF_MAX(MAP_FILE_MAX), second = BUF_MAX(MAP_FILE_MAX);
	const struct map *again = NULL;
	struct err err = { 0 };

	CHECK(map_check(m, &err) == 0);
	for (uint32_t s = 0; s < m->nshards; s++) {
		uint32_t n;
		const uint32_t *member = map_members(m, s, &n);

		for (uint32_t i = 0; i < n; i++)
			CHECK(map_node(m, member[i]) != NULL);
	}
	if (m->format > MAP_FORMAT)
		return;
	CHECK(map_file_format(&text, m, &err) == 0);
	CHECK(map_file_parse(&again, buf_slice(&text), &err) == 0);
	CHECK(map_file_format(&second, again, &err) == 0);
	CHECK(slice_eq(buf_slice(&text), buf_slice(&second)));
	map_unref(&again);
	buf_release(&text);
	buf_release(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct map *m = NULL;
	struct err err = { 0 };

	if (map_file_parse(&m, slice_of(data, size), &err) == 0)
		check_map(m);
	else
		CHECK(m == NULL && err.text[0] != '\0');
	map_unref(&m);
	return 0;
}
