#include "shard-map/commitlog/commitlog_room.h"

#include <string.h>
#include <sys/statvfs.h>

#define SCHEME "file:"

uint64_t
commitlog_room(const char *url)
{
	struct statvfs fs;

	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0 || statvfs(url + strlen(SCHEME), &fs) != 0)
		return UINT64_MAX;
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}
