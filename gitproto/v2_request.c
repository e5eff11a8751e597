#include "gitproto/v2_request.h"

#include "gitproto/base/check.h"
#include "gitproto/caps.h"
#include "gitproto/grow.h"

/* States: HEAD (command and capabilities, in any order) until a delimiter leads to ARGS, and a flush
 * from either to END. */

void
v2_request_init(struct v2_request *r, const struct v2_request_opts *opts)
{
	size_t lines = opts != NULL ? opts->max_lines : 0;
	size_t bytes = opts != NULL ? opts->max_bytes : 0;

	memset(r, 0, sizeof(*r));
	lines = lines > 0 ? lines : V2_REQUEST_LINES;
	bytes = bytes > 0 ? bytes : V2_REQUEST_BYTES;
	CHECK(bytes <= UINT32_MAX);
	pktread_init(&r->read, lines, bytes);
	buf_init(&r->text, bytes); /* a NUL is shorter than the length it replaces */
}

void
v2_request_release(struct v2_request *r)
{
	buf_release(&r->text);
	free(r->lines);
	memset(r, 0, sizeof(*r));
}

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "no memory for a request");
}

static struct slice
line_slice(const struct v2_request *r, struct v2_request_line l)
{
	return slice_of(buf_str(&r->text) + l.at, l.len);
}

static int
keep_text(struct v2_request_line *out, struct v2_request *r, struct slice s, struct err *err)
{
	*out = (struct v2_request_line){ (uint32_t)r->text.len, (uint32_t)s.len };
	buf_add_slice(&r->text, s);
	buf_add_byte(&r->text, '\0');
	return buf_ok(&r->text) ? 0 : no_memory(err);
}

static int
keep_line(struct v2_request *r, struct slice line, struct err *err)
{
	struct v2_request_line l;
	int rc = keep_text(&l, r, line, err);
	void *more;

	if (rc < 0)
		return rc;
	more = grow_try(r->lines, &r->cap_lines, r->n_lines, sizeof(l));
	if (more == NULL)
		return no_memory(err);
	r->lines = more;
	r->lines[r->n_lines++] = l;
	return 0;
}

static int
take_command(struct v2_request *r, struct slice name, struct err *err)
{
	if (r->command != V2_REQUEST_NONE)
		return err_set(err, ERR_BAD,
			       "command '%.*s' requested after already requesting command '%.*s'",
			       SLICE_ARG(slice_head(name, 100)),
			       SLICE_ARG(slice_head(line_slice(r, r->name), 100)));
	if (slice_eq_str(name, "ls-refs"))
		r->command = V2_REQUEST_LS_REFS;
	else if (slice_eq_str(name, "fetch"))
		r->command = V2_REQUEST_FETCH;
	else
		r->command = V2_REQUEST_OTHER;
	return keep_text(&r->name, r, name, err);
}

static int
take_head_line(struct v2_request *r, struct slice line, struct err *err)
{
	const struct slice command = SLICE_LIT("command=");
	struct caps_item item;
	int rc;

	if (slice_begins(line, command))
		return take_command(r, slice_skip(line, command.len), err);
	item = caps_line(line);
	if (slice_eq_str(item.name, "object-format") && !oid_name_parse(&r->format, item.value))
		return err_set(err, ERR_BAD, "unknown object format '%.*s'",
			       SLICE_ARG(slice_head(line, 100)));
	rc = keep_line(r, line, err);
	r->n_caps = r->n_lines;
	return rc;
}

static int
take_data(struct v2_request *r, const struct pktline *p, struct err *err)
{
	struct slice line = pktline_text(p);
	const struct slice error = SLICE_LIT("ERR ");

	if (slice_begins(line, error))
		return err_set(err, ERR_BAD, "remote error: %.*s",
			       SLICE_ARG(slice_head(slice_skip(line, error.len), 200)));
	/* git would cut the line there */
	if (slice_find(line, '\0') >= 0)
		return err_set(err, ERR_BAD, "a NUL in a request");
	return r->state == V2_REQUEST_HEAD ? take_head_line(r, line, err) : keep_line(r, line, err);
}

static int
take_packet(struct v2_request *r, const struct pktline *p, struct err *err)
{
	bool head = r->state == V2_REQUEST_HEAD;

	if (p->kind == PKTLINE_DATA)
		return take_data(r, p, err);
	if (!head && p->kind != PKTLINE_FLUSH)
		return err_set(err, ERR_BAD, "expected flush after %.*s arguments",
			       SLICE_ARG(slice_head(line_slice(r, r->name), 100)));
	if (p->kind == PKTLINE_RESPONSE_END)
		return err_set(err, ERR_BAD, "unexpected response end packet");
	if (r->command == V2_REQUEST_NONE && (r->n_caps > 0 || p->kind == PKTLINE_DELIM))
		return err_set(err, ERR_BAD, "no command requested");
	r->head_done = true;
	r->done = p->kind == PKTLINE_FLUSH;
	r->state = r->done ? V2_REQUEST_END : V2_REQUEST_ARGS;
	return 0;
}

ssize_t
v2_request_feed(struct v2_request *r, struct slice unread, struct err *err)
{
	struct pktline p;

	pktread_feed(&r->read, unread);
	while (!r->done) {
		int rc = pktread_next(&p, &r->read, err);

		if (rc == 0)
			break;
		if (rc > 0)
			rc = take_packet(r, &p, err);
		if (rc < 0)
			return rc;
	}
	return (ssize_t)pktread_eaten(&r->read);
}

struct slice
v2_request_name(const struct v2_request *r)
{
	CHECK(r->head_done);
	return r->command == V2_REQUEST_NONE ? SLICE_NONE : line_slice(r, r->name);
}

bool
v2_request_cap(struct slice *value, const struct v2_request *r, const char *name)
{
	CHECK(r->head_done);
	for (size_t i = 0; i < r->n_caps; i++) {
		struct caps_item item = caps_line(line_slice(r, r->lines[i]));

		if (!slice_eq_str(item.name, name))
			continue;
		*value = item.value;
		return true;
	}
	return false;
}

static bool
is_advertised(struct slice advertised, struct slice name)
{
	while (advertised.len > 0)
		if (slice_eq(caps_line(slice_cut(&advertised, '\n')).name, name))
			return true;
	return false;
}

/* A command is a capability that cannot be sent as one. */
static bool
is_command(struct slice name)
{
	return slice_eq_str(name, "ls-refs") || slice_eq_str(name, "fetch") ||
	       slice_eq_str(name, "object-info") || slice_eq_str(name, "bundle-uri");
}

int
v2_request_check(const struct v2_request *r, struct slice advertised, enum oid_format format,
		 struct err *err)
{
	struct slice name;

	CHECK(r->head_done);
	for (size_t i = 0; i < r->n_caps; i++) {
		struct slice line = line_slice(r, r->lines[i]);

		name = caps_line(line).name;
		if (is_command(name) || !is_advertised(advertised, name))
			return err_set(err, ERR_UNSUPPORTED, "unknown capability '%.*s'",
				       SLICE_ARG(slice_head(line, 200)));
	}
	if (r->command == V2_REQUEST_NONE)
		return 0;
	name = line_slice(r, r->name);
	if (!is_command(name) || !is_advertised(advertised, name))
		return err_set(err, ERR_UNSUPPORTED, "invalid command '%.*s'",
			       SLICE_ARG(slice_head(name, 200)));
	if (r->format != format)
		return err_set(err, ERR_UNSUPPORTED,
			       "mismatched object format: server %s; client %s", oid_name(format),
			       oid_name(r->format));
	return 0;
}

size_t
v2_request_count(const struct v2_request *r)
{
	CHECK(r->done);
	return r->n_lines - r->n_caps;
}

struct slice
v2_request_arg(const struct v2_request *r, size_t i)
{
	CHECK(i < v2_request_count(r));
	return line_slice(r, r->lines[r->n_caps + i]);
}
