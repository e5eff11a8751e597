/* replica/main.c - gitshard-replica: the agent on a storage node. */
#include <event2/event.h>
#include <git2/common.h>
#include <git2/global.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>

#include "gitproto/base/log.h"
#include "gitproto/base/opt.h"
#include "replica/replica.h"

static void
libraries(struct buf *out)
{
	int major, minor, rev;

	git_libgit2_version(&major, &minor, &rev);
	buf_addf(out, "libevent %s\nnghttp2 %s\n%s\nlibgit2 %d.%d.%d\nSQLite %s\n",
		 event_get_version(), nghttp2_version(0)->version_str,
		 OpenSSL_version(OPENSSL_VERSION), major, minor, rev, sqlite3_libversion());
}

int
main(int argc, char **argv)
{
	static const struct opt_daemon daemon = {
		.name = "gitshard-replica",
		.purpose = "Keeps git repositories on this node and replicates them.",
		.conf = &replica_conf_table,
		.libraries = libraries,
		.check = replica_conf_check,
	};
	struct replica_conf conf;
	struct replica *r;
	struct err err = { 0 };
	int status;

	switch (opt_daemon_start(&conf, &daemon, argc, argv)) {
	case OPT_DONE:
		return 0;
	case OPT_WRONG:
		return 2;
	case OPT_RUN:
		break;
	}
	if (!log_level_parse(&log_level_now, conf.log_level)) {
		fprintf(stderr, "gitshard-replica: log_level is error, warn, info or debug\n");
		return 2;
	}
	git_libgit2_init();
	if (replica_new(&r, &conf, &err) == 0) {
		status = replica_run(r);
		replica_free(&r);
	} else {
		fprintf(stderr, "gitshard-replica: %s\n", err_text(&err));
		status = 1;
	}
	conf_release(&replica_conf_table, &conf);
	git_libgit2_shutdown();
	return status;
}
