/* What the HTTP/1.1 server lets in: the attack table, whole and cut at every byte, and the limits. */
#include "gitproto/net/http1_policy.h"
#include "tests/unit/gitproto/net/http1_test.h"

#define H "Host: x\r\nConnection: close\r\n"
#define REQ(fields) "GET /head HTTP/1.1\r\n" H fields "\r\n"
#define POST(fields, body) "POST /len HTTP/1.1\r\n" H fields "\r\n" body

static const struct attack {
	int status;
	struct slice in;
} attacks[] = {
	/* what must work */
	{ 200, SLICE_LIT(REQ("")) },
	{ 200, SLICE_LIT("\r\n" REQ("")) },
	{ 200, SLICE_LIT(REQ("X: \xc3\xa9\t a\r\n")) },
	{ 200, SLICE_LIT(REQ("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")) },
	{ 200, SLICE_LIT("GET /head HTTP/1.0\r\n\r\n") },
	{ 200, SLICE_LIT(POST("Content-Length: 5\r\n", "hello")) },
	{ 200, SLICE_LIT(POST("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")) },
	{ 200, SLICE_LIT(POST("Transfer-Encoding: Chunked\r\n",
			      "5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")) },
	{ 200, SLICE_LIT(POST("Content-Length: 0\r\n", "")) },
	/* request lines */
	{ 400, SLICE_LIT("GET /head\r\n\r\n") },
	{ 400, SLICE_LIT("GET\r\n\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/0.9\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.2\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/2.0\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.1 \r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET  /head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT(" GET /head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET http://x/head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /he\x01"
			 "ad HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /he\xff"
			 "ad HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("GET /head#x HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("FROB /head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("get /head HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("CONNECT x:1 HTTP/1.1\r\n" H "\r\n") },
	{ 400, SLICE_LIT("\r\n\r\n" REQ("")) },
	{ 400, SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
	/* line ends */
	{ 400, SLICE_LIT("GET /head HTTP/1.1\nHost: x\n\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\nHost: x\n\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\nHost: x\r\n\rX\r\n\r\n") },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\nHost: x\rY: z\r\n\r\n") },
	{ 400, SLICE_LIT(REQ("X: a\0b\r\n")) },
	/* fields */
	{ 400, SLICE_LIT(REQ("X: a\r\n b\r\n")) },
	{ 400, SLICE_LIT(REQ("X: a\r\n\tb\r\n")) },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\n X: a\r\n" H "\r\n") },
	{ 400, SLICE_LIT(REQ("X : a\r\n")) },
	{ 400, SLICE_LIT(REQ(": a\r\n")) },
	{ 400, SLICE_LIT(REQ("X\r\n")) },
	{ 400, SLICE_LIT(REQ("X(y): a\r\n")) },
	{ 400, SLICE_LIT(REQ("X: a\x01\r\n")) },
	{ 400, SLICE_LIT(REQ("X: a\x7f\r\n")) },
	{ 400, SLICE_LIT("GET /head HTTP/1.1\r\nConnection: close\r\n\r\n") },
	{ 400, SLICE_LIT(REQ("Host: x\r\n")) },
	{ 417, SLICE_LIT(POST("Expect: more\r\nContent-Length: 1\r\n", "x")) },
	/* framing */
	{ 400, SLICE_LIT("POST /len HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
	{ 400,
	  SLICE_LIT(POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")) },
	{ 400,
	  SLICE_LIT(POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
			      "0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")) },
	{ 400, SLICE_LIT(POST("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")) },
	{ 400, SLICE_LIT(POST("Content-Length: +5\r\n", "hello")) },
	{ 400, SLICE_LIT(POST("Content-Length: 5 5\r\n", "hello")) },
	{ 400, SLICE_LIT(POST("Content-Length: 0x5\r\n", "hello")) },
	{ 400, SLICE_LIT(POST("Content-Length: -1\r\n", "")) },
	{ 400, SLICE_LIT(POST("Content-Length: \r\n", "")) },
	{ 400, SLICE_LIT(POST("Content-Length: 99999999999999999999\r\n", "")) },
/* chunks */
#define CH "Transfer-Encoding: chunked\r\n"
	{ 400, SLICE_LIT(POST(CH, "5\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5;x\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5\r\nhelloX\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "0x5\r\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "-5\r\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "fffffffffffffffff\r\nhello\r\n0\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5\r\nhello\r\n0\r\nAuthorization: x\r\n\r\n")) },
	{ 400, SLICE_LIT(POST(CH, "5\r\nhello\r\n0\r\nHost: x\r\n\r\n")) },
};

static void
attack_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(attacks); i++) {
		const struct attack *a = &attacks[i];

		for (size_t cut = 0; cut < a->in.len; cut++) {
			struct client c;

			converse(&c, &site, a->in, cut);
			if (status_of(&c) != a->status)
				fail_msg("case %zu cut %zu: %s\nanswer: %s", i, cut,
					 (const char *)a->in.p, buf_str(&c.got));
			/* one answer, not two */
			assert_null(strstr(buf_str(&c.got) + 12, "HTTP/1.1 2"));
			assert_null(strstr(buf_str(&c.got) + 12, "HTTP/1.1 4"));
			client_close(&c);
		}
	}
	assert_true(run_until(loop, quiet, &site));
}

/* n bytes of x */
static void
add_x(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_add_byte(b, 'x');
}

static void
sizes(void **state)
{
	static const struct {
		size_t target, field, fields;
		int status;
	} cases[] = {
		{ 100, 100, 100, 200 },     { 8 * 1024 - 6, 10, 1, 200 }, { 8 * 1024, 10, 1, 414 },
		{ 70 * 1024, 10, 1, 414 },  { 10, 10, 126, 200 },         { 10, 10, 127, 431 },
		{ 10, 10, 5000, 431 },      { 10, 63 * 1024, 1, 200 },    { 10, 65 * 1024, 1, 431 },
		{ 10, 200 * 1024, 1, 431 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf in = BUF_MAX(MIB);
		struct client c;

		buf_add_str(&in, "GET /head?");
		add_x(&in, cases[i].target);
		buf_add_str(&in, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
		for (size_t k = 0; k < cases[i].fields; k++) {
			buf_addf(&in, "X-%zu: ", k);
			add_x(&in, cases[i].field);
			buf_add_str(&in, "\r\n");
		}
		buf_add_str(&in, "\r\n");
		converse(&c, &site, buf_slice(&in), 0);
		if (status_of(&c) != cases[i].status)
			fail_msg("case %zu: %.200s", i, buf_str(&c.got));
		client_close(&c);
		buf_release(&in);
	}
}

/* The scan alone, restarted at every byte. */
static void
scan_restarts(void **state)
{
	static const struct slice head = SLICE_LIT("\r\nGET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n");
	struct http1_scan s = { 0 };

	(void)state;
	for (size_t n = 0; n < head.len; n++)
		assert_int_equal(http1_policy_scan(&s, slice_head(head, n), NULL), 0);
	assert_int_equal(http1_policy_scan(&s, head, NULL), head.len);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(attack_table),
		T(sizes),
		T(scan_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
