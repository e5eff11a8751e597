#include "gitproto/advert_parse.h"

#include "gitproto/advert.h"
#include "tests/unit/gitproto/git_test.h"

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct oid
id(uint8_t n)
{
	struct oid o = oid_null(OID_SHA1);

	o.b[0] = n;
	return o;
}

static void
make_advert(struct buf *b, enum version version)
{
	const struct reflist_item m = { "refs/heads/m", id(1), OID_NONE };
	const struct reflist_item t = { "refs/tags/t", id(2), id(1) };
	const struct reflist_item *items[] = { &m, &t };
	const struct reflist refs = { items, 2, "refs/heads/m", OID_NONE, OID_SHA1 };

	advert_add(b, &refs,
		   &(struct advert_opts){
			   .service = SERVICE_UPLOAD_PACK,
			   .version = version,
			   .http = true,
			   .caps = version == VERSION_2
					   ? SLICE_LIT("agent=g\nobject-format=x\nfetch")
					   : SLICE_LIT("a b=c agent=g") });
}

static void
check_refs(const struct advert *a)
{
	struct oid one = id(1), two = id(2);

	assert_int_equal(a->service, SERVICE_UPLOAD_PACK);
	assert_string_equal(buf_str((struct buf *)&a->caps),
			    "a b=c symref=HEAD:refs/heads/m object-format=sha1 agent=g");
	assert_int_equal(a->n, 2);
	assert_string_equal(a->items[0].name, "refs/heads/m");
	assert_string_equal(a->items[1].name, "refs/tags/t");
	assert_true(oid_eq(&a->head, &one) && oid_eq(&a->items[1].oid, &two));
	assert_true(oid_eq(&a->items[1].peeled, &one) && a->items[0].peeled.len == 0);
	assert_string_equal(a->head_target, "refs/heads/m");
}

static void
there_and_back(void **state)
{
	(void)state;
	for (int v = VERSION_0; v <= VERSION_2; v++) {
		struct buf b = BUF_MAX(10000);
		struct advert a;

		make_advert(&b, (enum version)v);
		for (size_t n = 0; n < b.len && v < VERSION_2; n++)
			assert_int_equal(advert_parse(&a, slice_head(buf_slice(&b), n), 9, NULL),
					 0);
		buf_add_str(&b, "more");
		assert_int_equal(advert_parse(&a, buf_slice(&b), 9, NULL), b.len - 4);
		assert_int_equal(a.version, v);
		if (v < VERSION_2)
			check_refs(&a);
		else
			assert_string_equal(buf_str(&a.caps), "agent=g\nobject-format=sha1\nfetch");
		advert_release(&a);
		for (unsigned nth = 1;; nth++) {
			ssize_t n;

			mem_fail_at(nth);
			n = advert_parse(&a, buf_slice(&b), 9, NULL);
			mem_fail_at(0);
			if (n > 0)
				break;
			assert_int_equal(n, ERR_NOMEM);
		}
		advert_release(&a);
		buf_release(&b);
	}
}

static void
odd_ones(void **state)
{
	static const struct {
		const char *lines[4]; /* NULL: flush, and the end */
		ssize_t want;         /* 1: all of it */
	} rows[] = {
		{ { NULL }, 1 },
		{ { A40 " capabilities^{}" }, 1 },
		{ { A40 " .have", A40 " refs/heads/x" }, 1 },
		{ { A40 " refs/heads/x", "shallow " A40 }, 1 },
		{ { A40 " refs/heads/x^{}" }, 1 },
		{ { A40 }, ERR_BAD },
		{ { A40 " " }, ERR_BAD },
		{ { "x refs/heads/x" }, ERR_BAD },
		{ { A40 "a refs/heads/x" }, ERR_BAD },
		{ { "ERR no such repository" }, ERR_REFUSED },
		{ { "# service=git-x" }, ERR_BAD },
		{ { A40 " a", A40 " b", A40 " c" }, ERR_TOO_BIG },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = BUF_MAX(1000);
		struct advert a;
		ssize_t n;

		for (size_t k = 0; rows[i].lines[k] != NULL; k++)
			pktline_add_text(&b, rows[i].lines[k]);
		pktline_add_flush(&b);
		n = advert_parse(&a, buf_slice(&b), 2, NULL);
		assert_int_equal(n, rows[i].want == 1 ? (ssize_t)b.len : rows[i].want);
		if (n > 0)
			advert_release(&a);
		buf_release(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(odd_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
