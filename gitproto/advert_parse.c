#include "gitproto/advert_parse.h"

#include "gitproto/base/check.h"
#include "gitproto/caps.h"
#include "gitproto/grow.h"

#define CAPS_MAX 65536 /* bytes; a v0 list fits one packet, a v2 list is far shorter */

void
advert_release(struct advert *a)
{
	for (size_t i = 0; i < a->n; i++)
		free((char *)a->items[i].name);
	free(a->items);
	free(a->head_target);
	buf_release(&a->caps);
	memset(a, 0, sizeof(*a));
}

/* What a parse in progress knows. */
struct parse {
	struct advert *out;
	size_t cap, max_refs;
	unsigned lines; /* of the advertisement itself, "# service" and "version" apart */
	struct err *err;
};

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "no memory for an advertisement");
}

static int
refuse_line(struct parse *p, struct slice line)
{
	return err_set(p->err, ERR_BAD, "bad line in an advertisement: '%.*s'",
		       SLICE_ARG(slice_head(line, 200)));
}

static int
keep_text(char **out, struct parse *p, struct slice s)
{
	*out = mem_try_text(s.p, s.len);
	return *out == NULL ? no_memory(p->err) : 0;
}

/* "HEAD:refs/heads/main" of the symref that is HEAD's */
static int
take_symref(struct parse *p, struct slice value)
{
	const struct slice head = SLICE_LIT("HEAD:");

	if (!slice_begins(value, head) || p->out->head_target != NULL)
		return 0;
	return keep_text(&p->out->head_target, p, slice_skip(value, head.len));
}

static int
take_caps(struct parse *p, struct slice caps)
{
	struct caps_item item;
	int rc = 0;

	buf_add_slice(&p->out->caps, caps);
	if (!buf_ok(&p->out->caps))
		return no_memory(p->err);
	while (rc == 0 && caps_next(&item, &caps)) {
		if (slice_eq_str(item.name, "symref"))
			rc = take_symref(p, item.value);
		else if (slice_eq_str(item.name, "object-format") &&
			 !oid_name_parse(&p->out->format, item.value))
			rc = err_set(p->err, ERR_UNSUPPORTED, "unknown object format '%.*s'",
				     SLICE_ARG(slice_head(item.value, 40)));
	}
	return rc;
}

static int
take_ref(struct parse *p, const struct oid *oid, struct slice name)
{
	const struct slice mark = SLICE_LIT("^{}");
	struct advert *a = p->out;
	char *text;
	void *more;
	int rc;

	if (slice_eq_str(name, "HEAD")) {
		a->head = *oid;
		return 0;
	}
	if (slice_ends(name, mark)) {
		name.len -= mark.len;
		if (a->n > 0 && slice_eq_str(name, a->items[a->n - 1].name))
			a->items[a->n - 1].peeled = *oid;
		return 0;
	}
	if (a->n == p->max_refs)
		return err_set(p->err, ERR_TOO_BIG, "an advertisement of more than %zu refs",
			       p->max_refs);
	more = grow_try(a->items, &p->cap, a->n, sizeof(*a->items));
	if (more == NULL)
		return no_memory(p->err);
	a->items = more;
	rc = keep_text(&text, p, name);
	if (rc == 0)
		a->items[a->n++] = (struct reflist_item){ text, *oid, OID_NONE };
	return rc;
}

static int
take_line(struct parse *p, struct slice line)
{
	struct slice caps, name = line, hex;
	struct oid oid;
	bool first = p->lines++ == 0;
	int rc = 0;

	if (slice_begins(line, SLICE_LIT("ERR ")))
		return err_set(p->err, ERR_REFUSED, "%.*s",
			       SLICE_ARG(slice_head(slice_skip(line, 4), 400)));
	caps = caps_split(&name);
	if (first)
		rc = take_caps(p, caps);
	if (rc < 0)
		return rc;
	if (slice_begins(name, SLICE_LIT("shallow ")))
		return 0;
	hex = slice_cut(&name, ' ');
	if (name.len == 0 || oid_parse(&oid, hex, p->out->format) < 0)
		return refuse_line(p, line);
	if (first && slice_eq_str(name, "capabilities^{}")) {
		p->out->said_caps_when_empty = true;
		return 0;
	}
	return slice_eq_str(name, ".have") ? 0 : take_ref(p, &oid, name);
}

static int
take_v2_line(struct parse *p, struct slice line)
{
	struct buf *caps = &p->out->caps;
	struct caps_item item = caps_line(line);

	if (slice_find(line, '\0') >= 0 || slice_find(line, '\n') >= 0)
		return refuse_line(p, line);
	if (caps->len > 0)
		buf_add_byte(caps, '\n');
	buf_add_slice(caps, line);
	if (slice_eq_str(item.name, "object-format") &&
	    !oid_name_parse(&p->out->format, item.value))
		return err_set(p->err, ERR_UNSUPPORTED, "unknown object format '%.*s'",
			       SLICE_ARG(slice_head(item.value, 40)));
	return buf_ok(caps) ? 0 : no_memory(p->err);
}

/* The next packet at *at, which moves on: 1, 0 (wants more), ERR_BAD. */
static int
next_packet(struct pktline *out, struct slice in, size_t *at, struct err *err)
{
	struct slice rest = slice_skip(in, *at);
	ssize_t n = pktline_parse(out, rest);

	if (n < 0)
		return pktline_refuse(rest, err);
	*at += (size_t)n;
	return n > 0;
}

/* "# service=..." and its flush, which may be missing; *at moves behind them. */
static int
take_service(struct parse *p, struct slice in, size_t *at)
{
	const struct slice head = SLICE_LIT("# service=");
	struct pktline line;
	size_t to = *at;
	int rc = next_packet(&line, in, &to, p->err);

	if (rc <= 0 || line.kind != PKTLINE_DATA || !slice_begins(line.data, head))
		return rc;
	if (!service_parse(&p->out->service, slice_skip(pktline_text(&line), head.len)))
		return refuse_line(p, line.data);
	rc = next_packet(&line, in, &to, p->err);
	if (rc <= 0)
		return rc;
	if (line.kind != PKTLINE_FLUSH)
		return refuse_line(p, line.data);
	*at = to;
	return 1;
}

static int
take_packet(struct parse *p, const struct pktline *line)
{
	struct advert *a = p->out;
	struct slice text = pktline_text(line);

	if (line->kind != PKTLINE_DATA)
		return refuse_line(p, SLICE_LIT("a delimiter"));
	if (p->lines == 0 && a->version == VERSION_0 && slice_eq_str(text, "version 1")) {
		a->version = VERSION_1;
		return 0;
	}
	if (p->lines == 0 && a->version == VERSION_0 && slice_eq_str(text, "version 2")) {
		a->version = VERSION_2;
		return 0;
	}
	return a->version == VERSION_2 ? take_v2_line(p, text) : take_line(p, text);
}

ssize_t
advert_parse(struct advert *out, struct slice in, size_t max_refs, struct err *err)
{
	struct parse p = { out, 0, max_refs, 0, err };
	struct pktline line;
	size_t at = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	buf_init(&out->caps, CAPS_MAX);
	rc = take_service(&p, in, &at);
	while (rc > 0) {
		rc = next_packet(&line, in, &at, err);
		if (rc <= 0)
			break;
		if (line.kind == PKTLINE_FLUSH)
			return (ssize_t)at;
		rc = take_packet(&p, &line);
		rc = rc < 0 ? rc : 1;
	}
	advert_release(out);
	return rc;
}
