/* router/main.c - gitshard-router: options, then the instance. */
#include <stdio.h>

#include "gitproto/base/log.h"
#include "gitproto/base/opt.h"
#include "router/router.h"

static const struct opt_daemon daemon_opts = {
	.name = "gitshard-router",
	.purpose = "Takes git clients in and brings each request to a node that can serve it.",
	.conf = &router_conf_table,
	.check = router_conf_check,
};

struct args {
	int argc;
	char **argv;
};

/* SIGHUP: of all options log_level alone takes effect while it runs. */
static void
reload(void *arg)
{
	const struct args *a = arg;
	struct router_conf fresh;

	if (opt_daemon_start(&fresh, &daemon_opts, a->argc, a->argv) != OPT_RUN) {
		log_warn("-", "reload", "the configuration is wrong; all stays as it was");
		return;
	}
	if (log_level_parse(&log_level_now, fresh.log_level))
		log_info("-", "reload", "log_level=%s", fresh.log_level);
	conf_release(&router_conf_table, &fresh);
}

int
main(int argc, char **argv)
{
	struct args args = { argc, argv };
	struct router_conf conf;
	struct router_opts o = { .conf = &conf, .reload = reload, .arg = &args };
	struct router *r;
	struct err err = { 0 };

	switch (opt_daemon_start(&conf, &daemon_opts, argc, argv)) {
	case OPT_DONE:
		return 0;
	case OPT_WRONG:
		return 2;
	case OPT_RUN:
		break;
	}
	if (!log_level_parse(&log_level_now, conf.log_level))
		return 2;
	if (router_new(&r, &o, &err) < 0) {
		fprintf(stderr, "gitshard-router: %s\n", err_text(&err));
		conf_release(&router_conf_table, &conf);
		return 1;
	}
	router_run(r);
	router_free(&r);
	conf_release(&router_conf_table, &conf);
	return 0;
}
