#include "shard-map/commitlog/directory_judge.h"

#include "gitproto/base/clock.h"
#include "gitproto/base/hex.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/key.h"

#define KEY_SEED 0 /* part of the format: who collides is judged alike by everyone */

static uint64_t
hash_of(struct slice key)
{
	uint64_t h = key_hash(key, KEY_SEED);

	return h != 0 ? h : 1;
}

/* Did nothing of this key come since its writer had read? */
static bool
is_in_time(const struct directory_judge *j, const struct record *r, uint64_t hash, uint64_t offset)
{
	uint64_t read = r->seen + 1; /* RECORD_SEEN_NONE: 0 */

	if (read < j->first || read > offset || offset - read >= DIRECTORY_JUDGE_WINDOW)
		return false;
	for (uint64_t at = read; at < offset; at++)
		if (j->keys[at % DIRECTORY_JUDGE_WINDOW] == hash)
			return false;
	return true;
}

static int
take(struct directory *d, const struct record *r)
{
	struct slice key = slice_str(r->directory.key);
	uint32_t shard = r->directory.shard;

	if (shard == DIRECTORY_SAME)
		return directory_note(d, key);
	if (shard != DIRECTORY_NONE)
		return directory_set(d, key, shard);
	directory_drop(d, key);
	return 0;
}

static int
judge_record(struct directory_judge *j, struct directory *d, const struct record *r,
	     const uint8_t uuid[16], uint64_t offset)
{
	uint64_t hash;
	int rc;

	if (r->type != RECORD_DIRECTORY || memcmp(r->cluster, uuid, sizeof(r->cluster)) != 0)
		return 0;
	hash = hash_of(slice_str(r->directory.key));
	j->keys[offset % DIRECTORY_JUDGE_WINDOW] = hash;
	if (!is_in_time(j, r, hash, offset))
		return 0;
	rc = take(d, r);
	return rc == 0 ? 1 : rc;
}

int
directory_judge(struct directory_judge *j, struct directory *d, const uint8_t uuid[16],
		uint64_t offset, struct slice bytes, uint8_t txn[RECORD_ID], struct err *err)
{
	struct record r;
	int rc;

	if (j->next != offset) { /* the first one that is kept */
		memset(j, 0, sizeof(*j));
		j->first = offset;
	}
	j->next = offset + 1;
	j->keys[offset % DIRECTORY_JUDGE_WINDOW] = 0;
	rc = record_decode(&r, bytes, err);
	if (rc == 0) {
		if (txn != NULL)
			memcpy(txn, r.txn, RECORD_ID);
		rc = judge_record(j, d, &r, uuid, offset);
		record_release(&r);
	}
	/* ERR_BAD: it means nothing, to everyone. */
	return rc == ERR_BAD ? 0 : rc;
}

int
directory_judge_record(struct buf *out, const uint8_t uuid[16], uint64_t read, struct slice key,
		       uint32_t shard, const char *reason, const uint8_t txn[RECORD_ID],
		       struct err *err)
{
	struct slice k = key_of(key);
	char text[DIRECTORY_KEY_MAX + 1];
	struct record r = { .type = RECORD_DIRECTORY,
			    .shard = COMMITLOG_DIRECTORY,
			    .seen = read > 0 ? read - 1 : RECORD_SEEN_NONE,
			    .wall_ms = clock_wall_ms(),
			    .directory = { .key = text, .reason = reason, .shard = shard } };

	if (k.len == 0 || k.len > DIRECTORY_KEY_MAX)
		return err_set(err, ERR_BAD, "a key of %zu bytes", k.len);
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(k));
	memcpy(r.cluster, uuid, sizeof(r.cluster));
	memcpy(r.txn, txn, sizeof(r.txn));
	return record_encode(out, &r, err);
}

void
directory_judge_rename(char *out, size_t size, const char *old_name, const uint8_t id[RECORD_ID])
{
	char hex[2 * RECORD_ID + 1];

	hex_encode(hex, id, RECORD_ID);
	snprintf(out, size, "rename of %s, id %s", old_name, hex);
}
