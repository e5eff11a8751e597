/* replica/serve/turn.h - whose turn it is to do housekeeping in a shard: one member at a time, so that
 * reads always find others at rest.  The primary says it; a promise of comfort, not of safety, so it
 * lives in memory and lapses after TURN_MSEC.  Thread: loop. */
#ifndef REPLICA_SERVE_TURN_H
#define REPLICA_SERVE_TURN_H

#include "gitproto/net/http_server.h"
#include "replica/shard/shard.h"

#define TURN_MSEC 30000

struct serve;
struct turns;
struct turn;

struct turns *turns_new(struct serve *);
void turns_free(struct turns **);
/* POST /gs/turn: gitshard-node asks for the shard's turn, or gives it back (gitshard-turn: give). */
void turn_answer(struct serve *, struct http_xchg *, struct shard *);

enum turn_word {
	TURN_YES,    /* until turn_give */
	TURN_NO,     /* another member has it */
	TURN_NOBODY, /* there is no primary to be asked */
};
/* May this node begin?  told comes once, perhaps before it returns. */
typedef void turn_fn(enum turn_word, void *arg);
struct turn *turn_ask(struct turns *, struct shard *, turn_fn *told, void *arg);
/* Given back, or no longer wanted; nothing is told any more. */
void turn_give(struct turn **);

#endif
