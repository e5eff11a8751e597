/* shard-map/ctl/cmd_map_plan.h - map diff, map plan: what would move.  They change nothing.
 * Thread: main.  Each returns 0 or ERR_*. */
#ifndef SHARD_MAP_CTL_CMD_MAP_PLAN_H
#define SHARD_MAP_CTL_CMD_MAP_PLAN_H

#include "shard-map/ctl/ctl.h"

MUST_CHECK int cmd_map_diff(struct ctl *, struct err *);
MUST_CHECK int cmd_map_plan(struct ctl *, struct err *);

#endif
