/* Reports of a push: what is read, written and read again is the same. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/base/check.h"
#include "gitproto/report.h"

static void
compare(const struct report *a, const struct report *b)
{
	CHECK((a->unpack == NULL) == (b->unpack == NULL) && a->n == b->n);
	for (size_t i = 0; i < a->n; i++) {
		const struct report_ref *x = &a->refs[i], *y = &b->refs[i];

		CHECK((x->why == NULL) == (y->why == NULL));
		if (x->why == NULL)
			CHECK(x->forced_update == y->forced_update &&
			      oid_eq(&x->old_oid, &y->old_oid) &&
			      (x->refname == NULL) == (y->refname == NULL));
	}
}

static void
write_again(const struct report *r, bool with_unpack)
{
	struct buf out = BUF_MAX(64 << 20);
	struct report again;

	if (with_unpack)
		report_add_unpack(&out, r->unpack);
	for (size_t i = 0; i < r->n; i++)
		report_add_ref(&out, &r->refs[i], true);
	report_add_end(&out);
	if (buf_ok(&out)) {
		CHECK(report_parse(&again, buf_slice(&out), r->n, with_unpack, NULL) ==
		      (ssize_t)out.len);
		compare(r, &again);
		report_release(&again);
	}
	buf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int with_unpack = 0; with_unpack < 2; with_unpack++) {
		struct report r;
		struct err err = { 0 };
		ssize_t n = report_parse(&r, slice_of(data, size), 1000, with_unpack != 0, &err);

		CHECK(n <= (ssize_t)size);
		if (n < 0)
			CHECK(err.code == (int)n);
		if (n <= 0)
			continue;
		write_again(&r, with_unpack != 0);
		report_release(&r);
	}
	return 0;
}
