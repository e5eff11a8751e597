/* Targets: no cut of the input changes what an HTTP/1.1 request means; what is accepted obeys the
 * policy. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/base/check.h"
#include "gitproto/net/http1_parse.h"

struct outcome {
	ssize_t head; /* bytes of it, 0: not whole, or ERR_* */
	size_t eaten; /* of the body */
	size_t body;  /* bytes decoded */
	uint32_t sum; /* of them */
	bool done, broken;
};

static void
on_body(struct slice s, void *arg)
{
	struct outcome *o = arg;

	o->body += s.len;
	for (size_t i = 0; i < s.len; i++)
		o->sum = (o->sum ^ s.p[i]) * 16777619u;
}

static void
check_head(const struct http1_parse *p)
{
	const struct http_head *h = p->head;
	unsigned hosts = 0;

	CHECK(http_target_ok(slice_str(h->target)) && h->method[0] != '\0');
	CHECK(h->nfields <= HTTP_MAX_FIELDS && h->bytes <= HTTP_MAX_HEAD);
	for (unsigned i = 0; i < h->nfields; i++) {
		hosts += strcmp(h->fields[i].name, "host") == 0;
		CHECK(strpbrk(h->fields[i].name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ \t\r\n:") == NULL);
		CHECK(strpbrk(h->fields[i].value, "\r\n") == NULL);
	}
	CHECK(hosts == 1 || (hosts == 0 && p->facts.minor == 0));
	CHECK(!(p->facts.chunked && (h->content_length >= 0 || p->facts.minor == 0)));
	CHECK(h->has_body || p->done);
}

/* The input in two pieces. */
static struct outcome
parse(struct slice in, size_t cut)
{
	struct outcome o = { .head = 0 };
	struct http1_parse p;
	size_t ends[2] = { cut, in.len };
	size_t at = 0;

	http1_parse_init(&p, on_body, &o);
	for (int i = 0; i < 2 && !o.broken && !o.done; i++) {
		struct slice have = slice_head(in, ends[i]);
		ssize_t n;

		if (o.head == 0) {
			o.head = http1_parse_head(&p, have);
			at = o.head > 0 ? (size_t)o.head : 0;
			o.broken = o.head < 0;
			if (o.head > 0)
				check_head(&p);
		}
		if (o.head <= 0)
			continue;
		n = http1_parse_body(&p, slice_skip(have, at));
		o.broken = n < 0;
		at += n > 0 ? (size_t)n : 0;
		o.done = p.done;
		CHECK(o.broken || o.done || at == have.len);
	}
	CHECK(!o.broken || (p.status >= 400 && p.status < 600 && p.err.text[0] != '\0'));
	o.eaten = o.broken ? 0 : at;
	http1_parse_release(&p);
	return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct outcome whole = parse(in, size);
	size_t step = size / 64 + 1;

	for (size_t cut = 0; cut < size; cut += step) {
		struct outcome o = parse(in, cut);

		/* refusals too: a cut may change the words, never the verdict */
		CHECK(o.broken == whole.broken && o.done == whole.done);
		if (o.broken)
			continue;
		CHECK(o.head == whole.head && o.eaten == whole.eaten);
		CHECK(o.body == whole.body && o.sum == whole.sum);
	}
	return 0;
}
