/* HOT: no allocation, no log line, no lock */
#include "router/route/read_pick.h"

#include "shard-map/key.h"

/* The own choice gives way to another one when its load is above twice that one's and this more. */
#define NOTABLY 4u

uint64_t
read_pick_sticky(struct slice client, struct slice repo)
{
	return key_hash(client, key_hash(repo, 0));
}

static unsigned
class_of(const struct read_pick_member *m)
{
	if (!m->connected)
		return 0;
	if (!m->well)
		return 4;
	if (!m->full || m->lag > READ_PICK_LAG)
		return 3;
	return m->near ? 1 : 2;
}

/* Finalizer of splitmix64: spreads the node's number over all bits. */
static uint64_t
mix(uint64_t v)
{
	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

static uint64_t
rank_of(const struct read_pick_member *m, uint64_t sticky)
{
	return mix(sticky ^ mix(m->node + UINT64_C(0x9e3779b97f4a7c15)));
}

uint32_t
read_pick(const struct read_pick_member *all, size_t n, uint64_t sticky, uint64_t random)
{
	const struct read_pick_member *in[READ_PICK_MAX], *own, *other;
	unsigned best = 5;
	size_t k = 0;

	n = MIN(n, READ_PICK_MAX);
	for (size_t i = 0; i < n; i++) {
		unsigned c = class_of(&all[i]);

		if (c == 0 || c > best)
			continue;
		if (c < best)
			k = 0;
		best = c;
		in[k++] = &all[i];
	}
	if (k == 0)
		return 0;
	own = in[0];
	for (size_t i = 1; i < k; i++)
		if (rank_of(in[i], sticky) > rank_of(own, sticky))
			own = in[i];
	other = in[random % k];
	return own->load > 2 * other->load + NOTABLY ? other->node : own->node;
}
