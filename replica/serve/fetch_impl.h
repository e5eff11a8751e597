/* replica/serve/fetch_impl.h - what the two files of a fetch share; for them alone. */
#ifndef REPLICA_SERVE_FETCH_IMPL_H
#define REPLICA_SERVE_FETCH_IMPL_H

#include "gitproto/net/relay.h"
#include "gitproto/v2_request.h"
#include "gitproto/version.h"
#include "replica/serve/body.h"
#include "replica/serve/fetch.h"
#include "replica/serve/serve.h"

enum fetch_step { FETCH_NEXT, FETCH_WAIT, FETCH_DONE };

struct fetch {
	unsigned magic;
#define FETCH_MAGIC 0xfe7c4fe7u
	struct serve *serve;    /* borrowed */
	struct http_xchg *xchg; /* borrowed until its close; NULL then */
	struct smart_path path;
	enum version version;
	struct shard *shard; /* borrowed */
	struct repo *repo;   /* referenced */
	uint64_t offset;     /* that the answer reflects */
	uint64_t deadline;   /* clock_boot_ns */
	enum fetch_step (*step)(struct fetch *);
	unsigned waits; /* callbacks that still hold this: freed when the last one came */
	bool dead;      /* the exchange is over */
	bool load_failed;
	bool looked;      /* at a fresh directory */
	bool without_log; /* it is not proved fresh: nothing can be, and the site allows that */
	char age[WITHOUT_LOG_AGE];
	struct body *body;
	struct v2_request v2;
	bool v2_open;
	struct child *child;
	struct relay *out;
	bool out_done, exited; /* the child's output is through; it was reaped */
	int status;
	struct buf read; /* beginning of the body that was read and is git's to have */
	struct err err;
};

/* fetch.c */
enum fetch_step fetch_refuse(struct fetch *);              /* with its err */
struct http_head *fetch_answer_head(const struct fetch *); /* owned by the caller */
/* fetch_pack.c: git upload-pack takes over */
enum fetch_step fetch_pack_start(struct fetch *);

#endif
