/* gitproto/base/opt.h - command-line tables, and what all daemons have in common there.
 * Thread: main, before others start.
 * Spelled --name VALUE, --name=VALUE, -x VALUE; `--` ends options; options and words may mix. */
#ifndef GITPROTO_BASE_OPT_H
#define GITPROTO_BASE_OPT_H

#include "gitproto/base/buf.h"
#include "gitproto/base/conf.h"
#include "gitproto/base/err.h"

#define OPT_MAX_LIST 1024

enum opt_kind {
	OPT_FLAG, /* bool */
	OPT_STR,  /* const char *, into argv; given twice: the last one */
	OPT_LIST, /* struct opt_list, may be repeated */
};

struct opt_list {
	const char **v; /* owned array of borrowed strings (argv) */
	size_t n;
};
void opt_list_release(struct opt_list *);

struct opt {
	const char *name; /* without dashes */
	char letter;      /* 0: none */
	const char *arg;  /* what its value is called in the help; NULL: a flag */
	enum opt_kind kind;
	size_t offset;   /* in the struct that opt_parse fills */
	const char *doc; /* one line */
};

/* Fills `into` (zeroed before by the caller) and puts the words that are no options into words.
 * ERR_BAD names the option and what is near it.  argv is borrowed for ever. */
MUST_CHECK int opt_parse(void *into, struct opt_list *words, const struct opt *, size_t n, int argc,
			 char **argv, struct err *);
/* The options as aligned lines. */
void opt_help(struct buf *out, const struct opt *, size_t n);

/* What gitshard-router and gitshard-replica share: --help, --version, --config FILE, --set
 * SECTION.KEY=VALUE, --check-config, --help-config. */
struct opt_daemon {
	const char *name;    /* "gitshard-router" */
	const char *purpose; /* one sentence, for --help */
	const struct conf_table *conf;
	void (*libraries)(struct buf *out); /* "name version" of each, a line each */
	/* Beyond single values, for --check-config too; NULL: none. */
	int (*check)(const void *conf, struct err *);
};
enum opt_next { OPT_RUN, OPT_DONE, OPT_WRONG };
/* Reads the command line and the configuration into conf (opt_daemon.conf's struct).  OPT_RUN: go
 * on, conf is filled.  OPT_DONE: asked for help, version or check, answered on stdout: exit 0.
 * OPT_WRONG: said why on stderr: exit 2. */
enum opt_next opt_daemon_start(void *conf, const struct opt_daemon *, int argc, char **argv);
/* "gitshard-router 0.1.0 (release)" and the libraries. */
void opt_version(struct buf *out, const char *name, void (*libraries)(struct buf *out));

#endif
