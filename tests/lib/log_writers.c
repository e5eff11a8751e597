#include "tests/lib/log_writers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "tests/lib/log_test.h"

#define IN_FLIGHT 32 /* appends of one writer */

struct writing {
	struct log_test_gate gate; /* answers so far */
	struct log_writers_told told;
};

static void
tell_parent(enum commitlog_outcome outcome, uint64_t offset, const struct err *err UNUSED,
	    void *arg)
{
	struct writing *w = arg;
	struct log_writers_told told = w->told;

	told.outcome = outcome;
	told.offset = offset;
	CHECK(write(1, &told, sizeof(told)) == sizeof(told));
	log_test_gate_add(&w->gate, 1);
}

static size_t
compose(char *to, size_t cap, uint32_t writer, uint32_t seq)
{
	size_t pad = seq % 97 == 13 ? 300000 : (seq * 2654435761u) % 1500;
	int n = snprintf(to, cap, "%u %u ", writer, seq);

	CHECK(n > 0 && (size_t)n + pad < cap);
	memset(to + n, 'x', pad);
	return (size_t)n + pad;
}

int
log_writers_run(const char *url, uint32_t writer, uint32_t count)
{
	static char text[400000];
	struct writing w[IN_FLIGHT];
	struct commitlog *log = log_test_open(url);

	memset(w, 0, sizeof(w));
	for (size_t i = 0; i < IN_FLIGHT; i++) {
		log_test_gate_init(&w[i].gate);
		log_test_gate_add(&w[i].gate, 1);
	}
	for (uint32_t seq = 0; seq < count; seq++) {
		struct writing *slot = &w[seq % IN_FLIGHT];
		size_t n = compose(text, sizeof(text), writer, seq);

		CHECK(log_test_gate_wait(&slot->gate, 1 + seq / IN_FLIGHT, LOG_TEST_MSEC));
		slot->told = (struct log_writers_told){ writer, seq, seq % LOG_WRITERS_STREAMS,
							COMMITLOG_UNKNOWN, 0 };
		commitlog_append(log, seq % LOG_WRITERS_STREAMS, slice_of(text, n), tell_parent,
				 slot);
	}
	commitlog_close(&log);
	return 0;
}

void
log_writers_hear(struct log_writers_history *h, int fd, size_t max)
{
	struct log_writers_told t;

	for (size_t i = 0; i < max && read(fd, &t, sizeof(t)) == sizeof(t); i++) {
		if (h->n == h->cap) {
			h->cap = h->cap * 2 + 1000;
			h->told = mem_resize(h->told, h->cap * sizeof(*h->told));
		}
		h->told[h->n++] = t;
	}
}

static int
by_place(const void *va, const void *vb)
{
	const struct log_writers_told *a = va, *b = vb;

	if (a->stream != b->stream)
		return a->stream < b->stream ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

struct checking {
	const struct log_writers_history *h;
	uint64_t next;       /* offset */
	size_t acknowledged; /* found at their place */
	size_t records;
	int64_t last[256]; /* seq of each writer, -1 at first */
};

static void
check_records(uint32_t stream, const struct commitlog_record *r, size_t n, void *arg)
{
	static char want[400000];
	struct checking *c = arg;

	for (size_t i = 0; i < n; i++) {
		struct log_writers_told key = { .stream = stream, .offset = r[i].offset }, *t;
		unsigned writer = 0, seq = 0;
		char head[32] = "";

		CHECK(r[i].offset == c->next);
		c->next++;
		memcpy(head, r[i].bytes.p, MIN(r[i].bytes.len, sizeof(head) - 1));
		CHECK(sscanf(head, "%u %u ", &writer, &seq) == 2);
		CHECK(writer < COUNT(c->last) && seq % LOG_WRITERS_STREAMS == stream);
		CHECK(r[i].bytes.len == compose(want, sizeof(want), writer, seq));
		CHECK(memcmp(r[i].bytes.p, want, r[i].bytes.len) == 0);
		CHECK((int64_t)seq > c->last[writer]); /* in order, none twice */
		c->last[writer] = seq;
		c->records++;
		t = bsearch(&key, c->h->told, c->h->n, sizeof(*t), by_place);
		if (t != NULL) {
			CHECK(t->writer == writer);
			CHECK(t->seq == seq);
			c->acknowledged++;
		}
	}
}

size_t
log_writers_check(struct log_writers_history *h, const uint64_t *from, const char *url)
{
	struct commitlog *log = log_test_open(url);
	size_t acknowledged = 0, records = 0, found = 0;
	struct err err;

	for (size_t i = 0; i < h->n; i++) {
		if (h->told[i].outcome == COMMITLOG_AT)
			acknowledged++;
		else
			h->told[i].stream = UINT32_MAX; /* sorted behind all that counts */
	}
	if (h->n > 0)
		qsort(h->told, h->n, sizeof(*h->told), by_place);
	for (uint32_t s = 0; s < LOG_WRITERS_STREAMS; s++) {
		struct checking c = { .h = h, .next = from[s] };

		memset(c.last, 0xff, sizeof(c.last));
		do /* what a killed writer had sent may land meanwhile */
			CHECK(commitlog_scan(log, s, c.next, UINT64_MAX, check_records, &c, &err) ==
			      0);
		while (c.next != log_test_next(log, s));
		found += c.acknowledged;
		records += c.records;
	}
	CHECK(found == acknowledged);
	commitlog_close(&log);
	return records;
}

void
log_writers_ends(uint64_t *next, const char *url)
{
	struct commitlog *log = log_test_open(url);

	for (uint32_t s = 0; s < LOG_WRITERS_STREAMS; s++)
		next[s] = log_test_next(log, s);
	commitlog_close(&log);
}

pid_t
log_writers_spawn(int *out, const char *url, unsigned writer, unsigned count)
{
	char w[16], c[16];
	const char *args[] = { "write", url, w, c, NULL };

	snprintf(w, sizeof(w), "%u", writer);
	snprintf(c, sizeof(c), "%u", count);
	return log_test_spawn(out, args);
}
