#include "router/front/attempt.h"

static void
on_call(struct http_call *c, enum http_call_event e, void *arg)
{
	static const enum attempt_event events[] = {
		[CALL_CONTINUE] = ATTEMPT_CONTINUE,
		[CALL_HEAD] = ATTEMPT_HEAD,
		[CALL_FAILED] = ATTEMPT_LOST,
	};
	struct attempt *a = arg;

	(void)c;
	a->fn(events[e], a->arg);
}

static void
on_silent(void *arg)
{
	struct attempt *a = arg;

	a->fn(ATTEMPT_SILENT, a->arg);
}

void
attempt_begin(struct attempt *a, struct node_sess *n, const struct http_head *h, bool with_body,
	      attempt_fn *fn, void *arg)
{
	CHECK(a->call == NULL);
	a->fn = fn;
	a->arg = arg;
	node_sess_take(n, &a->use, on_silent, a);
	a->call = http_call_new(node_sess_session(n), h, with_body, on_call, a);
}

void
attempt_end(struct attempt *a)
{
	http_call_free(&a->call);
	node_sess_give(&a->use);
}

bool
attempt_runs(const struct attempt *a)
{
	return a->call != NULL;
}

uint32_t
attempt_node(const struct attempt *a)
{
	return a->use.node != NULL ? node_sess_number(a->use.node) : 0;
}

struct stream *
attempt_stream(struct attempt *a)
{
	return http_call_stream(a->call);
}

const struct http_head *
attempt_answer(const struct attempt *a)
{
	return http_call_response(a->call);
}

void
attempt_refusal(struct attempt *a, struct err *out)
{
	struct slice s = slice_head(stream_peek(attempt_stream(a), 400), 400);
	ssize_t line = slice_find(s, '\n');

	if (line >= 0)
		s = slice_head(s, (size_t)line);
	err_set(out, ERR_UNAVAILABLE, "node %u answered %d%s%.*s", attempt_node(a),
		attempt_answer(a)->status, s.len > 0 ? ": " : "", SLICE_ARG(s));
}

bool
attempt_log_away(const struct attempt *a)
{
	const struct http_head *h = attempt_answer(a);
	const char *reason = http_head_get(h, "gitshard-reason");

	return h->status == 503 && reason != NULL && strcmp(reason, "log-away") == 0;
}

bool
attempt_is_of(const struct attempt *a, uint32_t shard)
{
	const char *of = http_head_get(attempt_answer(a), "gitshard-shard");

	return of == NULL || strtoul(of, NULL, 10) == shard;
}

bool
attempt_sent(const struct attempt *a)
{
	return http_call_sent(a->call);
}

const char *
attempt_why(const struct attempt *a)
{
	return http_call_why(a->call);
}
