/* shard-map/map_file.h - the map as text.  Thread: any; load and save block.
 * The format is described in docs/map-format.md: one JSON object with format, min_reader and a
 * checksum: SHA-256 over the same object without "checksum", keys sorted, no white space. */
#ifndef SHARD_MAP_MAP_FILE_H
#define SHARD_MAP_MAP_FILE_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "shard-map/map.h"

#define MAP_FILE_MAX (880u * 1024) /* bytes; it must fit into one record of the log */

/* Parses, verifies the checksum and all invariants of map_check.  *out is yours (map_unref).
 * ERR_BAD, ERR_CORRUPT (checksum), ERR_VERSION (needs a newer reader), ERR_TOO_BIG, ERR_NOMEM. */
MUST_CHECK int map_file_parse(const struct map **out, struct slice text, struct err *);
/* Appends the canonical text and a line feed.  ERR_TOO_BIG, ERR_NOMEM; ERR_VERSION for a map that
 * came from a newer format: parts that are not known here would be lost. */
MUST_CHECK int map_file_format(struct buf *out, const struct map *, struct err *);

MUST_CHECK int map_file_load(const struct map **out, const char *path, struct err *);
MUST_CHECK int map_file_save(const struct map *, const char *path, struct err *); /* atomic */

#endif
