/* gitproto/caps.h - capability lists: "a b=c d".  Thread: any.
 * In v0 and v1 the list stands behind a NUL in the first line; in v2 every line is one capability.
 * Words are cut at white space as git does; the first of two equal names counts. */
#ifndef GITPROTO_CAPS_H
#define GITPROTO_CAPS_H

#include "gitproto/base/slice.h"

struct caps_item {
	struct slice name;
	struct slice value; /* p NULL: no "=" */
};

/* Takes the next capability off *list; false at the end. */
bool caps_next(struct caps_item *out, struct slice *list);
bool caps_has(struct slice list, const char *name);
/* false: not there.  A capability without "=" gives a slice whose p is NULL. */
bool caps_get(struct slice *value, struct slice list, const char *name);

/* Cuts *line at its first NUL and returns what stands behind: the list (empty without a NUL). */
struct slice caps_split(struct slice *line);

/* One v2 line, "fetch=shallow wait-for-done": all that follows the first "=" is the value. */
struct caps_item caps_line(struct slice line);

#endif
