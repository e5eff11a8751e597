#include "shard-map/quota.h"

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

/* Shares of zones are computed in units of 2^-32 shard: shards and nodes are few enough that no sum
 * passes 2^57. */
#define ONE (UINT64_C(1) << 32)

/* The smallest k so that at most k members of a shard in each zone make `replicas`. */
static uint32_t
spread(const struct quota_zone *z, uint32_t nzones, uint32_t replicas)
{
	for (uint32_t k = 1;; k++) {
		uint64_t sum = 0;

		for (uint32_t i = 0; i < nzones; i++)
			sum += MIN(k, z[i].nodes);
		if (sum >= replicas)
			return k;
	}
}

static void
count_zones(struct quota_zone *z, uint32_t nzones, const struct quota_node *node, uint32_t n,
	    uint32_t replicas)
{
	uint32_t k;

	memset(z, 0, nzones * sizeof(*z));
	for (uint32_t i = 0; i < n; i++) {
		CHECK(node[i].zone < nzones && node[i].weight >= 1);
		z[node[i].zone].nodes++;
	}
	k = spread(z, nzones, replicas);
	for (uint32_t i = 0; i < nzones; i++) {
		z[i].lo = MIN(k - 1, z[i].nodes);
		z[i].hi = MIN(k, z[i].nodes);
	}
}

/* What each zone would hold if every node took `level` per unit of weight. */
static uint64_t
shares_at(uint64_t level, uint64_t *share, const struct quota_node *node, uint32_t n,
	  const struct quota_zone *z, uint32_t nzones, uint32_t shards)
{
	uint64_t sum = 0;

	memset(share, 0, nzones * sizeof(*share));
	for (uint32_t i = 0; i < n; i++)
		share[node[i].zone] += MIN(shards * ONE, level * node[i].weight);
	for (uint32_t i = 0; i < nzones; i++) {
		share[i] = MAX(share[i], (uint64_t)z[i].lo * shards * ONE);
		share[i] = MIN(share[i], (uint64_t)z[i].hi * shards * ONE);
		sum += share[i];
	}
	return sum;
}

/* Gives what rounding left to the zones with the largest remainders that have room. */
static void
round_zones(struct quota_zone *z, const uint64_t *share, uint32_t nzones, uint32_t shards,
	    uint64_t total)
{
	uint64_t left = total;

	for (uint32_t i = 0; i < nzones; i++) {
		z[i].total = (uint32_t)(share[i] / ONE);
		left -= z[i].total;
	}
	while (left > 0) {
		struct quota_zone *best = NULL;
		uint64_t most = 0;

		for (uint32_t i = 0; i < nzones; i++) {
			uint64_t rest = share[i] - MIN(share[i], z[i].total * ONE);

			if (z[i].total < (uint64_t)z[i].hi * shards &&
			    (best == NULL || rest > most)) {
				best = &z[i];
				most = rest;
			}
		}
		CHECK(best != NULL);
		best->total++;
		left--;
	}
}

static void
fill_zones(struct quota_zone *z, uint32_t nzones, const struct quota_node *node, uint32_t n,
	   uint32_t shards, uint64_t total)
{
	uint64_t *share = mem_array(nzones, sizeof(*share));
	uint64_t low = 0, high = shards * ONE; /* at high even weight 1 is full */

	while (low < high) {
		uint64_t mid = low + (high - low + 1) / 2;

		if (shares_at(mid, share, node, n, z, nzones, shards) <= total * ONE)
			low = mid;
		else
			high = mid - 1;
	}
	shares_at(low, share, node, n, z, nzones, shards);
	round_zones(z, share, nzones, shards, total);
	free(share);
}

/* Node a before node b, for the odd shard that rounding leaves? */
static bool
deserves(const struct quota_node *a, uint64_t rest_a, const struct quota_node *b, uint64_t rest_b)
{
	bool holds_a = a->has > a->quota, holds_b = b->has > b->quota;

	if (holds_a != holds_b)
		return holds_a; /* then nothing moves for it */
	if (rest_a != rest_b)
		return rest_a > rest_b;
	return a->tie > b->tie;
}

static void
give_rest(struct quota_node *node, uint32_t n, uint32_t zone, uint64_t *rest, uint64_t left)
{
	while (left > 0) {
		uint32_t best = n;

		for (uint32_t i = 0; i < n; i++)
			if (node[i].zone == zone && rest[i] > 0 &&
			    (best == n || deserves(&node[i], rest[i], &node[best], rest[best])))
				best = i;
		CHECK(best < n);
		node[best].quota++;
		rest[best] = 0;
		left--;
	}
}

/* Water-filling: who would get more than one member of each shard is full, and the others share what
 * is left, until nobody is over. */
static void
fill_nodes(struct quota_node *node, uint32_t n, uint32_t zone, uint64_t total, uint32_t shards,
	   uint64_t *rest)
{
	uint64_t weights = 0, left;
	bool again = true;

	for (uint32_t i = 0; i < n; i++)
		if (node[i].zone == zone) {
			node[i].quota = 0;
			weights += node[i].weight;
		}
	while (again) {
		again = false;
		for (uint32_t i = 0; i < n; i++)
			if (node[i].zone == zone && node[i].quota == 0 &&
			    node[i].weight * total >= shards * weights && total >= shards) {
				node[i].quota = shards;
				total -= shards;
				weights -= node[i].weight;
				again = true;
			}
	}
	left = total;
	for (uint32_t i = 0; i < n; i++) {
		rest[i] = 0;
		if (node[i].zone != zone || node[i].quota == shards)
			continue;
		node[i].quota = (uint32_t)(node[i].weight * total / weights);
		rest[i] = node[i].weight * total % weights;
		left -= node[i].quota;
	}
	give_rest(node, n, zone, rest, left);
}

void
quota_fill(struct quota_node *node, uint32_t n, struct quota_zone *zones, uint32_t nzones,
	   uint32_t shards, uint32_t replicas)
{
	uint64_t *rest = mem_array(n, sizeof(*rest));

	CHECK(replicas >= 1 && replicas <= n);
	count_zones(zones, nzones, node, n, replicas);
	fill_zones(zones, nzones, node, n, shards, (uint64_t)shards * replicas);
	for (uint32_t z = 0; z < nzones; z++)
		fill_nodes(node, n, z, zones[z].total, shards, rest);
	free(rest);
}
