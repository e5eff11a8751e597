#include "gitproto/base/opt.h"

#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/version_text.h"

void
opt_list_release(struct opt_list *l)
{
	free(l->v);
	*l = (struct opt_list){ 0 };
}

static void
add_to_list(struct opt_list *l, const char *s)
{
	l->v = mem_resize(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = s;
}

static const struct opt *
find_name(const struct opt *t, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(t[i].name) == len && memcmp(t[i].name, name, len) == 0)
			return &t[i];
	return NULL;
}

static const struct opt *
find_letter(const struct opt *t, size_t n, char letter)
{
	for (size_t i = 0; i < n && letter != '\0'; i++)
		if (t[i].letter == letter)
			return &t[i];
	return NULL;
}

static int
store(void *into, const struct opt *o, const char *value, struct err *err)
{
	void *field = (char *)into + o->offset;
	struct opt_list *l;

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)field = true;
		break;
	case OPT_STR:
		*(const char **)field = value;
		break;
	case OPT_LIST:
		l = field;
		if (l->n >= OPT_MAX_LIST)
			return err_set(err, ERR_TOO_BIG, "--%s is given more than %d times",
				       o->name, OPT_MAX_LIST);
		add_to_list(l, value);
		break;
	}
	return 0;
}

/* One argument that begins with a dash; *i moves on over a value in the next one. */
static int
take_option(void *into, const struct opt *t, size_t n, int argc, char **argv, int *i,
	    struct err *err)
{
	const char *arg = argv[*i], *eq = strchr(arg, '='), *value = NULL;
	bool is_long = arg[1] == '-';
	const struct opt *o;

	if (is_long) {
		size_t len = eq != NULL ? (size_t)(eq - arg) - 2 : strlen(arg) - 2;

		o = find_name(t, n, arg + 2, len);
		value = eq != NULL ? eq + 1 : NULL;
	} else {
		o = find_letter(t, n, arg[1]);
		value = arg[2] != '\0' ? arg + 2 : NULL;
	}
	if (o == NULL)
		return err_set(err, ERR_BAD, "there is no option '%.60s'; see --help", arg);
	if (o->arg == NULL && value != NULL)
		return err_set(err, ERR_BAD, "option --%s takes no value", o->name);
	if (o->arg != NULL && value == NULL) {
		if (*i + 1 >= argc)
			return err_set(err, ERR_BAD, "option --%s needs a value: %s", o->name,
				       o->arg);
		value = argv[++*i];
	}
	return store(into, o, value, err);
}

int
opt_parse(void *into, struct opt_list *words, const struct opt *t, size_t n, int argc, char **argv,
	  struct err *err)
{
	bool only_words = false;
	int rc = 0;

	for (int i = 1; i < argc && rc == 0; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0)
			only_words = true;
		else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0')
			rc = take_option(into, t, n, argc, argv, &i, err);
		else
			add_to_list(words, argv[i]);
	}
	return rc;
}

void
opt_help(struct buf *out, const struct opt *t, size_t n)
{
	char left[80];

	for (size_t i = 0; i < n; i++) {
		char letter[8] = "    ";

		if (t[i].letter != '\0')
			snprintf(letter, sizeof(letter), "-%c, ", t[i].letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, t[i].name,
			 t[i].arg != NULL ? " " : "", t[i].arg != NULL ? t[i].arg : "");
		buf_addf(out, "  %-34s %s%s\n", left, t[i].doc,
			 t[i].kind == OPT_LIST ? " (may be repeated)" : "");
	}
}

void
opt_version(struct buf *out, const char *name, void (*libraries)(struct buf *out))
{
	buf_addf(out, "%s %s (%s)\n", name, VERSION_TEXT, GITSHARD_BUILD);
	if (libraries != NULL)
		libraries(out);
}

/* ---- daemons --------------------------------------------------------------------------------- */

struct daemon_opts {
	bool help, version, check_config, help_config;
	const char *config;
	struct opt_list set;
};

#define ROW(field) offsetof(struct daemon_opts, field)
static const struct opt daemon_table[] = {
	{ "config", 0, "FILE", OPT_STR, ROW(config), "read options from FILE" },
	{ "set", 0, "SECTION.KEY=VALUE", OPT_LIST, ROW(set), "set one option, over the file's" },
	{ "check-config", 0, NULL, OPT_FLAG, ROW(check_config), "check the options and exit" },
	{ "help-config", 0, NULL, OPT_FLAG, ROW(help_config), "list the options of the file" },
	{ "version", 0, NULL, OPT_FLAG, ROW(version), "print versions" },
	{ "help", 'h', NULL, OPT_FLAG, ROW(help), "print this" },
};
#undef ROW

static void
say(int fd, struct buf *text)
{
	struct slice s = buf_slice(text);

	while (s.len > 0) {
		ssize_t n = write(fd, s.p, s.len);

		if (n <= 0)
			break; /* nobody listens */
		s = slice_skip(s, (size_t)n);
	}
	buf_release(text);
}

static enum opt_next
refuse(const char *name, const struct err *err)
{
	struct buf text = BUF_MAX(4096);

	buf_addf(&text, "%s: %s\n", name, err_text(err));
	say(STDERR_FILENO, &text);
	return OPT_WRONG;
}

/* What is answered at once, without a configuration; false: none of it was asked for. */
static bool
answer(const struct opt_daemon *d, const struct daemon_opts *o)
{
	struct buf text = BUF_MAX(1024 * 1024);

	if (o->help) {
		buf_addf(&text,
			 "%s - %s\n\nUsage: %s --config FILE [--set SECTION.KEY=VALUE]...\n\n",
			 d->name, d->purpose, d->name);
		opt_help(&text, daemon_table, COUNT(daemon_table));
	} else if (o->version) {
		opt_version(&text, d->name, d->libraries);
	} else if (o->help_config) {
		conf_manual(&text, d->conf);
	} else {
		return false;
	}
	say(STDOUT_FILENO, &text);
	return true;
}

static enum opt_next
load(void *conf, const struct opt_daemon *d, const struct daemon_opts *o)
{
	struct buf text = BUF_MAX(4096);
	struct err err = { 0 };
	int rc = conf_load(d->conf, conf, o->config, o->set.v, o->set.n, &err);

	if (rc == 0 && d->check != NULL) {
		rc = d->check(conf, &err);
		if (rc < 0)
			conf_release(d->conf, conf);
	}
	if (rc < 0)
		return refuse(d->name, &err);
	if (!o->check_config)
		return OPT_RUN;
	conf_release(d->conf, conf);
	buf_addf(&text, "%s: the configuration is right\n", d->name);
	say(STDOUT_FILENO, &text);
	return OPT_DONE;
}

enum opt_next
opt_daemon_start(void *conf, const struct opt_daemon *d, int argc, char **argv)
{
	struct daemon_opts o = { 0 };
	struct opt_list words = { 0 };
	struct err err = { 0 };
	enum opt_next next;
	int rc = opt_parse(&o, &words, daemon_table, COUNT(daemon_table), argc, argv, &err);

	if (rc == 0 && words.n > 0)
		rc = err_set(&err, ERR_BAD, "'%.60s' means nothing here; see --help", words.v[0]);
	if (rc < 0)
		next = refuse(d->name, &err);
	else if (answer(d, &o))
		next = OPT_DONE;
	else
		next = load(conf, d, &o);
	opt_list_release(&o.set);
	opt_list_release(&words);
	return next;
}
