#include "router/route/write_pick.h"

uint32_t
write_pick(const struct write_pick_member *all, size_t n, uint32_t primary)
{
	for (size_t i = 0; primary != 0 && i < n; i++)
		if (all[i].node == primary)
			return all[i].well && !all[i].tried ? primary : 0;
	/* unknown, or one that the map does not have: it may have moved on */
	for (size_t i = 0; i < n; i++)
		if (all[i].well && !all[i].tried)
			return all[i].node;
	for (size_t i = 0; i < n; i++)
		if (all[i].connected && !all[i].tried)
			return all[i].node;
	return 0;
}
