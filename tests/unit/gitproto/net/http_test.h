/* A server whose handlers do what the tests of both protocols need, by path:
 *	/len		reads the body, answers its length and FNV sum
 *	/echo		answers the body while it comes
 *	/cont		like /len, says "go on" first
 *	/refuse		401 at once, the body unread
 *	/big?n=N	N bytes of the pattern, length not announced
 *	/sized?n=N	N bytes, announced
 *	/cut?n=N	announces more, sends N bytes, resets
 *	/never		never answers
 *	/empty		204
 *	/head		the request's fields, one a line */
#ifndef TESTS_UNIT_GITPROTO_NET_HTTP_TEST_H
#define TESTS_UNIT_GITPROTO_NET_HTTP_TEST_H

#include "gitproto/net/http_server.h"
#include "gitproto/net/relay.h"
#include "tests/unit/gitproto/net/net_test.h"

struct site {
	struct loop *loop;
	struct http_server *srv;
	unsigned begun, closed, dead, drained;
	uint64_t peak; /* unread request bytes plus queued response bytes, at most */
	bool free_server_in_handler;
	bool free_server_in_close;
};

struct job {
	struct site *site;
	struct http_xchg *x;
	struct stream *s;
	struct relay *relay;
	uint64_t n, sent;
	uint32_t sum;
	bool counts, writes, cut;
};

static uint32_t
fnv(uint32_t h, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * 16777619u;
	return h;
}

/* n bytes of the pattern that begin at byte `at` of it */
static void
fill_pattern(uint8_t *p, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((at + i) * 2654435761u >> 11);
}

UNUSED static uint32_t
pattern_sum(uint64_t n)
{
	uint8_t block[4096];
	uint32_t h = 0;

	for (uint64_t at = 0; at < n;) {
		size_t k = MIN(sizeof(block), n - at);

		fill_pattern(block, k, at);
		h = fnv(h, slice_of(block, k));
		at += k;
	}
	return h;
}

static void
job_write(struct job *j)
{
	uint8_t block[16384];

	while (j->sent < j->n && stream_queued(j->s) < STREAM_HIGH) {
		size_t k = MIN(sizeof(block), j->n - j->sent);

		fill_pattern(block, k, j->sent);
		stream_write(j->s, slice_of(block, k));
		j->sent += k;
	}
	j->site->peak = MAX(j->site->peak, stream_queued(j->s));
	if (j->sent < j->n)
		return;
	if (j->cut)
		stream_reset(j->s, "cut by the test");
	else
		stream_end(j->s);
}

static void
job_count(struct job *j)
{
	char text[64];

	j->site->peak = MAX(j->site->peak, stream_readable(j->s));
	while (stream_readable(j->s) > 0) {
		struct slice got = stream_peek(j->s, 0);

		j->sum = fnv(j->sum, got);
		j->n += got.len;
		stream_take(j->s, got.len);
	}
	if (!stream_at_end(j->s) || http_xchg_responded(j->x))
		return;
	snprintf(text, sizeof(text), "%llu %08x\n", (unsigned long long)j->n, j->sum);
	http_xchg_reply(j->x, 200, NULL, "text/plain", slice_str(text));
}

static void
on_job(struct stream *s, enum stream_event e, void *arg)
{
	struct job *j = arg;

	(void)s;
	if (e == STREAM_READABLE && j->counts)
		job_count(j);
	if (e == STREAM_WRITABLE && j->writes)
		job_write(j);
	if (e == STREAM_DRAINED)
		j->site->drained++;
	if (e == STREAM_DEAD)
		j->site->dead++;
}

static void
on_job_close(void *arg)
{
	struct job *j = arg;

	relay_free(&j->relay);
	j->site->closed++;
	if (j->site->free_server_in_close)
		http_server_free(&j->site->srv);
	free(j);
}

static void
answer_ok(struct job *j, int64_t length)
{
	struct http_head *h = http_head_new();

	h->status = 200;
	h->content_length = length;
	http_head_addf(h, "content-type", "%s", "application/octet-stream");
	http_xchg_respond(j->x, h);
	http_head_free(&h);
}

static void
answer_head(struct http_xchg *x)
{
	const struct http_head *h = http_xchg_request(x);
	struct buf b = BUF_MAX(HTTP_MAX_HEAD * 2);

	buf_addf(&b, "%s %s len=%lld body=%d\n", h->method, h->target, (long long)h->content_length,
		 h->has_body);
	for (unsigned i = 0; i < h->nfields; i++)
		buf_addf(&b, "%s=%s\n", h->fields[i].name, h->fields[i].value);
	http_xchg_reply(x, 200, NULL, "text/plain", buf_slice(&b));
	buf_release(&b);
}

static uint64_t
query_n(const char *target)
{
	struct buf b = BUF_MAX(32);
	uint64_t n = 0;

	if (http_query_get(target, "n", &b) == 0)
		n = strtoull(buf_str(&b), NULL, 10);
	buf_release(&b);
	return n;
}

static void
start_job(struct job *j, struct slice path, const char *target)
{
	struct relay_opts echo = { .end_to = true };

	if (slice_eq_str(path, "/cont"))
		http_xchg_continue(j->x);
	j->counts = slice_eq_str(path, "/len") || slice_eq_str(path, "/cont");
	j->writes = slice_eq_str(path, "/big") || slice_eq_str(path, "/sized") ||
		    slice_eq_str(path, "/cut");
	j->cut = slice_eq_str(path, "/cut");
	stream_on(j->s, on_job, j);
	if (j->writes) {
		j->n = query_n(target);
		answer_ok(j, slice_eq_str(path, "/sized") ? (int64_t)j->n
			     : j->cut                     ? (int64_t)j->n + 1000
							  : -1);
		job_write(j);
	} else if (slice_eq_str(path, "/echo")) {
		http_xchg_continue(j->x);
		answer_ok(j, -1);
		j->relay = relay_new(j->s, j->s, &echo);
	} else if (slice_eq_str(path, "/refuse")) {
		http_xchg_reply(j->x, 401, NULL, "text/plain", SLICE_LIT("no entry\n"));
	} else if (slice_eq_str(path, "/empty")) {
		http_xchg_reply(j->x, 204, NULL, NULL, SLICE_NONE);
	} else if (slice_eq_str(path, "/head")) {
		answer_head(j->x);
	} else if (!j->counts && !slice_eq_str(path, "/never")) {
		http_xchg_reply(j->x, 404, NULL, "text/plain", SLICE_LIT("nothing here\n"));
	}
}

static void
on_request(struct http_xchg *x, void *arg)
{
	struct site *site = arg;
	struct job *j = MEM_NEW(struct job);
	const char *target = http_xchg_request(x)->target;
	struct slice path = slice_str(target);

	site->begun++;
	j->site = site;
	j->x = x;
	j->s = http_xchg_stream(x);
	http_xchg_on_close(x, on_job_close, j);
	if (site->free_server_in_handler) {
		http_server_free(&site->srv);
		return;
	}
	start_job(j, slice_cut(&path, '?'), target);
}

/* opts: what differs from the defaults; may be NULL */
static void
site_open(struct site *site, struct loop *l, const struct http_server_opts *opts)
{
	struct http_server_opts o = opts != NULL ? *opts : (struct http_server_opts){ 0 };
	struct err e;

	o.listen = "127.0.0.1:0";
	o.handler = on_request;
	o.arg = site;
	site->loop = l;
	assert_int_equal(http_server_new(&site->srv, l, &o, &e), 0);
}

#endif
