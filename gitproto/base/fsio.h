/* gitproto/base/fsio.h - small files and folders, written so that a crash leaves old or new.
 * Thread: any that may block (never a loop).  Errors: ERR_NOT_FOUND, ERR_TOO_BIG, ERR_FULL, ERR_IO;
 * texts name the path. */
#ifndef GITPROTO_BASE_FSIO_H
#define GITPROTO_BASE_FSIO_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"

/* Appends the whole file to out; more than max bytes: ERR_TOO_BIG. */
MUST_CHECK int fsio_read(struct buf *out, const char *path, size_t max, struct err *);
/* Temporary file beside it, fsync, rename over path, fsync of the folder. */
MUST_CHECK int fsio_write(const char *path, struct slice content, mode_t mode, struct err *);
/* -1 and errno, when not all could be written. */
MUST_CHECK int fsio_write_all(int fd, struct slice);
MUST_CHECK int fsio_sync_dir(const char *path, struct err *);
/* Like mkdir -p; each folder that is made is durable.  An existing folder keeps its mode. */
MUST_CHECK int fsio_mkdirs(const char *path, mode_t mode, struct err *);
/* Removes path and all below it.  Never follows a symbolic link: a link is removed itself.  What is
 * not there is no error. */
MUST_CHECK int fsio_remove_tree(const char *path, struct err *);

#endif
