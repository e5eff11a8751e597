/* replica/install.h - what a node puts on its disk before it serves: folders, the hooks, and what it
 * learns of the installed git.  Thread: main, at start; blocks. */
#ifndef REPLICA_INSTALL_H
#define REPLICA_INSTALL_H

#include "replica/replica_conf.h"
#include "replica/serve/capline.h"

struct install_dirs { /* all owned */
	char *data, *home, *hooks, *learn, *sock, *map_cache, *unfit;
	char *sock_dir; /* made for a socket whose path would be too long; NULL */
};

MUST_CHECK int install_dirs(struct install_dirs *, const struct replica_conf *, struct err *);
/* Links in DATA/hooks to the hook program, made anew at each start. */
MUST_CHECK int install_hooks(const struct install_dirs *, const struct replica_conf *,
			     struct err *);
/* The disk must not be started from again (R13), why tells; best effort.  Nothing else than wiping the
 * folder takes it back: by its next start number the disk would look like itself again. */
void install_mark_unfit(const struct install_dirs *, const struct err *why);
/* ERR_CORRUPT in the words that it was marked with. */
MUST_CHECK int install_check_fit(const struct install_dirs *, struct err *);
MUST_CHECK int install_learn(struct caplines *, const struct install_dirs *, struct err *);
void install_release(struct install_dirs *);

#endif
