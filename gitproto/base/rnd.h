/* gitproto/base/rnd.h - random numbers from the kernel: ids, boots, seeds.  Thread: any.
 * A kernel that has none is a bug (CHECK). */
#ifndef GITPROTO_BASE_RND_H
#define GITPROTO_BASE_RND_H

#include "gitproto/base/defs.h"

void rnd_bytes(void *out, size_t n);
uint64_t rnd_u64(void);
uint64_t rnd_below(uint64_t n); /* 0 .. n-1, evenly; n >= 1 */

/* Tests: this thread's later calls give a sequence that the seed alone decides; 0 ends it. */
void rnd_seed(uint64_t seed);

#endif
