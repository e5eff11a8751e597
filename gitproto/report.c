#include "gitproto/report.h"

#include "gitproto/base/check.h"
#include "gitproto/grow.h"

/* A text in a line: what would end the line or the text becomes a blank. */
static void
add_clean(struct buf *b, const char *text)
{
	size_t n = strlen(text);
	uint8_t *to = buf_grow(b, n);

	if (to == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		to[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : (uint8_t)text[i];
}

/* "word text LF" or "word text more LF" */
static void
add_line(struct buf *b, const char *word, const char *text, const char *more)
{
	size_t at = pktline_begin(b);

	buf_add_str(b, word);
	add_clean(b, text);
	if (more != NULL) {
		buf_add_byte(b, ' ');
		add_clean(b, more);
	}
	buf_add_byte(b, '\n');
	pktline_end(b, at);
}

void
report_add_unpack(struct buf *b, const char *why)
{
	add_line(b, "unpack ", why != NULL ? why : "ok", NULL);
}

void
report_add_ref(struct buf *b, const struct report_ref *r, bool v2)
{
	if (r->why != NULL) {
		add_line(b, "ng ", r->name, r->why);
		return;
	}
	add_line(b, "ok ", r->name, NULL);
	if (!v2)
		return;
	if (r->fall_through)
		add_line(b, "option ", "fall-through", NULL);
	if (r->refname != NULL)
		add_line(b, "option refname ", r->refname, NULL);
	if (r->old_oid.len > 0)
		add_line(b, "option old-oid ", oid_text(&r->old_oid), NULL);
	if (r->new_oid.len > 0)
		add_line(b, "option new-oid ", oid_text(&r->new_oid), NULL);
	if (r->forced_update)
		add_line(b, "option ", "forced-update", NULL);
}

void
report_add_end(struct buf *b)
{
	pktline_add_flush(b);
}

void
report_add_err(struct buf *b, const char *text)
{
	size_t at = pktline_begin(b);

	buf_add_str(b, "ERR ");
	add_clean(b, text);
	pktline_end(b, at);
}

void
report_release(struct report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free((char *)r->refs[i].name);
		free((char *)r->refs[i].why);
		free((char *)r->refs[i].refname);
	}
	free(r->refs);
	free(r->unpack);
	memset(r, 0, sizeof(*r));
}

/* What a parse in progress knows. */
struct parse {
	struct report *out;
	size_t cap, max_refs;
	bool unpack_due;
	struct err *err;
};

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "no memory for the report of a push");
}

static int
refuse_line(struct parse *p, struct slice line)
{
	return err_set(p->err, ERR_BAD, "bad line in the report of a push: '%.*s'",
		       SLICE_ARG(slice_head(line, 200)));
}

static int
keep_text(char **out, struct parse *p, struct slice s)
{
	*out = mem_try_text(s.p, s.len);
	return *out == NULL ? no_memory(p->err) : 0;
}

static int
take_unpack(struct parse *p, struct slice line)
{
	struct slice head = SLICE_LIT("unpack ");

	p->unpack_due = false;
	if (!slice_begins(line, head))
		return refuse_line(p, line);
	line = slice_skip(line, head.len);
	return slice_eq_str(line, "ok") ? 0 : keep_text(&p->out->unpack, p, line);
}

/* A ref's name has no control bytes; the writer would have to change them. */
static bool
is_clean(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] < 0x20)
			return false;
	return name.len > 0;
}

static int
take_ref(struct parse *p, struct slice line, bool ok)
{
	struct report_ref *r;
	struct slice name = ok ? line : slice_cut(&line, ' ');
	char *text;
	void *more;
	int rc;

	if (!is_clean(name))
		return refuse_line(p, line);
	if (p->out->n == p->max_refs)
		return err_set(p->err, ERR_TOO_BIG, "a report of more than %zu refs", p->max_refs);
	more = grow_try(p->out->refs, &p->cap, p->out->n, sizeof(*r));
	if (more == NULL)
		return no_memory(p->err);
	p->out->refs = more;
	r = &p->out->refs[p->out->n];
	memset(r, 0, sizeof(*r));
	rc = keep_text(&text, p, name);
	if (rc < 0)
		return rc;
	r->name = text;
	p->out->n++;
	if (ok)
		return 0;
	rc = keep_text(&text, p, line.len > 0 ? line : SLICE_LIT("failed"));
	if (rc == 0)
		r->why = text;
	return rc;
}

static int
take_option(struct parse *p, struct slice line)
{
	struct slice value = line;
	struct slice key = slice_cut(&value, ' ');
	struct report_ref *r;
	char *text;
	int rc = 0;

	if (p->out->n == 0)
		return refuse_line(p, line);
	r = &p->out->refs[p->out->n - 1];
	if (slice_eq_str(key, "fall-through")) {
		r->fall_through = true;
	} else if (slice_eq_str(key, "forced-update")) {
		r->forced_update = true;
	} else if (slice_eq_str(key, "old-oid")) {
		rc = oid_parse_any(&r->old_oid, value);
	} else if (slice_eq_str(key, "new-oid")) {
		rc = oid_parse_any(&r->new_oid, value);
	} else if (slice_eq_str(key, "refname") && r->refname == NULL && is_clean(value)) {
		rc = keep_text(&text, p, value);
		if (rc == 0)
			r->refname = text;
		return rc;
	}
	return rc < 0 ? refuse_line(p, line) : 0; /* unknown options are for newer ones */
}

static int
take_line(struct parse *p, struct slice line)
{
	if (slice_begins(line, SLICE_LIT("ERR ")))
		return err_set(p->err, ERR_REFUSED, "%.*s",
			       SLICE_ARG(slice_head(slice_skip(line, 4), 400)));
	if (slice_find(line, '\0') >= 0)
		return refuse_line(p, line);
	if (p->unpack_due)
		return take_unpack(p, line);
	if (slice_begins(line, SLICE_LIT("ok ")))
		return take_ref(p, slice_skip(line, 3), true);
	if (slice_begins(line, SLICE_LIT("ng ")))
		return take_ref(p, slice_skip(line, 3), false);
	if (slice_begins(line, SLICE_LIT("option ")))
		return take_option(p, slice_skip(line, 7));
	return refuse_line(p, line);
}

/* Bytes up to and with the flush; 0 while it is not there. */
static ssize_t
find_flush(struct slice in, struct err *err)
{
	size_t at = 0;
	struct pktline p;

	for (;;) {
		struct slice rest = slice_skip(in, at);
		ssize_t n = pktline_parse(&p, rest);

		if (n < 0)
			return pktline_refuse(rest, err);
		if (n == 0)
			return 0;
		at += (size_t)n;
		if (p.kind == PKTLINE_FLUSH)
			return (ssize_t)at;
		if (slice_begins(p.data, SLICE_LIT("ERR ")))
			return (ssize_t)at; /* nothing follows it */
	}
}

ssize_t
report_parse(struct report *out, struct slice in, size_t max_refs, bool with_unpack,
	     struct err *err)
{
	struct parse p = { out, 0, max_refs, with_unpack, err };
	ssize_t all = find_flush(in, err);
	struct pktline line;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (all <= 0)
		return all;
	for (size_t at = 0; rc == 0;) {
		ssize_t n = pktline_parse(&line, slice_skip(in, at));

		CHECK(n > 0);
		at += (size_t)n;
		if (line.kind == PKTLINE_FLUSH)
			break;
		if (line.kind == PKTLINE_DATA)
			rc = take_line(&p, pktline_text(&line));
		else
			rc = refuse_line(&p, SLICE_LIT("a delimiter"));
	}
	if (rc == 0 && p.unpack_due)
		rc = refuse_line(&p, SLICE_LIT("no unpack line"));
	if (rc < 0)
		report_release(out);
	return rc < 0 ? rc : all;
}
