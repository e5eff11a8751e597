/* replica/serve/repo_admin.h - the calls that make, rename, delete and list repositories.
 * Thread: loop. */
#ifndef REPLICA_SERVE_REPO_ADMIN_H
#define REPLICA_SERVE_REPO_ADMIN_H

#include "gitproto/net/http_server.h"
struct serve;

/* POST and DELETE of /v1/repos, POST of /v1/repos/rename (admin), the same of /gs/ (back plane):
 * done here when this node is the primary; the admin ones are handed to the primary otherwise. */
void repo_admin_handle(struct serve *, struct http_xchg *, bool may_forward);
/* GET /v1/repos */
void repo_admin_list(struct serve *, struct http_xchg *);

#endif
