/* replica/hook/hook_main.c - the program that git runs as each of its server-side hooks, told apart
 * by the name it is called by.  It speaks with the replica over a unix socket (hook_wire.h), and
 * runs the repository's own hooks behind it (chain.h).
 *
 *	pre-receive		the last place where a whole push can vanish without a trace
 *	proc-receive		the replica moves the refs, by the commit log
 *	post-receive, post-update	the repository's own, after the commit
 *	reference-transaction	the fence: refs of a managed repository move only by the replica */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/pktline.h"
#include "replica/hook/chain.h"
#include "replica/hook/hook_wire.h"

#define MAX_INPUT (64u << 20) /* bytes of all command lines */

static void
read_stdin(struct buf *in)
{
	uint8_t piece[8192];
	ssize_t n;

	while ((n = read(STDIN_FILENO, piece, sizeof(piece))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		buf_add(in, piece, (size_t)n);
	}
}

/* Connects and begins a message; says so on stderr when that cannot be done. */
static int
greet(struct buf *out, const char *what)
{
	const char *sock = getenv(HOOK_ENV_SOCK), *push = getenv(HOOK_ENV_PUSH);
	int fd;

	if (sock == NULL || push == NULL) {
		fprintf(stderr, "error: this repository is managed by gitshard; push to it through "
				"the server's URL, not to its directory\n");
		return -1;
	}
	fd = hook_wire_connect(sock);
	if (fd < 0)
		fprintf(stderr, "error: the storage agent does not answer (%s); push again\n",
			strerror(errno));
	pktline_addf(out, "%s %s", what, push);
	return fd;
}

/* Reads one message of go or refuse; true for go. */
static bool
allowed(int fd, struct buf *line)
{
	bool go = false;
	enum hook_wire_kind kind;

	while ((kind = hook_wire_read(fd, line)) == HOOK_WIRE_LINE) {
		struct slice rest = buf_slice(line), word = slice_cut(&rest, ' ');

		if (slice_eq_str(word, "go"))
			go = true;
		else if (slice_eq_str(word, "say"))
			fprintf(stderr, "%.*s\n", SLICE_ARG(rest));
		else if (slice_eq_str(word, "refuse"))
			fprintf(stderr, "error: %.*s\n", SLICE_ARG(rest));
	}
	if (kind == HOOK_WIRE_END) {
		fprintf(stderr,
			"error: the storage agent went away; nothing was changed, push again\n");
		return false;
	}
	return go;
}

/* Reading the text first spares a process a push: nearly no repository sets any of these. */
static bool
config_mentions(const char *text, const char *key)
{
	return strcasestr(text, key) != NULL;
}

static bool
config_true(const char *key)
{
	const char *const argv[] = { "git", "config", "--type=bool", "--get", key, NULL };
	struct buf out = BUF_MAX(256);
	bool yes = chain_program(argv, &out) == 0 && strncmp(buf_str(&out), "true", 4) == 0;

	buf_release(&out);
	return yes;
}

struct rules {
	bool deny_deletes, deny_non_ff;
};

static struct rules
read_rules(void)
{
	struct rules r = { false, false };
	struct buf text = BUF_MAX(1u << 20);
	FILE *f = fopen("config", "re");
	uint8_t piece[4096];
	size_t n;

	while (f != NULL && (n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(&text, piece, n);
	if (f != NULL)
		fclose(f);
	if (config_mentions(buf_str(&text), "denydeletes") ||
	    config_mentions(buf_str(&text), "include"))
		r.deny_deletes = config_true("receive.denyDeletes");
	if (config_mentions(buf_str(&text), "denynonfastforwards") ||
	    config_mentions(buf_str(&text), "include"))
		r.deny_non_ff = config_true("receive.denyNonFastForwards");
	buf_release(&text);
	return r;
}

static bool
is_zero(const char *hex)
{
	return hex[strspn(hex, "0")] == '\0';
}

/* What git checks itself for refs that proc-receive does not take; NULL: fine.  Words are git's. */
static const char *
rule_refusal(const struct rules *r, const char *old, const char *new, const char *ref)
{
	const char *const ancestor[] = { "git", "merge-base", "--is-ancestor", old, new, NULL };

	if (strncmp(ref, "refs/heads/", 11) != 0 || is_zero(old))
		return NULL;
	if (is_zero(new)) {
		if (!r->deny_deletes)
			return NULL;
		fprintf(stderr, "error: denying ref deletion for %s\n", ref);
		return "deletion prohibited";
	}
	if (!r->deny_non_ff || chain_program(ancestor, NULL) == 0)
		return NULL;
	fprintf(stderr, "error: denying non-fast-forward %s (you should pull first)\n", ref);
	return "non-fast-forward";
}

/* One "old new ref" line; false when it is none.  The parts end with NUL in *line itself. */
static bool
split(char *line, char **old, char **new, char **ref)
{
	*old = line;
	*new = strchr(line, ' ');
	*ref = *new != NULL ? strchr(*new + 1, ' ') : NULL;
	if (*ref == NULL)
		return false;
	*(*new)++ = '\0';
	*(*ref)++ = '\0';
	return true;
}

/* The repository's own rules and `update` hook, a ref each; refusals go into out. */
static void
judge_refs(struct slice commands, struct buf *out)
{
	struct rules r = read_rules();
	bool has_update = chain_has("update");
	char *old, *new, *ref, *line;

	while (commands.len > 0) {
		struct slice l = slice_cut(&commands, '\n');
		const char *why;

		line = strndup((const char *)l.p, l.len);
		if (line == NULL || !split(line, &old, &new, &ref)) {
			free(line);
			continue;
		}
		why = rule_refusal(&r, old, new, ref);
		if (why == NULL && has_update) {
			const char *const argv[] = { "update", ref, old, new, NULL };

			if (chain_run(argv, SLICE_NONE) != 0) {
				fprintf(stderr, "error: hook declined to update %s\n", ref);
				why = "hook declined";
			}
		}
		if (why != NULL)
			pktline_addf(out, "ng %s %s", ref, why);
		free(line);
	}
}

static int
pre_receive(void)
{
	static const char *const argv[] = { "pre-receive", NULL };
	struct buf in = BUF_MAX(MAX_INPUT), out = BUF_MAX(2 * MAX_INPUT), line = BUF_MAX(65520);
	const char *quarantine = getenv("GIT_QUARANTINE_PATH");
	struct slice rest;
	bool ok = false;
	int fd;

	fd = greet(&out, "pre-receive");
	if (fd < 0)
		goto out;
	read_stdin(&in);
	if (quarantine != NULL)
		pktline_addf(&out, "quarantine %s", quarantine);
	for (rest = buf_slice(&in); rest.len > 0;) {
		struct slice l = slice_cut(&rest, '\n');

		pktline_addf(&out, "command %.*s", SLICE_ARG(l));
	}
	pktline_add_flush(&out);
	ok = buf_ok(&in) && hook_wire_send(fd, &out) && allowed(fd, &line);
	if (!ok)
		goto out;
	chain_clean_env();
	if (chain_run(argv, buf_slice(&in)) != 0) {
		pktline_addf(&out, "declined");
		ok = false;
	} else {
		judge_refs(buf_slice(&in), &out);
	}
	pktline_add_flush(&out);
	ok = hook_wire_send(fd, &out) && ok && allowed(fd, &line);
out:
	buf_release(&in);
	buf_release(&out);
	buf_release(&line);
	return ok ? 0 : 1;
}

/* Reads lines of git up to the flush; each is told to the replica behind `word`. */
static bool
take_lines(const char *word, struct buf *out, struct buf *refs)
{
	struct buf line = BUF_MAX(65520);
	enum hook_wire_kind kind;

	while ((kind = hook_wire_read(STDIN_FILENO, &line)) == HOOK_WIRE_LINE) {
		pktline_addf(out, "%s %s", word, buf_str(&line));
		if (refs != NULL && line.len > 0) {
			const char *ref = strrchr(buf_str(&line), ' ');

			buf_addf(refs, "%s\n", ref != NULL ? ref + 1 : buf_str(&line));
		}
	}
	buf_release(&line);
	return kind == HOOK_WIRE_FLUSH;
}

/* Nobody can say whether the refs moved: every command is answered so. */
static void
answer_unknown(struct buf *answer, struct slice refs)
{
	buf_clear(answer);
	while (refs.len > 0) {
		struct slice ref = slice_cut(&refs, '\n');

		pktline_addf(answer, "ng %.*s outcome unknown, push again", SLICE_ARG(ref));
	}
}

static bool
relay_answers(int fd, struct buf *answer)
{
	struct buf line = BUF_MAX(65520);
	enum hook_wire_kind kind;

	while ((kind = hook_wire_read(fd, &line)) == HOOK_WIRE_LINE) {
		if (strncmp(buf_str(&line), "say ", 4) == 0)
			fprintf(stderr, "%s\n", buf_str(&line) + 4);
		else
			pktline_addf(answer, "%s", buf_str(&line));
	}
	buf_release(&line);
	return kind == HOOK_WIRE_FLUSH;
}

/* git's greeting: does it offer push options, is the push atomic; answered the same way. */
static bool
greet_git(struct buf *line, struct buf *answer, bool *options)
{
	bool atomic;

	if (hook_wire_read(STDIN_FILENO, line) != HOOK_WIRE_LINE)
		return false;
	*options = memmem(line->p, line->len, "push-options", 12) != NULL;
	atomic = memmem(line->p, line->len, "atomic", 6) != NULL;
	if (hook_wire_read(STDIN_FILENO, line) != HOOK_WIRE_FLUSH)
		return false;
	pktline_addf(answer, "version=1%c%s%s", 0, *options ? "push-options " : "",
		     atomic ? "atomic" : "");
	pktline_add_flush(answer);
	return hook_wire_send(STDOUT_FILENO, answer);
}

static int
proc_receive(void)
{
	struct buf line = BUF_MAX(65520), out = BUF_MAX(2 * MAX_INPUT), refs = BUF_MAX(MAX_INPUT);
	struct buf answer = BUF_MAX(2 * MAX_INPUT);
	bool options, told, ok = false;
	int fd;

	if (!greet_git(&line, &answer, &options))
		goto out;
	fd = greet(&out, "proc-receive");
	if (!take_lines("command", &out, &refs) || (options && !take_lines("option", &out, NULL)))
		goto out;
	pktline_add_flush(&out);
	told = fd >= 0 && hook_wire_send(fd, &out);
	if (!told || !relay_answers(fd, &answer)) {
		fprintf(stderr,
			"error: the storage agent went away; outcome unknown, push again\n");
		answer_unknown(&answer, buf_slice(&refs));
	}
	pktline_add_flush(&answer);
	ok = hook_wire_send(STDOUT_FILENO, &answer);
out:
	buf_release(&line);
	buf_release(&out);
	buf_release(&refs);
	buf_release(&answer);
	return ok ? 0 : 1;
}

static int
post_receive(const char *const *argv)
{
	struct buf in = BUF_MAX(MAX_INPUT);
	int status;

	/* post-update has its refs as arguments and no input worth reading. */
	if (strcmp(argv[0], "post-receive") == 0)
		read_stdin(&in);
	chain_clean_env();
	status = chain_run(argv, buf_slice(&in));
	buf_release(&in);
	return status;
}

/* receive-pack itself commits an empty transaction after an atomic push: that one must pass. */
static int
reference_transaction(const char *state)
{
	struct buf in = BUF_MAX(MAX_INPUT);
	bool empty;

	read_stdin(&in);
	empty = buf_ok(&in) && in.len == 0;
	buf_release(&in);
	if (empty || (strcmp(state, "prepared") != 0 && strcmp(state, "preparing") != 0))
		return 0;
	fprintf(stderr, "error: the refs of this repository are managed by gitshard and change "
			"only by a push to the server's URL; this change was refused\n");
	return 1;
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash != NULL ? slash + 1 : argv[0];

	signal(SIGPIPE, SIG_IGN);
	argv[0] = (char *)(uintptr_t)name;
	if (strcmp(name, "pre-receive") == 0)
		return pre_receive();
	if (strcmp(name, "proc-receive") == 0)
		return proc_receive();
	if (strcmp(name, "post-receive") == 0 || strcmp(name, "post-update") == 0)
		return post_receive((const char *const *)argv);
	if (strcmp(name, "reference-transaction") == 0 && argc > 1)
		return reference_transaction(argv[1]);
	fprintf(stderr, "gitshard-hook is run by git, under the name of a hook\n");
	return 2;
}
