/* Requests of v2, fed whole and in pieces; those for ls-refs are answered, and every line of the
 * answer is one that was asked for. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/base/check.h"
#include "gitproto/ls_refs.h"

static ssize_t
feed(struct v2_request *r, struct slice in, size_t step)
{
	size_t eaten = 0, have = 0;

	while (!r->done && have < in.len) {
		ssize_t n;

		have = MIN(have + step, in.len);
		n = v2_request_feed(r, slice_skip(slice_head(in, have), eaten), NULL);
		if (n < 0)
			return n;
		eaten += (size_t)n;
	}
	return (ssize_t)eaten;
}

/* How many lines the plain rule of the protocol would give. */
static size_t
count_plainly(const struct ls_refs *l, const struct reflist *refs)
{
	size_t n = 0;

	for (size_t i = 0; i < refs->n; i++) {
		bool matches = l->n_prefixes == 0;

		for (size_t p = 0; p < l->n_prefixes; p++)
			matches |= slice_begins(slice_str(refs->items[i]->name), l->prefixes[p]);
		n += matches;
	}
	return n;
}

static void
answer(const struct v2_request *r)
{
	const struct reflist_item a = { "refs/heads/a", oid_null(OID_SHA1), OID_NONE };
	const struct reflist_item b = { "refs/heads/a-b", oid_null(OID_SHA1), OID_NONE };
	const struct reflist_item t = { "refs/tags/t", oid_null(OID_SHA1), oid_null(OID_SHA1) };
	const struct reflist_item *items[] = { &a, &b, &t };
	const struct reflist refs = { items, 3, NULL, OID_NONE, OID_SHA1 };
	struct buf out = BUF_MAX(10000);
	struct ls_refs l;
	struct pktline p;
	size_t lines = 0, at = 0;

	if (ls_refs_parse(&l, r, true, NULL) < 0)
		return;
	ls_refs_write(&out, &l, &refs);
	CHECK(buf_ok(&out));
	for (;; lines++) {
		ssize_t n = pktline_parse(&p, slice_skip(buf_slice(&out), at));

		CHECK(n > 0);
		at += (size_t)n;
		if (p.kind == PKTLINE_FLUSH)
			break;
	}
	CHECK(at == out.len && lines == count_plainly(&l, &refs));
	ls_refs_release(&l);
	buf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct v2_request_opts opts = { .max_lines = 1000 };
	struct v2_request whole, pieces;
	struct slice in = slice_of(data, size), value;
	ssize_t n, m;

	v2_request_init(&whole, &opts);
	v2_request_init(&pieces, &opts);
	n = feed(&whole, in, size);
	m = feed(&pieces, in, size > 2000 ? 97 : 1);
	CHECK(n == m && whole.done == pieces.done && whole.command == pieces.command);
	if (n >= 0 && whole.done) {
		CHECK(v2_request_count(&whole) == v2_request_count(&pieces));
		(void)v2_request_cap(&value, &whole, "agent");
		(void)!v2_request_check(&whole, SLICE_LIT("agent=x\nls-refs"), OID_SHA1, NULL);
		if (whole.command == V2_REQUEST_LS_REFS)
			answer(&whole);
	}
	v2_request_release(&whole);
	v2_request_release(&pieces);
	return 0;
}
