#include "gitproto/base/conf.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>

#include <confuse.h>

#include "gitproto/base/check.h"
#include "gitproto/base/fsio.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/units.h"

#define MAX_FILE (1024u * 1024)
#define MAX_NAME 64u

/* The library hands no argument to its callbacks and its scanner has global state: one load at a
 * time, and this is what it is about. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static struct load {
	const struct conf_table *table;
	void *into;
	bool *given;
	const char *path;
	struct err *err;
	int rc;
} now;

static int
parse_bool(bool *out, const char *text, struct err *err)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

	for (unsigned i = 0; i < COUNT(words); i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i % 2 == 1;
			return 0;
		}
	return err_set(err, ERR_BAD, "'%.60s' is neither yes nor no", text);
}

static int
check_bounds(const struct conf_opt *o, int64_t v, struct err *err)
{
	if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
		return 0;
	return err_set(err, ERR_BAD, "%" PRId64 " is not between %" PRId64 " and %" PRId64, v,
		       o->min, o->max);
}

/* Puts the value of one option into its field. */
static int
assign(void *into, const struct conf_opt *o, const char *text, struct err *err)
{
	void *field = (char *)into + o->offset;
	uint64_t u = 0;
	int64_t i = 0;
	int rc = 0;

	switch (o->type) {
	case CONF_STR:
		free(*(char **)field);
		*(char **)field = mem_strdup(text);
		return 0;
	case CONF_BOOL:
		return parse_bool(field, text, err);
	case CONF_INT:
		rc = units_int(&i, text, err);
		break;
	case CONF_MSEC:
	case CONF_BYTES:
		rc = o->type == CONF_MSEC ? units_msec(&u, text, err) : units_bytes(&u, text, err);
		i = (int64_t)u;
		break;
	case CONF_NTYPES:
		CHECK(false && "a type of option");
	}
	if (rc == 0)
		rc = check_bounds(o, i, err);
	if (rc == 0 && o->type == CONF_INT)
		*(int64_t *)field = i;
	else if (rc == 0)
		*(uint64_t *)field = u;
	return rc;
}

static const struct conf_opt *
find(const struct conf_table *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->opts[i].name, name) == 0)
			return &t->opts[i];
	return NULL;
}

/* Edit distance of two short names, at most 99. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[MAX_NAME + 1], n = (unsigned)strlen(b);

	if (n > MAX_NAME)
		return 99;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 0; a[i] != '\0'; i++) {
		unsigned corner = row[0]++;

		for (unsigned j = 0; j < n; j++) {
			unsigned change = corner + (a[i] != b[j]);

			corner = row[j + 1];
			row[j + 1] = MIN(change, MIN(row[j], corner) + 1);
		}
	}
	return row[n];
}

/* Of the known names below section ("" is top level), sections included, the nearest to name;
 * NULL when none is near. */
static const char *
nearest(const struct conf_table *t, const char *section, const char *name)
{
	static __thread char best[MAX_NAME];
	size_t skip = *section != '\0' ? strlen(section) + 1 : 0;
	unsigned least = 1 + (unsigned)strlen(name) / 3;
	bool found = false;

	for (size_t i = 0; i < t->n; i++) {
		const char *own = t->opts[i].name, *dot;
		char candidate[MAX_NAME];
		unsigned d;

		if (skip > 0 && (strncmp(own, section, skip - 1) != 0 || own[skip - 1] != '.'))
			continue;
		dot = strchr(own + skip, '.');
		snprintf(candidate, sizeof(candidate), "%.*s",
			 (int)(dot != NULL ? (size_t)(dot - own) - skip : strlen(own + skip)),
			 own + skip);
		d = distance(name, candidate);
		if (d <= least) {
			least = d - (d > 0);
			snprintf(best, sizeof(best), "%s", candidate);
			found = true;
		}
	}
	return found ? best : NULL;
}

static int
unknown(const struct conf_table *t, const char *section, const char *name, struct err *err)
{
	const char *near = nearest(t, section, name);

	return err_set(err, ERR_BAD, "there is no option '%.60s'%s%s%s%s%s%s", name,
		       *section != '\0' ? " in section '" : "", section,
		       *section != '\0' ? "'" : "", near != NULL ? "; did you mean '" : "",
		       near != NULL ? near : "", near != NULL ? "'?" : "");
}

static const char *
section_of(cfg_t *cfg)
{
	return cfg->name == NULL || strcmp(cfg->name, "root") == 0 ? "" : cfg->name;
}

static void
place_error(cfg_t *cfg, int rc)
{
	now.rc = rc;
	err_prefix(now.err, "%s:%d", now.path, cfg != NULL ? cfg->line : 0);
}

/* Put behind each file: a section that is not closed swallows it, and is found by that. */
#define END_MARK "end-of-the-file"

static void __attribute__((format(printf, 2, 0))) on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	static const char no_option[] = "no such option '";
	char text[256];
	char *end;

	if (now.rc < 0) /* the first one says it */
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	end = strrchr(text, '\'');
	if (strncmp(text, no_option, strlen(no_option)) == 0 && end != NULL) {
		*end = '\0';
		if (strcmp(text + strlen(no_option), END_MARK) == 0) {
			err_set(now.err, ERR_BAD, "the section '%s' is not closed: '}' is missing",
				section_of(cfg));
			return place_error(cfg, ERR_BAD);
		}
		if (cfg->flags & CFGF_KEYSTRVAL) /* told although any key is taken there */
			return;
		unknown(now.table, section_of(cfg), text + strlen(no_option), now.err);
	} else {
		err_set(now.err, ERR_BAD, "%s", text);
	}
	place_error(cfg, ERR_BAD);
}

/* Called by the library after each value of ours. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *section = section_of(cfg);
	const char *text = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	char name[2 * MAX_NAME];
	const struct conf_opt *o;
	int rc;

	snprintf(name, sizeof(name), "%s%s%s", section, *section != '\0' ? "." : "", opt->name);
	o = find(now.table, name);
	CHECK(o != NULL && text != NULL);
	rc = assign(now.into, o, text, now.err);
	if (rc == 0) {
		now.given[o - now.table->opts] = true;
		return 0;
	}
	err_prefix(now.err, "%s", name);
	place_error(cfg, rc);
	return -1;
}

/* ---- the library's own tables, made from ours ---------------------------------------------- */

struct grammar {
	cfg_opt_t *top; /* owned */
	size_t ntop;
	cfg_opt_t **subs;        /* owned, and each of them */
	char (*names)[MAX_NAME]; /* owned: of sections */
	size_t nsubs;
};

static cfg_opt_t
value_opt(const char *name)
{
	return (cfg_opt_t){
		.name = name, .type = CFGT_STR, .flags = CFGF_NODEFAULT, .validcb = on_value
	};
}

/* The options of the section that opts[i] is the first one of; "section." has len bytes. */
static cfg_opt_t *
section_opts(const struct conf_table *t, const char *prefix, size_t len)
{
	cfg_opt_t *sub = mem_array(t->n + 1, sizeof(*sub));
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (strncmp(t->opts[i].name, prefix, len) == 0)
			sub[n++] = value_opt(t->opts[i].name + len);
	sub[n] = (cfg_opt_t)CFG_END();
	return sub;
}

static void
add_section(struct grammar *g, const char *name, size_t len, cfg_opt_t *sub, cfg_flag_t flags)
{
	CHECK(len < MAX_NAME);
	memcpy(g->names[g->nsubs], name, len);
	g->top[g->ntop++] = (cfg_opt_t)CFG_SEC(g->names[g->nsubs], sub, flags);
	g->subs[g->nsubs++] = sub;
}

static bool
has_section(const struct grammar *g, const char *name, size_t len)
{
	for (size_t i = 0; i < g->nsubs; i++)
		if (strlen(g->names[i]) == len && memcmp(g->names[i], name, len) == 0)
			return true;
	return false;
}

static void
make_grammar(struct grammar *g, const struct conf_table *t)
{
	size_t room = t->n;

	while (t->foreign != NULL && t->foreign[room - t->n] != NULL)
		room++;
	g->top = mem_array(room + 2, sizeof(*g->top));
	g->subs = mem_array(room, sizeof(*g->subs));
	g->names = mem_array(room, sizeof(*g->names));
	g->ntop = g->nsubs = 0;
	for (size_t i = 0; i < t->n; i++) {
		const char *name = t->opts[i].name, *dot = strchr(name, '.');
		size_t len = dot != NULL ? (size_t)(dot - name) : 0;

		if (dot == NULL)
			g->top[g->ntop++] = value_opt(name);
		else if (!has_section(g, name, len))
			add_section(g, name, len, section_opts(t, name, len + 1), CFGF_NONE);
	}
	for (size_t i = 0; t->foreign != NULL && t->foreign[i] != NULL; i++)
		if (!has_section(g, t->foreign[i], strlen(t->foreign[i])))
			add_section(g, t->foreign[i], strlen(t->foreign[i]),
				    mem_array(1, sizeof(cfg_opt_t)), CFGF_KEYSTRVAL);
	g->top[g->ntop++] = (cfg_opt_t){ .name = END_MARK, .type = CFGT_STR };
	g->top[g->ntop] = (cfg_opt_t)CFG_END();
}

static void
free_grammar(struct grammar *g)
{
	for (size_t i = 0; i < g->nsubs; i++)
		free(g->subs[i]);
	free(g->subs);
	free(g->names);
	free(g->top);
}

/* Comments become blanks: the library counts lines wrongly over them.  A '#' begins one where a
 * word could begin. */
static void
blank_comments(char *p)
{
	char quote = '\0', before = '\n';

	for (; *p != '\0'; before = *p++) {
		if (quote != '\0' && *p == '\\' && p[1] != '\0')
			p++;
		else if (quote != '\0' && *p == quote)
			quote = '\0';
		else if (quote == '\0' && (*p == '"' || *p == '\''))
			quote = *p;
		else if (quote == '\0' && *p == '#' && strchr(" \t\n={}", before) != NULL)
			while (*p != '\n' && *p != '\0')
				*p++ = ' ';
		if (*p == '\0')
			break;
	}
}

/* ---- loading --------------------------------------------------------------------------------- */

static int
parse_text(const struct conf_table *t, const char *text)
{
	struct grammar g;
	cfg_t *cfg;

	make_grammar(&g, t);
	cfg = cfg_init(g.top, CFGF_NONE);
	CHECK(cfg != NULL);
	cfg_set_error_function(cfg, on_error);
	if (cfg_parse_buf(cfg, text) != CFG_SUCCESS && now.rc == 0)
		now.rc = err_set(now.err, ERR_BAD, "%s: not a configuration file", now.path);
	cfg_free(cfg);
	free_grammar(&g);
	return now.rc;
}

static int
load_file(const struct conf_table *t, void *into, bool *given, const char *path, struct err *err)
{
	struct buf text = BUF_MAX(MAX_FILE + sizeof(END_MARK) + 16);
	struct err own = { 0 };
	int rc = fsio_read(&text, path, MAX_FILE, err);

	if (rc == 0 && memchr(text.p != NULL ? (char *)text.p : "", '\0', text.len) != NULL)
		rc = err_set(err, ERR_BAD, "%s: a NUL byte; not a configuration file", path);
	buf_add_str(&text, "\n" END_MARK " = yes\n");
	if (rc == 0 && !buf_ok(&text))
		rc = err_set(err, ERR_NOMEM, "no memory for %s", path);
	if (rc == 0) {
		blank_comments((char *)text.p);
		pthread_mutex_lock(&loading);
		now = (struct load){ t, into, given, path, err != NULL ? err : &own, 0 };
		rc = parse_text(t, buf_str(&text));
		pthread_mutex_unlock(&loading);
	}
	buf_release(&text);
	return rc;
}

static int
load_override(const struct conf_table *t, void *into, bool *given, const char *item,
	      struct err *err)
{
	const char *eq = strchr(item, '='), *dot;
	char name[2 * MAX_NAME], section[2 * MAX_NAME] = "";
	const struct conf_opt *o;
	int rc;

	if (eq == NULL)
		return err_set(err, ERR_BAD, "'%.100s' is not of the form section.key=value", item);
	snprintf(name, sizeof(name), "%.*s", (int)MIN(eq - item, 100), item);
	o = find(t, name);
	if (o == NULL) {
		dot = strchr(name, '.');
		if (dot != NULL)
			snprintf(section, sizeof(section), "%.*s", (int)(dot - name), name);
		return unknown(t, section, dot != NULL ? dot + 1 : name, err);
	}
	rc = assign(into, o, eq + 1, err);
	if (rc < 0)
		return err_prefix(err, "%s", name), rc;
	given[o - t->opts] = true;
	return 0;
}

static void
set_defaults(const struct conf_table *t, void *into)
{
	static const size_t width[CONF_NTYPES] = { [CONF_STR] = sizeof(char *),
						   [CONF_INT] = sizeof(int64_t),
						   [CONF_BOOL] = sizeof(bool),
						   [CONF_MSEC] = sizeof(uint64_t),
						   [CONF_BYTES] = sizeof(uint64_t) };
	struct err err;

	for (size_t i = 0; i < t->n; i++)
		memset((char *)into + t->opts[i].offset, 0, width[t->opts[i].type]);
	for (size_t i = 0; i < t->n; i++)
		if (t->opts[i].dflt != NULL)
			CHECK(assign(into, &t->opts[i], t->opts[i].dflt, &err) == 0);
}

static int
check_given(const struct conf_table *t, const bool *given, const char *path, struct err *err)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->opts[i].must && !given[i])
			return err_set(err, ERR_BAD, "%s%soption '%s' is missing: %s",
				       path != NULL ? path : "", path != NULL ? ": " : "",
				       t->opts[i].name, t->opts[i].doc);
	return 0;
}

int
conf_load(const struct conf_table *t, void *into, const char *path, const char *const *overrides,
	  size_t noverrides, struct err *err)
{
	bool *given = mem_array(t->n, sizeof(*given));
	int rc = 0;

	set_defaults(t, into);
	if (path != NULL)
		rc = load_file(t, into, given, path, err);
	for (size_t i = 0; i < noverrides && rc == 0; i++) {
		rc = load_override(t, into, given, overrides[i], err);
		if (rc < 0)
			err_prefix(err, "--set");
	}
	if (rc == 0)
		rc = check_given(t, given, path, err);
	if (rc < 0)
		conf_release(t, into);
	free(given);
	return rc;
}

void
conf_release(const struct conf_table *t, void *into)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->opts[i].type == CONF_STR) {
			char **field = (char **)(void *)((char *)into + t->opts[i].offset);

			free(*field);
			*field = NULL;
		}
}

/* ---- the manual ------------------------------------------------------------------------------ */

static void
describe(struct buf *out, const struct conf_opt *o, const char *indent, const char *name)
{
	static const char *const types[CONF_NTYPES] = { "text", "number", "yes or no",
							"time: 500ms, 2s, 5m, 1h",
							"size: 64K, 64M, 2G" };

	buf_addf(out, "%s# %s (%s", indent, o->doc, types[o->type]);
	if (o->min != 0 || o->max != 0)
		buf_addf(out, ", %" PRId64 " to %" PRId64, o->min, o->max);
	buf_addf(out, "%s)\n%s", o->must ? "; must be given" : "", indent);
	if (o->dflt == NULL)
		buf_addf(out, "# %s =\n", name);
	else if (o->type == CONF_STR)
		buf_addf(out, "%s = \"%s\"\n", name, o->dflt);
	else
		buf_addf(out, "%s = %s\n", name, o->dflt);
}

void
conf_manual(struct buf *out, const struct conf_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (strchr(t->opts[i].name, '.') == NULL)
			describe(out, &t->opts[i], "", t->opts[i].name);
	for (size_t i = 0; i < t->n; i++) {
		const char *name = t->opts[i].name, *dot = strchr(name, '.');
		size_t len = dot != NULL ? (size_t)(dot - name) + 1 : 0;
		bool begun = dot == NULL;

		for (size_t j = 0; j < i && !begun; j++)
			begun = strncmp(t->opts[j].name, name, len) == 0;
		if (begun)
			continue;
		buf_addf(out, "\n%.*s {\n", (int)len - 1, name);
		for (size_t j = i; j < t->n; j++)
			if (strncmp(t->opts[j].name, name, len) == 0)
				describe(out, &t->opts[j], "\t", t->opts[j].name + len);
		buf_add_str(out, "}\n");
	}
}
