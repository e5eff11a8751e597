#include "replica/serve/capline.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gitproto/advert_parse.h"
#include "gitproto/base/buf.h"
#include "gitproto/base/mem.h"
#include "replica/repo/run.h"

#define MAX_ADVERT 65536

static int
git(const char *const *argv, char *const *env, struct buf *out, struct err *err)
{
	buf_clear(out);
	return run_git(argv, env, SLICE_NONE, out, err);
}

/* What `git upload-pack` or `receive-pack` advertises for the repository at path. */
static int
ask(const char *service, const char *path, char *const *env, struct advert *out, struct err *err)
{
	const char *const argv[] = { "git", service, "--http-backend-info-refs", path, NULL };
	struct buf b = BUF_MAX(MAX_ADVERT);
	int rc = git(argv, env, &b, err);
	ssize_t n;

	if (rc == 0 && b.len > 0) {
		n = advert_parse(out, buf_slice(&b), 16, err);
		if (n <= 0)
			rc = err_set(err, ERR_UNSUPPORTED,
				     "the installed git advertises in a way not understood; "
				     "install git 2.39 or newer");
	}
	buf_release(&b);
	return rc;
}

static int
ask_caps(const char *service, const char *path, char *const *env, char **out, struct err *err)
{
	struct advert a = { 0 };
	int rc = ask(service, path, env, &a, err);

	if (rc == 0) {
		*out = mem_strndup(a.caps.p, a.caps.len);
		advert_release(&a);
	}
	return rc;
}

/* A commit of the empty tree on the branch of HEAD: capabilities stand on the first ref's line. */
static int
make_branch(const char *path, char *const *env, struct err *err)
{
	const char *const tree[] = { "git", "-C",   path,        "hash-object", "-w",
				     "-t",  "tree", "/dev/null", NULL };
	char tree_id[80], commit_id[80];
	const char *const commit[] = { "git",         "-C", path,           "-c",
				       "user.name=x", "-c", "user.email=x", "commit-tree",
				       "-m",          "x",  tree_id,        NULL };
	const char *const ref[] = { "git", "-C", path, "update-ref", "HEAD", commit_id, NULL };
	struct buf b = BUF_MAX(4096);
	int rc = git(tree, env, &b, err);

	snprintf(tree_id, sizeof(tree_id), "%.*s", (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
	if (rc == 0)
		rc = git(commit, env, &b, err);
	snprintf(commit_id, sizeof(commit_id), "%.*s", (int)strcspn(buf_str(&b), "\n"),
		 buf_str(&b));
	if (rc == 0)
		rc = git(ref, env, &b, err);
	buf_release(&b);
	return rc;
}

/* One more variable than env, in a fresh list. */
static char **
with_v2(char *const *env)
{
	size_t n = 0;
	char **list;

	while (env[n] != NULL)
		n++;
	list = mem_array(n + 2, sizeof(*list));
	memcpy(list, env, n * sizeof(*list));
	list[n] = (char *)(uintptr_t) "GIT_PROTOCOL=version=2";
	return list;
}

static int
learn_format(struct capline *out, const char *dir, const char *format, char *const *env,
	     struct err *err)
{
	char path[4096], wanted[64];
	const char *const init[] = { "git", "init", "-q", "--bare", wanted, path, NULL };
	const char *const filter[] = { "git",  "-C", path, "config", "uploadpack.allowFilter",
				       "true", NULL };
	const char *const options[] = {
		"git", "-C", path, "config", "receive.advertisePushOptions", "true", NULL
	};
	struct buf b = BUF_MAX(MAX_ADVERT);
	struct advert empty = { 0 };
	char **v2;
	int rc;

	snprintf(path, sizeof(path), "%s/%s.git", dir, format);
	snprintf(wanted, sizeof(wanted), "--object-format=%s", format);
	rc = git(init, env, &b, err);
	if (rc == 0)
		rc = git(filter, env, &b, err);
	if (rc == 0)
		rc = git(options, env, &b, err);
	buf_release(&b);
	if (rc == 0)
		rc = ask("upload-pack", path, env, &empty, err);
	if (rc == 0) {
		out->caps_when_empty = empty.said_caps_when_empty;
		advert_release(&empty);
		rc = make_branch(path, env, err);
	}
	if (rc == 0)
		rc = ask_caps("upload-pack", path, env, &out->upload, err);
	if (rc == 0)
		rc = ask_caps("receive-pack", path, env, &out->receive, err);
	v2 = with_v2(env);
	if (rc == 0)
		rc = ask_caps("upload-pack", path, v2, &out->v2, err);
	free(v2);
	return rc;
}

int
capline_learn(struct caplines *out, const char *dir, char *const *env, struct err *err)
{
	const char *const version[] = { "git", "version", NULL };
	struct buf b = BUF_MAX(4096);
	unsigned major = 0, minor = 0;
	int rc;

	*out = (struct caplines){ 0 };
	rc = git(version, env, &b, err);
	if (rc == 0 && sscanf(buf_str(&b), "git version %u.%u", &major, &minor) != 2)
		rc = err_set(err, ERR_UNSUPPORTED, "cannot tell the version of git");
	if (rc == 0 && major * 1000 + minor < 2029)
		rc = err_set(err, ERR_UNSUPPORTED, "git %u.%u is too old; install 2.39 or newer",
			     major, minor);
	if (rc == 0)
		snprintf(out->git_version, sizeof(out->git_version), "%.*s",
			 (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
	buf_release(&b);
	if (rc == 0)
		rc = learn_format(&out->format[OID_SHA1], dir, "sha1", env, err);
	/* A git without SHA-256 serves the others. */
	if (rc == 0 && learn_format(&out->format[OID_SHA256], dir, "sha256", env, NULL) != 0)
		out->format[OID_SHA256].upload = NULL;
	return rc;
}

void
capline_release(struct caplines *c)
{
	for (unsigned i = 0; i < COUNT(c->format); i++) {
		free(c->format[i].upload);
		free(c->format[i].receive);
		free(c->format[i].v2);
	}
	*c = (struct caplines){ 0 };
}
