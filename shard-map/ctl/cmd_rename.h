/* shard-map/ctl/cmd_rename.h - repo rename.  Thread: main.  Returns 0 or ERR_*. */
#ifndef SHARD_MAP_CTL_CMD_RENAME_H
#define SHARD_MAP_CTL_CMD_RENAME_H

#include "shard-map/ctl/ctl.h"

MUST_CHECK int cmd_repo_rename(struct ctl *, struct err *);

#endif
