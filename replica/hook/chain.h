/* replica/hook/chain.h - runs a repository's own hooks behind ours.  Thread: main; blocks.
 * The working directory is the repository.  What gitshard put into the environment is taken out
 * first: configuration by environment would leak into other repositories that the hook works in. */
#ifndef REPLICA_HOOK_CHAIN_H
#define REPLICA_HOOK_CHAIN_H

#include "gitproto/base/slice.h"

void chain_clean_env(void);
bool chain_has(const char *hook); /* hooks/NAME is there and executable */
/* Runs hooks/argv[0] with input on its stdin; its stdout goes to our stderr, as git does it.
 * Returns its exit status, 0 when there is no such hook, 255 when it could not run. */
int chain_run(const char *const *argv, struct slice input);
/* Runs a program found in PATH without input, its output caught in out (may be NULL). */
struct buf;
int chain_program(const char *const *argv, struct buf *out);

#endif
