#include "gitproto/caps.h"

static bool
is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct caps_item
caps_line(struct slice line)
{
	ssize_t at = slice_find(line, '=');

	if (at < 0)
		return (struct caps_item){ line, SLICE_NONE };
	return (struct caps_item){ slice_head(line, (size_t)at), slice_skip(line, (size_t)at + 1) };
}

bool
caps_next(struct caps_item *out, struct slice *list)
{
	size_t from = 0, to;

	while (from < list->len && is_space(list->p[from]))
		from++;
	if (from == list->len)
		return false;
	for (to = from; to < list->len && !is_space(list->p[to]);)
		to++;
	*out = caps_line(slice_of(list->p + from, to - from));
	*list = slice_skip(*list, to);
	return true;
}

bool
caps_get(struct slice *value, struct slice list, const char *name)
{
	struct slice want = slice_str(name);
	struct caps_item item;

	while (caps_next(&item, &list)) {
		if (!slice_eq(item.name, want))
			continue;
		*value = item.value;
		return true;
	}
	return false;
}

bool
caps_has(struct slice list, const char *name)
{
	struct slice value;

	return caps_get(&value, list, name);
}

struct slice
caps_split(struct slice *line)
{
	struct slice caps = *line;

	*line = slice_cut(&caps, '\0');
	return slice_cut(&caps, '\0');
}
