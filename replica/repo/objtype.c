#include "replica/repo/objtype.h"

#include <git2/errors.h>
#include <git2/odb.h>
#include <stdio.h>
#include <string.h>

#include "gitproto/base/buf.h"
#include "replica/repo/run.h"

static int
ask_libgit2(const char *dir, const char *quarantine, struct objtype_item *items, size_t n,
	    struct err *err)
{
	char objects[4200];
	git_odb *odb = NULL;
	int rc;

	snprintf(objects, sizeof(objects), "%s/objects", dir);
	rc = git_odb_open(&odb, objects);
	if (rc == 0 && quarantine != NULL)
		rc = git_odb_add_disk_alternate(odb, quarantine);
	if (rc != 0) {
		const git_error *e = git_error_last();

		git_odb_free(odb);
		return err_set(err, ERR_IO, "cannot open the objects of %s: %s", dir,
			       e != NULL ? e->message : "?");
	}
	for (size_t i = 0; i < n; i++) {
		git_object_t type;
		git_oid id;
		size_t len;

		memcpy(id.id, items[i].oid.b, GIT_OID_RAWSZ);
		items[i].commit = git_odb_read_header(&len, &type, odb, &id) == 0 &&
				  type == GIT_OBJECT_COMMIT;
	}
	git_odb_free(odb);
	return 0;
}

/* libgit2 1.5 does not know SHA-256. */
static int
ask_git(const char *dir, const char *quarantine, char *const *env, struct objtype_item *items,
	size_t n, struct err *err)
{
	const char *const argv[] = { "git", "-C", dir, "cat-file", "--batch-check=%(objecttype)",
				     NULL };
	struct buf in = BUF_MAX(64u << 20), out = BUF_MAX(64u << 20);
	char vars[2][4300];
	char **list;
	size_t nenv = 0;
	struct slice rest;
	int rc;

	while (env[nenv] != NULL)
		nenv++;
	list = calloc(nenv + 3, sizeof(*list));
	if (list == NULL)
		return err_set(err, ERR_NOMEM, "out of memory; try again");
	memcpy(list, env, nenv * sizeof(*list));
	if (quarantine != NULL) {
		snprintf(vars[0], sizeof(vars[0]), "GIT_OBJECT_DIRECTORY=%s", quarantine);
		snprintf(vars[1], sizeof(vars[1]), "GIT_ALTERNATE_OBJECT_DIRECTORIES=%s/objects",
			 dir);
		list[nenv] = vars[0];
		list[nenv + 1] = vars[1];
	}
	for (size_t i = 0; i < n; i++) {
		oid_add(&in, &items[i].oid);
		buf_add_byte(&in, '\n');
	}
	rc = run_git(argv, list, buf_slice(&in), &out, err);
	rest = buf_slice(&out);
	for (size_t i = 0; rc == 0 && i < n; i++)
		items[i].commit = slice_eq_str(slice_cut(&rest, '\n'), "commit");
	free(list);
	buf_release(&in);
	buf_release(&out);
	return rc;
}

int
objtype_commits(const char *dir, const char *quarantine, enum oid_format format, char *const *env,
		struct objtype_item *items, size_t n, struct err *err)
{
	if (n == 0)
		return 0;
	return format == OID_SHA1 ? ask_libgit2(dir, quarantine, items, n, err)
				  : ask_git(dir, quarantine, env, items, n, err);
}
