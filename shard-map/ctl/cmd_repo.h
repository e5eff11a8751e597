/* shard-map/ctl/cmd_repo.h - repo create, repo delete, repo list, where.  Thread: main.  Each returns
 * 0 or ERR_*. */
#ifndef SHARD_MAP_CTL_CMD_REPO_H
#define SHARD_MAP_CTL_CMD_REPO_H

#include "shard-map/ctl/ctl.h"

MUST_CHECK int cmd_repo_create(struct ctl *, struct err *);
MUST_CHECK int cmd_repo_delete(struct ctl *, struct err *);
MUST_CHECK int cmd_repo_list(struct ctl *, struct err *);
MUST_CHECK int cmd_where(struct ctl *, struct err *);

#endif
