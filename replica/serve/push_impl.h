/* replica/serve/push_impl.h - what the files of a push share; for them alone. */
#ifndef REPLICA_SERVE_PUSH_IMPL_H
#define REPLICA_SERVE_PUSH_IMPL_H

#include <sys/queue.h>

#include "gitproto/base/buf.h"
#include "gitproto/net/relay.h"
#include "gitproto/push_request.h"
#include "replica/repo/repo_lock.h"
#include "replica/serve/body.h"
#include "replica/serve/push.h"
#include "replica/serve/pushed_pack.h"
#include "replica/serve/serve.h"
#include "replica/serve/stage_send.h"

enum push_step { PUSH_NEXT, PUSH_WAIT, PUSH_DONE };

/* One command of the push, as the hooks tell them. */
struct push_ref {
	struct oid old, new;
	char *name;      /* owned */
	const char *why; /* NULL: not refused so far; otherwise owned by why_text or constant */
	char *why_text;  /* owned; NULL when why is constant */
	bool done;       /* needs no record: repeated, or already so */
	bool in_record;  /* of the record under way or committed */
};

/* Where a push is in its dealing with the hooks. */
enum push_hook_state {
	HOOK_NONE,       /* git is reading the pack */
	HOOK_JUDGING,    /* the repository's own hooks run, the pack is examined and staged */
	HOOK_STAGING,    /* their verdicts are here; waiting for pack or quorum */
	HOOK_ACCEPTED,   /* pre-receive said yes: git migrates the objects */
	HOOK_COMMITTING, /* proc-receive: lock, record, fate */
	HOOK_ANSWERED,
	HOOK_REFUSED,
};

struct push {
	unsigned magic;
#define PUSH_MAGIC 0x9ad13c07u
	struct pushes *all;     /* borrowed */
	struct serve *serve;    /* borrowed */
	struct http_xchg *xchg; /* borrowed until its close; NULL then */
	struct smart_path path;
	struct shard *shard; /* borrowed */
	struct repo *repo;   /* referenced */
	uint64_t moves;      /* of it, before git began (repo_moves) */
	uint8_t id[16];      /* push id (R8) */
	char id_text[33];
	char request[40]; /* id for log lines */
	uint64_t begun_ns, deadline_ns;
	uint64_t begun_ms; /* wall clock, to compare with files */
	enum push_step (*step)(struct push *);
	unsigned waits; /* callbacks that still hold this */
	bool dead;      /* the exchange is over */
	bool asked_create, load_failed;
	bool looked;  /* at a fresh directory */
	bool vacated; /* its git was killed, the repository being renamed: no record may follow */
	struct err err;

	struct body *body;
	struct push_request req;
	bool req_open;
	struct buf read; /* the body's beginning, for git */
	struct child *child;
	struct relay *out;
	bool out_done, exited;
	int status;

	enum push_hook_state hook;
	struct hook_conn *conn; /* borrowed from pushes: the hook that waits for an answer */
	char quarantine[1024];  /* "" when the push brought no objects */
	struct push_ref *refs;
	size_t n_refs;
	struct buf say; /* what the user is told beside the status per ref, lines in git's words */
	bool atomic;
	struct pushed_pack *pack;
	unsigned examining; /* jobs that look at pack and objects */
	struct stage_send *stage;
	bool staged, stage_needed;

	struct repo_lock *lock; /* owned while state is HOOK_COMMITTING */
	uint64_t position;      /* strict read under the lock */
	size_t next_ref;        /* first one that no record carries yet */
	size_t in_record;       /* refs of the record under way */
	struct timer *late;     /* owned: the client's patience */
	bool append_open;       /* its fate is not known */
	bool committed;         /* a record of this push is effective */
	bool keep;              /* its pack may be named by an effective record */
	bool appended;          /* the log was given a record of it, the first names its pack */
	uint8_t oid_len;

	LIST_ENTRY(push) next;
};

struct hook_conn;

/* A refused push's pack on its way out: a new push with the same one waits for that. */
struct unlinking {
	uint8_t repo_id[16];
	char name[65];
	LIST_ENTRY(unlinking) next;
};

struct pushes {
	struct serve *serve; /* borrowed */
	LIST_HEAD(, push) list;
	LIST_HEAD(, hook_conn) conns;
	LIST_HEAD(, unlinking) unlinkings;
	unsigned n;
	struct repo_locks *locks;
	struct unix_server *server; /* owned: hook socket */
};

/* push.c */
/* After a callback; false: the push is answered, or dead and perhaps gone. */
bool push_came_back(struct push *);
void push_run(struct push *);
void push_maybe_free(struct push *);
void push_drop(struct push *); /* the node stops: nothing calls back any more, whatever was open */
struct push *push_find(struct pushes *, struct slice id_text);

/* push_git.c */
/* Begins the answer too.  Otherwise p->err tells, and the push is to be refused. */
MUST_CHECK int push_git_start(struct push *);
/* The client gets no end of its answer, so that it takes no half of one for the whole: the outcome is
 * unknown to it.  The push goes on. */
void push_git_cut_off(struct push *, const char *why);

/* push_hook.c */
MUST_CHECK int push_hook_listen(struct pushes *, struct err *);
void push_hook_close(struct pushes *);
/* Sends the lines that the waiting hook gets as its answer, a flush behind; last: the hook goes. */
void push_hook_answer(struct push *, struct buf *lines, bool last);
void push_hook_gone(struct push *); /* the push ends: nobody answers its hook any more */
void push_hook_add(struct buf *lines, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Text of several lines: each as "say". */
void push_hook_say(struct buf *lines, const struct buf *text);

/* A refused pack is gone: pushes that waited for that go on. */
void push_hook_unlinked(struct pushes *);

/* push_commit.c */
void push_commit_begin(struct push *); /* refs are those of proc-receive */
/* git ended between pre-receive and proc-receive: its objects may have left their quarantine. */
void push_commit_never(struct push *);

/* push_check.c: sets why on refs that may not move so, done on repeated ones; with atomic, one
 * refused refuses all.  Takes the repository's lock.  say: lines for the user (git's own words).
 * false: the repository cannot be looked at now (not loaded, not whole, gone). */
MUST_CHECK bool push_check(struct push *, struct buf *say);
void push_refuse_ref(struct push_ref *, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool push_all_refused(const struct push *);
void push_free_refs(struct push *);

#endif
