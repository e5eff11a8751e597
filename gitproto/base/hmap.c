#include "gitproto/base/hmap.h"

#include <stdatomic.h>

#include "gitproto/base/rnd.h"

uint64_t
hmap_seed(void)
{
	static _Atomic uint64_t seed;
	uint64_t now = atomic_load_explicit(&seed, memory_order_relaxed), want;

	if (now != 0)
		return now;
	want = rnd_u64() | 1;
	/* Of threads that come first together, one wins and the others take its seed. */
	if (atomic_compare_exchange_strong(&seed, &now, want))
		return want;
	return now;
}
