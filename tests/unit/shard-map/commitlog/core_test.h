/* tests/unit/shard-map/commitlog/core_test.h - records for the tests of the protocol's core.
 * Thread: any. */
#ifndef TESTS_UNIT_SHARD_MAP_COMMITLOG_CORE_TEST_H
#define TESTS_UNIT_SHARD_MAP_COMMITLOG_CORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "gitproto/base/defs.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/commitlog/verdict.h"

#define SHARD 7

static inline void
id_of(uint8_t id[RECORD_ID], uint8_t n)
{
	memset(id, 0, RECORD_ID);
	id[RECORD_ID - 1] = n;
}

/* The voters of config 0: nodes 1, 2, 3 on the disks 1, 2, 3; node 4 on disk 4 is nobody yet. */
static const struct record_member members[] = {
	{ 1, { [RECORD_ID - 1] = 1 } },
	{ 2, { [RECORD_ID - 1] = 2 } },
	{ 3, { [RECORD_ID - 1] = 3 } },
	{ 4, { [RECORD_ID - 1] = 4 } },
};

/* A record of this test's shard; boot = 10 * node. */
static inline struct record
record_by(enum record_type type, uint64_t epoch, uint32_t node, uint64_t seq)
{
	static uint8_t txn;
	struct record r = { .type = type, .shard = SHARD, .seen = RECORD_SEEN_NONE };

	id_of(r.cluster, 0xcc);
	id_of(r.txn, ++txn);
	r.reign = (struct record_reign){ epoch, 10 * (uint64_t)node, node };
	r.seq = seq;
	return r;
}

static inline struct record
genesis(void)
{
	struct record r = record_by(RECORD_GENESIS, 0, 0, 0);

	r.genesis = (struct record_genesis){ .format = 1,
					     .shards = 16,
					     .key_seed = 99,
					     .cluster_name = "test",
					     .members = { .voters = members, .n_voters = 3 } };
	id_of(r.genesis.uuid, 0x77);
	return r;
}

static inline struct record
claim(uint64_t epoch, uint32_t node, uint64_t base)
{
	struct record r = record_by(RECORD_CLAIM, epoch, node, 0);

	id_of(r.claim.incarnation, (uint8_t)node);
	r.claim.base = base;
	return r;
}

static inline struct record
free_barrier(void)
{
	struct record r = record_by(RECORD_BARRIER, 0, 0, 0);

	r.free = true;
	return r;
}

/* Judges r at the end of the stream and takes it in. */
static inline int
put(struct verdict_state *s, const struct record *r, const struct verdict_content *content,
    struct err *why)
{
	int v = verdict_check(s, s->next, r, content, why);

	if (v >= 0)
		verdict_advance(s, s->next, r, (enum verdict)v);
	return v;
}

/* genesis, and node 1 claimed epoch 1 at offset 1 */
static inline void
begin(struct verdict_state *s)
{
	uint8_t cluster[RECORD_ID];
	struct record g = genesis(), c = claim(1, 1, 0);

	id_of(cluster, 0xcc);
	verdict_init(s, cluster, SHARD);
	assert_int_equal(put(s, &g, NULL, NULL), VERDICT_EFFECTIVE);
	assert_int_equal(put(s, &c, NULL, NULL), VERDICT_EFFECTIVE);
}

#endif
