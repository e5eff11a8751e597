/* gitproto/base/conf.h - options as table rows: the file, the command line and the manual.
 * Thread: any, one struct at a time; may block (reads a file).
 *
 * The file (libconfuse): `key = value` at top level, `section { key = value }`, strings in quotes
 * when they hold blanks or signs, `#` begins a comment, "${NAME}" is taken from the environment.
 * Unknown keys are errors; all errors of a file name file and line.
 * Reload: conf_load into a new struct, check, swap, conf_release the old one. */
#ifndef GITPROTO_BASE_CONF_H
#define GITPROTO_BASE_CONF_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"

enum conf_type {
	CONF_STR,   /* char *, owned by the struct; NULL when neither given nor defaulted */
	CONF_INT,   /* int64_t */
	CONF_BOOL,  /* bool: yes no true false on off */
	CONF_MSEC,  /* uint64_t milliseconds: "500ms" "2s" "5m" "1h" "7d", a bare 0 */
	CONF_BYTES, /* uint64_t: "4096" "64K" "64M" "2G" */
	CONF_NTYPES
};

struct conf_opt {
	const char *name; /* "cluster" or "node.listen" */
	enum conf_type type;
	size_t offset;    /* of the field */
	const char *dflt; /* as it would stand in the file; NULL: none (empty, 0, no) */
	bool must;        /* has to be given; dflt is NULL then */
	int64_t min, max; /* of numbers; both 0: no bounds */
	const char *doc;  /* one line */
};

/* CONF(STR, struct node_conf, listen, "node.listen", "127.0.0.1:7010", "back-plane address")
 * Further fields may follow in designated form: .min = 1, .max = 64. */
#define CONF(type_, S, field, name_, dflt_, doc_, ...)                                           \
	{                                                                                        \
		.name = (name_), .type = CONF_##type_,                                           \
		.offset = CONF_OFFSET(S, field, CONF_C_##type_), .dflt = (dflt_), .doc = (doc_), \
		##__VA_ARGS__                                                                    \
	}
#define CONF_MUST(type_, S, field, name_, doc_) \
	CONF(type_, S, field, name_, NULL, doc_, .must = true)
#define CONF_C_STR char *
#define CONF_C_INT int64_t
#define CONF_C_BOOL bool
#define CONF_C_MSEC uint64_t
#define CONF_C_BYTES uint64_t
/* offsetof, and an error at compile time when the field has another type. */
#define CONF_OFFSET(S, field, ctype)                                                          \
	(offsetof(S, field) +                                                                 \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((S *)0)->field), ctype) ? 1 \
											  : -1]))

struct conf_table {
	const struct conf_opt *opts;
	size_t n;
	const char *const *foreign; /* sections of other programs: read over; NULL at the end */
};

/* Fills all fields of the struct `into`, which need not be initialised: defaults, then the file
 * (path NULL: none), then `overrides` ("section.key=value") in order.  On error everything is
 * released.  ERR_NOT_FOUND (no file), ERR_BAD, ERR_IO. */
MUST_CHECK int conf_load(const struct conf_table *, void *into, const char *path,
			 const char *const *overrides, size_t noverrides, struct err *);
void conf_release(const struct conf_table *, void *into); /* frees strings, sets them NULL */
/* The table as a commented file that loads as it is. */
void conf_manual(struct buf *out, const struct conf_table *);

#endif
