/* R12: is the log still the one that was read? */
#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"

struct recheck {
	const struct runhash *mine;
	uint64_t next; /* offset that must come next */
	uint8_t hash[32];
	uint64_t differs; /* first offset whose hash is another; ~0: none */
};

static void
on_records(uint32_t stream, const struct commitlog_record *r, size_t n, void *arg)
{
	struct recheck *c = arg;

	(void)stream;
	for (size_t i = 0; i < n && c->differs == UINT64_MAX && c->next < c->mine->next; i++) {
		const uint8_t *own = runhash_at(c->mine, c->next);

		record_chain(c->hash, c->hash, r[i].bytes);
		if (r[i].offset != c->next || own == NULL ||
		    memcmp(own, c->hash, sizeof(c->hash)) != 0)
			c->differs = c->next;
		c->next++;
	}
}

/* A copy of what is remembered; runhash_release it. */
static void
copy_hashes(struct apply *a, uint32_t shard, struct runhash *out)
{
	struct apply_shard *s;

	runhash_init(out);
	pthread_mutex_lock(&a->lock);
	s = apply_find_shard(a, shard);
	if (s != NULL) {
		uint8_t(*ring)[RECORD_HASH] = out->ring;

		*out = s->hash;
		out->ring = ring;
		memcpy(ring, s->hash.ring, RUNHASH_WINDOW * sizeof(*ring));
	}
	pthread_mutex_unlock(&a->lock);
}

static int
compare(struct commitlog *log, uint32_t shard, uint64_t offsets, struct recheck *c, struct err *err)
{
	uint64_t first, next;
	int rc = commitlog_ends(log, shard, &first, &next, err);

	if (rc < 0)
		return rc;
	if (next < c->mine->next)
		return err_set(
			err, ERR_CORRUPT,
			"shard %u: the log ends at %llu, and %llu records were read from it: "
			"it was cut",
			shard, (unsigned long long)next, (unsigned long long)c->mine->next);
	/* The hash before the first one compared must be known: that of the record before it. */
	c->next = c->mine->next - MIN((uint64_t)c->mine->n, MAX(offsets, UINT64_C(2)));
	if (c->next > 0 || first > 0) {
		c->next = MAX(c->next + 1, first);
		if (c->next >= c->mine->next)
			return 0;
		if (runhash_at(c->mine, c->next - 1) == NULL)
			c->next++;
		if (c->next >= c->mine->next)
			return 0;
		memcpy(c->hash, runhash_at(c->mine, c->next - 1), sizeof(c->hash));
	}
	rc = commitlog_scan(log, shard, c->next, c->mine->next - c->next, on_records, c, err);
	if (rc < 0)
		return rc;
	if (c->differs != UINT64_MAX || c->next < c->mine->next)
		return err_set(err, ERR_CORRUPT,
			       "shard %u: record %llu of the log is not the one that was read: the "
			       "log was cut or replaced",
			       shard,
			       (unsigned long long)(c->differs != UINT64_MAX ? c->differs
									     : c->next));
	return 0;
}

int
apply_recheck(struct apply *a, struct commitlog *log, uint32_t shard, uint64_t offsets,
	      struct err *err)
{
	struct runhash mine;
	struct recheck c = { .mine = &mine, .differs = UINT64_MAX };
	int rc;

	copy_hashes(a, shard, &mine);
	rc = mine.n > 0 ? compare(log, shard, offsets, &c, err) : 0;
	runhash_release(&mine);
	return rc;
}
