#include "gitproto/refname.h"

/* Why a byte may not stand in a name; NULL when it may. */
static const char *
judge_byte(uint8_t c)
{
	if (c < 0x20 || c == 0x7f)
		return "a control byte";
	switch (c) {
	case ' ':
		return "a blank";
	case '*':
	case ':':
	case '?':
	case '[':
	case '\\':
	case '^':
	case '~':
		return "one of : ? [ \\ ^ ~ *";
	}
	return NULL;
}

static const char *
judge_component(struct slice c)
{
	uint8_t last = 0;

	if (c.len == 0)
		return "an empty component";
	if (c.p[0] == '.')
		return "a component that begins with a dot";
	if (slice_ends(c, SLICE_LIT(".lock")))
		return "a component that ends with .lock";
	for (size_t i = 0; i < c.len; i++) {
		const char *why = judge_byte(c.p[i]);

		if (why != NULL)
			return why;
		if (c.p[i] == '.' && last == '.')
			return "two dots";
		if (c.p[i] == '{' && last == '@')
			return "@{";
		last = c.p[i];
	}
	return NULL;
}

const char *
refname_wrong(struct slice name)
{
	unsigned components = 0;
	struct slice rest = name;

	if (name.len == 0)
		return "it is empty";
	if (name.p[name.len - 1] == '/')
		return "an empty component";
	while (rest.len > 0) {
		const char *why = judge_component(slice_cut(&rest, '/'));

		if (why != NULL)
			return why;
		components++;
	}
	if (name.p[name.len - 1] == '.')
		return "a dot at the end";
	return components < 2 ? "only one level" : NULL;
}

static bool
fits_disk(struct slice name)
{
	while (name.len > 0)
		if (slice_cut(&name, '/').len > REFNAME_COMPONENT_MAX)
			return false;
	return true;
}

int
refname_check(struct slice name, struct err *err)
{
	struct slice refs = SLICE_LIT("refs/"), internal = SLICE_LIT(REFNAME_INTERNAL);
	const char *why;

	/* git's own words first, which scripts may look for */
	if (!slice_begins(name, refs))
		return err_set(err, ERR_BAD, "funny refname (not below refs/)");
	why = refname_wrong(slice_skip(name, refs.len));
	if (why != NULL)
		return err_set(err, ERR_BAD, "funny refname (%s)", why);
	if (name.len > REFNAME_MAX || !fits_disk(name))
		return err_set(err, ERR_BAD, "funny refname (over %d bytes, or %d in a component)",
			       REFNAME_MAX, REFNAME_COMPONENT_MAX);
	if (slice_begins(name, internal) || slice_eq(name, slice_head(internal, internal.len - 1)))
		return err_set(err, ERR_REFUSED, "%s is reserved", REFNAME_INTERNAL);
	return 0;
}

bool
refname_is_dir_of(struct slice dir, struct slice name)
{
	return name.len > dir.len && name.p[dir.len] == '/' && slice_begins(name, dir);
}
