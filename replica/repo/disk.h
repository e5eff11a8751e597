/* replica/repo/disk.h - what base/fsio.h lacks for repositories: paths, trees, files in steps; and
 * full disks for tests.
 * Thread: any (everything here blocks).
 * Paths are NUL-terminated; a path over DISK_PATH bytes is ERR_TOO_BIG.  "Durable" means: content
 * and name are on disk when the function returns. */
#ifndef REPLICA_REPO_DISK_H
#define REPLICA_REPO_DISK_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"

#define DISK_PATH 4096

/* printf into out[DISK_PATH]. */
MUST_CHECK int disk_path(char *out, struct err *, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Folder and what is missing above it; the names made are durable. */
MUST_CHECK int disk_mkdirs(const char *dir, struct err *);
MUST_CHECK int disk_sync_dir(const char *dir, struct err *); /* its names */
MUST_CHECK int disk_sync_parent(const char *path, struct err *);
/* A new file at path, content on disk, its name not yet: follow with disk_sync_dir. */
MUST_CHECK int disk_write_new(const char *path, struct slice bytes, mode_t, struct err *);
/* Whole new content by temp file and rename, not synced (for what the catalog can mend). */
MUST_CHECK int disk_replace(const char *path, struct slice bytes, struct err *);
/* Whole file into memory; free it.  ERR_NOT_FOUND; ERR_TOO_BIG over max.  NUL behind the end. */
MUST_CHECK int disk_read(uint8_t **out, size_t *len, const char *path, size_t max, struct err *);
struct stat;
uint64_t disk_mtime_ms(const struct stat *); /* since 1970 */
/* Size of a regular file, -1 when there is none. */
int64_t disk_size(const char *path);
/* Copies a tree of folders and regular files, all of it durable but the name `to` itself. */
MUST_CHECK int disk_copy_tree(const char *from, const char *to, struct err *);

/* Tests: the nth disk_* call that writes fails from now on with ERR_FULL, until 0 is set. */
void disk_fail_from(unsigned nth);

#endif
