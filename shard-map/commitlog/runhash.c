#include "shard-map/commitlog/runhash.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "shard-map/commitlog/record_wire.h"

#define FORMAT 1 /* of runhash_encode */

void
runhash_init(struct runhash *r)
{
	memset(r, 0, sizeof(*r));
	r->ring = mem_array(RUNHASH_WINDOW, RECORD_HASH);
}

void
runhash_release(struct runhash *r)
{
	free(r->ring);
	memset(r, 0, sizeof(*r));
}

void
runhash_load(struct runhash *r, uint64_t offset, const uint8_t hash[RECORD_HASH])
{
	CHECK(r->n == 0 || offset == r->next);
	memcpy(r->ring[offset % RUNHASH_WINDOW], hash, RECORD_HASH);
	memcpy(r->now, hash, RECORD_HASH);
	r->next = offset + 1;
	if (r->n < RUNHASH_WINDOW)
		r->n++;
}

void
runhash_add(struct runhash *r, struct slice bytes)
{
	uint8_t hash[RECORD_HASH];

	record_chain(hash, r->now, bytes);
	memcpy(r->ring[r->next % RUNHASH_WINDOW], hash, RECORD_HASH);
	memcpy(r->now, hash, RECORD_HASH);
	r->next++;
	if (r->n < RUNHASH_WINDOW)
		r->n++;
}

const uint8_t *
runhash_at(const struct runhash *r, uint64_t offset)
{
	if (offset >= r->next || r->next - offset > r->n)
		return NULL;
	return r->ring[offset % RUNHASH_WINDOW];
}

enum runhash_answer
runhash_check(const struct runhash *r, uint64_t offset, const uint8_t hash[RECORD_HASH])
{
	const uint8_t *own = runhash_at(r, offset);

	if (own == NULL)
		return offset >= r->next ? RUNHASH_AHEAD : RUNHASH_OLD;
	return memcmp(own, hash, RECORD_HASH) == 0 ? RUNHASH_SAME : RUNHASH_DIFFERS;
}

enum runhash_answer
runhash_check_record(const struct runhash *r, const struct record *record)
{
	if (record->seen == RECORD_SEEN_NONE)
		return RUNHASH_SAME;
	return runhash_check(r, record->seen, record->seen_hash);
}

void
runhash_encode(struct buf *b, const struct runhash *r)
{
	buf_add_byte(b, FORMAT);
	buf_add_u64(b, r->next);
	buf_add(b, r->now, RECORD_HASH);
	buf_add_u32(b, r->n);
	for (uint64_t o = r->next - r->n; o < r->next; o++)
		buf_add(b, r->ring[o % RUNHASH_WINDOW], RECORD_HASH);
}

int
runhash_decode(struct runhash *out, struct slice s, struct err *err)
{
	const size_t head = 1 + 8 + RECORD_HASH + 4;
	struct runhash r;

	if (s.len >= 1 && s.p[0] > FORMAT)
		return err_set(err, ERR_VERSION, "running hashes of a newer gitshard");
	if (s.len < head || s.p[0] != FORMAT)
		return err_set(err, ERR_CORRUPT, "running hashes are cut short");
	r.next = record_wire_int(s.p + 1, 8);
	r.n = (uint32_t)record_wire_int(s.p + 9 + RECORD_HASH, 4);
	memcpy(r.now, s.p + 9, RECORD_HASH);
	if (r.n > RUNHASH_WINDOW || r.n > r.next || s.len != head + (size_t)r.n * RECORD_HASH)
		return err_set(err, ERR_CORRUPT, "running hashes do not add up");
	if (r.n > 0 && memcmp(r.now, s.p + s.len - RECORD_HASH, RECORD_HASH) != 0)
		return err_set(err, ERR_CORRUPT, "running hashes do not end in the present one");
	r.ring = mem_array(RUNHASH_WINDOW, RECORD_HASH);
	for (uint32_t i = 0; i < r.n; i++)
		memcpy(r.ring[(r.next - r.n + i) % RUNHASH_WINDOW],
		       s.p + head + (size_t)i * RECORD_HASH, RECORD_HASH);
	*out = r;
	return 0;
}
