/* shard-map/ctl/print.h - what shardctl answers: aligned tables and JSON on stdout.  Thread: main. */
#ifndef SHARD_MAP_CTL_PRINT_H
#define SHARD_MAP_CTL_PRINT_H

#include <jansson.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"

/* A table of text; order: print_table_new, then cells from left to right, print_table_end. */
struct print_table;
struct print_table *print_table_new(const char *const *titles, unsigned columns);
void print_cell(struct print_table *, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Aligns, appends to out and frees. */
void print_table_end(struct buf *out, struct print_table **);

/* Takes the object; adds "schema": 1 to one that has none.  ERR_IO when stdout is gone. */
MUST_CHECK int print_json(json_t *object, struct err *);
MUST_CHECK int print_text(const struct buf *, struct err *);
/* A string of an object, or other when it is none. */
const char *print_get(const json_t *object, const char *key, const char *other);

#endif
