/* What stands in the streams of the shards, a JSON object a record, in the order of each stream:
 *	dump_log LOG-URL CLUSTER SHARDS
 * It judges nothing: tests that do (tests/e2e/harness/loglook.py) go by docs/commit-log.md alone. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "gitproto/base/check.h"
#include "gitproto/base/hex.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/commitlog/record.h"

static void
set_hex(json_t *j, const char *key, const uint8_t *bytes, size_t n)
{
	char hex[2 * RECORD_HASH + 1];

	hex_encode(hex, bytes, n);
	json_object_set_new(j, key, json_string(hex));
}

static void
set_number(json_t *j, const char *key, uint64_t v)
{
	json_object_set_new(j, key, json_integer((json_int_t)v));
}

static json_t *
describe_members(const struct record_members *m)
{
	json_t *all = json_array();

	for (size_t i = 0; i < m->n_voters; i++) {
		json_t *one = json_object();

		set_number(one, "node", m->voters[i].node);
		set_hex(one, "incarnation", m->voters[i].incarnation, RECORD_ID);
		json_array_append_new(all, one);
	}
	return all;
}

static void
add_update(json_t *j, const struct record_update *u)
{
	json_t *refs = json_array();

	set_hex(j, "repo", u->id, RECORD_ID);
	set_hex(j, "push", u->push, RECORD_ID);
	set_hex(j, "digest", u->digest, RECORD_HASH);
	set_number(j, "config", u->config);
	set_number(j, "packs", u->n_packs);
	set_number(j, "staged", u->n_packs > 0 && !u->packs[0].inlined);
	if (u->head != NULL)
		json_object_set_new(j, "head", json_string(u->head));
	for (size_t i = 0; i < u->n_refs; i++) {
		json_t *one = json_object();

		json_object_set_new(one, "name", json_string(u->refs[i].name));
		set_hex(one, "old", u->refs[i].old.b, u->oid_len);
		set_hex(one, "new", u->refs[i].new.b, u->oid_len);
		json_array_append_new(refs, one);
	}
	json_object_set_new(j, "refs", refs);
}

static void
add_content(json_t *j, const struct record *r)
{
	switch (r->type) {
	case RECORD_GENESIS:
		json_object_set_new(j, "voters", describe_members(&r->genesis.members));
		break;
	case RECORD_CLAIM:
		set_hex(j, "incarnation", r->claim.incarnation, RECORD_ID);
		set_number(j, "base", r->claim.base);
		break;
	case RECORD_CREATE:
		set_hex(j, "repo", r->create.id, RECORD_ID);
		json_object_set_new(j, "path", json_string(r->create.path));
		json_object_set_new(j, "head", json_string(r->create.head));
		break;
	case RECORD_DELETE:
		set_hex(j, "repo", r->del.id, RECORD_ID);
		break;
	case RECORD_UPDATE:
		add_update(j, &r->update);
		break;
	default:
		break;
	}
}

static void
print_records(uint32_t stream, const struct commitlog_record *all, size_t n, void *arg UNUSED)
{
	for (size_t i = 0; i < n; i++) {
		struct record r;
		struct err err;
		json_t *j = json_object();

		if (record_decode(&r, all[i].bytes, &err) != 0) {
			fprintf(stderr, "dump_log: %" PRIu32 ":%" PRIu64 ": %s\n", stream,
				all[i].offset, err_text(&err));
			exit(1);
		}
		set_number(j, "stream", stream);
		set_number(j, "offset", all[i].offset);
		json_object_set_new(j, "type", json_string(record_type_name(r.type)));
		json_object_set_new(j, "free", json_boolean(!record_has_reign(&r)));
		set_hex(j, "txn", r.txn, RECORD_ID);
		set_number(j, "wall_ms", r.wall_ms);
		if (record_has_reign(&r)) {
			set_number(j, "epoch", r.reign.epoch);
			set_number(j, "node", r.reign.node);
			set_hex(j, "boot", (const uint8_t *)&r.reign.boot, sizeof(r.reign.boot));
			set_number(j, "seq", r.seq);
		}
		add_content(j, &r);
		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(j);
		record_release(&r);
	}
}

int
main(int argc, char **argv)
{
	struct commitlog_opts opts = { .allow_weak = true };
	struct commitlog *log;
	struct err err;
	uint32_t shards;
	int rc = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: dump_log LOG-URL CLUSTER SHARDS\n");
		return 2;
	}
	opts.cluster = argv[2];
	shards = (uint32_t)strtoul(argv[3], NULL, 10);
	if (commitlog_open(&log, argv[1], &opts, &err) != 0) {
		fprintf(stderr, "dump_log: %s\n", err_text(&err));
		return 1;
	}
	for (uint32_t i = 0; i < shards && rc == 0; i++)
		rc = commitlog_scan(log, i, 0, UINT64_MAX, print_records, NULL, &err);
	commitlog_close(&log);
	if (rc != 0)
		fprintf(stderr, "dump_log: %s\n", err_text(&err));
	return rc != 0;
}
