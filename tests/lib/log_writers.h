/* tests/lib/log_writers.h - processes that write a log, what they learned of it, and whether that is
 * true.  Thread: the test's.  What does not hold ends the process (CHECK).
 *
 * A writer appends "WRITER SEQ padding", SEQ from 0 on, to the streams in turn, many at a time. */
#ifndef TESTS_LIB_LOG_WRITERS_H
#define TESTS_LIB_LOG_WRITERS_H

#include "shard-map/commitlog/commitlog.h"

#define LOG_WRITERS_STREAMS 4 /* streams 0 .. 3 */

/* One answer to one append, as the writer writes it to its standard output: whole or not there. */
struct log_writers_told {
	uint32_t writer, seq, stream;
	enum commitlog_outcome outcome;
	uint64_t offset;
};
struct log_writers_history {
	struct log_writers_told *told; /* owned: free() */
	size_t n, cap;
};

/* Starts this program as "write URL WRITER COUNT", which has to call log_writers_run. */
pid_t log_writers_spawn(int *out, const char *url, unsigned writer, unsigned count);
int log_writers_run(const char *url, uint32_t writer, uint32_t count);

/* Gathers up to max answers; fewer at the end of the writer. */
void log_writers_hear(struct log_writers_history *, int fd, size_t max);
/* The next offsets of the streams. */
void log_writers_ends(uint64_t *next, const char *url);
/* Every acknowledged record is at its place, the streams have no gap from there on, each writer's
 * order is kept, nothing is there twice.  Gives the number of records.  Sorts the history. */
size_t log_writers_check(struct log_writers_history *, const uint64_t *from, const char *url);

#endif
