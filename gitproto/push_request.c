#include "gitproto/push_request.h"

#include "gitproto/base/check.h"
#include "gitproto/caps.h"
#include "gitproto/grow.h"

/* States: LINES until a flush; a line "push-cert" leads to CERT and "push-cert-end" back; the flush
 * leads to OPTION if push options were negotiated and there is a command, otherwise to END; the
 * flush behind the options leads to END. */

void
push_request_init(struct push_request *r, const struct push_request_opts *opts)
{
	struct push_request_opts *o = &r->opts;
	size_t bytes;

	memset(r, 0, sizeof(*r));
	*o = *opts;
	if (o->max_commands == 0)
		o->max_commands = PUSH_REQUEST_COMMANDS;
	if (o->max_options == 0)
		o->max_options = PUSH_REQUEST_OPTIONS;
	bytes = o->max_bytes > 0 ? o->max_bytes : PUSH_REQUEST_BYTES;
	/* a certificate has a dozen lines of its own; the counts that matter are checked below */
	pktread_init(&r->read, SIZE_MAX, bytes);
	buf_init(&r->text, 2 * bytes);
	buf_init(&r->cert, bytes);
	buf_init(&r->agent, 1024);
}

void
push_request_release(struct push_request *r)
{
	free(r->commands);
	free(r->options);
	free(r->option_at);
	buf_release(&r->text);
	buf_release(&r->cert);
	buf_release(&r->agent);
	memset(r, 0, sizeof(*r));
}

static int
no_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "no memory for the commands of a push");
}

/* Puts s and a NUL into the text; its place in *at. */
static int
keep_text(size_t *at, struct push_request *r, struct slice s, struct err *err)
{
	*at = r->text.len;
	buf_add_slice(&r->text, s);
	buf_add_byte(&r->text, '\0');
	return buf_ok(&r->text) ? 0 : no_memory(err);
}

static int
take_command(struct push_request *r, struct slice line, struct err *err)
{
	size_t hex = oid_hex_len(r->opts.format);
	struct push_request_command c = { .ref = NULL };
	void *more;
	int rc;

	if (line.len < 2 * hex + 2 || line.p[hex] != ' ' || line.p[2 * hex + 1] != ' ' ||
	    oid_parse(&c.old, slice_head(line, hex), r->opts.format) < 0 ||
	    oid_parse(&c.new, slice_head(slice_skip(line, hex + 1), hex), r->opts.format) < 0)
		return err_set(err, ERR_BAD, "protocol error: expected old/new/ref, got '%.*s'",
			       SLICE_ARG(slice_head(line, 200)));
	if (r->n_commands == r->opts.max_commands)
		return err_set(err, ERR_TOO_BIG, "more than %zu refs in one push",
			       r->opts.max_commands);
	line = slice_skip(line, 2 * hex + 2);
	c.ref_len = line.len;
	rc = keep_text(&c.at, r, line, err);
	if (rc < 0)
		return rc;
	more = grow_try(r->commands, &r->cap_commands, r->n_commands, sizeof(c));
	if (more == NULL)
		return no_memory(err);
	r->commands = more;
	r->commands[r->n_commands++] = c;
	r->has_pack |= !oid_is_zero(&c.new);
	return 0;
}

static int
take_caps(struct push_request *r, struct slice caps, struct err *err)
{
	const struct push_request_opts *o = &r->opts;
	struct slice value = SLICE_NONE;

	r->report_status |= caps_has(caps, "report-status");
	r->report_status_v2 |= caps_has(caps, "report-status-v2");
	r->side_band_64k |= caps_has(caps, "side-band-64k");
	r->quiet |= caps_has(caps, "quiet");
	r->ofs_delta |= caps_has(caps, "ofs-delta");
	r->atomic |= o->atomic && caps_has(caps, "atomic");
	r->push_options |= o->push_options && caps_has(caps, "push-options");
	if (!caps_get(&value, caps, "object-format"))
		value = SLICE_LIT("sha1");
	if (!slice_eq_str(value, oid_name(o->format)))
		return err_set(err, ERR_UNSUPPORTED, "error: unsupported object format '%.*s'",
			       SLICE_ARG(slice_head(value, 40)));
	if (caps_get(&value, caps, "agent") && value.p != NULL) {
		buf_clear(&r->agent);
		buf_add_slice(&r->agent, slice_head(value, 256));
	}
	return 0;
}

static int
take_shallow(struct push_request *r, struct slice line, struct err *err)
{
	struct oid id;

	if (oid_parse(&id, slice_skip(line, 8), r->opts.format) < 0)
		return err_set(err, ERR_BAD, "protocol error: expected shallow sha, got '%.*s'",
			       SLICE_ARG(slice_head(slice_skip(line, 8), 100)));
	if (r->n_shallow == r->opts.max_commands)
		return err_set(err, ERR_TOO_BIG, "more than %zu shallow lines",
			       r->opts.max_commands);
	r->n_shallow++;
	return 0;
}

static int
take_line(struct push_request *r, struct slice line, struct err *err)
{
	struct slice nul = line;
	struct slice caps;
	int rc = 0;

	/* receive-pack looks for this before it looks for capabilities */
	if (line.len > 8 && slice_begins(line, SLICE_LIT("shallow ")))
		return take_shallow(r, line, err);
	caps = caps_split(&line);
	if (line.len < nul.len)
		rc = take_caps(r, caps, err);
	if (rc < 0)
		return rc;
	if (!slice_eq_str(line, "push-cert"))
		return take_command(r, line, err);
	if (!r->opts.accept_cert)
		return err_set(err, ERR_UNSUPPORTED,
			       "signed pushes are not accepted here; push "
			       "with --no-signed");
	r->state = PUSH_REQUEST_CERT;
	return 0;
}

static int
take_cert_line(struct push_request *r, struct slice raw, struct err *err)
{
	if (slice_eq_str(raw, "push-cert-end\n")) {
		r->state = PUSH_REQUEST_LINES;
		return 0;
	}
	/* receive-pack would cut the line there */
	if (slice_find(raw, '\0') >= 0)
		return err_set(err, ERR_BAD, "a NUL in a push certificate");
	buf_add_slice(&r->cert, raw);
	return buf_ok(&r->cert) ? 0 : no_memory(err);
}

static int
take_option(struct push_request *r, struct slice line, struct err *err)
{
	size_t at, cap = r->cap_options;
	void *more;
	int rc;

	if (slice_find(line, '\0') >= 0)
		return err_set(err, ERR_BAD, "a NUL in a push option");
	if (r->n_options == r->opts.max_options)
		return err_set(err, ERR_TOO_BIG, "more than %zu push options", r->opts.max_options);
	rc = keep_text(&at, r, line, err);
	if (rc < 0)
		return rc;
	more = grow_try(r->option_at, &cap, r->n_options, sizeof(*r->option_at));
	if (more == NULL)
		return no_memory(err);
	r->option_at = more;
	r->cap_options = cap;
	r->option_at[r->n_options++] = at;
	return 0;
}

/* The signature is the last line of the certificate that begins one, as in git's gpg-interface. */
static size_t
find_signature(struct slice cert)
{
	static const char *const begins[] = { "-----BEGIN PGP SIGNATURE-----",
					      "-----BEGIN PGP MESSAGE-----",
					      "-----BEGIN SIGNED MESSAGE-----",
					      "-----BEGIN SSH SIGNATURE-----" };
	size_t found = cert.len;
	struct slice rest = cert;

	while (rest.len > 0) {
		size_t at = cert.len - rest.len;
		struct slice line = slice_cut(&rest, '\n');

		for (size_t i = 0; i < COUNT(begins); i++)
			if (slice_begins(line, slice_str(begins[i])))
				found = at;
	}
	return found;
}

static int
take_cert(struct push_request *r, struct err *err)
{
	struct slice cert = buf_slice(&r->cert);
	struct slice body = slice_head(cert, find_signature(cert));
	int rc = 0;

	if (r->n_commands > 0)
		return err_set(err, ERR_BAD,
			       "protocol error: got both push certificate and "
			       "unsigned commands");
	for (bool header = true; header;) { /* up to the empty line */
		if (body.len == 0)
			return err_set(err, ERR_BAD, "malformed push certificate");
		header = slice_cut(&body, '\n').len > 0;
	}
	while (body.len > 0 && rc == 0)
		rc = take_command(r, slice_cut(&body, '\n'), err);
	return rc;
}

/* All is there: offsets become pointers. */
static int
finish(struct push_request *r, struct err *err)
{
	const char *text = buf_str(&r->text);

	for (size_t i = 0; i < r->n_commands; i++)
		r->commands[i].ref = text + r->commands[i].at;
	if (r->n_options > 0) {
		r->options = mem_try_alloc(r->n_options * sizeof(*r->options));
		if (r->options == NULL)
			return no_memory(err);
	}
	for (size_t i = 0; i < r->n_options; i++)
		r->options[i] = text + r->option_at[i];
	r->state = PUSH_REQUEST_END;
	r->done = true;
	return 0;
}

static int
take_flush(struct push_request *r, struct err *err)
{
	int rc = 0;

	if (r->state == PUSH_REQUEST_OPTION)
		return finish(r, err);
	if (r->cert.len > 0)
		rc = take_cert(r, err);
	if (rc < 0)
		return rc;
	if (r->n_commands == 0 || !r->push_options)
		return finish(r, err);
	r->state = PUSH_REQUEST_OPTION;
	return 0;
}

static int
take_packet(struct push_request *r, const struct pktline *p, struct err *err)
{
	if (p->kind == PKTLINE_FLUSH)
		return take_flush(r, err);
	if (p->kind != PKTLINE_DATA)
		return err_set(err, ERR_BAD, "protocol error: got an unexpected packet");
	if (slice_begins(p->data, SLICE_LIT("ERR ")))
		return err_set(err, ERR_BAD, "remote error: %.*s",
			       SLICE_ARG(slice_head(slice_skip(pktline_text(p), 4), 200)));
	switch (r->state) {
	case PUSH_REQUEST_LINES:
		return take_line(r, pktline_text(p), err);
	case PUSH_REQUEST_CERT:
		return take_cert_line(r, p->data, err);
	case PUSH_REQUEST_OPTION:
		return take_option(r, pktline_text(p), err);
	case PUSH_REQUEST_END:
		break;
	}
	CHECK(r->state != PUSH_REQUEST_END);
	return ERR_BAD;
}

ssize_t
push_request_feed(struct push_request *r, struct slice unread, struct err *err)
{
	struct pktline p;
	int rc = 0;

	pktread_feed(&r->read, unread);
	while (!r->done) {
		rc = pktread_next(&p, &r->read, err);
		if (rc > 0)
			rc = take_packet(r, &p, err);
		else if (rc == 0)
			break;
		if (rc < 0)
			return rc;
	}
	return (ssize_t)pktread_eaten(&r->read);
}

static int
compare_refs(const void *a, const void *b)
{
	const struct push_request_command *const *x = a, *const *y = b;

	return slice_cmp(slice_of((*x)->ref, (*x)->ref_len), slice_of((*y)->ref, (*y)->ref_len));
}

int
push_request_unique(const struct push_request *r, struct err *err)
{
	const struct push_request_command **sorted;
	int rc = 0;

	CHECK(r->done);
	if (r->n_commands < 2)
		return 0;
	sorted = mem_try_alloc(r->n_commands * sizeof(*sorted));
	if (sorted == NULL)
		return no_memory(err);
	for (size_t i = 0; i < r->n_commands; i++)
		sorted[i] = &r->commands[i];
	qsort(sorted, r->n_commands, sizeof(*sorted), compare_refs);
	for (size_t i = 1; i < r->n_commands && rc == 0; i++)
		if (compare_refs(&sorted[i - 1], &sorted[i]) == 0)
			rc = err_set(err, ERR_REFUSED, "%.200s is named twice in one push",
				     sorted[i]->ref);
	free(sorted);
	return rc;
}
