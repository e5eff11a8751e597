/* gitproto/base/hmap.h - uthash with our seeded hash and our out-of-memory rule.  Thread: of the
 * table's owner.  Include this instead of <uthash.h>.  Lists are <sys/queue.h>.
 * For tables whose size is bounded: an allocation that fails aborts. */
#ifndef GITPROTO_BASE_HMAP_H
#define GITPROTO_BASE_HMAP_H

#include <xxhash.h>

#include "gitproto/base/check.h"

/* Drawn once per process, so that nobody who chooses keys can aim at one bucket. */
uint64_t hmap_seed(void);

#define HASH_FUNCTION(key, len, out) \
	((out) = (unsigned)XXH3_64bits_withSeed((key), (len), hmap_seed()))
#define uthash_fatal(msg) check_failed(__FILE__, __LINE__, msg)

#include <uthash.h>

#endif
