#include "shard-map/ctl/print.h"

#include <stdarg.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

#define CELL 512u /* bytes of one; what is longer is cut */

struct print_table {
	unsigned columns;
	size_t n;     /* cells, titles included */
	char **cells; /* owned */
};

static void
add_cell(struct print_table *t, const char *text)
{
	if ((t->n & (t->n - 1)) == 0)
		t->cells = mem_resize(t->cells, (t->n > 0 ? 2 * t->n : 16) * sizeof(*t->cells));
	t->cells[t->n++] = mem_strdup(text);
}

struct print_table *
print_table_new(const char *const *titles, unsigned columns)
{
	struct print_table *t = MEM_NEW(struct print_table);

	t->columns = columns;
	for (unsigned i = 0; i < columns; i++)
		add_cell(t, titles[i]);
	return t;
}

void
print_cell(struct print_table *t, const char *fmt, ...)
{
	char text[CELL];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* What comes from nodes must not move the cursor. */
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	add_cell(t, text[0] != '\0' ? text : "-");
}

void
print_table_end(struct buf *out, struct print_table **table)
{
	struct print_table *t = *table;
	size_t *width = mem_array(t->columns, sizeof(*width));

	CHECK(t->n % t->columns == 0);
	for (size_t i = 0; i < t->n; i++)
		width[i % t->columns] = MAX(width[i % t->columns], strlen(t->cells[i]));
	for (size_t i = 0; i < t->n; i++) {
		bool last = i % t->columns == t->columns - 1;

		if (last)
			buf_addf(out, "%s\n", t->cells[i]);
		else
			buf_addf(out, "%-*s  ", (int)width[i % t->columns], t->cells[i]);
		free(t->cells[i]);
	}
	free(t->cells);
	free(width);
	free(t);
	*table = NULL;
}

int
print_text(const struct buf *text, struct err *err)
{
	struct slice s = buf_slice(text);

	while (s.len > 0) {
		ssize_t n = write(STDOUT_FILENO, s.p, s.len);

		if (n < 0)
			return err_errno(err, "cannot write the answer");
		s = slice_skip(s, (size_t)n);
	}
	return 0;
}

int
print_json(json_t *object, struct err *err)
{
	struct buf text = BUF_MAX(SIZE_MAX / 2);
	char *dump;
	int rc;

	if (json_object_get(object, "schema") == NULL)
		json_object_set_new(object, "schema", json_integer(1));
	dump = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(object);
	CHECK(dump != NULL);
	buf_add_str(&text, dump);
	buf_add_byte(&text, '\n');
	free(dump);
	rc = buf_ok(&text) ? print_text(&text, err) : err_set(err, ERR_NOMEM, "no memory");
	buf_release(&text);
	return rc;
}

const char *
print_get(const json_t *object, const char *key, const char *other)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL ? s : other;
}
