#include "gitproto/net/http1_policy.h"

#include <strings.h>

/* The request line of the longest target, with method and version. */
#define MAX_REQUEST_LINE (HTTP_MAX_TARGET + 64)

static ssize_t
refuse(struct http1_scan *s, int code, int status, struct err *e, const char *text)
{
	s->status = status;
	return err_set(e, code, "%s", text);
}

/* METHOD SP target SP HTTP/1.x, single spaces; the rest is llhttp's. */
static ssize_t
check_request_line(struct http1_scan *s, struct slice line, struct err *e)
{
	struct slice rest = line, method = slice_cut(&rest, ' '), target = slice_cut(&rest, ' ');

	if (method.len == 0 || target.len == 0 || rest.len == 0)
		return refuse(s, ERR_BAD, 400, e, "the request line is not METHOD TARGET VERSION");
	if (!slice_eq_str(rest, "HTTP/1.1") && !slice_eq_str(rest, "HTTP/1.0"))
		return refuse(s, ERR_BAD, 400, e, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	if (target.len > HTTP_MAX_TARGET)
		return refuse(s, ERR_TOO_BIG, 414, e, "the request target is over 8 KiB");
	if (!http_target_ok(target))
		return refuse(s, ERR_BAD, 400, e,
			      "the request target must be a path of visible ASCII");
	return 0;
}

/* One whole line without its CRLF. */
static ssize_t
check_line(struct http1_scan *s, struct slice line, struct err *e)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.p[i] == '\r' || line.p[i] == '\0')
			return refuse(s, ERR_BAD, 400, e, "a bare CR or a NUL in the head");
	if (s->lines == 0)
		return check_request_line(s, line, e);
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return refuse(s, ERR_BAD, 400, e, "a folded header line");
	if (s->lines > HTTP_MAX_FIELDS)
		return refuse(s, ERR_TOO_BIG, 431, e, "more than 128 header fields");
	return 0;
}

ssize_t
http1_policy_scan(struct http1_scan *s, struct slice in, struct err *e)
{
	for (;;) {
		struct slice rest = slice_skip(in, s->seen);
		ssize_t lf = slice_find(rest, '\n');
		size_t end = lf < 0 ? in.len : s->seen + (size_t)lf + 1;
		struct slice line;
		ssize_t rc;

		if (s->lines == 0 && end - s->line > MAX_REQUEST_LINE)
			return refuse(s, ERR_TOO_BIG, 414, e, "the request line is too long");
		if (end > HTTP_MAX_HEAD + MAX_REQUEST_LINE)
			return refuse(s, ERR_TOO_BIG, 431, e, "the request head is over 64 KiB");
		s->seen = end;
		if (lf < 0)
			return 0;
		line = slice_of(in.p + s->line, end - s->line - 1);
		s->line = end;
		if (line.len == 0 || line.p[line.len - 1] != '\r')
			return refuse(s, ERR_BAD, 400, e, "a line does not end in CR LF");
		line.len--;
		if (line.len == 0 && s->lines > 0)
			return (ssize_t)end;
		/* RFC 9112 2.2: an empty line before the request line is let pass; one is enough */
		if (line.len == 0 && end == 2)
			continue;
		if (line.len == 0)
			return refuse(s, ERR_BAD, 400, e, "empty lines before the request line");
		rc = check_line(s, line, e);
		if (rc < 0)
			return rc;
		s->lines++;
	}
}

static int
refuse_facts(struct http1_facts *f, int status, struct err *e, const char *text)
{
	f->status = status;
	return err_set(e, ERR_BAD, "%s", text);
}

static int
gather(struct http1_facts *f, const struct http_head *h, struct err *e)
{
	for (unsigned i = 0; i < h->nfields; i++) {
		const char *name = h->fields[i].name, *value = h->fields[i].value;

		if (strcmp(name, "host") == 0) {
			f->hosts++;
		} else if (strcmp(name, "transfer-encoding") == 0) {
			f->transfer_encodings++;
			f->chunked = strcasecmp(value, "chunked") == 0;
		} else if (strcmp(name, "expect") == 0 && f->minor >= 1) {
			if (strcasecmp(value, "100-continue") != 0)
				return refuse_facts(f, 417, e, "only 100-continue can be expected");
			f->expect_continue = true;
		}
	}
	return 0;
}

int
http1_policy_request(struct http1_facts *f, const struct http_head *h, unsigned minor,
		     struct err *e)
{
	*f = (struct http1_facts){ .minor = minor };
	if (gather(f, h, e) < 0)
		return ERR_BAD;
	if (f->hosts > 1 || (f->hosts == 0 && minor >= 1))
		return refuse_facts(f, 400, e, "exactly one Host field is needed");
	if (f->transfer_encodings > 0 && minor == 0)
		return refuse_facts(f, 400, e, "Transfer-Encoding in an HTTP/1.0 request");
	if (f->transfer_encodings > 0 && h->content_length >= 0)
		return refuse_facts(f, 400, e, "both Transfer-Encoding and Content-Length");
	if (f->transfer_encodings > 1 || (f->transfer_encodings == 1 && !f->chunked))
		return refuse_facts(f, 400, e, "the only transfer coding is chunked");
	if (strcmp(h->method, "CONNECT") == 0)
		return refuse_facts(f, 400, e, "CONNECT is not served");
	if (!f->chunked && h->content_length <= 0)
		f->expect_continue = false;
	return 0;
}

int
http1_policy_trailer(struct slice name, struct err *e)
{
	static const char *const never[] = {
		"transfer-encoding",
		"content-length",
		"host",
		"trailer",
		"te",
		"connection",
		"authorization",
		"proxy-authorization",
		"cookie",
		"content-encoding",
		"content-type",
		"content-range",
		"expect",
		"upgrade",
		"www-authenticate",
		"set-cookie",
		"forwarded",
		"x-forwarded-for",
		"x-forwarded-proto",
		"x-forwarded-host",
		"git-protocol",
	};

	for (size_t i = 0; i < COUNT(never); i++)
		if (name.len == strlen(never[i]) &&
		    strncasecmp((const char *)name.p, never[i], name.len) == 0)
			return err_set(e, ERR_BAD, "a trailer field named %s", never[i]);
	return 0;
}
