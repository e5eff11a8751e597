/* replica/serve/names.h - who may give a repository a name: one at a time in the whole cluster, though
 * each shard has a log of its own.  Thread: loop.
 *
 * A name lives in one shard: where the directory says, otherwise by its hash.  Its primary takes a name
 * before it appends a create or rename, and gives it back when the fate of that is known:
 *
 *	lock	one at a time for a key in a shard of this node (a repository and its wiki are one)
 *	prove	this node reigns, and all that was committed is applied here
 *	put	a record in the directory, read back: the name lives in this shard; whatever others
 *		wanted of it before, and comes late, means nothing (directory_judge.h)
 *	ask	where it would live by its hash, when that is another shard: that one's primary says,
 *		by the same lock and proof, that nothing is there; from the put on nobody makes
 *		anything there
 *
 * A name stays with the shard where it was first used, for ever: there it is free again after a delete
 * or rename.  Streams are read by each node in an order of its own, and a name that went from one shard
 * to another would be in both for who reads the later one first.  So an exception is made for a name that
 * the directory never heard of, and ends only when it turns out at once that its hash's shard has it.
 * A reign that ends in between makes what was appended dead: it is looked at again at the end.
 */
#ifndef REPLICA_SERVE_NAMES_H
#define REPLICA_SERVE_NAMES_H

#include "gitproto/net/http_server.h"
#include "gitproto/smart_path.h"
#include "replica/shard/shard.h"

struct serve;
struct names;
struct name;

struct names *names_new(struct serve *);
void names_stop(struct names *);  /* who waits is told ERR_UNAVAILABLE */
void names_free(struct names **); /* after it, and after all that was taken was given back */

/* err->code 0: the name is yours until names_give; n is NULL otherwise.  ERR_EXISTS, ERR_CONFLICT,
 * ERR_WRONG_NODE, ERR_UNAVAILABLE. */
typedef void names_fn(struct name *n, const struct err *, void *arg);
/* done comes once, from the loop.  here: by an exception if need be; otherwise a name that lives in
 * another shard is ERR_WRONG_NODE.  reason: stands in the directory's record, copied. */
void names_take(struct names *, struct shard *, const struct smart_path_repo *, bool here,
		const char *reason, names_fn *done, void *arg);
void names_give(struct name **);
/* The answer to GET /gs/name (gitshard-shard, gitshard-name): 204 nothing has it in this shard, 409
 * something has. */
void names_answer(struct serve *, struct http_xchg *, struct shard *);

/* For requests of a repository that is not here: done (from the loop) once the directory is as fresh as
 * the request; where it lives may have changed.  rc as of directory_log_look. */
void names_look(struct serve *, void (*done)(int rc, void *arg), void *arg);

#endif
