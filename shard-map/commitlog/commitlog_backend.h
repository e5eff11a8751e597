/* shard-map/commitlog/commitlog_backend.h - what a keeper of the log implements, for the files of
 * this room only.  Thread: as in commitlog.h, whose words hold for each function here.
 *
 * The struct of a backend begins with a struct commitlog.  A URL is SCHEME:WHERE; open gets WHERE,
 * which lives as long as the call. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_BACKEND_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_BACKEND_H

#include "shard-map/commitlog/commitlog.h"

struct commitlog_backend {
	const char *scheme; /* also its kind */
	int (*open)(struct commitlog **out, const char *where, const struct commitlog_opts *,
		    struct err *);
	int (*create_topics)(const char *where, const struct commitlog_opts *, uint32_t shards,
			     struct err *); /* NULL: nothing to make */
	void (*close)(struct commitlog *);  /* frees it */
	void (*append)(struct commitlog *, uint32_t stream, struct slice, commitlog_append_fn *,
		       void *arg);
	void (*read)(struct commitlog *, uint32_t stream, uint64_t from, commitlog_read_fn *,
		     commitlog_trouble_fn *, void *arg);
	void (*unread)(struct commitlog *, uint32_t stream);
	int (*ends)(struct commitlog *, uint32_t stream, uint64_t *first, uint64_t *next,
		    struct err *);
	int (*scan)(struct commitlog *, uint32_t stream, uint64_t from, uint64_t max,
		    commitlog_read_fn *, void *arg, struct err *);
	int (*trim)(struct commitlog *, uint32_t stream, uint64_t head, struct err *);
	bool (*weak)(struct commitlog *, char *out, size_t size);
};

struct commitlog {
	const struct commitlog_backend *backend; /* static */
};

#define COMMITLOG_BACKEND_MSEC 15000 /* append_msec when it is 0 */

#endif
