#include "replica/serve/room.h"

#include <sys/statvfs.h>

#include "replica/serve/serve.h"
#include "shard-map/commitlog/commitlog_room.h"

#define AGAIN "nothing was changed, push again when its operator has made room"

static bool
has_room(const char *path, uint64_t bytes)
{
	struct statvfs fs;

	return statvfs(path, &fs) != 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= bytes;
}

int
room_on_node(const struct serve *s, uint64_t bytes, struct err *err)
{
	bytes = bytes < UINT64_MAX - s->min_free ? bytes + s->min_free : UINT64_MAX;
	if (has_room(repo_table_root(s->repos), bytes) && has_room(s->data, bytes))
		return 0;
	return err_set(err, ERR_FULL, "the disk of the storage node is full; " AGAIN);
}

int
room_for_change(const struct serve *s, struct err *err)
{
	int rc = room_on_node(s, 0, err);

	if (rc == 0 && commitlog_room(s->log_url) < s->min_free)
		rc = err_set(err, ERR_FULL, "the disk of the commit log is full; " AGAIN);
	return rc;
}
