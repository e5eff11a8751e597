/* shard-map/ctl/repo_place.h - where a repository lives, as the log has it now.  Thread: main; blocks. */
#ifndef SHARD_MAP_CTL_REPO_PLACE_H
#define SHARD_MAP_CTL_REPO_PLACE_H

#include "gitproto/smart_path.h"
#include "shard-map/ctl/ctl.h"
#include "shard-map/directory.h"

struct repo_place {
	struct smart_path_repo repo;
	uint32_t shard;
	bool by_directory; /* by an exception, not by its hash */
};

/* The word as people write it; a usage error (c->usage) when it is no repository. */
MUST_CHECK int repo_place_parse(struct smart_path_repo *, struct ctl *c, const char *word,
				struct err *);
/* Loads the map (c->map) too. */
MUST_CHECK int repo_place_find(struct repo_place *, struct ctl *c, const char *word, struct err *);
/* All exceptions of now; c->map is loaded.  *out is yours (directory_free). */
MUST_CHECK int repo_place_directory(struct directory **out, struct ctl *c, struct err *);

#endif
