#include "replica/repo/git_env.h"

#include "gitproto/base/buf.h"
#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

#define MAX_VARS 192

struct git_env {
	char *vars[MAX_VARS + 1]; /* owned "NAME=value", NULL-terminated */
	unsigned n;
	unsigned nconfig;  /* GIT_CONFIG_KEY_0 .. */
	unsigned at_count; /* index of GIT_CONFIG_COUNT */
};

struct pair {
	const char *key, *value;
};

static const struct pair always[] = {
	{ "safe.directory", "*" },
	/* A 489 kB pack can otherwise drive a child to 496 MB (git-facts 3.4). */
	{ "core.bigFileThreshold", "50m" },
	{ "core.alternateRefsCommand", "exit 0 #" },
	{ "core.useReplaceRefs", "false" },
	{ "core.fsync", "objects,derived-metadata,reference" },
	{ "core.fsyncMethod", "fsync" },
	{ "gc.auto", "0" },
	{ "maintenance.auto", "false" },
	{ "receive.autogc", "false" },
	{ "protocol.allow", "never" },
	{ "transfer.hideRefs", "refs/gitshard/" },
};

static const struct pair fetch[] = {
	/* v2 serves any object anyway, and git's files may be a moment away from what was
	 * advertised from memory. */
	{ "uploadpack.allowAnySHA1InWant", "true" },
	{ "uploadpack.allowRefInWant", "false" },
};

static const struct pair push[] = {
	{ "receive.unpackLimit", "1" },
	{ "receive.procReceiveRefs", "refs/" },
	/* true with proc-receive aborts after the ref has moved (git-facts). */
	{ "receive.shallowUpdate", "false" },
	{ "transfer.fsckObjects", "true" },
	/* What real old histories have. */
	{ "receive.fsck.zeroPaddedFilemode", "ignore" },
	{ "receive.fsck.badTimezone", "ignore" },
	{ "receive.fsck.missingSpaceBeforeDate", "ignore" },
	{ "receive.fsck.missingSpaceBeforeEmail", "ignore" },
	{ "receive.fsck.missingNameBeforeEmail", "ignore" },
	{ "receive.fsck.missingTaggerEntry", "ignore" },
	{ "receive.fsck.zeroPaddedDate", "ignore" },
	{ "receive.fsck.badEmail", "ignore" },
};

static void
add(struct git_env *e, struct buf *b)
{
	CHECK(e->n < MAX_VARS && buf_ok(b));
	e->vars[e->n++] = mem_strdup(buf_str(b));
	buf_release(b);
}

void
git_env_set(struct git_env *e, const char *name, const char *value)
{
	struct buf b = BUF_MAX(64u * 1024);

	if (value == NULL)
		return;
	buf_addf(&b, "%s=%s", name, value);
	add(e, &b);
}

void
git_env_config(struct git_env *e, const char *key, const char *value)
{
	struct buf b = BUF_MAX(8192);

	buf_addf(&b, "GIT_CONFIG_KEY_%u=%s", e->nconfig, key);
	add(e, &b);
	buf_addf(&b, "GIT_CONFIG_VALUE_%u=%s", e->nconfig, value);
	add(e, &b);
	e->nconfig++;
	buf_addf(&b, "GIT_CONFIG_COUNT=%u", e->nconfig);
	free(e->vars[e->at_count]);
	e->vars[e->at_count] = mem_strdup(buf_str(&b));
	buf_release(&b);
}

static void
add_all(struct git_env *e, const struct pair *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		git_env_config(e, p[i].key, p[i].value);
}

struct git_env *
git_env_new(enum git_env_use use, const char *home, const char *hooks)
{
	struct git_env *e = MEM_NEW(struct git_env);
	const char *path = getenv("PATH");

	git_env_set(e, "GIT_CONFIG_COUNT", "0");
	git_env_set(e, "PATH", path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
	git_env_set(e, "TMPDIR", getenv("TMPDIR"));
	git_env_set(e, "HOME", home);
	git_env_set(e, "LC_ALL", "C");
	git_env_set(e, "GIT_CONFIG_NOSYSTEM", "1");
	git_env_set(e, "GIT_CONFIG_GLOBAL", "/dev/null");
	git_env_set(e, "GIT_ATTR_NOSYSTEM", "1");
	git_env_set(e, "GIT_TERMINAL_PROMPT", "0");
	add_all(e, always, COUNT(always));
	git_env_config(e, "core.hooksPath", hooks);
	if (use == GIT_ENV_FETCH)
		add_all(e, fetch, COUNT(fetch));
	if (use == GIT_ENV_PUSH)
		add_all(e, push, COUNT(push));
	return e;
}

char *const *
git_env_list(struct git_env *e)
{
	return e->vars;
}

void
git_env_free(struct git_env **ep)
{
	struct git_env *e = *ep;

	if (e == NULL)
		return;
	*ep = NULL;
	for (unsigned i = 0; i < e->n; i++)
		free(e->vars[i]);
	free(e);
}
