#include "gitproto/base/units.h"

struct unit {
	const char *name;
	uint64_t factor;
};
static const struct unit times[] = { { "ms", 1 },
				     { "s", 1000 },
				     { "m", 60 * 1000 },
				     { "h", 3600 * 1000 },
				     { "d", 24 * 3600 * 1000 } };
static const struct unit sizes[] = { { "", 1 },
				     { "K", UINT64_C(1) << 10 },
				     { "M", UINT64_C(1) << 20 },
				     { "G", UINT64_C(1) << 30 },
				     { "T", UINT64_C(1) << 40 } };

/* Leading digits of *s; false: none, or too large for int64_t. */
static bool
take_digits(uint64_t *out, const char **s)
{
	const char *p = *s;
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (v > (INT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	if (p == *s)
		return false;
	*s = p;
	*out = v;
	return true;
}

static bool
take_units(uint64_t *v, const char *word, const struct unit *u, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, u[i].name) == 0) {
			if (*v > INT64_MAX / u[i].factor)
				return false;
			*v *= u[i].factor;
			return true;
		}
	return false;
}

int
units_bytes(uint64_t *out, const char *text, struct err *err)
{
	const char *p = text;
	uint64_t v;

	if (!take_digits(&v, &p) || !take_units(&v, p, sizes, COUNT(sizes)))
		return err_set(err, ERR_BAD, "'%.60s' is no size; write 4096, 64K, 64M or 2G",
			       text);
	*out = v;
	return 0;
}

int
units_msec(uint64_t *out, const char *text, struct err *err)
{
	const char *p = text;
	uint64_t v;

	if (take_digits(&v, &p) &&
	    ((v == 0 && *p == '\0') || take_units(&v, p, times, COUNT(times)))) {
		*out = v;
		return 0;
	}
	return err_set(err, ERR_BAD, "'%.60s' is no time; write 500ms, 2s, 5m, 1h or 7d", text);
}

int
units_int(int64_t *out, const char *text, struct err *err)
{
	bool minus = *text == '-';
	const char *p = text + minus;
	uint64_t v;

	if (!take_digits(&v, &p) || *p != '\0')
		return err_set(err, ERR_BAD, "'%.60s' is no whole number", text);
	*out = minus ? -(int64_t)v : (int64_t)v;
	return 0;
}
