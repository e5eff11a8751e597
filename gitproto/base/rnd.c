#include "gitproto/base/rnd.h"

#include <errno.h>
#include <sys/random.h>

#include "gitproto/base/check.h"

static __thread uint64_t seeded; /* 0: the kernel's */

/* splitmix64: any seed gives a good sequence. */
static uint64_t
next_seeded(void)
{
	uint64_t z = seeded += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void
rnd_bytes(void *out, size_t n)
{
	uint8_t *p = out;

	while (n > 0) {
		ssize_t got;

		if (seeded != 0) {
			uint64_t x = next_seeded();

			got = (ssize_t)MIN(n, sizeof(x));
			memcpy(p, &x, (size_t)got);
		} else {
			got = getrandom(p, n, 0);
			if (got < 0 && errno == EINTR)
				continue;
			CHECK(got > 0 && "the kernel gives random numbers");
		}
		p += got;
		n -= (size_t)got;
	}
}

uint64_t
rnd_u64(void)
{
	uint64_t x;

	rnd_bytes(&x, sizeof(x));
	return x;
}

uint64_t
rnd_below(uint64_t n)
{
	uint64_t fair, x;

	CHECK(n > 0);
	fair = UINT64_MAX - UINT64_MAX % n; /* what lies above would favour small numbers */
	do
		x = rnd_u64();
	while (x >= fair);
	return x % n;
}

void
rnd_seed(uint64_t seed)
{
	seeded = seed;
}
