#include "gitproto/oid.h"

#include "tests/unit/gitproto/git_test.h"

#define HEX1 "0123456789abcdef0123456789abcdef01234567"
#define HEX2 HEX1 "89abcdef0123456789abcdef"

static void
hex_there_and_back(void **state)
{
	static const struct {
		const char *in, *out;
		enum oid_format format;
	} rows[] = {
		{ HEX1, HEX1, OID_SHA1 },
		{ "0123456789ABCDEF0123456789abcdef01234567", HEX1, OID_SHA1 },
		{ HEX2, HEX2, OID_SHA256 },
	};
	char hex[OID_HEX_SIZE];
	struct buf b = BUF_MAX(100);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct oid id, any;

		assert_int_equal(oid_parse(&id, slice_str(rows[i].in), rows[i].format), 0);
		assert_int_equal(oid_parse_any(&any, slice_str(rows[i].in)), 0);
		assert_true(oid_eq(&id, &any));
		oid_hex(hex, &id);
		assert_string_equal(hex, rows[i].out);
		assert_string_equal(oid_text(&id), rows[i].out);
		buf_clear(&b);
		oid_add(&b, &id);
		assert_string_equal(buf_str(&b), rows[i].out);
		any = oid_of(id.b, id.len);
		assert_int_equal(oid_cmp(&id, &any), 0);
	}
	buf_release(&b);
}

static void
bad_hex(void **state)
{
	struct slice good = SLICE_LIT(HEX1);
	struct oid id = OID_NONE;

	(void)state;
	for (size_t n = 0; n < good.len; n++)
		assert_int_equal(oid_parse(&id, slice_head(good, n), OID_SHA1), ERR_BAD);
	assert_int_equal(oid_parse(&id, good, OID_SHA256), ERR_BAD);
	assert_int_equal(oid_parse(&id, SLICE_LIT(HEX1 "0"), OID_SHA1), ERR_BAD);
	for (size_t n = 0; n < good.len; n++)
		for (int c = 0; c < 256; c++) {
			char text[41];
			bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
				  (c >= 'A' && c <= 'F');

			memcpy(text, good.p, 41);
			text[n] = (char)c;
			assert_int_equal(oid_parse(&id, slice_of(text, 40), OID_SHA1),
					 ok ? 0 : ERR_BAD);
		}
}

static void
zero_and_order(void **state)
{
	struct oid none = OID_NONE, n1 = oid_null(OID_SHA1), n2 = oid_null(OID_SHA256), a = n1;

	(void)state;
	a.b[19] = 1;
	assert_true(oid_is_zero(&none) && oid_is_zero(&n1) && oid_is_zero(&n2));
	assert_false(oid_is_zero(&a) || oid_eq(&a, &n1) || oid_eq(&n1, &n2));
	assert_true(oid_cmp(&n1, &a) < 0 && oid_cmp(&a, &n2) < 0 && oid_cmp(&n2, &n1) > 0);
	assert_int_equal(oid_hex_len(OID_SHA256), 64);
	assert_string_equal(oid_name(OID_SHA256), "sha256");
	assert_false(oid_name_parse(&(enum oid_format){ 0 }, SLICE_LIT("sha")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_there_and_back),
		cmocka_unit_test(bad_hex),
		cmocka_unit_test(zero_and_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
