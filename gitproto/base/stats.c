#include "gitproto/base/stats.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

const uint64_t STATS_USEC[] = { 100,     250,      500,      1000,     2500,   5000,    10000,
				25000,   50000,    100000,   250000,   500000, 1000000, 2500000,
				5000000, 10000000, 30000000, 60000000, 0 };
const uint64_t STATS_BYTES[] = { 1024,     8192,      65536,      524288,     4194304,
				 33554432, 268435456, 2147483648, 4294967296, 0 };

/* One row and set: a value; of a histogram its buckets (the last one: above all bounds), then the
 * sum of what was observed. */
struct stats {
	const struct stats_row *rows; /* borrowed */
	unsigned n;
	unsigned *at;              /* owned: first cell of each row */
	unsigned *nsets, *nbounds; /* owned */
	_Atomic uint64_t *cells;   /* owned */
};

static unsigned
count_sets(const struct stats_row *r)
{
	unsigned n = 0;

	while (r->sets != NULL && r->sets[n] != NULL)
		n++;
	return r->sets == NULL ? 1 : n;
}

static unsigned
count_bounds(const struct stats_row *r)
{
	unsigned n = 0;

	while (r->bounds != NULL && r->bounds[n] != 0)
		n++;
	return n;
}

static unsigned
width(const struct stats *s, unsigned row)
{
	return s->rows[row].kind == STATS_HIST ? s->nbounds[row] + 2 : 1;
}

struct stats *
stats_new(const struct stats_row *rows, unsigned n)
{
	struct stats *s = MEM_NEW(struct stats);
	unsigned cells = 0;

	s->rows = rows;
	s->n = n;
	s->at = mem_array(n, sizeof(*s->at));
	s->nsets = mem_array(n, sizeof(*s->nsets));
	s->nbounds = mem_array(n, sizeof(*s->nbounds));
	for (unsigned i = 0; i < n; i++) {
		CHECK(rows[i].name != NULL);
		s->nsets[i] = count_sets(&rows[i]);
		s->nbounds[i] = count_bounds(&rows[i]);
		s->at[i] = cells;
		cells += s->nsets[i] * width(s, i);
	}
	s->cells = mem_array(cells, sizeof(*s->cells));
	return s;
}

void
stats_free(struct stats **s)
{
	if (*s == NULL)
		return;
	free((*s)->at);
	free((*s)->nsets);
	free((*s)->nbounds);
	free((*s)->cells);
	free(*s);
	*s = NULL;
}

static _Atomic uint64_t *
cell(const struct stats *s, unsigned row, unsigned set)
{
	CHECK(row < s->n && set < s->nsets[row]);
	return s->cells + s->at[row] + set * width(s, row);
}

static void
bump(_Atomic uint64_t *c, uint64_t by)
{
	atomic_fetch_add_explicit(c, by, memory_order_relaxed);
}

void
stats_add(struct stats *s, unsigned row, unsigned set, uint64_t n)
{
	bump(cell(s, row, set), n);
}

void
stats_set(struct stats *s, unsigned row, unsigned set, int64_t v)
{
	atomic_store_explicit(cell(s, row, set), (uint64_t)v, memory_order_relaxed);
}

void
stats_move(struct stats *s, unsigned row, unsigned set, int64_t by)
{
	bump(cell(s, row, set), (uint64_t)by);
}

void
stats_observe(struct stats *s, unsigned row, unsigned set, uint64_t v)
{
	_Atomic uint64_t *c = cell(s, row, set);
	unsigned i = 0;

	CHECK(s->rows[row].kind == STATS_HIST);
	while (i < s->nbounds[row] && v > s->rows[row].bounds[i])
		i++;
	bump(c + i, 1);
	bump(c + s->nbounds[row] + 1, v);
}

static uint64_t
load(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

int64_t
stats_get(const struct stats *s, unsigned row, unsigned set)
{
	const _Atomic uint64_t *c = cell(s, row, set);
	uint64_t sum = 0;

	if (s->rows[row].kind != STATS_HIST)
		return (int64_t)load(c);
	for (unsigned i = 0; i <= s->nbounds[row]; i++)
		sum += load(c + i);
	return (int64_t)sum;
}

static void
add_value(struct buf *out, int64_t v, uint64_t per_unit)
{
	if (per_unit <= 1)
		buf_addf(out, "%" PRId64, v);
	else
		buf_addf(out, "%.9g", (double)v / (double)per_unit);
}

/* name_suffix{labels,more} and a blank; labels and more may be empty. */
static void
add_name(struct buf *out, const char *name, const char *suffix, const char *labels)
{
	buf_addf(out, "%s%s", name, suffix);
	if (labels != NULL)
		buf_addf(out, "{%s}", labels);
	buf_add_byte(out, ' ');
}

static void
add_histogram(struct buf *out, const struct stats *s, unsigned row, unsigned set)
{
	const struct stats_row *r = &s->rows[row];
	const char *labels = r->sets != NULL ? r->sets[set] : NULL;
	const _Atomic uint64_t *c = cell(s, row, set);
	uint64_t sum = 0;

	for (unsigned i = 0; i <= s->nbounds[row]; i++) {
		sum += load(c + i);
		buf_addf(out, "%s_bucket{%s%sle=\"", r->name, labels != NULL ? labels : "",
			 labels != NULL ? "," : "");
		if (i < s->nbounds[row])
			add_value(out, (int64_t)r->bounds[i], r->per_unit);
		else
			buf_add_str(out, "+Inf");
		buf_addf(out, "\"} %" PRIu64 "\n", sum);
	}
	add_name(out, r->name, "_sum", labels);
	add_value(out, (int64_t)load(c + s->nbounds[row] + 1), r->per_unit);
	buf_add_byte(out, '\n');
	add_name(out, r->name, "_count", labels);
	buf_addf(out, "%" PRIu64 "\n", sum);
}

void
stats_text(struct buf *out, const struct stats *s)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram" };

	for (unsigned i = 0; i < s->n; i++) {
		const struct stats_row *r = &s->rows[i];

		buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", r->name, r->help, r->name,
			 kinds[r->kind]);
		for (unsigned set = 0; set < s->nsets[i]; set++) {
			if (r->kind == STATS_HIST) {
				add_histogram(out, s, i, set);
				continue;
			}
			add_name(out, r->name, "", r->sets != NULL ? r->sets[set] : NULL);
			add_value(out, (int64_t)load(cell(s, i, set)), r->per_unit);
			buf_add_byte(out, '\n');
		}
	}
}
