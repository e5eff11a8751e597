#include "shard-map/ctl/cmd_map_plan.h"

#include <inttypes.h>

#include "gitproto/base/units.h"
#include "shard-map/commitlog/map_follow.h"
#include "shard-map/ctl/map_moves.h"
#include "shard-map/ctl/map_wish.h"
#include "shard-map/ctl/print.h"

static int
print_moves(const struct map *from, const struct map *to, bool planned, bool json, struct err *err)
{
	struct buf out = BUF_MAX(64 * 1024 * 1024);
	struct map_moves m;
	int rc = map_moves_make(&m, from, to, err);

	if (rc == 0 && json) {
		json_t *o = map_moves_json(&m);

		json_object_set_new(o, "planned", json_boolean(planned));
		rc = print_json(o, err);
	} else if (rc == 0) {
		map_moves_text(&out, &m);
		if (planned)
			buf_add_str(&out, "\nThis is a plan: nothing was changed.\n");
		rc = print_text(&out, err);
	}
	map_moves_release(&m);
	buf_release(&out);
	return rc;
}

/* A number is a version in the log, everything else a file. */
static int
load(const struct map **out, struct ctl *c, const char *which, struct err *err)
{
	int64_t version;
	int rc;

	if (units_int(&version, which, NULL) < 0)
		return ctl_load_map_file(out, which, err);
	rc = ctl_open_log(c, false, err);
	if (rc == 0)
		rc = map_follow_read_version(out, (uint64_t)MAX(version, 0), c->log, err);
	if (rc == 0 && *out == NULL)
		rc = err_set(err, ERR_NOT_FOUND, "the log holds no map of version %.20s", which);
	return rc;
}

int
cmd_map_diff(struct ctl *c, struct err *err)
{
	const struct map *from = NULL, *to = NULL;
	int rc = load(&from, c, ctl_word(c, 0), err);

	if (rc == 0)
		rc = load(&to, c, ctl_word(c, 1), err);
	if (rc == 0)
		rc = print_moves(from, to, false, c->json, err);
	map_unref(&from);
	map_unref(&to);
	return rc;
}

int
cmd_map_plan(struct ctl *c, struct err *err)
{
	struct map_wish wish = { c->opts.add, c->opts.drain, c->opts.weight, c->opts.replicas };
	const struct map *to = NULL;
	int rc = ctl_load_map(c, err);

	if (rc < 0)
		return rc;
	rc = map_wish_make(&to, c->map, &wish, err);
	if (rc == ERR_BAD)
		c->usage = true;
	if (rc == 0)
		rc = print_moves(c->map, to, true, c->json, err);
	map_unref(&to);
	return rc;
}
