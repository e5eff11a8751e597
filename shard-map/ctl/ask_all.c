#include "shard-map/ctl/ask_all.h"

#include <curl/curl.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

static size_t
on_data(char *p, size_t size, size_t n, void *arg)
{
	struct buf *to = arg;

	buf_add(to, p, size * n);
	return buf_ok(to) ? size * n : 0;
}

static CURL *
begin(CURLM *multi, struct ask *a, struct curl_slist *json, uint64_t timeout_ms)
{
	CURL *c = curl_easy_init();
	struct buf url = BUF_MAX(8192);

	CHECK(c != NULL);
	buf_init(&a->answer, ASK_ALL_MAX);
	buf_addf(&url, "http://%s%s", a->addr, a->target);
	curl_easy_setopt(c, CURLOPT_URL, buf_str(&url));
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &a->answer);
	curl_easy_setopt(c, CURLOPT_PRIVATE, a);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, a->method);
	if (a->body != NULL) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, a->body);
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, json);
	}
	CHECK(curl_multi_add_handle(multi, c) == CURLM_OK);
	buf_release(&url);
	return c;
}

/* Words of a node that refuses: JSON {"error","code"}, else the first line of text. */
static void
take_refusal(struct ask *a)
{
	const char *error = json_string_value(json_object_get(a->json, "error"));
	const char *name = json_string_value(json_object_get(a->json, "code"));
	const char *text = buf_str(&a->answer);
	int code = ERR_UNAVAILABLE;

	for (int i = 1; name != NULL && i < ERR_NCODES; i++)
		if (strcmp(err_name(-i), name) == 0)
			code = -i;
	if (name == NULL)
		for (int i = 1; i < ERR_NCODES; i++)
			if (err_http_status(-i) == a->status) {
				code = -i;
				break;
			}
	if (error != NULL)
		err_set(&a->err, code, "%s", error);
	else
		err_set(&a->err, code, "HTTP %d: %.*s", a->status,
			(int)MIN(strcspn(text, "\r\n"), (size_t)200), text);
}

static void
finish(struct ask *a, CURL *c, CURLcode rc)
{
	long status = 0, connected = 0;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c, CURLINFO_REQUEST_SIZE, &connected);
	if (rc != CURLE_OK) {
		int code = connected == 0                   ? ERR_UNAVAILABLE
			   : rc == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT
							    : ERR_CLOSED;

		err_set(&a->err, code, "%s", curl_easy_strerror(rc));
		return;
	}
	a->status = (int)status;
	a->json = json_loadb(buf_str(&a->answer), a->answer.len, 0, NULL);
	if (status < 200 || status > 299)
		take_refusal(a);
	else if (a->json == NULL)
		err_set(&a->err, ERR_BAD, "the answer to %s %s is no JSON", a->method, a->target);
}

void
ask_all(struct ask *asks, size_t n, uint64_t timeout_ms)
{
	CURLM *multi = curl_multi_init();
	struct curl_slist *json = curl_slist_append(NULL, "content-type: application/json");
	CURL **handles = mem_array(n, sizeof(CURL *));
	int running = 1;
	CURLMsg *msg;

	CHECK(multi != NULL && json != NULL);
	for (size_t i = 0; i < n; i++)
		handles[i] = begin(multi, &asks[i], json, timeout_ms);
	while (running > 0) {
		int left;

		CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
		while ((msg = curl_multi_info_read(multi, &left)) != NULL) {
			char *a = NULL;

			curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &a);
			finish((struct ask *)(void *)a, msg->easy_handle, msg->data.result);
		}
		if (running > 0)
			CHECK(curl_multi_poll(multi, NULL, 0, 1000, NULL) == CURLM_OK);
	}
	for (size_t i = 0; i < n; i++) {
		curl_multi_remove_handle(multi, handles[i]);
		curl_easy_cleanup(handles[i]);
	}
	curl_multi_cleanup(multi);
	curl_slist_free_all(json);
	free(handles);
}

void
ask_release(struct ask *asks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_decref(asks[i].json);
		buf_release(&asks[i].answer);
		asks[i].json = NULL;
	}
}
