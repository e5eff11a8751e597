/* The set against a naive map that does the same by plain search. */
#include "replica/repo/refset.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

#define NAMES 60

static uint64_t seed = 42;

static unsigned
pick(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

static struct oid
make_oid(unsigned n)
{
	uint8_t b[20] = { 0 };

	b[0] = (uint8_t)n;
	b[1] = (uint8_t)(n >> 8);
	b[19] = 1;
	return oid_of(b, sizeof(b));
}

static void
make_name(char out[64], unsigned n)
{
	static const char *const dir[] = { "heads/b", "heads/b", "tags/v", "heads/b" };
	static const char *const end[] = { "", "/x", "", "-x" };

	snprintf(out, 64, "refs/%s%u%s", dir[n % 4], n / 4, end[n % 4]);
}

struct naive {
	struct refset_ref ref[NAMES];
	bool known[NAMES];
	const char *head;
};

/* What the digest must be, taken anew from nothing. */
static void
digest_anew(const struct naive *m, uint8_t out[REFSET_DIGEST])
{
	struct refset *s = refset_new(OID_SHA1);
	char name[64];

	for (unsigned i = NAMES; i-- > 0;) {
		make_name(name, i);
		if (m->known[i] && !oid_is_zero(&m->ref[i].oid))
			refset_load(s, name, &m->ref[i], NULL);
	}
	if (m->head != NULL)
		refset_set_head(s, m->head);
	refset_digest(s, out);
	refset_free(&s);
}

static bool
ignore_tags(const char *name, void *arg)
{
	(void)arg;
	return strncmp(name, "refs/tags/", 10) == 0;
}

static bool
begins_dir(const char *name, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(name, dir, n) == 0 && name[n] == '/';
}

static bool
naive_conflict(const struct naive *m, const char *name)
{
	char other[64];

	for (unsigned i = 0; i < NAMES; i++) {
		make_name(other, i);
		if (m->known[i] && !oid_is_zero(&m->ref[i].oid) && !ignore_tags(other, NULL) &&
		    (begins_dir(other, name) || begins_dir(name, other)))
			return true;
	}
	return false;
}

static void
compare(const struct refset *s, const struct naive *m)
{
	uint8_t a[REFSET_DIGEST], b[REFSET_DIGEST];
	struct reflist list;
	size_t living = 0;
	char name[64];

	for (unsigned i = 0; i < NAMES; i++) {
		struct refset_ref got;

		make_name(name, i);
		assert_int_equal(refset_get(s, name, &got), m->known[i]);
		assert_int_equal(refset_conflict(s, name, ignore_tags, NULL) != NULL,
				 naive_conflict(m, name));
		if (!m->known[i])
			continue;
		assert_true(oid_eq(&got.oid, &m->ref[i].oid));
		assert_true(oid_eq(&got.before, &m->ref[i].before));
		assert_int_equal(got.changed, m->ref[i].changed);
		living += !oid_is_zero(&m->ref[i].oid);
	}
	assert_int_equal(refset_count(s), living);
	refset_list(s, &list);
	assert_int_equal(list.n, living);
	for (size_t i = 1; i < list.n; i++)
		assert_true(strcmp(list.items[i - 1]->name, list.items[i]->name) < 0);
	refset_digest(s, a);
	digest_anew(m, b);
	assert_memory_equal(a, b, sizeof(a));
}

static void
change(struct refset *s, struct naive *m, uint64_t offset)
{
	unsigned i = pick(NAMES);
	struct oid value = pick(3) == 0 ? oid_null(OID_SHA1) : make_oid(pick(500));
	struct oid old = m->known[i] ? m->ref[i].oid : oid_null(OID_SHA1);
	uint8_t told[REFSET_DIGEST], is[REFSET_DIGEST], step[REFSET_DIGEST];
	struct refset_change c;
	char name[64];

	make_name(name, i);
	c = (struct refset_change){ name, value };
	refset_digest_after(s, &c, 1, NULL, told);
	refset_digest(s, step);
	refset_digest_step(s, step, name, &old, &value);
	refset_set(s, name, &value, NULL, offset);
	refset_digest(s, is);
	assert_memory_equal(told, is, sizeof(is));
	assert_memory_equal(step, is, sizeof(is));
	if (oid_is_zero(&value) && oid_is_zero(&old))
		return;
	m->known[i] = true;
	m->ref[i] = (struct refset_ref){ value, old, offset };
}

static void
test_like_a_map(void **state)
{
	struct refset *s = refset_new(OID_SHA1);
	struct naive m = { .head = NULL };

	(void)state;
	refset_set_head(s, "refs/heads/b1");
	m.head = "refs/heads/b1";
	for (unsigned i = 0; i < 4000; i++) {
		change(s, &m, i);
		if (i % 7 == 0)
			compare(s, &m);
	}
	compare(s, &m);
	refset_set_head(s, "refs/heads/other");
	m.head = "refs/heads/other";
	compare(s, &m);
	refset_free(&s);
}

static void
test_tombstones_are_bounded(void **state)
{
	struct refset *s = refset_new(OID_SHA1);
	struct oid value = make_oid(1), zero = oid_null(OID_SHA1);
	struct refset_ref ref;
	char name[64];
	size_t empty = refset_bytes(s), full;

	(void)state;
	for (unsigned i = 0; i < REFSET_TOMBSTONES + 10; i++) {
		snprintf(name, sizeof(name), "refs/heads/%07u", i);
		refset_set(s, name, &value, NULL, 2 * i);
		refset_set(s, name, &zero, NULL, 2 * i + 1);
	}
	assert_int_equal(refset_count(s), 0);
	assert_false(refset_get(s, "refs/heads/0000009", &ref));
	assert_true(oid_is_zero(&ref.oid) && ref.oid.len == 20);
	assert_true(refset_get(s, "refs/heads/0000010", &ref));
	assert_true(oid_eq(&ref.before, &value));
	full = refset_bytes(s);
	refset_set(s, "refs/heads/0000010", &value, NULL, 1u << 20);
	refset_set(s, "refs/heads/0000010", &zero, NULL, 1u << 21);
	assert_int_equal(refset_bytes(s), full);
	assert_true(full > empty);
	refset_free(&s);
	assert_null(s);
}

static void
test_peeled(void **state)
{
	struct refset *s = refset_new(OID_SHA256);
	uint8_t raw[32] = { 1 };
	struct oid tag = oid_of(raw, 32), commit;
	struct reflist list;

	(void)state;
	raw[0] = 2;
	commit = oid_of(raw, 32);
	refset_set(s, "refs/tags/v1", &tag, &commit, 1);
	refset_list(s, &list);
	assert_true(oid_eq(&list.items[0]->peeled, &commit));
	refset_set(s, "refs/tags/v1", &commit, NULL, 2);
	assert_int_equal(list.items[0]->peeled.len, 0);
	refset_set_peeled(s, "refs/tags/v1", &tag);
	refset_set_peeled(s, "refs/tags/none", &tag);
	assert_true(oid_eq(&list.items[0]->peeled, &tag));
	assert_null(refset_head(s));
	assert_null(list.head_target);
	refset_free(&s);
}

/* 100,000 refs: in order at once, and an old value of each. */
static void
test_many(void **state)
{
	struct refset *s = refset_new(OID_SHA1);
	struct refset_ref ref = { make_oid(7), make_oid(6), 5 };
	char name[64];

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "refs/heads/%07u", i);
		refset_load(s, name, &ref, NULL);
	}
	assert_int_equal(refset_count(s), 100000);
	assert_null(refset_conflict(s, "refs/heads/x", NULL, NULL));
	assert_string_equal(refset_conflict(s, "refs/heads", NULL, NULL), "refs/heads/0000000");
	assert_string_equal(refset_conflict(s, "refs/heads/0000500/a", NULL, NULL),
			    "refs/heads/0000500");
	refset_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_a_map),
		cmocka_unit_test(test_tombstones_are_bounded),
		cmocka_unit_test(test_peeled),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
