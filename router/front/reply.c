#include "router/front/reply.h"

#include "gitproto/pktline.h"

#define PREFIX "gitshard: "

void
reply_text(struct http_xchg *x, const char *id, int status, const char *allow, const char *text)
{
	struct http_head *extra = http_head_new();
	struct buf body = BUF_MAX(4096);

	buf_addf(&body, PREFIX "%s\n", text);
	http_head_addf(extra, "gitshard-request", "%s", id);
	http_head_addf(extra, "cache-control", "no-cache");
	if (status == 503)
		http_head_addf(extra, "retry-after", "%d", REPLY_RETRY_AFTER);
	if (allow != NULL)
		http_head_addf(extra, "allow", "%s", allow);
	http_xchg_reply(x, status, extra, "text/plain; charset=utf-8", buf_slice(&body));
	buf_release(&body);
	http_head_free(&extra);
}

void
reply_add_in_band(struct buf *out, enum service service, const char *text)
{
	if (service == SERVICE_RECEIVE_PACK)
		pktline_addf(out, "\3" PREFIX "%s\n", text);
	else
		pktline_addf(out, "ERR " PREFIX "%s", text);
}

void
reply_in_band(struct http_xchg *x, const char *id, enum service service, const char *text)
{
	struct http_head *extra = http_head_new();
	struct buf body = BUF_MAX(4096);

	reply_add_in_band(&body, service, text);
	http_head_addf(extra, "gitshard-request", "%s", id);
	http_head_addf(extra, "cache-control", "no-cache");
	http_xchg_reply(x, 200, extra, service_type_result(service), buf_slice(&body));
	buf_release(&body);
	http_head_free(&extra);
}

size_t
reply_size(const char *text)
{
	return sizeof(PREFIX) - 1 + strlen(text) + 1;
}
