/* Packets: what is read and written again is the same; bands go through as well. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/base/check.h"
#include "gitproto/pktread.h"
#include "gitproto/sideband.h"

static void
write_again(struct buf *out, const struct pktline *p)
{
	switch (p->kind) {
	case PKTLINE_DATA:
		pktline_add(out, p->data);
		break;
	case PKTLINE_FLUSH:
		pktline_add_flush(out);
		break;
	case PKTLINE_DELIM:
		pktline_add_delim(out);
		break;
	case PKTLINE_RESPONSE_END:
		pktline_add_response_end(out);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pktread r;
	struct pktline p, again;
	struct sideband band;
	struct err err;
	int rc;

	pktread_init(&r, 1000, 1 << 20);
	pktread_feed(&r, slice_of(data, size));
	while ((rc = pktread_next(&p, &r, &err)) > 0) {
		struct buf b = BUF_MAX(PKTLINE_MAX);

		write_again(&b, &p);
		CHECK(pktline_parse(&again, buf_slice(&b)) == (ssize_t)b.len);
		CHECK(again.kind == p.kind && slice_eq(again.data, p.data));
		if (sideband_parse(&band, &p) == 0)
			CHECK(band.data.len + 1 == p.data.len);
		buf_release(&b);
	}
	CHECK(rc == 0 || err.text[0] != '\0');
	CHECK(pktread_eaten(&r) <= size);
	return 0;
}
