#include "shard-map/ctl/cmd_rename.h"

#include <unistd.h>

#include "gitproto/base/clock.h"
#include "gitproto/base/hex.h"
#include "shard-map/commitlog/directory_judge.h"
#include "shard-map/ctl/node_call.h"
#include "shard-map/ctl/print.h"
#include "shard-map/ctl/repo_place.h"

#define CHANGE_MSEC 20000
#define LOOK_MSEC 2000
#define AGAIN_MSEC 200

#define TARGET_SIZE (2 * SMART_PATH_REPO_SIZE + 100)

/* The id of the repository, from whichever node has it; "" when none says so.  By it a call may be made
 * again whatever became of the one before. */
static void
find_id(char id[33], const struct ctl *c, const struct repo_place *p)
{
	char target[SMART_PATH_REPO_SIZE + 32];
	struct ask *asks;

	id[0] = '\0';
	snprintf(target, sizeof(target), "/v1/repos?repo=%s", p->repo.path);
	asks = node_call_all(c->map, target, LOOK_MSEC);
	for (uint32_t i = 0; i < c->map->nnodes; i++) {
		json_t *one = json_array_get(json_object_get(asks[i].json, "repos"), 0);

		if (asks[i].err.code == 0 && one != NULL &&
		    json_integer_value(json_object_get(one, "shard")) == (json_int_t)p->shard)
			snprintf(id, 33, "%s", print_get(one, "id", ""));
	}
	ask_release(asks, c->map->nnodes);
	free(asks);
}

/* A search in the stream of the directory. */
struct search {
	struct slice key;
	const char *reason;
	bool found;
};

static void
on_records(uint32_t stream UNUSED, const struct commitlog_record *r, size_t n, void *arg)
{
	struct search *s = arg;

	for (size_t i = 0; i < n && !s->found; i++) {
		struct record rec;

		if (record_decode(&rec, r[i].bytes, NULL) < 0)
			continue;
		s->found = rec.type == RECORD_DIRECTORY && rec.directory.reason != NULL &&
			   slice_eq_str(s->key, rec.directory.key) &&
			   strcmp(rec.directory.reason, s->reason) == 0;
		record_release(&rec);
	}
}

/* Was the new name taken for what had the old one, with this id? */
static bool
was_renamed(struct ctl *c, const struct repo_place *from, const struct repo_place *to,
	    const char *id)
{
	char reason[DIRECTORY_JUDGE_RENAME];
	struct search s = { .key = slice_str(to->repo.key), .reason = reason };
	uint64_t first, next;
	uint8_t raw[RECORD_ID];

	if (hex_decode(raw, sizeof(raw), slice_str(id)) < 0 ||
	    commitlog_ends(c->log, COMMITLOG_DIRECTORY, &first, &next, NULL) < 0)
		return false;
	directory_judge_rename(reason, sizeof(reason), from->repo.path, raw);
	return next > first &&
	       commitlog_scan(c->log, COMMITLOG_DIRECTORY, first, next - first, on_records, &s,
			      NULL) == 0 &&
	       s.found;
}

/* By which id, and in which shard, the call is to be made: when the old name is gone it may be that an
 * earlier run had renamed it. */
static void
find_who(char id[33], uint32_t *shard, struct ctl *c, const struct repo_place *from,
	 const struct repo_place *to)
{
	find_id(id, c, from);
	*shard = from->shard;
	if (id[0] != '\0')
		return;
	find_id(id, c, to);
	if (id[0] != '\0' && was_renamed(c, from, to, id))
		*shard = to->shard;
	else
		id[0] = '\0';
}

/* Until it is known to be done: with its id the same call finishes what an earlier one began. */
static int
call(json_t **answer, struct ctl *c, const struct repo_place *from, const struct repo_place *to,
     struct err *err)
{
	uint64_t end =
		clock_boot_ns() + (c->timeout_ms > 0 ? c->timeout_ms : CHANGE_MSEC) * CLOCK_MSEC;
	uint64_t now = clock_boot_ns();
	char target[TARGET_SIZE], id[33];
	uint32_t shard;
	int rc;

	find_who(id, &shard, c, from, to);
	snprintf(target, sizeof(target), "/v1/repos/rename?repo=%s&to=%s%s%s", from->repo.path,
		 to->repo.path, id[0] != '\0' ? "&id=" : "", id);
	do {
		rc = node_call(answer, c->map, shard, "POST", target, NULL,
			       (end - now) / CLOCK_MSEC + 1, err);
		if (rc != ERR_UNKNOWN || id[0] == '\0')
			return rc;
		usleep(AGAIN_MSEC * 1000);
		now = clock_boot_ns();
	} while (now < end);
	return rc;
}

int
cmd_repo_rename(struct ctl *c, struct err *err)
{
	struct repo_place from, to;
	struct buf text = BUF_MAX(4096);
	json_t *answer;
	int rc = repo_place_find(&from, c, ctl_word(c, 0), err);

	if (rc == 0)
		rc = repo_place_find(&to, c, ctl_word(c, 1), err);
	if (rc == 0)
		rc = call(&answer, c, &from, &to, err);
	if (rc < 0)
		return rc;
	if (c->json)
		return print_json(answer, err);
	buf_addf(&text, "renamed %s to %s (id %s, shard %d)\n", from.repo.path,
		 print_get(answer, "repo", "?"), print_get(answer, "id", "?"),
		 (int)json_integer_value(json_object_get(answer, "shard")));
	rc = print_text(&text, err);
	buf_release(&text);
	json_decref(answer);
	return rc;
}
