/* replica/replica_impl.h - what the files of the instance share; for them alone. */
#ifndef REPLICA_REPLICA_IMPL_H
#define REPLICA_REPLICA_IMPL_H

#include "gitproto/base/rnd.h"
#include "replica/admin/admin.h"
#include "replica/install.h"
#include "replica/repack/repacks.h"
#include "replica/replica.h"
#include "replica/serve/serve.h"
#include "shard-map/commitlog/map_follow.h"

/* Where a shard of this node stands between the map's wish and being served. */
enum place_state {
	PLACE_NONE,      /* not ours */
	PLACE_CHECKING,  /* the log is compared with what we remember of it (R12) */
	PLACE_FOLLOWING, /* its stream is read */
	PLACE_BROKEN,    /* the log is another one than we remember, or cannot be read on */
};
struct place {
	enum place_state state;
	bool preferred;
	uint64_t start_end; /* end of the log when it was asked: ready once applied up to there */
};

struct recheck;

struct replica {
	const struct replica_conf *conf; /* borrowed */
	struct install_dirs dirs;
	struct loop *loop;
	struct catalog *catalog;
	struct commitlog *log;
	struct map_follow *follow;
	struct apply *apply;
	struct repo_table *repos;
	struct shards *shards;
	struct child_reaper *children;
	struct work *work;
	struct peers *peers;
	struct caplines caps;
	struct serve serve;
	struct repacks *repacks; /* NULL: switched off */
	struct admin admin;
	struct http_server *server, *admin_server;
	struct timer *drain_timer;
	struct place *places; /* owned, by shard number */
	size_t n_places;
	struct err log_trouble;  /* code 0: none */
	struct timer *log_timer; /* owned: until trouble is called away */
	bool log_away;
	struct recheck *recheck; /* owned */
	uint64_t start, boot, drain_until;
	bool draining;
	int exit_status;
};

/* replica_apply.c: the apply engine's events, carried to the loop */
MUST_CHECK int replica_apply_start(struct replica *, struct err *);
/* replica_log.c: what a stream or a look says of the log; code 0: it is there */
void replica_log_trouble(struct replica *, const struct err *why);
/* replica_place.c: which shards are here, and following their streams */
void replica_follow_map(struct replica *);
void replica_place_start(struct replica *, uint32_t shard);
void replica_place_halted(struct replica *, uint32_t shard, const struct err *);
/* The shard's log is not the one that was read: it stops here, until the node starts again. */
void replica_place_stop(struct replica *, uint32_t shard, const char *event, const struct err *);
bool replica_place_ready(const struct replica *, size_t shard);
/* replica_recheck.c: looks at the logs of all shards again, soon; does nothing while the log is away */
void replica_recheck_start(struct replica *);
void replica_recheck(struct replica *);
void replica_recheck_free(struct replica *); /* after the workers have ended */

#endif
