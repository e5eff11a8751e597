/* shard-map/ctl/main.c - shardctl: the table of commands. */
#include <stdio.h>

#include <curl/curl.h>
#include <jansson.h>

#include "gitproto/base/units.h"
#include "shard-map/ctl/cmd_map.h"
#include "shard-map/ctl/cmd_map_plan.h"
#include "shard-map/ctl/cmd_rename.h"
#include "shard-map/ctl/cmd_repo.h"
#include "shard-map/ctl/cmd_status.h"
#include "shard-map/ctl/ctl.h"
#include "shard-map/ctl/print.h"

struct command {
	const char *name; /* one word or two */
	unsigned words;   /* of its own that it must have */
	const char *usage, *doc;
	int (*run)(struct ctl *, struct err *);
};

static const struct command commands[] = {
	{ "map init", 0, "--node NODE... [--shards N] [--replicas N|all] [--create-topics]",
	  "begin a cluster of nodes that are started", cmd_map_init },
	{ "map show", 0, "", "nodes and shards as the map wishes them", cmd_map_show },
	{ "map diff", 2, "OLD NEW", "what moves between two maps: versions, or files",
	  cmd_map_diff },
	{ "map plan", 0, "[--add NODE] [--drain NAME] [--weight NAME=W] [--replicas N|all]",
	  "what would move; changes nothing", cmd_map_plan },
	{ "repo create", 1, "REPO [--head BRANCH] [--object-format F] [--shard N]",
	  "make a repository", cmd_repo_create },
	{ "repo rename", 2, "OLD NEW", "give a repository, and its wiki, another name",
	  cmd_repo_rename },
	{ "repo delete", 1, "REPO", "delete a repository everywhere", cmd_repo_delete },
	{ "repo list", 0, "", "all repositories, and whether their copies agree", cmd_repo_list },
	{ "where", 1, "REPO", "shard and nodes of a repository", cmd_where },
	{ "status", 0, "", "nodes, shards and their primaries", cmd_status },
};

static const char examples[] =
	"\nNODE is NAME=HOST:PORT,ADMIN_HOST:PORT[,zone=ZONE][,weight=WEIGHT] (back plane, "
	"admin),\n"
	"or ADMIN_HOST:PORT[,...] to let the node tell the rest.  REPO is owner/name.\n"
	"\nExamples:\n"
	"  shardctl --config /etc/gitshard.conf map init --node 10.0.0.1:7011 --node "
	"10.0.0.2:7011\n"
	"  shardctl repo create team/project --head main\n"
	"  shardctl status -o json\n"
	"\nExit codes: 0 done, 1 failed, 2 usage, 4 something else changed it meanwhile,\n"
	"5 done, but some node gave no answer, 124 timed out.\n";

static void
add_help(struct buf *out)
{
	char left[100];

	buf_add_str(out, "shardctl - looks after a gitshard cluster\n\n"
			 "Usage: shardctl [--config FILE] COMMAND\n\nCommands:\n");
	for (size_t i = 0; i < COUNT(commands); i++) {
		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].usage);
		buf_addf(out, "  %-58s %s\n", left, commands[i].doc);
	}
	buf_add_str(out, "\nOptions:\n");
	opt_help(out, ctl_opt_table, ctl_opt_count);
	buf_add_str(out, examples);
}

static void
add_libraries(struct buf *out)
{
	buf_addf(out, "libcurl %s\njansson %s\n", curl_version_info(CURLVERSION_NOW)->version,
		 jansson_version_str());
}

/* Does the command's name stand at the beginning of the words?  How many they are, 0: no. */
static size_t
match(const struct command *cmd, const struct opt_list *words)
{
	struct slice rest = slice_str(cmd->name);
	size_t n = 0;

	while (rest.len > 0) {
		struct slice word = slice_cut(&rest, ' ');

		if (n >= words->n || !slice_eq_str(word, words->v[n]))
			return 0;
		n++;
	}
	return n;
}

static const struct command *
find_command(struct ctl *c, struct err *err)
{
	for (size_t i = 0; i < COUNT(commands); i++) {
		c->nwords_of_name = match(&commands[i], &c->words);
		if (c->nwords_of_name == 0)
			continue;
		if (c->words.n - c->nwords_of_name == commands[i].words)
			return &commands[i];
		err_set(err, ERR_BAD, "usage: shardctl %s %s", commands[i].name, commands[i].usage);
		return NULL;
	}
	err_set(err, ERR_BAD, "%s%s%s; see: shardctl --help",
		c->words.n > 0 ? "there is no command '" : "name a command",
		c->words.n > 0 ? c->words.v[0] : "", c->words.n > 0 ? "'" : "");
	return NULL;
}

static int
read_options(struct ctl *c, struct err *err)
{
	const char *form = c->opts.output;

	if (form != NULL && strcmp(form, "table") != 0 && strcmp(form, "json") != 0)
		return err_set(err, ERR_BAD, "--output: '%.20s' is neither table nor json", form);
	c->json = form != NULL && strcmp(form, "json") == 0;
	if (c->opts.timeout != NULL && (units_msec(&c->timeout_ms, c->opts.timeout, err) < 0 ||
					c->timeout_ms == 0 || c->timeout_ms > 86400000))
		return err_set(err, ERR_BAD, "--timeout: '%.20s' is no time like 500ms or 2s",
			       c->opts.timeout);
	return conf_load(&ctl_conf_table, &c->conf, c->opts.config, c->opts.set.v, c->opts.set.n,
			 err);
}

/* What needs neither command nor configuration; false: none of it was asked for. */
static bool
answer(const struct ctl *c, int *rc, struct err *err)
{
	struct buf out = BUF_MAX(65536);

	if (c->opts.help)
		add_help(&out);
	else if (c->opts.version)
		opt_version(&out, "shardctl", add_libraries);
	else if (c->opts.help_config)
		conf_manual(&out, &ctl_conf_table);
	else
		return false;
	*rc = print_text(&out, err);
	buf_release(&out);
	return true;
}

static int
run(struct ctl *c, int argc, char **argv, struct err *err)
{
	const struct command *cmd = NULL;
	int rc;

	c->usage = true; /* until the command line has been understood */
	rc = opt_parse(&c->opts, &c->words, ctl_opt_table, ctl_opt_count, argc, argv, err);
	if (rc < 0)
		return rc;
	if (answer(c, &rc, err))
		return rc;
	if (!c->opts.check_config) {
		cmd = find_command(c, err);
		if (cmd == NULL)
			return ERR_BAD;
	}
	rc = read_options(c, err);
	if (rc < 0)
		return rc;
	c->usage = false;
	if (cmd != NULL)
		return cmd->run(c, err);
	puts("shardctl: the configuration is right");
	return 0;
}

int
main(int argc, char **argv)
{
	struct ctl c = { 0 };
	struct err err = { 0 };
	enum ctl_exit code;
	int rc;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return CTL_FAILED;
	rc = run(&c, argc, argv, &err);
	code = ctl_exit_code(rc);
	if (rc < 0)
		fprintf(stderr, "shardctl: %s\n", err_text(&err));
	if (rc < 0 && c.usage)
		code = CTL_USAGE;
	else if (rc == 0 && c.partial)
		code = CTL_PARTIAL;
	ctl_release(&c);
	curl_global_cleanup();
	return (int)code;
}
