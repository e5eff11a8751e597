/* Push bodies: fed whole or in small pieces they mean the same, or are refused both times. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/base/check.h"
#include "gitproto/push_request.h"
#include "gitproto/refname.h"

/* Bytes eaten in all, or an error. */
static ssize_t
feed(struct push_request *r, struct slice in, size_t step)
{
	size_t eaten = 0, have = 0;

	while (!r->done && have < in.len) {
		ssize_t n;

		have = MIN(have + step, in.len);
		n = push_request_feed(r, slice_skip(slice_head(in, have), eaten), NULL);
		if (n < 0)
			return n;
		eaten += (size_t)n;
	}
	return (ssize_t)eaten;
}

static void
compare(const struct push_request *a, const struct push_request *b)
{
	CHECK(a->done == b->done && a->has_pack == b->has_pack && a->atomic == b->atomic);
	CHECK(a->n_commands == b->n_commands && a->n_options == b->n_options);
	CHECK(slice_eq(buf_slice(&a->cert), buf_slice(&b->cert)));
	for (size_t i = 0; i < a->n_commands && a->done; i++) {
		const struct push_request_command *x = &a->commands[i], *y = &b->commands[i];
		struct slice name = slice_of(x->ref, x->ref_len);

		CHECK(oid_eq(&x->old, &y->old) && oid_eq(&x->new, &y->new));
		CHECK(slice_eq(name, slice_of(y->ref, y->ref_len)));
		if (refname_check(name, NULL) == 0)
			CHECK(strlen(x->ref) == x->ref_len);
	}
	for (size_t i = 0; i < a->n_options && a->done; i++)
		CHECK(strcmp(a->options[i], b->options[i]) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct push_request_opts opts = {
		.max_commands = 100, .push_options = true, .atomic = true, .accept_cert = true
	};
	struct push_request whole, pieces;
	struct slice in = slice_of(data, size);
	ssize_t n, m;

	push_request_init(&whole, &opts);
	push_request_init(&pieces, &opts);
	n = feed(&whole, in, size);
	m = feed(&pieces, in, size > 2000 ? 97 : 1);
	CHECK(n == m);
	if (n >= 0)
		compare(&whole, &pieces);
	if (n >= 0 && whole.done)
		(void)!push_request_unique(&whole, NULL);
	push_request_release(&whole);
	push_request_release(&pieces);
	return 0;
}
