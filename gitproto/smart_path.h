/* gitproto/smart_path.h - the target of a git HTTP request: which repository, which endpoint, which
 * service.  Thread: any.
 *
 * A repository is exactly two path components, "owner/name", of 1 to SMART_PATH_NAME_MAX bytes of
 * [A-Za-z0-9._-] each, not beginning with "." or "-"; either case is accepted, lower case comes
 * out.  One ".git" behind the name is dropped, two are refused.  "name.wiki" is a repository of its
 * own whose key, what is hashed for its place, is that of "name". */
#ifndef GITPROTO_SMART_PATH_H
#define GITPROTO_SMART_PATH_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"
#include "gitproto/service.h"

#define SMART_PATH_NAME_MAX 100                            /* bytes of owner, of name */
#define SMART_PATH_REPO_SIZE (2 * SMART_PATH_NAME_MAX + 2) /* "/" and NUL */
#define SMART_PATH_TARGET_MAX 4096                         /* bytes of a whole target */

struct smart_path_repo {
	char path[SMART_PATH_REPO_SIZE]; /* "owner/name" or "owner/name.wiki" */
	char key[SMART_PATH_REPO_SIZE];  /* "owner/name" */
	bool wiki;
};

enum smart_path_endpoint {
	SMART_PATH_INFO_REFS,      /* GET info/refs; service none: the dumb list */
	SMART_PATH_UPLOAD_PACK,    /* POST git-upload-pack */
	SMART_PATH_RECEIVE_PACK,   /* POST git-receive-pack */
	SMART_PATH_UPLOAD_ARCHIVE, /* POST git-upload-archive */
	SMART_PATH_DUMB            /* GET HEAD, objects/...; which one: file */
};

struct smart_path {
	struct smart_path_repo repo;
	enum smart_path_endpoint endpoint;
	enum service service; /* of the endpoint; INFO_REFS: of the query */
	struct slice file;    /* DUMB: "objects/info/packs"; borrowed from the target */
};

/* target: path and query, as on the request line.  prefix: components to be stripped ("/git"), with
 * or without slashes at its ends; empty: none.  ERR_BAD: a name that cannot be, ERR_NOT_FOUND: not
 * below the prefix or no such endpoint, ERR_REFUSED: an unknown service, ERR_TOO_BIG. */
MUST_CHECK int smart_path_parse(struct smart_path *out, struct slice target, struct slice prefix,
				struct err *);
/* "owner/name[.git]" as people write it; nothing is decoded. */
MUST_CHECK int smart_path_repo_parse(struct smart_path_repo *out, struct slice name, struct err *);

#endif
