/* replica/serve/repo_admin.h - a repository's life on its primary: create and delete, as records.
 * Thread: loop. */
#ifndef REPLICA_SERVE_REPO_ADMIN_H
#define REPLICA_SERVE_REPO_ADMIN_H

#include "gitproto/net/http_server.h"
#include "replica/shard/shard.h"

struct serve;

struct repo_admin_create {
	const char *path; /* "owner/name", lower case */
	const char *head; /* full ref name */
	enum oid_format format;
	uint32_t flags;      /* RECORD_CREATE_* */
	const char *request; /* id, for people; NULL: none */
};
/* err->code 0: done and applied here; ERR_EXISTS, ERR_WRONG_NODE, ERR_UNAVAILABLE, ERR_UNKNOWN. */
typedef void repo_admin_fn(const struct err *, const uint8_t id[16], void *arg);

/* done comes once, from the loop or before this returns. */
void repo_admin_create(struct serve *, struct shard *, const struct repo_admin_create *,
		       repo_admin_fn *done, void *arg);
void repo_admin_delete(struct shard *, const struct repo *, const char *path, repo_admin_fn *done,
		       void *arg);

/* POST and DELETE of /v1/repos (admin) and /gs/repos (back plane): done here when this node is the
 * primary; the admin ones are handed to the primary otherwise. */
void repo_admin_handle(struct serve *, struct http_xchg *, bool may_forward);
/* GET /v1/repos */
void repo_admin_list(struct serve *, struct http_xchg *);

#endif
