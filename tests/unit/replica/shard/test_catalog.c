/* The catalog: what is committed survives a kill, what is not leaves nothing; one owner a disk. */
#include "replica/shard/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "gitproto/base/mem.h"
#include "gitproto/base/fsio.h"
#include "replica/repo/disk.h"
#include "replica/shard/catalog_impl.h"

static char dir[64];

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/gs-catalog-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	return fsio_remove_tree(dir, NULL);
}

static struct catalog *
open_it(struct catalog_identity *id)
{
	struct catalog_identity own;
	struct catalog *c;
	struct err err = { 0 };
	int rc = catalog_open(&c, dir, "demo", "node1", id != NULL ? id : &own, &err);

	if (rc < 0)
		fail_msg("%s", err.text);
	return c;
}

static void
ok(int rc, const struct err *err)
{
	if (rc != 0)
		fail_msg("%d: %s", rc, err->text);
}

static void
test_identity(void **state)
{
	struct catalog_identity a, b;
	struct catalog *c = open_it(&a), *d;
	struct err err;

	(void)state;
	assert_int_equal(a.start, 1);
	assert_string_equal(a.node, "node1");
	assert_int_equal(catalog_open(&d, dir, "demo", "node1", &b, &err), ERR_REFUSED);
	assert_non_null(strstr(err.text, "another gitshard-replica"));
	catalog_close(&c);
	c = open_it(&b);
	assert_int_equal(b.start, 2);
	assert_memory_equal(a.incarnation, b.incarnation, 16);
	catalog_close(&c);
	assert_int_equal(catalog_open(&d, dir, "demo", "node2", &b, &err), ERR_REFUSED);
	assert_non_null(strstr(err.text, "belongs to node 'node1'"));
	assert_null(d);
	assert_int_equal(catalog_open(&d, dir, "prod", "node1", &b, &err), ERR_REFUSED);
	c = open_it(&b);
	assert_int_equal(b.start, 3); /* refused starts count nothing */
	catalog_close(&c);
}

static void
test_newer_format(void **state)
{
	struct catalog *c = open_it(NULL);
	struct catalog_identity id;
	struct err err;

	(void)state;
	assert_int_equal(sqlite3_exec(c->db, "PRAGMA user_version = 3", NULL, NULL, NULL), 0);
	catalog_close(&c);
	assert_int_equal(catalog_open(&c, dir, "demo", "node1", &id, &err), ERR_VERSION);
}

static const uint8_t id1[16] = { 1 }, id2[16] = { 2 };

/* A catalog of format 1 is taken over, with its packs. */
static void
test_older_format(void **state)
{
	static const char back[] =
		"DROP TABLE made; DROP INDEX pack_name; ALTER TABLE pack DROP COLUMN inlined;"
		"INSERT INTO pack VALUES (x'01000000000000000000000000000000',"
		" x'0202020202020202020202020202020202020202020202020202020202020202',"
		" x'0303030303030303030303030303030303030303030303030303030303030303', 5, 6, 'aa', "
		"7);"
		"PRAGMA user_version = 1";
	struct catalog *c = open_it(NULL);
	enum catalog_pack_kind kind;
	struct catalog_pack p;
	uint8_t sum[32];
	struct err err;

	(void)state;
	assert_int_equal(sqlite3_exec(c->db, back, NULL, NULL, NULL), SQLITE_OK);
	catalog_close(&c);
	c = open_it(NULL);
	memset(sum, 2, sizeof(sum));
	ok(catalog_find_pack(c, id1, sum, &p, &err), &err);
	assert_string_equal(p.name, "aa");
	assert_false(p.inlined);
	ok(catalog_pack_kind(c, id1, "aa", &kind, &err), &err);
	assert_int_equal(kind, CATALOG_PACK_NAMED);
	catalog_close(&c);
}

static int
count_staged(const uint8_t sha256[32], void *arg, struct err *err UNUSED)
{
	*(unsigned *)arg += sha256[0];
	return 0;
}

static void
test_made(void **state)
{
	struct catalog *c = open_it(NULL);
	struct catalog_pack p = { .size = 5, .name = "aa" }, found;
	enum catalog_pack_kind kind;
	unsigned sum = 0;
	struct err err;

	(void)state;
	memcpy(p.id, id1, 16);
	p.sha256[0] = 1;
	ok(catalog_put_pack(c, &p, &err), &err);
	p.sha256[0] = 2;
	ok(catalog_put_pack(c, &p, &err), &err);
	p.sha256[0] = 4;
	p.inlined = true;
	ok(catalog_put_pack(c, &p, &err), &err);
	ok(catalog_find_pack(c, id1, p.sha256, &found, &err), &err);
	assert_true(found.inlined);
	ok(catalog_staged_packs(c, id1, "aa", count_staged, &sum, &err), &err);
	assert_int_equal(sum, 1 + 2);
	ok(catalog_pack_kind(c, id2, "aa", &kind, &err), &err);
	assert_int_equal(kind, CATALOG_PACK_UNKNOWN);
	ok(catalog_put_made(c, id2, "aa", &err), &err);
	ok(catalog_put_made(c, id2, "aa", &err), &err);
	ok(catalog_pack_kind(c, id2, "aa", &kind, &err), &err);
	assert_int_equal(kind, CATALOG_PACK_MADE);
	ok(catalog_drop_made(c, id2, "aa", &err), &err);
	ok(catalog_pack_kind(c, id2, "aa", &kind, &err), &err);
	assert_int_equal(kind, CATALOG_PACK_UNKNOWN);
	catalog_close(&c);
}

static void
put_repo(struct catalog *c, const uint8_t id[16], const char *path)
{
	struct catalog_repo r = { .shard = 3,
				  .format = OID_SHA256,
				  .path = path,
				  .head = "refs/heads/main",
				  .applied = 7,
				  .created = 6 };
	struct err err;

	memcpy(r.id, id, 16);
	memset(r.digest, 0xd1, sizeof(r.digest));
	ok(catalog_put_repo(c, &r, &err), &err);
}

static void
put_ref(struct catalog *c, const char *name, unsigned value, unsigned before, uint64_t changed)
{
	uint8_t raw[20] = { (uint8_t)value, (uint8_t)(value >> 8) };
	struct refset_ref r = { .oid = oid_of(raw, 20), .changed = changed };
	struct oid none = OID_NONE;
	struct err err;

	raw[0] = (uint8_t)before;
	raw[1] = 0;
	r.before = oid_of(raw, 20);
	ok(catalog_put_ref(c, id1, name, &r, value == 5 ? &r.before : &none, &err), &err);
}

static int
count_repo(const struct catalog_repo *r, void *arg, struct err *err)
{
	(void)err;
	assert_string_equal(r->path, "o/one");
	assert_string_equal(r->head, "refs/heads/main");
	assert_null(r->why);
	assert_null(r->was_path);
	assert_int_equal(r->format, OID_SHA256);
	assert_int_equal(r->shard, 3);
	assert_int_equal(r->digest[31], 0xd1);
	assert_int_equal(r->applied, 7);
	++*(unsigned *)arg;
	return 0;
}

static int
write_ref(const char *name, const struct refset_ref *r, const struct oid *peeled, void *arg,
	  struct err *err)
{
	(void)err;
	buf_addf(arg, "%s=%u<%u@%u%s ", name, r->oid.b[0], r->before.b[0], (unsigned)r->changed,
		 peeled->len > 0 ? "^" : "");
	return 0;
}

static void
expect_refs(struct catalog *c, const char *want)
{
	struct buf b = BUF_MAX(1u << 20);
	struct err err;

	ok(catalog_refs(c, id1, write_ref, &b, &err), &err);
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
}

static int
expect_trash(const uint8_t id[16], const char *path, void *arg, struct err *err)
{
	(void)err;
	assert_memory_equal(id, id1, 16);
	assert_string_equal(path, "o/one");
	++*(unsigned *)arg;
	return 0;
}

static void
test_repositories(void **state)
{
	struct catalog *c = open_it(NULL);
	struct catalog_pack p = { .size = 9, .idx_size = 8, .name = "abc", .offset = 4 }, q;
	struct err err;
	unsigned n = 0;

	(void)state;
	ok(catalog_begin(c, &err), &err);
	put_repo(c, id1, "o/one");
	put_ref(c, "refs/tags/z", 5, 4, 1);
	put_ref(c, "refs/heads/b", 2, 0, 3);
	put_ref(c, "refs/heads/a", 0, 1, 9);
	put_ref(c, "refs/heads/c", 0, 1, 8);
	memcpy(p.id, id1, 16);
	ok(catalog_put_pack(c, &p, &err), &err);
	ok(catalog_end(c, 0, &err), &err);
	expect_refs(c,
		    "refs/heads/b=2<0@3 refs/tags/z=5<4@1^ refs/heads/c=0<1@8 refs/heads/a=0<1@9 ");
	ok(catalog_repos(c, count_repo, &n, &err), &err);
	assert_int_equal(n, 1);
	assert_int_equal(catalog_id_used(c, 3, id1, &err), 1);
	assert_int_equal(catalog_id_used(c, 4, id1, &err), 0);
	assert_int_equal(catalog_id_used(c, 3, id2, &err), 0);
	ok(catalog_find_pack(c, id1, p.sha256, &q, &err), &err);
	assert_memory_equal(&p, &q, sizeof(p));
	assert_int_equal(catalog_find_pack(c, id2, p.sha256, &q, &err), ERR_NOT_FOUND);
	ok(catalog_drop_repo(c, id1, 10, &err), &err);
	expect_refs(c, "");
	assert_int_equal(catalog_id_used(c, 3, id1, &err), 1);
	n = 0;
	ok(catalog_trash(c, expect_trash, &n, &err), &err);
	assert_int_equal(n, 1);
	ok(catalog_trashed(c, id1, &err), &err);
	ok(catalog_trash(c, expect_trash, &n, &err), &err);
	assert_int_equal(n, 1);
	catalog_close(&c);
}

static void
test_tombstones_trimmed(void **state)
{
	struct catalog *c = open_it(NULL);
	struct buf b = BUF_MAX(1u << 22);
	struct err err;
	char name[40];
	size_t n = 0;

	(void)state;
	ok(catalog_begin(c, &err), &err);
	put_ref(c, "refs/heads/alive", 1, 0, 0);
	for (unsigned i = 0; i < REFSET_TOMBSTONES + 5; i++) {
		snprintf(name, sizeof(name), "refs/heads/%u", i);
		put_ref(c, name, 0, 1, i);
	}
	ok(catalog_trim_refs(c, id1, &err), &err);
	ok(catalog_end(c, 0, &err), &err);
	ok(catalog_refs(c, id1, write_ref, &b, &err), &err);
	for (const char *p = buf_str(&b); (p = strchr(p, ' ')) != NULL; p++)
		n++;
	assert_int_equal(n, REFSET_TOMBSTONES + 1);
	assert_non_null(strstr(buf_str(&b), "refs/heads/alive=1"));
	assert_null(strstr(buf_str(&b), "refs/heads/4="));
	assert_non_null(strstr(buf_str(&b), "refs/heads/5="));
	buf_release(&b);
	catalog_close(&c);
}

static int
sum_hash(uint64_t offset, const uint8_t hash[32], void *arg, struct err *err)
{
	uint64_t *last = arg;

	(void)err;
	assert_true(offset > *last);
	assert_int_equal(hash[0], offset & 0xff);
	*last = offset;
	return 0;
}

static int
expect_shard(const struct catalog_shard *s, void *arg, struct err *err)
{
	(void)err;
	assert_int_equal(s->shard, 5);
	assert_int_equal(s->next, 9);
	assert_true(slice_eq_str(s->state, "state"));
	++*(unsigned *)arg;
	return 0;
}

static void
test_shards(void **state)
{
	struct catalog *c = open_it(NULL);
	struct catalog_shard s = { 5, 1, SLICE_LIT("old") };
	uint8_t hash[32] = { 0 };
	uint64_t last = 9;
	unsigned n = 0;
	struct err err;

	(void)state;
	ok(catalog_begin(c, &err), &err);
	ok(catalog_put_shard(c, &s, &err), &err);
	s = (struct catalog_shard){ 5, 9, SLICE_LIT("state") };
	ok(catalog_put_shard(c, &s, &err), &err);
	for (uint64_t i = 1; i < CATALOG_WINDOW + 10; i++) {
		hash[0] = (uint8_t)i;
		ok(catalog_put_hash(c, 5, i, hash, &err), &err);
	}
	ok(catalog_end(c, 0, &err), &err);
	ok(catalog_hashes(c, 5, sum_hash, &last, &err), &err);
	assert_int_equal(last, CATALOG_WINDOW + 9);
	ok(catalog_shards(c, expect_shard, &n, &err), &err);
	assert_int_equal(n, 1);
	catalog_close(&c);
}

static int
count_need(const struct catalog_need *n, void *arg, struct err *err)
{
	(void)err;
	assert_int_equal(n->shard, 3);
	assert_int_equal(n->from_node, 2);
	assert_int_equal(n->pack.size, 100);
	assert_string_equal(n->pack.name, "ff");
	++*(unsigned *)arg;
	return 0;
}

static void
test_needs(void **state)
{
	struct catalog *c = open_it(NULL);
	struct catalog_need n = { .pack = { .size = 100, .name = "ff" },
				  .shard = 3,
				  .from_node = 2 };
	unsigned count = 0;
	struct err err;

	(void)state;
	ok(catalog_put_need(c, &n, &err), &err);
	n.pack.sha256[0] = 1;
	ok(catalog_put_need(c, &n, &err), &err);
	ok(catalog_drop_need(c, n.pack.id, n.pack.sha256, &err), &err);
	ok(catalog_needs(c, count_need, &count, &err), &err);
	assert_int_equal(count, 1);
	catalog_close(&c);
}

/* A child writes transactions until it is killed; each has a ref and the shard's position. */
static void
write_until_killed(int ready)
{
	struct catalog *c = open_it(NULL);
	struct err err;

	for (uint64_t i = 1;; i++) {
		struct catalog_shard s = { 5, i, SLICE_LIT("x") };

		ok(catalog_begin(c, &err), &err);
		put_ref(c, "refs/heads/a", (unsigned)i & 0xffff, 0, i);
		ok(catalog_put_shard(c, &s, &err), &err);
		ok(catalog_end(c, 0, &err), &err);
		if (write(ready, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static int
take_next(const struct catalog_shard *s, void *arg, struct err *err)
{
	(void)err;
	*(uint64_t *)arg = s->next;
	return 0;
}

static int
take_changed(const char *name, const struct refset_ref *r, const struct oid *peeled, void *arg,
	     struct err *err)
{
	(void)err;
	(void)peeled;
	assert_string_equal(name, "refs/heads/a");
	*(uint64_t *)arg = r->changed;
	return 0;
}

static void
test_kill(void **state)
{
	struct err err;

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		uint64_t told = 0, next = 0, changed = 0;
		struct catalog *c;
		int fd[2], status;
		pid_t pid;

		assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			write_until_killed(fd[1]);
		close(fd[1]);
		for (unsigned i = 0; i < 20 + 7 * round; i++)
			assert_int_equal(read(fd[0], &told, sizeof(told)), sizeof(told));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		while (read(fd[0], &told, sizeof(told)) == sizeof(told))
			;
		close(fd[0]);
		c = open_it(NULL); /* the dead one's lock is gone */
		ok(catalog_shards(c, take_next, &next, &err), &err);
		ok(catalog_refs(c, id1, take_changed, &changed, &err), &err);
		assert_true(next >= told);
		assert_int_equal(next, changed);
		catalog_close(&c);
	}
}

/* A full disk: the batch fails as a whole, and the same batch passes when space is back. */
static void
test_full(void **state)
{
	struct catalog *c = open_it(NULL);
	struct err err = { 0 };
	char name[40];
	int rc = 0;

	(void)state;
	put_ref(c, "refs/heads/before", 1, 0, 1);
	assert_int_equal(sqlite3_exec(c->db, "PRAGMA max_page_count = 40", NULL, NULL, NULL), 0);
	ok(catalog_begin(c, &err), &err);
	for (unsigned i = 0; rc == 0 && i < 100000; i++) {
		struct refset_ref r = { OID_NONE, OID_NONE, i };

		snprintf(name, sizeof(name), "refs/heads/%u", i);
		rc = catalog_put_ref(c, id1, name, &r, NULL, &err);
	}
	assert_int_equal(rc, ERR_FULL);
	assert_int_equal(catalog_end(c, rc, &err), ERR_FULL);
	assert_int_equal(catalog_end(c, rc, &err), ERR_FULL);
	expect_refs(c, "refs/heads/before=1<0@1 ");
	assert_int_equal(sqlite3_exec(c->db, "PRAGMA max_page_count = 4000", NULL, NULL, NULL), 0);
	ok(catalog_begin(c, &err), &err);
	put_ref(c, "refs/heads/c", 2, 0, 1);
	ok(catalog_end(c, 0, &err), &err);
	expect_refs(c, "refs/heads/before=1<0@1 refs/heads/c=2<0@1 ");
	catalog_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newer_format, setup, teardown),
		cmocka_unit_test_setup_teardown(test_older_format, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repositories, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tombstones_trimmed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shards, setup, teardown),
		cmocka_unit_test_setup_teardown(test_needs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
