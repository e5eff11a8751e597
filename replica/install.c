#include "replica/install.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/fsio.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/unix_server.h"
#include "replica/repo/git_env.h"

static char *
join(const char *dir, const char *name)
{
	struct buf b = BUF_MAX(8192);
	char *s;

	buf_addf(&b, "%s/%s", dir, name);
	s = mem_strdup(buf_str(&b));
	buf_release(&b);
	return s;
}

/* unix(7) allows 107 bytes; a deep data folder gets a socket in a private folder of its own. */
static int
place_socket(struct install_dirs *d, struct err *err)
{
	char dir[] = "/tmp/gitshard-XXXXXX";

	d->sock = join(d->data, "hook.sock");
	if (strlen(d->sock) < UNIX_SERVER_PATH)
		return 0;
	if (mkdtemp(dir) == NULL)
		return err_errno(err, "cannot make a folder for the hook socket");
	free(d->sock);
	d->sock_dir = mem_strdup(dir);
	d->sock = join(dir, "hook.sock");
	return 0;
}

static int
same_filesystem(const char *root, const char *data, struct err *err)
{
	struct stat a, b;

	if (stat(root, &a) != 0)
		return err_errno(err, "cannot look at %s", root);
	if (stat(data, &b) != 0)
		return err_errno(err, "cannot look at %s", data);
	if (a.st_dev != b.st_dev)
		return err_set(err, ERR_BAD,
			       "node.data (%s) must be on the filesystem of node.root (%s)", data,
			       root);
	return 0;
}

int
install_dirs(struct install_dirs *d, const struct replica_conf *c, struct err *err)
{
	int rc;

	d->data = c->data != NULL ? mem_strdup(c->data) : join(c->root, ".gitshard");
	d->home = join(d->data, "home");
	d->hooks = join(d->data, "hooks");
	d->learn = join(d->data, "learn");
	d->map_cache = join(d->data, "map.json");
	d->unfit = join(d->data, "unfit");
	rc = fsio_mkdirs(c->root, 0755, err);
	if (rc == 0)
		rc = fsio_mkdirs(d->data, 0700, err);
	if (rc == 0)
		rc = fsio_mkdirs(d->home, 0700, err);
	if (rc == 0)
		rc = fsio_mkdirs(d->hooks, 0755, err);
	if (rc == 0)
		rc = same_filesystem(c->root, d->data, err);
	if (rc == 0)
		rc = place_socket(d, err);
	return rc;
}

/* "DIR/gitshard-hook" beside the running program. */
static char *
default_hook(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return mem_strdup("gitshard-hook");
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	return join(self, "gitshard-hook");
}

void
install_mark_unfit(const struct install_dirs *d, const struct err *why)
{
	struct err err;

	if (fsio_write(d->unfit, slice_str(err_text(why)), 0644, &err) != 0)
		log_error("-", "unfit", "path=%s why=%s", d->unfit,
			  log_value(err_text(&err), strlen(err_text(&err))));
}

int
install_check_fit(const struct install_dirs *d, struct err *err)
{
	struct buf why = BUF_MAX(sizeof(err->text));
	int rc = fsio_read(&why, d->unfit, why.max, err);

	if (rc == 0)
		rc = err_set(err, ERR_CORRUPT, "%s", buf_str(&why));
	else if (rc == ERR_NOT_FOUND)
		rc = 0;
	buf_release(&why);
	return rc;
}

int
install_hooks(const struct install_dirs *d, const struct replica_conf *c, struct err *err)
{
	static const char *const names[] = { "pre-receive", "proc-receive", "post-receive",
					     "post-update", "reference-transaction" };
	char *hook = c->hook != NULL ? mem_strdup(c->hook) : default_hook(), *link;
	int rc = 0;

	if (access(hook, X_OK) != 0)
		rc = err_errno(err, "the hook program %s cannot be run; set node.hook", hook);
	for (unsigned i = 0; i < COUNT(names) && rc == 0; i++) {
		link = join(d->hooks, names[i]);
		if (unlink(link) != 0 && errno != ENOENT)
			rc = err_errno(err, "cannot replace %s", link);
		else if (symlink(hook, link) != 0)
			rc = err_errno(err, "cannot make %s", link);
		free(link);
	}
	free(hook);
	return rc;
}

int
install_learn(struct caplines *caps, const struct install_dirs *d, struct err *err)
{
	struct git_env *env = git_env_new(GIT_ENV_PLAIN, d->home, "/dev/null");
	int rc = fsio_remove_tree(d->learn, err);

	if (rc == 0)
		rc = fsio_mkdirs(d->learn, 0700, err);
	if (rc == 0)
		rc = capline_learn(caps, d->learn, git_env_list(env), err);
	git_env_free(&env);
	return rc;
}

void
install_release(struct install_dirs *d)
{
	if (d->sock_dir != NULL)
		rmdir(d->sock_dir);
	free(d->data);
	free(d->home);
	free(d->hooks);
	free(d->learn);
	free(d->sock);
	free(d->sock_dir);
	free(d->map_cache);
	free(d->unfit);
	memset(d, 0, sizeof(*d));
}
