/* shard-map/ctl/cmd_map.h - map init, map show.  Thread: main.  Each returns 0 or ERR_*. */
#ifndef SHARD_MAP_CTL_CMD_MAP_H
#define SHARD_MAP_CTL_CMD_MAP_H

#include "shard-map/ctl/ctl.h"

MUST_CHECK int cmd_map_init(struct ctl *, struct err *);
MUST_CHECK int cmd_map_show(struct ctl *, struct err *);

#endif
