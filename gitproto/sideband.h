/* gitproto/sideband.h - three streams in one: a packet whose first byte names the band.
 * Thread: any.  Source: gitprotocol-pack(5), "side-band". */
#ifndef GITPROTO_SIDEBAND_H
#define GITPROTO_SIDEBAND_H

#include "gitproto/pktline.h"

#define SIDEBAND_MAX 65515      /* payload bytes of a packet: side-band-64k */
#define SIDEBAND_LEGACY_MAX 995 /* side-band: 1000 bytes with length and band */

enum sideband_band {
	SIDEBAND_DATA = 1,     /* pack, report */
	SIDEBAND_PROGRESS = 2, /* text for the user, "remote: " before each line */
	SIDEBAND_ERROR = 3     /* text, and the end */
};

struct sideband {
	enum sideband_band band;
	struct slice data; /* borrowed from the packet */
};

/* As many packets as the data need, none when they are empty; max is one of the two above. */
void sideband_add(struct buf *, enum sideband_band, struct slice data, size_t max);
/* The empty packet on band 1 that keeps a quiet connection alive. */
void sideband_add_keepalive(struct buf *);
/* The five bytes that go before n bytes of payload (n <= SIDEBAND_MAX). */
void sideband_head(uint8_t out[5], enum sideband_band, size_t n);

/* 0, or ERR_BAD: not data, empty, or an unknown band. */
MUST_CHECK int sideband_parse(struct sideband *out, const struct pktline *);

#endif
