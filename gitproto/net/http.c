#include "gitproto/net/http.h"

#include <stdarg.h>
#include <strings.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

struct http_head *
http_head_new(void)
{
	struct http_head *h = MEM_NEW(struct http_head);

	h->content_length = -1;
	return h;
}

void
http_head_free(struct http_head **hp)
{
	struct http_head *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	for (unsigned i = 0; i < h->nfields; i++) {
		free(h->fields[i].name);
		free(h->fields[i].value);
	}
	free(h->target);
	free(h);
}

void
http_head_request(struct http_head *h, const char *method, const char *target)
{
	CHECK(strlen(method) < sizeof(h->method));
	CHECK(http_target_ok(slice_str(target)));
	snprintf(h->method, sizeof(h->method), "%s", method);
	free(h->target);
	h->target = mem_strdup(target);
}

/* RFC 9110 5.6.2 */
static bool
is_token_byte(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* RFC 9110 5.5; bytes from 0x80 on are let through as they are */
static bool
is_value_byte(uint8_t c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static struct slice
trim_blanks(struct slice s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_skip(s, 1);
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

static int
parse_length(int64_t *out, struct slice v)
{
	int64_t n = 0;

	if (v.len == 0 || v.len > 18)
		return ERR_BAD;
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return ERR_BAD;
		n = n * 10 + (v.p[i] - '0');
	}
	*out = n;
	return 0;
}

int
http_head_add(struct http_head *h, const char *name, const char *value)
{
	struct slice n = slice_str(name), v = trim_blanks(slice_str(value));
	struct http_field *f;

	if (n.len == 0)
		return ERR_BAD;
	for (size_t i = 0; i < n.len; i++)
		if (!is_token_byte(n.p[i]))
			return ERR_BAD;
	for (size_t i = 0; i < v.len; i++)
		if (!is_value_byte(v.p[i]))
			return ERR_BAD;
	if (h->nfields == HTTP_MAX_FIELDS || h->bytes + n.len + v.len > HTTP_MAX_HEAD)
		return ERR_TOO_BIG;
	if (strcasecmp(name, "content-length") == 0)
		return h->content_length >= 0 ? ERR_BAD : parse_length(&h->content_length, v);
	f = &h->fields[h->nfields++];
	f->name = mem_strndup(n.p, n.len);
	for (char *p = f->name; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	f->value = mem_strndup(v.p, v.len);
	h->bytes += n.len + v.len;
	return 0;
}

void
http_head_addf(struct http_head *h, const char *name, const char *fmt, ...)
{
	char value[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	CHECK(n >= 0 && (size_t)n < sizeof(value));
	CHECK(http_head_add(h, name, value) == 0);
}

const char *
http_head_get(const struct http_head *h, const char *name)
{
	for (unsigned i = 0; i < h->nfields; i++)
		if (strcmp(h->fields[i].name, name) == 0)
			return h->fields[i].value;
	return NULL;
}

bool
http_list_has(const char *list, const char *token)
{
	struct slice rest = slice_str(list);
	size_t want = strlen(token);

	while (rest.len > 0) {
		struct slice one = trim_blanks(slice_cut(&rest, ','));

		if (one.len == want && strncasecmp((const char *)one.p, token, want) == 0)
			return true;
	}
	return false;
}

bool
http_field_is_hop(const char *name)
{
	static const char *const hop[] = { "connection",    "keep-alive",        "te",
					   "trailer",       "transfer-encoding", "upgrade",
					   "http2-settings" };

	for (size_t i = 0; i < COUNT(hop); i++)
		if (strcmp(name, hop[i]) == 0)
			return true;
	return strncmp(name, "proxy-", 6) == 0;
}

const char *
http_reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 507, "Insufficient Storage" },
	};

	for (size_t i = 0; i < COUNT(table); i++)
		if (table[i].status == status)
			return table[i].text;
	return "Status";
}

bool
http_status_bodiless(int status)
{
	return status / 100 == 1 || status == 204 || status == 304;
}

bool
http_target_ok(struct slice t)
{
	if (slice_eq_str(t, "*"))
		return true;
	if (t.len == 0 || t.len > HTTP_MAX_TARGET || t.p[0] != '/')
		return false;
	for (size_t i = 0; i < t.len; i++)
		if (t.p[i] <= 0x20 || t.p[i] >= 0x7f || t.p[i] == '#')
			return false;
	return true;
}

static int
hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
add_decoded(struct buf *out, struct slice v)
{
	for (size_t i = 0; i < v.len; i++) {
		uint8_t c = v.p[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int hi = i + 1 < v.len ? hex_digit(v.p[i + 1]) : -1;
			int lo = i + 2 < v.len ? hex_digit(v.p[i + 2]) : -1;

			if (hi < 0 || lo < 0 || hi + lo == 0)
				return ERR_BAD;
			c = (uint8_t)(hi << 4 | lo);
			i += 2;
		}
		buf_add_byte(out, c);
	}
	return buf_ok(out) ? 0 : ERR_TOO_BIG;
}

int
http_query_get(const char *target, const char *name, struct buf *out)
{
	struct slice query = slice_str(target);

	slice_cut(&query, '?');
	while (query.len > 0) {
		struct slice value = slice_cut(&query, '&');
		struct slice key = slice_cut(&value, '=');

		if (slice_eq_str(key, name))
			return add_decoded(out, value);
	}
	return ERR_NOT_FOUND;
}

void
http_date(char out[HTTP_DATE], uint64_t wall_ms)
{
	static const char day[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char month[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(out, HTTP_DATE, "%s, %02u %s %04u %02u:%02u:%02u GMT", day[tm.tm_wday],
		 (unsigned)tm.tm_mday % 100, month[tm.tm_mon],
		 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
		 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}
