/* shard-map/commitlog/commitlog.h - the commit log: ordered streams of records, whatever keeps them.
 * Nothing above this interface knows the backend.  Thread: any; callbacks come on threads of the log
 * ("log threads"), must not block for long, and may call every function here but commitlog_close.
 *
 * A stream is a number: shards 0 .. n-1, and the two below.  Offsets of a stream are dense, from 0.
 * Append has three outcomes and never guesses (protocol R5): a record may be put at the end at some
 * moment after it was asked for, perhaps twice with some backends; only reading decides. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"

#define COMMITLOG_MAP UINT32_C(0xfffffffe)       /* versions of the map */
#define COMMITLOG_DIRECTORY UINT32_C(0xfffffffd) /* exceptions to the hash */
#define COMMITLOG_MAX_RECORD (900u * 1024)       /* bytes of one record */

struct commitlog;

enum commitlog_outcome {
	COMMITLOG_AT,      /* it is in the log, at this offset */
	COMMITLOG_NOT,     /* it is certainly not in the log and never will be: nothing was sent */
	COMMITLOG_UNKNOWN, /* perhaps now, perhaps later, perhaps never: read on to know */
};
typedef void commitlog_append_fn(enum commitlog_outcome, uint64_t offset, const struct err *,
				 void *arg);

struct commitlog_record {
	uint64_t offset;
	struct slice bytes; /* borrowed for the callback */
};
/* Records in order, n >= 1.  Blocking here holds up all streams of this handle. */
typedef void commitlog_read_fn(uint32_t stream, const struct commitlog_record *, size_t n,
			       void *arg);
/* The stream cannot go on being read: its beginning was trimmed past the wanted offset
 * (ERR_NOT_FOUND), it is shorter than the wanted offset (ERR_CORRUPT), or the log is away
 * (ERR_UNAVAILABLE: told once per spell, reading goes on by itself when the log is back; code
 * ERR_OK tells that it is back). */
typedef void commitlog_trouble_fn(uint32_t stream, const struct err *, void *arg);

struct commitlog_opts {
	const char *cluster;  /* name; a log of another cluster is refused */
	bool create;          /* make what is missing (file backend: the database) */
	bool wait;            /* Kafka: open also while it is away or has no topics yet */
	bool allow_weak;      /* accept a log that one lost disk or machine can cut */
	uint64_t append_msec; /* an append not finished by then is UNKNOWN (or NOT); 0: 15 s */
	const char *
		kafka_options; /* file of what the brokers ask for (commitlog_kafka_conf.h), or NULL */
};
/* url: "file:PATH" or "kafka:HOST:PORT,HOST:PORT".  ERR_BAD for another scheme, ERR_REFUSED for a
 * weak log without allow_weak, ERR_NOT_FOUND when it does not exist and create is false, ERR_VERSION,
 * ERR_IO.  Kafka: topics are made by commitlog_create_topics alone; ERR_NOT_FOUND without them and
 * ERR_UNAVAILABLE when no broker answers, or with `wait`: the streams are in trouble (ERR_UNAVAILABLE)
 * until the log is there and was checked. */
MUST_CHECK int commitlog_open(struct commitlog **out, const char *url,
			      const struct commitlog_opts *, struct err *);
/* Makes what the streams of so many shards need and is not there yet (Kafka: topics); for a log that
 * needs nothing of the kind it does nothing.  ERR_CONFLICT: they are there, for another number of
 * shards; ERR_REFUSED: they would be, or are, weak and allow_weak is false.  Blocks. */
MUST_CHECK int commitlog_create_topics(const char *url, const struct commitlog_opts *,
				       uint32_t shards, struct err *);
/* Ends the threads; appends under way end first (UNKNOWN or NOT at the latest). */
void commitlog_close(struct commitlog **);

/* Copies bytes; fn is called once, on a log thread or inside commitlog_close.  Calls of one thread for
 * one stream go to the log in their order.  bytes.len <= COMMITLOG_MAX_RECORD (CHECK). */
void commitlog_append(struct commitlog *, uint32_t stream, struct slice bytes,
		      commitlog_append_fn *, void *arg);
/* Calls read for all records of a stream from offset on, without end, until commitlog_unread.  One
 * at a time for a stream and handle (CHECK).  arg lives until unread or close returned. */
void commitlog_read(struct commitlog *, uint32_t stream, uint64_t from, commitlog_read_fn *read,
		    commitlog_trouble_fn *trouble, void *arg);
/* After it returns, no callback of that stream runs any more; called from inside one, it ends after
 * that one.  Nothing to end is no mistake. */
void commitlog_unread(struct commitlog *, uint32_t stream);
/* Blocking: the first offset that is kept and the one the next append will get. */
MUST_CHECK int commitlog_ends(struct commitlog *, uint32_t stream, uint64_t *first, uint64_t *next,
			      struct err *);
/* Blocking, for tools and for the re-read of R12: up to max records from `from` on, each handed to
 * fn in order; 0, also when there are fewer, or ERR_* as for trouble. */
MUST_CHECK int commitlog_scan(struct commitlog *, uint32_t stream, uint64_t from, uint64_t max,
			      commitlog_read_fn *fn, void *arg, struct err *);
/* Blocking: forgets what lies before head.  Never past the end (ERR_BAD). */
MUST_CHECK int commitlog_trim(struct commitlog *, uint32_t stream, uint64_t head, struct err *);
const char *commitlog_kind(const struct commitlog *); /* "file", "kafka" */
/* What allow_weak let pass, in words; false: nothing, or nothing of it is known yet.  Any size of out
 * will do: COMMITLOG_WEAK holds what is said. */
#define COMMITLOG_WEAK 640u
bool commitlog_weak(struct commitlog *, char *out, size_t size);

#endif
