#include "gitproto/net/http1_parse.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

static struct http1_parse *
of(llhttp_t *ll)
{
	return CONTAINER_OF(ll, struct http1_parse, ll);
}

static int
refuse(struct http1_parse *p, int status, int code, const char *text)
{
	if (p->status == 0) {
		p->status = status;
		err_set(&p->err, code, "%s", text);
	}
	return -1;
}

static int
on_method(llhttp_t *ll, const char *at, size_t n)
{
	buf_add(&of(ll)->name, at, n);
	return 0;
}

static int
on_url(llhttp_t *ll, const char *at, size_t n)
{
	buf_add(&of(ll)->value, at, n);
	return 0;
}

/* The request line is whole: method and target stand in name and value. */
static int
on_version_complete(llhttp_t *ll)
{
	struct http1_parse *p = of(ll);

	if (!buf_ok(&p->name) || p->name.len >= sizeof(p->head->method))
		return refuse(p, 501, ERR_UNSUPPORTED, "an unknown method");
	if (!buf_ok(&p->value) || !http_target_ok(buf_slice(&p->value)))
		return refuse(p, 400, ERR_BAD, "the request target is malformed");
	http_head_request(p->head, buf_str(&p->name), buf_str(&p->value));
	buf_clear(&p->name);
	buf_clear(&p->value);
	return 0;
}

static int
on_field(llhttp_t *ll, const char *at, size_t n)
{
	struct http1_parse *p = of(ll);

	buf_add(&p->name, at, n);
	p->trailer_bytes += p->head_done ? n : 0;
	return p->trailer_bytes > HTTP1_MAX_TRAILERS
		       ? refuse(p, 431, ERR_TOO_BIG, "the trailers are over 8 KiB")
		       : 0;
}

static int
on_value(llhttp_t *ll, const char *at, size_t n)
{
	struct http1_parse *p = of(ll);

	p->trailer_bytes += p->head_done ? n : 0;
	if (p->trailer_bytes > HTTP1_MAX_TRAILERS)
		return refuse(p, 431, ERR_TOO_BIG, "the trailers are over 8 KiB");
	if (!p->head_done)
		buf_add(&p->value, at, n);
	return 0;
}

static int
on_value_complete(llhttp_t *ll)
{
	struct http1_parse *p = of(ll);
	int rc;

	if (p->head_done)
		rc = http1_policy_trailer(buf_slice(&p->name), &p->err);
	else if (!buf_ok(&p->name) || !buf_ok(&p->value))
		rc = ERR_TOO_BIG;
	else
		rc = http_head_add(p->head, buf_str(&p->name), buf_str(&p->value));
	buf_clear(&p->name);
	buf_clear(&p->value);
	if (rc == ERR_TOO_BIG)
		return refuse(p, 431, rc, "the request head is over 64 KiB or 128 fields");
	if (rc < 0 && p->head_done) {
		p->status = 400; /* the words are there */
		return -1;
	}
	return rc < 0 ? refuse(p, 400, rc, "a header field is malformed") : 0;
}

static int
on_headers_complete(llhttp_t *ll)
{
	struct http1_parse *p = of(ll);

	if (http1_policy_request(&p->facts, p->head, ll->http_minor, &p->err) < 0) {
		p->status = p->facts.status;
		return -1;
	}
	/* An Upgrade that we do not follow is no reason to stop parsing (RFC 9110 7.8). */
	ll->upgrade = 0;
	p->head_done = true;
	p->keep_alive = llhttp_should_keep_alive(ll) != 0;
	p->head->has_body = p->facts.chunked || p->head->content_length > 0;
	return 0;
}

static int
on_body(llhttp_t *ll, const char *at, size_t n)
{
	struct http1_parse *p = of(ll);

	p->on_body(slice_of(at, n), p->arg);
	return 0;
}

/* The next request is parsed when this one is answered. */
static int
on_message_complete(llhttp_t *ll)
{
	of(ll)->done = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_method = on_method,
	.on_url = on_url,
	.on_version_complete = on_version_complete,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

void
http1_parse_init(struct http1_parse *p, void (*fn)(struct slice, void *), void *arg)
{
	*p = (struct http1_parse){ .on_body = fn, .arg = arg };
	buf_init(&p->name, HTTP_MAX_HEAD);
	buf_init(&p->value, HTTP_MAX_HEAD + HTTP_MAX_TARGET);
	llhttp_init(&p->ll, HTTP_REQUEST, &settings);
}

void
http1_parse_release(struct http1_parse *p)
{
	http_head_free(&p->head);
	buf_release(&p->name);
	buf_release(&p->value);
}

/* Runs llhttp; bytes eaten or an error. */
static ssize_t
run(struct http1_parse *p, struct slice in)
{
	enum llhttp_errno rc = llhttp_execute(&p->ll, (const char *)in.p, in.len);

	if (rc == HPE_OK)
		return (ssize_t)in.len;
	if (rc == HPE_PAUSED && p->done)
		return (const uint8_t *)llhttp_get_error_pos(&p->ll) - in.p;
	if (p->status == 0) {
		p->status = 400;
		err_set(&p->err, ERR_BAD, "the request is malformed: %s",
			llhttp_get_error_reason(&p->ll));
	}
	return p->err.code < 0 ? p->err.code : ERR_BAD;
}

ssize_t
http1_parse_head(struct http1_parse *p, struct slice in)
{
	ssize_t len = http1_policy_scan(&p->scan, in, &p->err), n;
	size_t skip = in.len >= 2 && in.p[0] == '\r' ? 2 : 0;

	CHECK(!p->head_done);
	if (len < 0)
		p->status = p->scan.status;
	if (len <= 0)
		return len;
	p->head = http_head_new();
	n = run(p, slice_skip(slice_head(in, (size_t)len), skip));
	if (n < 0)
		return n;
	if (!p->head_done || n != len - (ssize_t)skip) {
		p->status = 400;
		return err_set(&p->err, ERR_BAD, "the request head is malformed");
	}
	return len;
}

ssize_t
http1_parse_body(struct http1_parse *p, struct slice in)
{
	CHECK(p->head_done);
	if (p->done || in.len == 0)
		return 0;
	return run(p, in);
}
