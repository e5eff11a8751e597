#include "gitproto/sideband.h"

#include "gitproto/base/check.h"

void
sideband_head(uint8_t out[5], enum sideband_band band, size_t n)
{
	pktline_head(out, n + 5);
	out[4] = (uint8_t)band;
}

void
sideband_add(struct buf *b, enum sideband_band band, struct slice data, size_t max)
{
	CHECK(max > 0 && max <= SIDEBAND_MAX);
	while (data.len > 0) {
		struct slice part = slice_head(data, max);
		uint8_t head[5];

		sideband_head(head, band, part.len);
		buf_add(b, head, sizeof(head));
		buf_add_slice(b, part);
		data = slice_skip(data, part.len);
	}
}

void
sideband_add_keepalive(struct buf *b)
{
	buf_add(b, "0005\1", 5);
}

int
sideband_parse(struct sideband *out, const struct pktline *p)
{
	if (p->kind != PKTLINE_DATA || p->data.len == 0)
		return ERR_BAD;
	if (p->data.p[0] < SIDEBAND_DATA || p->data.p[0] > SIDEBAND_ERROR)
		return ERR_BAD;
	out->band = p->data.p[0];
	out->data = slice_skip(p->data, 1);
	return 0;
}
