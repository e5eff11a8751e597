/* shard-map/commitlog/commitlog_thread.h - starts threads of the log.  Thread: any. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_THREAD_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_THREAD_H

#include <pthread.h>

#include "gitproto/base/err.h"

/* All signals are blocked in it: they are for the program's own threads. */
MUST_CHECK int commitlog_thread_start(pthread_t *out, void *(*run)(void *), void *arg,
				      const char *name, struct err *);

#endif
