/* HOT: no allocation, no log line, no lock */
#include "router/back/status_line.h"

/* The next word, without the blank behind it; empty at the end. */
static struct slice
next_word(struct slice *s)
{
	return slice_cut(s, ' ');
}

/* Decimal digits alone, at most max. */
static bool
read_number(uint64_t *out, struct slice s, uint64_t max)
{
	uint64_t v = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t d = (uint64_t)s.p[i] - '0';

		if (s.p[i] < '0' || s.p[i] > '9' || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return v <= max;
}

static bool
read_u32(uint32_t *out, struct slice s)
{
	uint64_t v;

	if (!read_number(&v, s, UINT32_MAX))
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool
read_node(struct status_line *l, struct slice s)
{
	struct slice id;

	if (!read_u32(&l->node, next_word(&s)))
		return false;
	id = next_word(&s);
	if (id.len == 0 || id.len >= sizeof(l->incarnation))
		return false;
	memcpy(l->incarnation, id.p, id.len);
	return true;
}

static bool
read_map(struct status_line *l, struct slice s)
{
	return read_number(&l->map, next_word(&s), UINT64_MAX);
}

static bool
read_role(enum status_line_role *out, struct slice s)
{
	static const char *const words[] = {
		[STATUS_LINE_PRIMARY] = "primary",
		[STATUS_LINE_FOLLOWER] = "follower",
		[STATUS_LINE_LEARNER] = "learner",
		[STATUS_LINE_HALTED] = "halted",
	};

	for (unsigned i = 0; i < COUNT(words); i++)
		if (slice_eq_str(s, words[i])) {
			*out = (enum status_line_role)i;
			return true;
		}
	return false;
}

static bool
read_primary(uint32_t *out, struct slice s)
{
	if (slice_eq_str(s, "-")) {
		*out = 0;
		return true;
	}
	return read_u32(out, s) && *out != 0;
}

static bool
read_shard(struct status_line *l, struct slice s)
{
	struct status_line_shard *d = &l->shard;

	return read_u32(&d->shard, next_word(&s)) && read_role(&d->role, next_word(&s)) &&
	       read_number(&d->epoch, next_word(&s), UINT64_MAX) &&
	       read_primary(&d->primary, next_word(&s)) &&
	       read_number(&d->position, next_word(&s), UINT64_MAX) &&
	       read_number(&d->applied, next_word(&s), UINT64_MAX);
}

static bool
read_nothing(struct status_line *l, struct slice s)
{
	(void)l;
	(void)s;
	return true;
}

static const struct {
	const char *word;
	enum status_line_kind kind;
	bool (*read)(struct status_line *, struct slice);
} kinds[] = {
	{ "beat", STATUS_LINE_BEAT, read_nothing },
	{ "shard", STATUS_LINE_SHARD, read_shard },
	{ "node", STATUS_LINE_NODE, read_node },
	{ "map", STATUS_LINE_MAP, read_map },
};

ssize_t
status_line_parse(struct status_line *out, struct slice in)
{
	ssize_t at = slice_find(slice_head(in, STATUS_LINE_MAX), '\n');
	struct slice line, word;

	if (at < 0)
		return in.len < STATUS_LINE_MAX ? 0 : ERR_BAD;
	*out = (struct status_line){ .kind = STATUS_LINE_OTHER };
	line = slice_head(in, (size_t)at);
	word = next_word(&line);
	for (unsigned i = 0; i < COUNT(kinds); i++) {
		if (!slice_eq_str(word, kinds[i].word))
			continue;
		out->kind = kinds[i].kind;
		if (!kinds[i].read(out, line))
			return ERR_BAD;
	}
	return at + 1;
}
