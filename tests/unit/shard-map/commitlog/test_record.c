#include "tests/unit/shard-map/commitlog/core_test.h"

#include "gitproto/base/mem.h"

#define HEX40 "0123456789abcdef0123456789abcdef01234567"

static const struct record_ref two_refs[] = {
	{ "refs/heads/main", { 20, { 1 } }, { 20, { 2 } } },
	{ "refs/tags/v1", { 0, { 0 } }, { 20, { 3 } } },
};
static const struct record_pack two_packs[] = {
	{ .inlined = true,
	  .sha256 = { 7 },
	  .idx_sha256 = { 8 },
	  .size = 4,
	  .idx_size = 3,
	  .name = HEX40,
	  .pack = { (const uint8_t *)"PACK", 4 },
	  .idx = { (const uint8_t *)"idx", 3 } },
	{ .sha256 = { 9 }, .idx_sha256 = { 10 }, .size = 1u << 30, .idx_size = 99, .name = HEX40 },
};
static const struct record_pair pairs[] = { { "http.receivepack", "true" }, { "x.y", NULL } };

static struct record
sample(int type)
{
	struct record r = record_by((enum record_type)type, 3, 2, type == RECORD_CLAIM ? 0 : 17);

	r.seen = 41;
	memset(r.seen_hash, 0x5e, RECORD_HASH);
	r.wall_ms = 1700000000123;
	switch (type) {
	case RECORD_GENESIS:
		r = genesis();
		r.genesis.members.learners = &members[3];
		r.genesis.members.n_learners = 1;
		break;
	case RECORD_CLAIM:
		r.claim.base = 40;
		break;
	case RECORD_YIELD:
		r.yield.wish = 3;
		break;
	case RECORD_CONFIG:
		r.config.base = 40;
		r.config.members = (struct record_members){ members, NULL, 2, 0, true };
		break;
	case RECORD_CREATE:
		r.create = (struct record_create){ { 1 }, 32, 1, "alice/x", "refs/heads/main" };
		break;
	case RECORD_RENAME:
		r.rename.path = "bob/y";
		break;
	case RECORD_UPDATE:
		r.update = (struct record_update){ .id = { 1 },
						   .push = { 2 },
						   .config = 4,
						   .digest = { 5 },
						   .oid_len = 20,
						   .head = "refs/heads/dev",
						   .refs = two_refs,
						   .n_refs = 2,
						   .packs = two_packs,
						   .n_packs = 2 };
		break;
	case RECORD_META:
		r.meta = (struct record_meta){ { 1 }, "words", pairs, 2 };
		break;
	case RECORD_CHECKPOINT:
		r.checkpoint = (struct record_checkpoint){ 30, members, 2 };
		break;
	case RECORD_START:
		r.start = (struct record_start){ 2, { 9 }, 5 };
		break;
	case RECORD_MAP:
		r.map = (struct record_map){ 2, 1, SLICE_LIT("{}") };
		break;
	case RECORD_DIRECTORY:
		r.directory = (struct record_directory){ "alice/x", "renamed", 3 };
		break;
	default:
		break;
	}
	return r;
}

static void
encode(struct buf *b, const struct record *r)
{
	struct err err = { 0 };

	if (record_encode(b, r, &err) != 0)
		fail_msg("%s: %s", record_type_name(r->type), err.text);
}

/* What is written is read, and written again byte for byte, also when kept. */
static void
round_trip(void **state UNUSED)
{
	for (int type = 1; type < RECORD_NTYPES; type++) {
		struct buf b = BUF_MAX(RECORD_MAX), again = BUF_MAX(RECORD_MAX);
		struct record r = sample(type), d;

		encode(&b, &r);
		assert_int_equal(record_decode(&d, buf_slice(&b), NULL), 0);
		assert_int_equal(d.type, type);
		assert_int_equal(d.seen, r.seen);
		assert_memory_equal(d.txn, r.txn, RECORD_ID);
		if (record_has_reign(&r)) {
			assert_true(record_reign_eq(&d.reign, &r.reign));
			assert_int_equal(d.seq, r.seq);
		}
		encode(&again, &d);
		assert_int_equal(again.len, b.len);
		assert_memory_equal(again.p, b.p, b.len);
		record_release(&d);
		buf_release(&b);
		buf_release(&again);
	}
}

static void
fields_of_an_update(void **state UNUSED)
{
	struct buf b = BUF_MAX(RECORD_MAX);
	struct record r = sample(RECORD_UPDATE), d;
	uint8_t staged[RECORD_HASH] = { 9 }, other[RECORD_HASH] = { 11 };

	encode(&b, &r);
	assert_int_equal(record_decode(&d, buf_slice(&b), NULL), 0);
	assert_string_equal(d.update.refs[1].name, "refs/tags/v1");
	assert_true(record_oid_is_zero(&d.update.refs[1].old));
	assert_int_equal(d.update.refs[1].old.len, 20); /* "none" comes back as zeros */
	assert_true(record_oid_eq(&d.update.refs[0].new, &two_refs[0].new));
	assert_true(slice_eq_str(d.update.packs[0].pack, "PACK"));
	assert_true(slice_eq_str(d.update.packs[0].idx, "idx"));
	assert_false(d.update.packs[1].inlined);
	assert_int_equal(d.update.packs[1].size, 1u << 30);
	assert_true(record_names_pack(&d, staged));
	assert_false(record_names_pack(&d, other));

	/* kept: the bytes may go, the inline pack is dropped, twice is once */
	assert_int_equal(record_keep(&d, NULL), 0);
	memset(b.p, 0xff, b.len);
	buf_release(&b);
	assert_int_equal(record_keep(&d, NULL), 0);
	assert_string_equal(d.update.refs[0].name, "refs/heads/main");
	assert_string_equal(d.update.head, "refs/heads/dev");
	assert_string_equal(d.update.packs[1].name, HEX40);
	assert_int_equal(d.update.packs[0].pack.len, 0);
	record_release(&d);
}

static void
keeps_every_type(void **state UNUSED)
{
	for (int type = 1; type < RECORD_NTYPES; type++) {
		struct buf b = BUF_MAX(RECORD_MAX), again = BUF_MAX(RECORD_MAX);
		struct record r = sample(type), d;

		if (type == RECORD_UPDATE)
			r.update.n_packs = 0; /* without bytes an inline one cannot be written */
		encode(&b, &r);
		assert_int_equal(record_decode(&d, buf_slice(&b), NULL), 0);
		mem_fail_at(1);
		assert_int_equal(record_keep(&d, NULL), ERR_NOMEM);
		mem_fail_at(0);
		assert_int_equal(record_keep(&d, NULL), 0);
		encode(&again, &d);
		assert_memory_equal(again.p, b.p, b.len);
		memset(b.p, 0xff, b.len);
		buf_clear(&again);
		encode(&again, &d);
		assert_int_equal(again.len, b.len);
		record_release(&d);
		buf_release(&b);
		buf_release(&again);
	}
}

/* Every cut is an error, every flipped byte is an error or another record: no crash, no leak. */
static void
damaged(void **state UNUSED)
{
	for (int type = 1; type < RECORD_NTYPES; type++) {
		struct buf b = BUF_MAX(RECORD_MAX);
		struct record r = sample(type), d;

		encode(&b, &r);
		for (size_t n = 0; n < b.len; n++) {
			struct err err = { 0 };
			uint8_t *copy = mem_dup(b.p, MAX(n, 1)); /* for the sanitizer */

			assert_int_equal(record_decode(&d, slice_of(copy, n), &err), ERR_BAD);
			assert_true(err.text[0] != '\0');
			free(copy);
		}
		for (size_t n = 0; n < b.len; n++)
			for (int bit = 0; bit < 8; bit++) {
				b.p[n] ^= (uint8_t)(1u << bit);
				if (record_decode(&d, buf_slice(&b), NULL) == 0)
					record_release(&d);
				b.p[n] ^= (uint8_t)(1u << bit);
			}
		buf_add_byte(&b, 0);
		assert_int_equal(record_decode(&d, buf_slice(&b), NULL), ERR_BAD);
		buf_release(&b);
	}
}

static void
allocations_fail(void **state UNUSED)
{
	for (int type = 1; type < RECORD_NTYPES; type++) {
		struct buf b = BUF_MAX(RECORD_MAX);
		struct record r = sample(type), d;

		encode(&b, &r);
		for (unsigned nth = 1;; nth++) {
			int rc;

			mem_fail_at(nth);
			rc = record_decode(&d, buf_slice(&b), NULL);
			mem_fail_at(0);
			if (rc == 0) {
				record_release(&d);
				break;
			}
			assert_int_equal(rc, ERR_NOMEM);
			assert_true(nth < 10);
		}
		buf_release(&b);
	}
}

/* Bytes of the head: magic 0-3, version 4, reader 5, type 6, flags 7. */
static void
versions(void **state UNUSED)
{
	static const struct {
		int at, value, rc;
		bool more; /* bytes behind */
	} cases[] = {
		{ 4, 9, 0, false },
		{ 4, 9, 0, true }, /* newer, but we may read it */
		{ 5, 2, ERR_VERSION, false },
		{ 6, 0, ERR_UNSUPPORTED, false },
		{ 6, 15, ERR_UNSUPPORTED, true },
		{ 6, 255, ERR_UNSUPPORTED, false },
		{ 7, 1, ERR_UNSUPPORTED, false },
		{ 7, 2, ERR_UNSUPPORTED, false },
		{ 0, 'x', ERR_BAD, false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf b = BUF_MAX(RECORD_MAX);
		struct record r = sample(RECORD_DELETE), d;

		encode(&b, &r);
		b.p[cases[i].at] = (uint8_t)cases[i].value;
		if (cases[i].more)
			buf_add_str(&b, "field of the future");
		assert_int_equal(record_decode(&d, buf_slice(&b), NULL), cases[i].rc);
		buf_release(&b);
	}
}

/* A count that no bytes stand behind allocates nothing. */
static void
counts_are_bounded(void **state UNUSED)
{
	struct buf b = BUF_MAX(RECORD_MAX);
	struct record r = sample(RECORD_UPDATE), d;
	const size_t n_refs = 120 + 16 + 16 + 8 + 32 + 1 + 2 + strlen("refs/heads/dev") + 1;

	encode(&b, &r);
	assert_int_equal(b.p[n_refs + 3], 2);
	memset(b.p + n_refs, 0xff, 4);
	mem_fail_at(1);
	assert_int_equal(record_decode(&d, buf_slice(&b), NULL), ERR_BAD);
	mem_fail_at(0);
	buf_release(&b);
}

static void
wrong_to_write(void **state UNUSED)
{
	struct record_ref wrong_len = { "refs/heads/x", { 32, { 1 } }, { 20, { 1 } } };
	struct record_pack no_bytes = two_packs[0], no_hex = two_packs[1];
	char long_name[RECORD_NAME_MAX + 2];
	struct record r[8];
	int rc[COUNT(r)] = { ERR_BAD, ERR_BAD, ERR_BAD, ERR_TOO_BIG,
			     ERR_BAD, ERR_BAD, ERR_BAD, ERR_UNSUPPORTED };

	memset(long_name, 'a', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	no_bytes.pack = SLICE_NONE;
	no_hex.name = "../../etc/passwd";
	for (size_t i = 0; i < COUNT(r); i++)
		r[i] = sample(RECORD_UPDATE);
	r[0].update.refs = &wrong_len;
	r[0].update.n_refs = 1;
	r[1].update.packs = &no_bytes;
	r[2].update.packs = &no_hex;
	r[3] = sample(RECORD_RENAME);
	r[3].rename.path = long_name;
	r[4].update.oid_len = 21;
	r[5] = sample(RECORD_CLAIM);
	r[5].seq = 1;
	r[6] = sample(RECORD_CREATE);
	r[6].create.head = NULL;
	r[7].type = RECORD_NTYPES;
	for (size_t i = 0; i < COUNT(r); i++) {
		struct buf b = BUF_MAX(RECORD_MAX);

		assert_int_equal(record_encode(&b, &r[i], NULL), rc[i]);
		buf_release(&b);
	}
}

/* An atomic push of RECORD_REFS_MAX refs fits; what is too large is refused in words. */
static void
many_refs(void **state UNUSED)
{
	const size_t too_many = 2 * RECORD_REFS_MAX;
	struct record_ref *refs = mem_array(too_many, sizeof(*refs));
	char(*names)[40] = mem_array(too_many, sizeof(*names));
	struct buf b = BUF_MAX(RECORD_MAX);
	struct record r = sample(RECORD_UPDATE), d;
	struct err err = { 0 };
	size_t before, sum = 0;

	r.update.n_packs = 0;
	r.update.n_refs = 0;
	encode(&b, &r);
	before = b.len;
	for (size_t i = 0; i < too_many; i++) {
		snprintf(names[i], sizeof(names[i]), "refs/heads/a-topic-of-%08zu", i);
		refs[i] = (struct record_ref){ names[i], { 20, { 1 } }, { 20, { 2 } } };
		if (i < RECORD_REFS_MAX)
			sum += record_ref_size(names[i], 20);
	}
	r.update.refs = refs;
	r.update.n_refs = RECORD_REFS_MAX;
	buf_clear(&b);
	encode(&b, &r);
	assert_int_equal(b.len, before + sum);
	assert_true(sum <= RECORD_UPDATE_ROOM);
	assert_int_equal(record_decode(&d, buf_slice(&b), NULL), 0);
	assert_int_equal(d.update.n_refs, RECORD_REFS_MAX);
	assert_string_equal(d.update.refs[11999].name, names[11999]);
	record_release(&d);
	r.update.n_refs = too_many;
	buf_clear(&b);
	assert_int_equal(record_encode(&b, &r, &err), ERR_TOO_BIG);
	assert_non_null(strstr(err.text, "12000"));
	buf_release(&b);
	free(refs);
	free(names);
}

static void
pack_size(void **state UNUSED)
{
	struct buf b = BUF_MAX(RECORD_MAX);
	struct record r = sample(RECORD_UPDATE);
	size_t with, without;

	encode(&b, &r);
	with = b.len;
	buf_clear(&b);
	r.update.n_packs = 0;
	encode(&b, &r);
	without = b.len;
	assert_int_equal(with - without,
			 record_pack_size(&two_packs[0]) + record_pack_size(&two_packs[1]));
	buf_release(&b);
}

/* Known answers: SHA-256 of 32 zero bytes and "abc", then of that and nothing. */
static void
chain(void **state UNUSED)
{
	static const uint8_t one[] = { 0x36, 0x5a, 0xa7, 0xd8 };
	static const uint8_t two[] = { 0xe6, 0x8b, 0x0c, 0x72 };
	uint8_t h[RECORD_HASH] = { 0 };

	record_chain(h, h, SLICE_LIT("abc"));
	assert_memory_equal(h, one, sizeof(one));
	record_chain(h, h, SLICE_NONE);
	assert_memory_equal(h, two, sizeof(two));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(fields_of_an_update),
		cmocka_unit_test(keeps_every_type),
		cmocka_unit_test(damaged),
		cmocka_unit_test(allocations_fail),
		cmocka_unit_test(versions),
		cmocka_unit_test(counts_are_bounded),
		cmocka_unit_test(wrong_to_write),
		cmocka_unit_test(many_refs),
		cmocka_unit_test(pack_size),
		cmocka_unit_test(chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
