#include "replica/serve/room.h"

#include <sys/statvfs.h>

#include "replica/serve/pack_get.h"
#include "replica/serve/serve.h"
#include "replica/serve/stage_come.h"
#include "shard-map/commitlog/commitlog_room.h"

#define AGAIN "nothing was changed, push again when its operator has made room"

static bool
has_room(const char *path, uint64_t bytes)
{
	struct statvfs fs;

	return statvfs(path, &fs) != 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= bytes;
}

int
room_for_change(const struct serve *s, struct err *err)
{
	if (!has_room(repo_table_root(s->repos), s->min_free) || !has_room(s->data, s->min_free))
		return err_set(err, ERR_FULL, "the disk of the storage node is full; " AGAIN);
	if (commitlog_room(s->log_url) < s->min_free)
		return err_set(err, ERR_FULL, "the disk of the commit log is full; " AGAIN);
	return 0;
}

int
room_for_pack(const struct serve *s, uint64_t bytes, struct err *err)
{
	uint64_t others = s->min_free + stage_comes_left(s->comes) + pack_gets_left(s->wants);

	bytes = bytes < UINT64_MAX - others ? bytes + others : UINT64_MAX;
	if (!has_room(s->data, bytes))
		return err_set(err, ERR_FULL, "the disk of this voter is full");
	return 0;
}
