/* Advertisements, v0 to v2: what is read, written and read again has the same refs. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/advert.h"
#include "gitproto/advert_parse.h"
#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

#define REFS 1000

static int
compare_items(const void *a, const void *b)
{
	const struct reflist_item *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void
write_again(const struct advert *a)
{
	const struct reflist_item **items = mem_array(a->n + 1, sizeof(*items));
	struct reflist refs = { items, a->n, a->head_target, a->head, a->format };
	struct advert_opts o = { .service = a->service, .caps = buf_slice(&a->caps) };
	struct buf out = BUF_MAX(64 << 20);
	struct advert again;

	for (size_t i = 0; i < a->n; i++)
		items[i] = &a->items[i];
	qsort(items, a->n, sizeof(*items), compare_items);
	if (o.service != SERVICE_RECEIVE_PACK)
		o.service = SERVICE_UPLOAD_PACK;
	o.version = version_spoken(o.service, a->version);
	o.http = true;
	advert_add(&out, &refs, &o);
	if (buf_ok(&out)) { /* a line that grew past what fits a packet makes it fail */
		CHECK(advert_parse(&again, buf_slice(&out), REFS, NULL) == (ssize_t)out.len);
		CHECK(o.version == VERSION_2 || again.n == a->n);
		advert_release(&again);
	}
	buf_release(&out);
	free(items);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct advert a;
	struct err err = { 0 };
	ssize_t n = advert_parse(&a, in, REFS, &err);

	CHECK(n <= (ssize_t)size);
	if (n < 0)
		CHECK(err.code == (int)n);
	if (n <= 0)
		return 0;
	write_again(&a);
	advert_release(&a);
	return 0;
}
