#include "shard-map/commitlog/map_judge.h"

#include <inttypes.h>

#include "gitproto/base/clock.h"
#include "shard-map/map_check.h"
#include "shard-map/map_file.h"

/* Does this failure depend on the record alone (then it means nothing to everyone), or on who reads
 * it? */
static bool
is_readers_fault(int rc)
{
	return rc == ERR_VERSION || rc == ERR_UNSUPPORTED || rc == ERR_NOMEM;
}

static int
judge_map(const struct map **next, const struct map *now, const struct record *r, struct err *err)
{
	uint64_t version = now != NULL ? now->version : 0;
	const struct map *m = NULL;
	int rc;

	if (r->type != RECORD_MAP)
		return err_set(err, ERR_BAD, "a record of type %s", record_type_name(r->type));
	if (r->map.version != version + 1 || r->map.base != version)
		return err_set(err, ERR_CONFLICT,
			       "version %" PRIu64 " based on %" PRIu64 " does not follow %" PRIu64,
			       r->map.version, r->map.base, version);
	rc = map_file_parse(&m, r->map.text, err);
	if (rc < 0)
		return rc;
	if (m->version != r->map.version || memcmp(m->uuid, r->cluster, sizeof(m->uuid)) != 0)
		rc = err_set(err, ERR_BAD, "the record says other things than the map in it");
	else if (now != NULL)
		rc = map_check_next(now, m, err);
	if (rc < 0)
		map_unref(&m);
	else
		*next = m;
	return rc;
}

int
map_judge(const struct map **next, const struct map *now, struct slice bytes, struct err *err)
{
	struct record r;
	int rc = record_decode(&r, bytes, err);

	if (rc == 0) {
		rc = judge_map(next, now, &r, err);
		record_release(&r);
	}
	if (rc == 0)
		return 1;
	return is_readers_fault(rc) ? rc : 0;
}

int
map_judge_record(struct buf *out, const struct map *m, const uint8_t txn[RECORD_ID],
		 struct err *err)
{
	struct record r = { .type = RECORD_MAP,
			    .shard = COMMITLOG_MAP,
			    .seen = RECORD_SEEN_NONE,
			    .wall_ms = clock_wall_ms() };
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	int rc = map_file_format(&text, m, err);

	if (rc == 0) {
		memcpy(r.cluster, m->uuid, sizeof(r.cluster));
		memcpy(r.txn, txn, sizeof(r.txn));
		r.map.version = m->version;
		r.map.base = m->version - 1;
		r.map.text = buf_slice(&text);
		rc = record_encode(out, &r, err);
	}
	buf_release(&text);
	return rc;
}
