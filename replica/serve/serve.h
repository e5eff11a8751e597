/* replica/serve/serve.h - what a storage node answers on the back plane, and the parts of the node
 * that the answers need.  Thread: loop.
 * Everything in struct serve is borrowed from the replica and lives longer than any request. */
#ifndef REPLICA_SERVE_SERVE_H
#define REPLICA_SERVE_SERVE_H

#include <sys/queue.h>

#include "gitproto/net/http_server.h"
#include "gitproto/net/work.h"
#include "gitproto/smart_path.h"
#include "replica/apply/apply.h"
#include "replica/repo/child.h"
#include "replica/repo/repo.h"
#include "replica/serve/capline.h"
#include "replica/serve/peers.h"
#include "replica/serve/without_log.h"
#include "replica/shard/shard.h"
#include "shard-map/directory.h"
#include "shard-map/map.h"

struct strict_reads;
struct pushes;
struct pack_gets;
struct stage_comes;
struct stage_holds;
struct stage_slots;
struct status_feed;
struct turns;
struct names;
struct directory_log;

struct serve {
	struct loop *loop;
	struct work *work;
	struct child_reaper *children;
	struct shards *shards;
	struct repo_table *repos;
	struct apply *apply;
	struct peers *peers;
	const struct caplines *caps;
	const struct map *map; /* NULL until the first one came; swapped by the replica */
	const struct directory *directory;
	struct directory_log *directory_log; /* NULL: the node stops */
	unsigned remakes;                    /* packs being made anew (pack_give) */
	uint32_t self;                       /* number of this node, 0: not in the map */
	uint8_t cluster[16];
	uint8_t incarnation[16];
	bool (*log_ok)(void *arg);   /* can the log be written, as far as we know? */
	bool (*log_away)(void *arg); /* it cannot, and that has lasted: refuse at once */
	void *log_arg;

	/* rooms of their own, made by serve_new */
	struct strict_reads *reads;
	struct pushes *pushes;
	struct stage_holds *holds;
	struct stage_comes *comes;
	struct stage_slots *slots;
	struct pack_gets *wants;
	struct status_feed *feed;
	struct turns *turns;
	struct names *names;
	LIST_HEAD(, life) lives; /* repositories being made, renamed, deleted (repo_life) */

	/* configuration */
	const char *data, *home, *hooks, *sock; /* paths */
	const char *log_url;
	uint64_t read_msec, push_msec; /* deadlines */
	struct without_log without_log;
	uint64_t inline_max;   /* bytes of a record with inline packs */
	uint64_t max_push;     /* bytes of one pack, 0: no limit */
	uint64_t min_free;     /* bytes that must be free on the disk for a push */
	uint64_t stage_budget; /* bytes of memory for packs on their way to or from voters */
	unsigned max_children;
	bool auto_create;
};

/* Makes the rooms; the fields above them are set. */
MUST_CHECK int serve_start(struct serve *, struct err *);
/* Who waits for a name, or for a record of a repository's life, is told; what they use (the apply engine,
 * pushes) is there still.  After shards_stop, before serve_stop. */
void serve_stop_lives(struct serve *);
void serve_stop(struct serve *);
/* The handler of the back-plane listener; arg is the struct serve. */
void serve_handle(struct http_xchg *, void *arg);
/* A shard moved on (from shards_opts.changed). */
void serve_shard_changed(struct serve *, struct shard *);

/* The shard of a repository by map and directory; ERR_UNAVAILABLE before a map is known,
 * ERR_WRONG_NODE when it is not on this node. */
MUST_CHECK int serve_shard_of(struct serve *, struct shard **out, const struct smart_path_repo *,
			      struct err *);
/* The repository that has this path, if it is one of the shard; with a reference for the caller. */
struct repo *serve_repo(struct serve *, const struct shard *, const char *path);
/* The error as an answer: 421 for ERR_WRONG_NODE, retry-after on 503; logged once. */
void serve_refuse(struct serve *, struct http_xchg *, struct shard *, const struct err *);
/* Request id that the router gave, or "-". */
const char *serve_request_id(const struct http_xchg *);

#endif
