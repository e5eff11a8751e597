#include "shard-map/ctl/map_init.h"

#include <inttypes.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "shard-map/commitlog/map_follow.h"
#include "shard-map/commitlog/map_judge.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/ctl/log_call.h"
#include "shard-map/place.h"

#define EMPTY "; begin with an empty log (another `log`, or remove this one's files)"

struct init {
	const struct map_init *want;
	struct commitlog *log;
	uint8_t uuid[16];
	uint64_t key_seed;
	bool resumed;          /* uuid and seed are of an earlier run */
	bool *done;            /* owned: [shard] its genesis is there */
	const struct map *map; /* owned: what will be version 1 */
};

static int
check_no_map(struct init *in, struct err *err)
{
	const struct map *m = NULL;
	uint64_t first, next;
	int rc = commitlog_ends(in->log, COMMITLOG_MAP, &first, &next, err);

	if (rc < 0 || next == 0)
		return rc;
	rc = map_follow_read(&m, in->log, err);
	if (rc < 0)
		return rc;
	if (m != NULL)
		rc = err_set(err, ERR_EXISTS,
			     "cluster %s has a map already (version %" PRIu64
			     ", %u nodes); see: shardctl map show",
			     m->cluster, m->version, m->nnodes);
	else
		rc = err_set(err, ERR_CONFLICT,
			     "the stream of maps holds %" PRIu64 " records and no map" EMPTY, next);
	map_unref(&m);
	return rc;
}

/* ---- what an earlier run left ---------------------------------------------------------------- */

static int
take_over(struct init *in, uint32_t shard, const struct record *r, struct err *err)
{
	if (r->type != RECORD_GENESIS || r->shard != shard)
		return err_set(err, ERR_CONFLICT,
			       "the stream of shard %u does not begin with its genesis" EMPTY,
			       shard);
	if (r->genesis.shards != in->want->shards)
		return err_set(
			err, ERR_CONFLICT,
			"an earlier run began a cluster of %u shards; run it with --shards %u, "
			"or begin with an empty log",
			r->genesis.shards, r->genesis.shards);
	if (in->resumed &&
	    (memcmp(in->uuid, r->cluster, 16) != 0 || in->key_seed != r->genesis.key_seed))
		return err_set(err, ERR_CONFLICT,
			       "two runs of map init wrote into this log at the same time" EMPTY);
	memcpy(in->uuid, r->cluster, 16);
	in->key_seed = r->genesis.key_seed;
	in->resumed = in->done[shard] = true;
	return 0;
}

static int
look_at_shard(struct init *in, uint32_t shard, struct err *err)
{
	uint64_t first = 0, next = 0;
	struct record r;
	int rc = commitlog_ends(in->log, shard, &first, &next, err);

	if (rc < 0 || next == 0)
		return rc;
	if (first > 0)
		return err_set(err, ERR_CONFLICT, "the stream of shard %u was trimmed" EMPTY,
			       shard);
	rc = log_call_read(&r, in->log, shard, 0, err);
	if (rc < 0)
		return rc;
	rc = take_over(in, shard, &r, err);
	record_release(&r);
	return rc;
}

static int
look(struct init *in, struct err *err)
{
	int rc = 0;

	for (uint32_t s = 0; s < in->want->shards && rc == 0; s++)
		rc = look_at_shard(in, s, err);
	if (rc == 0 && !in->resumed) {
		rnd_bytes(in->uuid, sizeof(in->uuid));
		in->key_seed = rnd_u64();
	}
	return rc;
}

/* ---- the genesis of a shard ------------------------------------------------------------------ */

/* Follows from cluster and shard, so that a second run writes the same. */
static void
shard_uuid(uint8_t out[RECORD_ID], const struct init *in, uint32_t shard)
{
	uint8_t bytes[16 + 4], sum[RECORD_HASH] = { 0 };

	memcpy(bytes, in->uuid, 16);
	for (unsigned i = 0; i < 4; i++)
		bytes[16 + i] = (uint8_t)(shard >> (24 - 8 * i));
	record_chain(sum, sum, slice_of(bytes, sizeof(bytes)));
	memcpy(out, sum, RECORD_ID);
}

/* Its first voters: the members that the map wishes. */
static uint32_t
fill_voters(struct record_member voters[RECORD_MEMBERS_MAX], const struct init *in, uint32_t shard)
{
	uint32_t n;
	const uint32_t *member = map_members(in->map, shard, &n);

	for (uint32_t i = 0; i < n; i++) {
		voters[i].node = member[i];
		/* Ids are 1, 2, 3 in the order of the nodes given. */
		memcpy(voters[i].incarnation, in->want->incarnations[member[i] - 1], RECORD_ID);
	}
	return n;
}

static int
encode_genesis(struct buf *out, const struct init *in, uint32_t shard, struct err *err)
{
	struct record_member voters[RECORD_MEMBERS_MAX];
	struct record r = { .type = RECORD_GENESIS,
			    .shard = shard,
			    .seen = RECORD_SEEN_NONE,
			    .wall_ms = clock_wall_ms() };
	uint32_t n = fill_voters(voters, in, shard);

	memcpy(r.cluster, in->uuid, sizeof(r.cluster));
	rnd_bytes(r.txn, sizeof(r.txn));
	r.genesis = (struct record_genesis){
		.format = 1,
		.shards = in->want->shards,
		.key_seed = in->key_seed,
		.cluster_name = in->want->cluster,
		.members = { .voters = voters, .n_voters = n, .single = n == 1 }
	};
	shard_uuid(r.genesis.uuid, in, shard);
	return record_encode(out, &r, err);
}

/* Is what stands at offset 0 the genesis that this run wants there? */
static int
check_genesis(const struct init *in, uint32_t shard, struct err *err)
{
	struct record_member voters[RECORD_MEMBERS_MAX];
	uint32_t n = fill_voters(voters, in, shard);
	const struct record_members *m;
	struct record r;
	bool same;
	int rc = log_call_read(&r, in->log, shard, 0, err);

	if (rc < 0)
		return rc;
	m = &r.genesis.members;
	same = r.type == RECORD_GENESIS && memcmp(r.cluster, in->uuid, 16) == 0;
	if (!same)
		rc = err_set(
			err, ERR_CONFLICT,
			"another run of map init wrote into shard %u first; look with: shardctl "
			"map show",
			shard);
	same = same && m->n_voters == n;
	for (uint32_t i = 0; i < n && same; i++)
		same = m->voters[i].node == voters[i].node &&
		       memcmp(m->voters[i].incarnation, voters[i].incarnation, RECORD_ID) == 0;
	if (rc == 0 && !same)
		rc = err_set(
			err, ERR_CONFLICT,
			"an earlier run began shard %u with other nodes or disks; run it with the "
			"same --node, --replicas and disks, or begin with an empty log",
			shard);
	record_release(&r);
	return rc;
}

static int
write_genesis(struct init *in, uint32_t shard, struct err *err)
{
	struct buf bytes = BUF_MAX(COMMITLOG_MAX_RECORD);
	int rc = encode_genesis(&bytes, in, shard, err);

	if (rc == 0)
		rc = log_call_append(in->log, shard, buf_slice(&bytes), err);
	buf_release(&bytes);
	if (rc == ERR_UNKNOWN)
		err_prefix(err, "the genesis of shard %u; run the same command again", shard);
	else if (rc < 0)
		err_prefix(err, "the genesis of shard %u", shard);
	return rc;
}

/* ---- the map --------------------------------------------------------------------------------- */

static int
plan(struct init *in, struct err *err)
{
	const struct map *empty =
		map_new_empty(in->want->cluster, in->uuid, in->key_seed, in->want->shards);
	struct place_wish wish = { in->want->nodes, in->want->nnodes, in->want->replicas };
	int rc = place_make(&in->map, empty, &wish, err);

	map_unref(&empty);
	if (rc == 0 && in->map->first[1] > RECORD_MEMBERS_MAX)
		rc = err_set(err, ERR_BAD, "more than %u members of a shard", RECORD_MEMBERS_MAX);
	return rc;
}

static int
write_map(const struct map **out, struct init *in, struct err *err)
{
	struct buf bytes = BUF_MAX(COMMITLOG_MAX_RECORD);
	uint8_t txn[RECORD_ID];
	int rc;

	rnd_bytes(txn, sizeof(txn));
	rc = map_judge_record(&bytes, in->map, txn, err);
	if (rc == 0)
		rc = log_call_append(in->log, COMMITLOG_MAP, buf_slice(&bytes), err);
	buf_release(&bytes);
	if (rc < 0)
		return err_prefix(err, "map version 1; look with `shardctl map show`, else run the "
				       "same command again"),
		       rc;
	rc = map_follow_read(out, in->log, err);
	if (rc == 0 && (*out == NULL || memcmp((*out)->uuid, in->uuid, 16) != 0)) {
		map_unref(out);
		rc = err_set(err, ERR_CONFLICT,
			     "another run of map init was quicker; look with: shardctl map show");
	}
	return rc;
}

int
map_init_run(const struct map **out, struct commitlog *log, const struct map_init *want,
	     struct err *err)
{
	struct init in = { .want = want, .log = log };
	int rc = check_no_map(&in, err);

	in.done = mem_array(want->shards, sizeof(*in.done));
	if (rc == 0)
		rc = look(&in, err);
	if (rc == 0)
		rc = plan(&in, err);
	/* What is there must be right before anything is added to it. */
	for (uint32_t s = 0; s < want->shards && rc == 0; s++)
		if (in.done[s])
			rc = check_genesis(&in, s, err);
	for (uint32_t s = 0; s < want->shards && rc == 0; s++)
		if (!in.done[s])
			rc = write_genesis(&in, s, err);
	for (uint32_t s = 0; s < want->shards && rc == 0; s++)
		rc = check_genesis(&in, s, err);
	if (rc == 0)
		rc = write_map(out, &in, err);
	map_unref(&in.map);
	free(in.done);
	return rc;
}
