/* replica/repo/git_env.h - the environment and safety configuration of every git child.
 * Thread: any; a struct git_env belongs to one user.
 *
 * Nothing of the node's own environment is passed on but PATH and TMPDIR.  Configuration goes by
 * GIT_CONFIG_COUNT, so it holds for the child and what git itself starts; the hook program strips
 * it again before it runs a repository's own hooks (git-config(1), "environment"). */
#ifndef REPLICA_REPO_GIT_ENV_H
#define REPLICA_REPO_GIT_ENV_H

#include "gitproto/base/defs.h"

struct git_env;

enum git_env_use { GIT_ENV_PLAIN, GIT_ENV_FETCH, GIT_ENV_PUSH };

/* home: an empty directory of ours; hooks: our hooks directory. */
struct git_env *git_env_new(enum git_env_use, const char *home, const char *hooks);
void git_env_set(struct git_env *, const char *name, const char *value); /* value NULL: nothing */
void git_env_config(struct git_env *, const char *key, const char *value);
/* For child_spawn; borrowed until the next change. */
char *const *git_env_list(struct git_env *);
void git_env_free(struct git_env **);

#endif
