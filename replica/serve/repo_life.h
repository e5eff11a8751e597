/* replica/serve/repo_life.h - a repository's life on the primary of its shard: create, rename, delete,
 * as records.  Thread: loop.
 *
 * A rename moves no data: id, shard and folder's content stay.  Its steps, each a record, so that the
 * same rename again finishes what a death cut short:
 *
 *	name	the new name is taken for this shard, by an exception where the hash says
 *		another (names.h); the directory's record names the old one and the id, by which
 *		a rename is known later to have been done
 *	wiki	the wiki goes first, if there is one, under its write lock
 *	record	then the repository itself, under its write lock
 *
 * A git that writes in a folder is ended before that moves, on every node (apply.h, vacate): it works by
 * the path.  Its push is told to come again; one that is answered already may end its hooks first. */
#ifndef REPLICA_SERVE_REPO_LIFE_H
#define REPLICA_SERVE_REPO_LIFE_H

#include "gitproto/smart_path.h"
#include "replica/shard/shard.h"

struct serve;

/* err->code 0: done and applied here; ERR_EXISTS, ERR_NOT_FOUND, ERR_CONFLICT, ERR_REFUSED,
 * ERR_WRONG_NODE, ERR_UNAVAILABLE, ERR_UNKNOWN.  id: of the repository, zeros when it has none. */
typedef void repo_life_fn(const struct err *, const uint8_t id[16], void *arg);

struct repo_life_create {
	struct smart_path_repo repo;
	const char *head; /* full ref name */
	enum oid_format format;
	uint32_t flags;      /* RECORD_CREATE_* */
	bool here;           /* in this shard whatever its hash says */
	const char *request; /* id, for people; NULL: none */
};
/* Of all: done comes once, from the loop.  The shard's primary is this node and has applied what it has
 * read. */
void repo_life_create(struct serve *, struct shard *, const struct repo_life_create *,
		      repo_life_fn *done, void *arg);
void repo_life_delete(struct serve *, struct shard *, const struct smart_path_repo *,
		      repo_life_fn *done, void *arg);
/* id: it must be this repository (zeros: any); when it has the new name already, what is left to do is
 * done. */
void repo_life_rename(struct serve *, struct shard *, const struct smart_path_repo *from,
		      const struct smart_path_repo *to, const uint8_t id[16], repo_life_fn *done,
		      void *arg);
void repo_life_stop(
	struct serve *); /* after names_stop: what is under way is told ERR_UNAVAILABLE */

#endif
