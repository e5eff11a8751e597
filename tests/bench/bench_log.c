/* What one durable append costs, and how soon another process has read it: p50 and p99.
 *	bench_log RECORDS BYTES	one append at a time, a line of figures
 * The log is GITSHARD_LOG_URL's (cluster "test"), or a new file log beside the temporary files. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "tests/lib/log_test.h"

#define STREAM 0u

static int
by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
print_figures(const char *what, uint64_t *ns, size_t n)
{
	qsort(ns, n, sizeof(*ns), by_size);
	printf("%s p50 %.2f ms p99 %.2f ms", what, (double)ns[n / 2] / 1e6,
	       (double)ns[n * 99 / 100] / 1e6);
}

/* ---- the reading process --------------------------------------------------------------------- */

struct reading {
	struct log_test_gate gate;
	uint64_t *ns;
	size_t n, want;
};

static void
on_records(uint32_t stream UNUSED, const struct commitlog_record *r, size_t n, void *arg)
{
	struct reading *g = arg;

	for (size_t i = 0; i < n; i++) {
		uint64_t sent, now = clock_boot_ns();

		CHECK(r[i].bytes.len >= sizeof(sent));
		memcpy(&sent, r[i].bytes.p, sizeof(sent));
		if (g->n < g->want)
			g->ns[g->n++] = now - sent;
		log_test_gate_add(&g->gate, 1);
	}
}

static void
fail_on_trouble(uint32_t stream UNUSED, const struct err *err, void *arg UNUSED)
{
	fprintf(stderr, "%s\n", err->text);
	abort();
}

static int
run_reader(const char *url, uint64_t from, size_t records)
{
	struct reading g = { .want = records };
	struct commitlog *log = log_test_open(url);
	char go = '!';

	g.ns = mem_array(records, sizeof(*g.ns));
	log_test_gate_init(&g.gate);
	commitlog_read(log, STREAM, from, on_records, fail_on_trouble, &g);
	CHECK(write(1, &go, 1) == 1);
	CHECK(log_test_gate_wait(&g.gate, (unsigned)records, 10 * LOG_TEST_MSEC));
	commitlog_close(&log);
	CHECK(write(1, g.ns, records * sizeof(*g.ns)) == (ssize_t)(records * sizeof(*g.ns)));
	return 0;
}

/* ---- the writing one ------------------------------------------------------------------------- */

struct answer {
	struct log_test_gate gate;
	enum commitlog_outcome outcome;
	uint64_t at; /* clock_boot_ns */
};

static void
on_answer(enum commitlog_outcome outcome, uint64_t offset UNUSED, const struct err *err UNUSED,
	  void *arg)
{
	struct answer *a = arg;

	a->outcome = outcome;
	a->at = clock_boot_ns();
	log_test_gate_add(&a->gate, 1);
}

static void
write_records(struct commitlog *log, uint64_t *ns, size_t records, size_t bytes)
{
	uint8_t *record = mem_alloc(bytes);
	struct answer a;

	log_test_gate_init(&a.gate);
	for (size_t i = 0; i < records; i++) {
		uint64_t begin = clock_boot_ns();

		memcpy(record, &begin, sizeof(begin));
		commitlog_append(log, STREAM, slice_of(record, bytes), on_answer, &a);
		CHECK(log_test_gate_wait(&a.gate, (unsigned)i + 1, LOG_TEST_MSEC));
		CHECK(a.outcome == COMMITLOG_AT);
		ns[i] = a.at - begin;
	}
	free(record);
}

static void
hear(int fd, void *to, size_t n)
{
	while (n > 0) {
		ssize_t got = read(fd, to, n);

		CHECK(got > 0);
		to = (char *)to + got;
		n -= (size_t)got;
	}
}

static void
measure(const char *url, size_t records, size_t bytes)
{
	struct commitlog *log = log_test_open(url);
	uint64_t *ns = mem_array(records, sizeof(*ns));
	char from[24], count[24], go;
	const char *args[] = { "read", url, from, count, NULL };
	pid_t pid;
	int fd;

	snprintf(from, sizeof(from), "%" PRIu64, log_test_next(log, STREAM));
	snprintf(count, sizeof(count), "%zu", records);
	pid = log_test_spawn(&fd, args);
	hear(fd, &go, 1);
	write_records(log, ns, records, bytes);
	printf("%6zu bytes: ", bytes);
	print_figures("append", ns, records);
	hear(fd, ns, records * sizeof(*ns));
	print_figures(", read by another process", ns, records);
	printf("\n");
	CHECK(log_test_wait(pid) == 0);
	commitlog_close(&log);
	free(ns);
}

int
main(int argc, char **argv)
{
	struct log_test place;

	log_level_now = LOG_ERROR;
	if (argc == 5 && strcmp(argv[1], "read") == 0)
		return run_reader(argv[2], strtoull(argv[3], NULL, 10),
				  strtoull(argv[4], NULL, 10));
	if (argc != 3) {
		fprintf(stderr,
			"usage: bench_log RECORDS BYTES; the log: GITSHARD_LOG_URL, or a new "
			"file log\n");
		return 2;
	}
	log_test_setup(&place);
	measure(place.url, strtoull(argv[1], NULL, 10), MAX(8, strtoull(argv[2], NULL, 10)));
	log_test_cleanup(&place);
	return 0;
}
