/* shard-map/ctl/cmd_status.h - status: what all nodes say about themselves.  Thread: main. */
#ifndef SHARD_MAP_CTL_CMD_STATUS_H
#define SHARD_MAP_CTL_CMD_STATUS_H

#include "shard-map/ctl/ctl.h"

MUST_CHECK int cmd_status(struct ctl *, struct err *);

#endif
