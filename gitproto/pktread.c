#include "gitproto/pktread.h"

void
pktread_init(struct pktread *r, size_t max_packets, size_t max_bytes)
{
	*r = (struct pktread){ .max_packets = max_packets, .max_bytes = max_bytes };
}

void
pktread_feed(struct pktread *r, struct slice unread)
{
	r->in = unread;
	r->eaten = 0;
}

/* As pktread_peek, and how long the packet is. */
static int
look(struct pktline *out, size_t *size, struct pktread *r, struct err *err)
{
	struct slice rest = slice_skip(r->in, r->eaten);
	ssize_t n = pktline_parse(out, rest);

	if (n < 0)
		return pktline_refuse(rest, err);
	if (n == 0)
		return 0;
	if (r->packets >= r->max_packets)
		return err_set(err, ERR_TOO_BIG, "more than %zu lines", r->max_packets);
	if ((size_t)n > r->max_bytes - r->bytes)
		return err_set(err, ERR_TOO_BIG, "more than %zu bytes", r->max_bytes);
	*size = (size_t)n;
	return 1;
}

int
pktread_peek(struct pktline *out, struct pktread *r, struct err *err)
{
	size_t size;

	return look(out, &size, r, err);
}

int
pktread_next(struct pktline *out, struct pktread *r, struct err *err)
{
	size_t size;
	int rc = look(out, &size, r, err);

	if (rc <= 0)
		return rc;
	r->eaten += size;
	r->bytes += size;
	r->packets++;
	return 1;
}

int
pktread_next_text(struct pktline *out, struct pktread *r, struct err *err)
{
	int rc = pktread_next(out, r, err);

	if (rc > 0)
		out->data = pktline_text(out);
	return rc;
}

size_t
pktread_eaten(const struct pktread *r)
{
	return r->eaten;
}
