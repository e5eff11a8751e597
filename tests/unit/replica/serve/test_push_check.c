#include "tests/unit/gitproto/net/net_test.h"

#include "gitproto/base/mem.h"
#include "replica/serve/push_impl.h"

static const uint8_t id[16] = { 1 };
static struct repo_table *table;
static struct repo *repo;

/* An object id by one letter; '0': none. */
static struct oid
letter(char c)
{
	char hex[41];
	struct oid o;

	memset(hex, c, 40);
	hex[40] = '\0';
	assert_int_equal(oid_parse(&o, slice_str(hex), OID_SHA1), 0);
	return o;
}

static void
set(const char *name, char value, uint64_t offset)
{
	struct oid o = letter(value), none = OID_NONE;

	refset_set(repo->shared.refs, name, &o, &none, offset);
}

/* main: a, then b (HEAD); d/f: a; gone: a, deleted. */
static int
begin(void **state UNUSED)
{
	table = repo_table_new("/tmp");
	repo = repo_table_add(table, id, 1, "o/r", OID_SHA1);
	repo->shared.refs = refset_new(OID_SHA1);
	set("refs/heads/main", 'a', 1);
	set("refs/heads/main", 'b', 2);
	set("refs/heads/d/f", 'a', 3);
	set("refs/heads/gone", 'a', 4);
	set("refs/heads/gone", '0', 5);
	refset_set_head(repo->shared.refs, "refs/heads/main");
	return 0;
}

static int
end(void **state UNUSED)
{
	repo_table_free(&table);
	return 0;
}

struct command {
	char old, new;
	const char *name; /* NULL: no more */
	const char *why;  /* part of it; "": accepted, "done": needs no record */
};
#define MAX_COMMANDS 4

static bool
check(struct push *p, const struct command *c, bool atomic, struct buf *say)
{
	memset(p, 0, sizeof(*p));
	p->repo = repo;
	p->atomic = atomic;
	p->refs = mem_array(MAX_COMMANDS, sizeof(*p->refs));
	for (; p->n_refs < MAX_COMMANDS && c[p->n_refs].name != NULL; p->n_refs++) {
		struct push_ref *r = &p->refs[p->n_refs];

		r->name = mem_strdup(c[p->n_refs].name);
		r->old = letter(c[p->n_refs].old);
		r->new = letter(c[p->n_refs].new);
	}
	return push_check(p, say);
}

static void
compare(const struct push *p, const struct command *c, const char *what)
{
	for (size_t i = 0; i < p->n_refs; i++) {
		const struct push_ref *r = &p->refs[i];
		bool done = strcmp(c[i].why, "done") == 0;

		if (done || c[i].why[0] == '\0') {
			if (r->why != NULL)
				fail_msg("%s: %s: %s", what, r->name, r->why);
			assert_int_equal(r->done, done);
		} else if (r->why == NULL || strstr(r->why, c[i].why) == NULL) {
			fail_msg("%s: %s: %s", what, r->name, r->why != NULL ? r->why : "accepted");
		}
	}
}

#define MAIN "refs/heads/main"
#define NEW "refs/heads/new"
#define GONE "refs/heads/gone"
#define LOST "failed to update ref"
#define ATOM "atomic push failure"

static const struct {
	const char *what;
	bool atomic;
	const char *say; /* part of the words for the user; NULL: none */
	struct command c[MAX_COMMANDS];
} table_of[] = {
	{ "create", false, NULL, { { '0', 'c', NEW, "" } } },
	{ "update", false, NULL, { { 'b', 'c', MAIN, "" } } },
	{ "delete", false, NULL, { { 'a', '0', "refs/heads/d/f", "" } } },
	{ "no change", false, NULL, { { 'b', 'b', MAIN, "done" } } },
	{ "repeated update", false, NULL, { { 'a', 'b', MAIN, "done" } } },
	{ "repeated create", false, NULL, { { '0', 'a', "refs/heads/d/f", "done" } } },
	{ "repeated delete", false, NULL, { { 'a', '0', GONE, "done" } } },
	{ "delete of nothing", false, NULL, { { '0', '0', NEW, "done" } } },
	{ "delete of what is deleted", false, NULL, { { '0', '0', GONE, "done" } } },
	{ "back to life", false, NULL, { { '0', 'c', GONE, "" } } },
	{ "stale old value", false, "is at bbbbbb", { { 'c', 'd', MAIN, LOST } } },
	{ "not the repeat of this one", false, "is at bbbbbb", { { 'c', 'b', MAIN, LOST } } },
	{ "old value before the last", false, "is at bbbbbb", { { 'a', 'c', MAIN, LOST } } },
	{ "exists", false, "reference already exists", { { '0', 'c', MAIN, LOST } } },
	{ "exists with that value", false, "already exists", { { '0', 'b', MAIN, LOST } } },
	{ "gone", false, "unable to resolve", { { 'a', 'c', GONE, LOST } } },
	{ "never was", false, "unable to resolve", { { 'a', 'c', NEW, LOST } } },
	{ "delete of another value",
	  false,
	  "is at aaaaaa",
	  { { 'c', '0', "refs/heads/d/f", LOST } } },
	{ "current branch", false, "current branch", { { 'b', '0', MAIN, "prohibited" } } },
	{ "funny name", false, "funny ref", { { '0', 'c', "refs/heads/a..b", "funny refname" } } },
	{ "outside refs", false, "funny ref", { { '0', 'c', "heads/a", "funny refname" } } },
	{ "HEAD", false, "funny ref", { { 'b', 'c', "HEAD", "funny refname" } } },
	{ "below a file", false, "'refs/heads/main' exists", { { '0', 'c', MAIN "/x", LOST } } },
	{ "a file over a folder",
	  false,
	  "'refs/heads/d/f' exists",
	  { { '0', 'c', "refs/heads/d", LOST } } },
	{ "below a file that this push deletes",
	  false,
	  NULL,
	  { { 'a', '0', "refs/heads/d/f", "" }, { '0', 'c', "refs/heads/d/f/x", "" } } },
	{ "in the other order",
	  false,
	  NULL,
	  { { '0', 'c', "refs/heads/d", "" }, { 'a', '0', "refs/heads/d/f", "" } } },
	{ "a deletion that fails takes nothing away",
	  false,
	  "is at aaaaaa",
	  { { 'c', '0', "refs/heads/d/f", LOST }, { '0', 'c', "refs/heads/d", LOST } } },
	{ "two new ones in each other's way",
	  false,
	  "'" NEW "' exists",
	  { { '0', 'c', NEW "/x", LOST }, { '0', 'c', NEW, "" } } },
	{ "twice",
	  false,
	  NULL,
	  { { '0', 'c', NEW, "multiple updates" }, { '0', 'd', NEW, "multiple updates" } } },
	{ "some of them",
	  false,
	  "is at bbbbbb",
	  { { 'c', 'd', MAIN, LOST }, { '0', 'c', NEW, "" } } },
	{ "atomic", true, NULL, { { 'b', 'c', MAIN, "" }, { '0', 'c', NEW, "" } } },
	{ "atomic, one fails",
	  true,
	  "is at bbbbbb",
	  { { '0', 'c', NEW, ATOM }, { 'c', 'd', MAIN, LOST }, { 'a', '0', GONE, ATOM } } },
	{ "atomic, repeated", true, NULL, { { 'a', 'b', MAIN, "done" }, { '0', 'c', NEW, "" } } },
};

static void
test_table(void **state UNUSED)
{
	for (size_t i = 0; i < COUNT(table_of); i++) {
		struct buf say = BUF_MAX(65536);
		struct push p;

		assert_true(check(&p, table_of[i].c, table_of[i].atomic, &say));
		compare(&p, table_of[i].c, table_of[i].what);
		if (table_of[i].say == NULL && say.len > 0)
			fail_msg("%s says: %s", table_of[i].what, buf_str(&say));
		if (table_of[i].say != NULL && strstr(buf_str(&say), table_of[i].say) == NULL)
			fail_msg("%s says only: %s", table_of[i].what, buf_str(&say));
		push_free_refs(&p);
		buf_release(&say);
	}
}

/* The second look, under the lock: what was refused stays so, what is done is judged anew. */
static void
test_second_look(void **state UNUSED)
{
	static const struct command c[MAX_COMMANDS] = { { 'a', 'b', MAIN, "done" },
							{ '0', 'c', NEW, "" },
							{ '0', 'c', "refs/heads/x", "hook" } };
	static const struct command then[MAX_COMMANDS] = { { 'a', 'b', MAIN, LOST },
							   { '0', 'c', NEW, "done" },
							   { '0', 'c', "refs/heads/x", "hook" } };
	struct buf say = BUF_MAX(65536);
	struct push p;

	assert_true(check(&p, c, false, &say));
	push_refuse_ref(&p.refs[2], "%s", "hook declined");
	push_refuse_ref(&p.refs[2], "another reason");
	compare(&p, c, "first");
	set(MAIN, 'd', 10);
	set(NEW, 'c', 11);
	assert_true(push_check(&p, &say));
	compare(&p, then, "second");
	assert_false(push_all_refused(&p));
	push_refuse_ref(&p.refs[1], "no");
	assert_true(push_all_refused(&p));
	push_free_refs(&p);
	assert_false(push_all_refused(&p));
	buf_release(&say);
}

static void
test_out_of_service(void **state UNUSED)
{
	static const struct command c[MAX_COMMANDS] = { { 'b', 'c', MAIN, "" } };
	struct refset *refs = repo->shared.refs;
	struct buf say = BUF_MAX(65536);
	struct push p;

	for (unsigned i = 0; i < 4; i++) {
		repo->shared.refs = i == 0 ? NULL : refs;
		repo->shared.missing = i == 1;
		repo->shared.quarantined = i == 2;
		repo->shared.deleted = i == 3;
		assert_false(check(&p, c, false, &say));
		push_free_refs(&p);
	}
	repo->shared.deleted = false;
	buf_release(&say);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_table),
		T(test_second_look),
		T(test_out_of_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
