#include "gitproto/advert.h"

#include "gitproto/advert_parse.h"
#include "gitproto/caps.h"
#include "tests/unit/gitproto/git_test.h"

static int
setup(void **state)
{
	if (scratch_setup(state) != 0)
		return -1;
	git_shapes_make();
	return 0;
}

/* git's own bytes.  http: by way of git-http-backend, without the CGI head. */
static void
ask_git(struct buf *out, const char *repo, const struct advert_opts *o, const char *settings)
{
	const char *version = version_text(o->version);
	struct slice all;
	size_t head;

	if (!o->http) {
		(void)!shell(out, "GIT_PROTOCOL=%s git %s %s %s </dev/null 2>/dev/null",
			     version != NULL ? version : "", settings, service_word(o->service),
			     repo);
		return;
	}
	assert_int_equal(shell(out,
			       "GIT_PROTOCOL=%s REQUEST_METHOD=GET PATH_INFO=/%s/info/refs "
			       "QUERY_STRING=service=%s git %s http-backend",
			       version != NULL ? version : "", repo, service_name(o->service),
			       settings),
			 0);
	all = buf_slice(out);
	for (head = 0; head + 4 <= all.len && memcmp(all.p + head, "\r\n\r\n", 4) != 0;)
		head++;
	buf_eat(out, head + 4);
}

/* The capability text as the installed git says it of a repository that is not the one asked. */
static void
learn(struct advert *a, const struct advert_opts *o, const char *settings)
{
	struct advert_opts how = *o;
	struct buf out = BUF_MAX(100000);

	how.http = true;
	ask_git(&out, "one", &how, settings);
	assert_int_equal(advert_parse(a, buf_slice(&out), 1000, NULL), out.len);
	buf_release(&out);
}

/* What differs from answer to answer, out of git's own: "name=" up to a blank or line end. */
static char *
find_value(const struct buf *in, const char *name)
{
	struct slice rest = buf_slice(in);
	size_t n = 0;

	while (rest.len > 0 && !slice_begins(rest, slice_str(name)))
		rest = slice_skip(rest, 1);
	if (rest.len == 0)
		return NULL;
	rest = slice_skip(rest, strlen(name));
	while (n < rest.len && rest.p[n] != ' ' && rest.p[n] != '\n')
		n++;
	return mem_strndup(rest.p, n);
}

static void
compare(const char *repo, struct advert_opts o, const char *settings)
{
	struct buf want = BUF_MAX(1 << 20), got = BUF_MAX(1 << 20);
	struct advert learned;
	struct git_refs refs;
	char *session, *nonce;

	ask_git(&want, repo, &o, settings);
	learn(&learned, &o, settings);
	git_refs_load(&refs, repo);
	session = find_value(&want, "session-id=");
	nonce = find_value(&want, "push-cert=");
	o.session_id = session;
	o.push_cert_nonce = nonce;
	o.caps = buf_slice(&learned.caps);
	advert_add(&got, &refs.list, &o);
	if (!slice_eq(buf_slice(&got), buf_slice(&want)))
		print_message("%s %s v%d http=%d %s\n", repo, service_name(o.service),
			      (int)o.version, o.http, settings);
	assert_slice(buf_slice(&got), buf_slice(&want));
	free(session);
	free(nonce);
	advert_release(&learned);
	git_refs_release(&refs);
	buf_release(&want);
	buf_release(&got);
}

static const char *const plain = "";
static const char *const rich = "-c uploadpack.allowFilter=true -c transfer.advertiseSID=true "
				"-c receive.advertisePushOptions=true "
				"-c receive.certNonceSeed=seed "
				"-c uploadpack.allowAnySHA1InWant=true";

static void
every_shape(enum service service, enum version version, const char *settings)
{
	for (size_t i = 0; i < COUNT(git_shapes); i++)
		for (int http = 0; http < 2; http++)
			compare(git_shapes[i].name,
				(struct advert_opts){
					.service = service, .version = version, .http = http != 0 },
				settings);
}

static void
upload_pack(void **state)
{
	(void)state;
	every_shape(SERVICE_UPLOAD_PACK, VERSION_0, plain);
	every_shape(SERVICE_UPLOAD_PACK, VERSION_0, rich);
	every_shape(SERVICE_UPLOAD_PACK, VERSION_1, plain);
}

static void
receive_pack(void **state)
{
	(void)state;
	every_shape(SERVICE_RECEIVE_PACK, VERSION_0, plain);
	every_shape(SERVICE_RECEIVE_PACK, VERSION_0, rich);
	every_shape(SERVICE_RECEIVE_PACK, VERSION_1, plain);
}

static void
version_2(void **state)
{
	(void)state;
	every_shape(SERVICE_UPLOAD_PACK, VERSION_2, plain);
	every_shape(SERVICE_UPLOAD_PACK, VERSION_2, rich);
}

/* What belongs to one answer finds its place also when it was not learned. */
static void
places(void **state)
{
	static const struct {
		enum service service;
		const char *learned, *want;
	} rows[] = {
		{ SERVICE_UPLOAD_PACK, "a filter object-format=sha256 agent=g",
		  "a symref=HEAD:refs/heads/m filter session-id=S object-format=sha1 agent=g" },
		{ SERVICE_UPLOAD_PACK, "a no-done symref=HEAD:refs/heads/x session-id=T agent=g",
		  "a symref=HEAD:refs/heads/m session-id=S object-format=sha1 agent=g" },
		{ SERVICE_RECEIVE_PACK, "a push-options session-id=T object-format=sha1 agent=g",
		  "a push-cert=N push-options session-id=S object-format=sha1 agent=g" },
		{ SERVICE_RECEIVE_PACK, "a push-cert=old agent=g",
		  "a push-cert=N session-id=S object-format=sha1 agent=g" },
		{ SERVICE_UPLOAD_PACK, "a",
		  "a symref=HEAD:refs/heads/m session-id=S object-format=sha1" },
		{ SERVICE_UPLOAD_PACK, "object-format=sha1",
		  "symref=HEAD:refs/heads/m session-id=S object-format=sha1" },
		{ SERVICE_UPLOAD_PACK, "", "" },
	};
	const struct reflist_item m = { "refs/heads/m", oid_null(OID_SHA1), OID_NONE };
	const struct reflist_item *items[] = { &m };
	const struct reflist refs = { items, 1, "refs/heads/m", OID_NONE, OID_SHA1 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct advert_opts o = { .service = rows[i].service,
					 .caps = slice_str(rows[i].learned),
					 .session_id = "S",
					 .push_cert_nonce = "N" };
		struct buf b = BUF_MAX(10000);
		struct pktline p;
		struct slice line;

		advert_add(&b, &refs, &o);
		assert_true(pktline_parse(&p, buf_slice(&b)) > 0);
		line = pktline_text(&p);
		assert_slice_str(caps_split(&line), rows[i].want);
		buf_release(&b);
	}
}

static void
empty_in_newer_gits(void **state)
{
	const struct reflist refs = { NULL, 0, "refs/heads/m", OID_NONE, OID_SHA1 };
	struct advert_opts o = { .service = SERVICE_UPLOAD_PACK,
				 .caps = SLICE_LIT("a"),
				 .caps_when_empty = true };
	struct buf b = BUF_MAX(10000);
	const char want[] = "00520000000000000000000000000000000000000000 capabilities^{}\0"
			    "a object-format=sha1\n0000";

	(void)state;
	advert_add(&b, &refs, &o);
	assert_slice(buf_slice(&b), slice_of(want, sizeof(want) - 1));
	buf_release(&b);
}

static void
dumb_list(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(git_shapes); i++) {
		struct buf want = BUF_MAX(1 << 20), got = BUF_MAX(1 << 20);
		struct git_refs refs;
		struct slice body;

		assert_int_equal(shell(&want,
				       "REQUEST_METHOD=GET PATH_INFO=/%s/info/refs QUERY_STRING= "
				       "git http-backend",
				       git_shapes[i].name),
				 0);
		body = buf_slice(&want);
		while (!slice_begins(body, SLICE_LIT("\r\n\r\n")))
			body = slice_skip(body, 1);
		git_refs_load(&refs, git_shapes[i].name);
		advert_add_dumb(&got, &refs.list);
		assert_slice(buf_slice(&got), slice_skip(body, 4));
		git_refs_release(&refs);
		buf_release(&want);
		buf_release(&got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(upload_pack),         cmocka_unit_test(receive_pack),
		cmocka_unit_test(version_2),           cmocka_unit_test(places),
		cmocka_unit_test(empty_in_newer_gits), cmocka_unit_test(dumb_list),
	};

	return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
