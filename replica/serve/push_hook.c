/* replica/serve/push_hook.c - what git's hooks ask of the replica during a push (hook_wire.h).
 *
 * pre-receive is the last place where the whole push can vanish: everything that can refuse,
 * refuses there, and the pack is examined and staged at the voters meanwhile.  proc-receive hands
 * the commands to push_commit.c. */
#include <stdarg.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/unix_server.h"
#include "gitproto/pktline.h"
#include "replica/repo/git_env.h"
#include "replica/repo/objtype.h"
#include "replica/serve/push_impl.h"

#define MAX_LINES (128u << 20) /* bytes of one message; the command list is bounded before */
#define MAX_LINE 65516

/* One connection of a hook program. */
struct hook_conn {
	unsigned magic;
#define HOOK_CONN_MAGIC 0x400c0c01u
	struct pushes *all;
	struct stream *stream; /* owned */
	struct push *push;     /* borrowed; NULL: none yet, or it is gone */
	struct buf lines;      /* of the message that comes, each ended by LF */
	LIST_ENTRY(hook_conn) next;
};

static void decide(struct push *);

static void
conn_free(struct hook_conn *c)
{
	if (c->push != NULL && c->push->conn == c)
		c->push->conn = NULL;
	LIST_REMOVE(c, next);
	stream_free(&c->stream);
	buf_release(&c->lines);
	free(c);
}

void
push_hook_add(struct buf *lines, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0)
		pktline_add(lines, slice_head(slice_of(text, (size_t)n), MAX_LINE));
	free(text);
}

void
push_hook_say(struct buf *lines, const struct buf *text)
{
	struct slice rest = buf_slice(text);

	while (rest.len > 0) {
		struct slice l = slice_cut(&rest, '\n');

		push_hook_add(lines, "say %.*s", SLICE_ARG(l));
	}
}

void
push_hook_answer(struct push *p, struct buf *lines, bool last)
{
	struct hook_conn *c = p->conn;

	if (c == NULL)
		return;
	pktline_add_flush(lines);
	stream_write(c->stream, buf_slice(lines));
	if (last) {
		stream_end(c->stream); /* it hangs up when it has read all */
		p->conn = NULL;
		c->push = NULL;
	}
}

void
push_hook_gone(struct push *p)
{
	if (p->conn != NULL)
		conn_free(p->conn);
}

/* --- pre-receive ---------------------------------------------------------------------------- */

static void
refuse_all(struct push *p, const char *fmt, ...)
{
	struct buf lines = BUF_MAX(MAX_LINES);
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->hook = HOOK_REFUSED;
	push_hook_add(&lines, "refuse %s", text);
	push_hook_answer(p, &lines, true);
	buf_release(&lines);
}

/* The reasons of a push of which nothing can be accepted; its objects vanish with it. */
static void
refuse_with_reasons(struct push *p)
{
	struct buf lines = BUF_MAX(MAX_LINES);

	p->hook = HOOK_REFUSED;
	push_hook_say(&lines, &p->say);
	for (size_t i = 0; i < p->n_refs && i < 100; i++)
		if (p->refs[i].why != NULL)
			push_hook_add(&lines, "refuse %s: %s", p->refs[i].name, p->refs[i].why);
	push_hook_answer(p, &lines, true);
	buf_release(&lines);
}

static bool
deletes_only(const struct push *p)
{
	for (size_t i = 0; i < p->n_refs; i++)
		if (!oid_is_zero(&p->refs[i].new))
			return false;
	return true;
}

/* Looks at all refs once more.  Without objects in quarantine there is nothing to vanish, and
 * proc-receive can give each ref its own words. */
static bool
refuses_now(struct push *p)
{
	bool refused = true;

	if (p->atomic && p->n_refs < p->req.n_commands) {
		refuse_all(p, "atomic push failed: git refused one of its refs");
	} else if (!push_check(p, &p->say)) {
		refuse_all(p, "the repository is out of service on its primary; push again");
	} else if (push_all_refused(p) && !deletes_only(p)) {
		refuse_with_reasons(p);
	} else {
		refused = false;
	}
	return refused;
}

static void
on_staged(const struct err *err, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	if (err->code != 0 && p->err.code == 0)
		p->err = *err;
	p->staged = true;
	decide(p);
}

static bool
is_unlinking(const struct push *p)
{
	const struct unlinking *u;

	LIST_FOREACH (u, &p->all->unlinkings, next)
		if (memcmp(u->repo_id, p->repo->id, 16) == 0 && strcmp(u->name, p->pack->name) == 0)
			return true;
	return false;
}

/* Everything that pre-receive waits for is there: the hooks' verdicts, the pack, its copies. */
static void
decide(struct push *p)
{
	struct buf lines = BUF_MAX(4096);

	if (p->hook != HOOK_STAGING || p->examining > 0 || (p->stage_needed && !p->staged) ||
	    (p->pack != NULL && p->pack->present && is_unlinking(p)))
		return;
	if (p->err.code != 0) {
		refuse_all(p, "%s", err_text(&p->err));
		return;
	}
	if (refuses_now(p))
		return;
	p->hook = HOOK_ACCEPTED;
	push_hook_add(&lines, "go");
	push_hook_answer(p, &lines, true);
	buf_release(&lines);
}

void
push_hook_unlinked(struct pushes *all)
{
	struct push *p, *after;

	for (p = LIST_FIRST(&all->list); p != NULL; p = after) {
		after = LIST_NEXT(p, next);
		decide(p);
	}
}

/* A job of the examination ended; false: git is gone, and perhaps the push with it. */
static bool
examined(struct push *p, const struct err *err)
{
	p->waits--;
	p->examining--;
	if (err->code != 0 && p->err.code == 0)
		p->err = *err;
	if (!p->exited)
		return true;
	push_maybe_free(p);
	return false;
}

static void
on_pack(struct pushed_pack *pack, const struct err *err, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);
	uint64_t deadline = clock_boot_ns() + p->serve->push_msec * CLOCK_MSEC;

	p->pack = pack;
	if (!examined(p, err))
		return;
	/* done may come before the pointer is here: decide looks at `staged`. */
	if (p->err.code == 0 && pack->present && !pack->inlined) {
		p->stage_needed = true;
		p->stage = stage_send_new(p->serve, p->shard, p->id, p->repo->id, pack, deadline,
					  on_staged, p);
	}
	decide(p);
}

/* --- what branches point at ----------------------------------------------------------------- */

struct types {
	struct push *push;
	char dir[4096], quarantine[1024];
	enum oid_format format;
	struct git_env *env;
	struct objtype_item *items;
	size_t *index; /* of the ref */
	size_t n;
	struct err err;
};

static void
run_types(void *arg)
{
	struct types *t = arg;

	t->err.code = objtype_commits(t->dir, t->quarantine[0] != '\0' ? t->quarantine : NULL,
				      t->format, git_env_list(t->env), t->items, t->n, &t->err);
}

static void
on_types(void *arg)
{
	struct types *t = arg;
	struct push *p = t->push;

	for (size_t i = 0; i < t->n && t->err.code == 0; i++)
		if (!t->items[i].commit) {
			struct push_ref *r = &p->refs[t->index[i]];

			buf_addf(&p->say,
				 "error: cannot update ref '%s': trying to write non-commit object "
				 "%s to branch '%s'\n",
				 r->name, oid_text(&t->items[i].oid), r->name);
			push_refuse_ref(r, "failed to update ref");
		}
	if (examined(p, &t->err))
		decide(p);
	git_env_free(&t->env);
	free(t->items);
	free(t->index);
	free(t);
}

static void
look_at_types(struct push *p)
{
	struct types *t = MEM_NEW(struct types);

	t->push = p;
	t->format = p->repo->format;
	t->env = git_env_new(GIT_ENV_PLAIN, p->serve->home, "/dev/null");
	t->items = mem_array(p->n_refs, sizeof(*t->items));
	t->index = mem_array(p->n_refs, sizeof(*t->index));
	snprintf(t->quarantine, sizeof(t->quarantine), "%s", p->quarantine);
	if (!repo_dir_of(t->dir, sizeof(t->dir), p->serve->repos, p->repo))
		t->dir[0] = '\0';
	for (size_t i = 0; i < p->n_refs; i++)
		if (strncmp(p->refs[i].name, "refs/heads/", 11) == 0 &&
		    !oid_is_zero(&p->refs[i].new)) {
			t->items[t->n].oid = p->refs[i].new;
			t->index[t->n++] = i;
		}
	p->examining++;
	p->waits++;
	work_do(p->serve->work, run_types, on_types, t);
}

static void
examine(struct push *p)
{
	look_at_types(p);
	if (p->quarantine[0] == '\0')
		return;
	p->examining++;
	p->waits++;
	pushed_pack_examine(p->serve->work, p->quarantine, p->serve->inline_max, on_pack, p);
}

/* --- messages ------------------------------------------------------------------------------- */

static bool
parse_command(struct push *p, struct slice rest, struct push_ref *out)
{
	struct slice old = slice_cut(&rest, ' '), new = slice_cut(&rest, ' ');

	memset(out, 0, sizeof(*out));
	if (oid_parse(&out->old, old, p->repo->format) != 0 ||
	    oid_parse(&out->new, new, p->repo->format) != 0 || rest.len == 0)
		return false;
	out->name = mem_strndup(rest.p, rest.len);
	return true;
}

/* The commands of a message become the push's refs; reasons of earlier refusals are kept by name. */
static bool
take_refs(struct push *p, struct slice lines)
{
	struct push_ref *old = p->refs;
	size_t n_old = p->n_refs, cap = 0, at = 0;

	p->refs = NULL;
	p->n_refs = 0;
	while (lines.len > 0) {
		struct slice l = slice_cut(&lines, '\n'), word = slice_cut(&l, ' ');

		if (slice_eq_str(word, "quarantine"))
			snprintf(p->quarantine, sizeof(p->quarantine), "%.*s", SLICE_ARG(l));
		if (!slice_eq_str(word, "command"))
			continue;
		if (p->n_refs == cap) {
			cap = cap > 0 ? 2 * cap : 16;
			p->refs = mem_resize(p->refs, cap * sizeof(*p->refs));
		}
		if (!parse_command(p, l, &p->refs[p->n_refs]))
			return false;
		p->n_refs++;
	}
	/* git keeps the order and may leave some out: one pass finds all. */
	for (size_t i = 0; i < n_old; i++) {
		if (at < p->n_refs && strcmp(old[i].name, p->refs[at].name) == 0) {
			if (old[i].why != NULL)
				push_refuse_ref(&p->refs[at], "%s", old[i].why);
			at++;
		}
		free(old[i].name);
		free(old[i].why_text);
	}
	free(old);
	return true;
}

static void
on_pre_receive(struct push *p, struct slice lines)
{
	struct buf go = BUF_MAX(4096);

	buf_init(&p->say, MAX_LINES);
	if (p->hook != HOOK_NONE || !take_refs(p, lines)) {
		refuse_all(p, "the hook's message makes no sense");
		return;
	}
	p->hook = HOOK_JUDGING;
	p->atomic = p->req.atomic;
	if (refuses_now(p))
		return;
	examine(p);
	push_hook_add(&go, "go");
	push_hook_answer(p, &go, false);
	buf_release(&go);
}

/* From *at on, around: the hook tells them in the push's own order. */
static struct push_ref *
find_ref(struct push *p, struct slice name, size_t *at)
{
	for (size_t i = 0; i < p->n_refs; i++) {
		struct push_ref *r = &p->refs[(*at + i) % p->n_refs];

		if (slice_eq_str(name, r->name)) {
			*at = (*at + i + 1) % p->n_refs;
			return r;
		}
	}
	return NULL;
}

/* The repository's own hooks have spoken. */
static void
on_verdicts(struct push *p, struct slice lines)
{
	bool declined = false;
	size_t at = 0;

	while (lines.len > 0) {
		struct slice l = slice_cut(&lines, '\n'), word = slice_cut(&l, ' ');
		struct push_ref *r;

		declined = declined || slice_eq_str(word, "declined");
		if (!slice_eq_str(word, "ng"))
			continue;
		r = find_ref(p, slice_cut(&l, ' '), &at);
		if (r != NULL)
			push_refuse_ref(r, "%.*s", SLICE_ARG(l));
	}
	if (declined) {
		p->hook = HOOK_REFUSED;
		conn_free(p->conn); /* it exits by itself */
		return;
	}
	p->hook = HOOK_STAGING;
	decide(p);
}

static void
on_message(struct hook_conn *c, struct slice lines)
{
	struct slice first, word;

	if (c->push != NULL) {
		if (c->push->hook == HOOK_JUDGING)
			on_verdicts(c->push, lines);
		return;
	}
	first = slice_cut(&lines, '\n');
	word = slice_cut(&first, ' ');
	c->push = push_find(c->all, first);
	if (c->push == NULL || c->push->conn != NULL || c->push->exited) {
		c->push = NULL;
		stream_end(c->stream); /* it says that the agent went away */
		return;
	}
	c->push->conn = c;
	if (slice_eq_str(word, "pre-receive")) {
		on_pre_receive(c->push, lines);
	} else if (slice_eq_str(word, "proc-receive") && c->push->hook == HOOK_ACCEPTED &&
		   take_refs(c->push, lines)) {
		push_commit_begin(c->push);
	} else {
		c->push->conn = NULL;
		c->push = NULL;
		stream_end(c->stream);
	}
}

static bool
is_open(const struct pushes *all, const struct hook_conn *c)
{
	const struct hook_conn *o;

	LIST_FOREACH (o, &all->conns, next)
		if (o == c)
			return true;
	return false;
}

/* git would call a push refused whose proc-receive was killed; its record may be in the log (P5).  Not that
 * of one that still waits for the write lock while its repository is being renamed. */
static void
hung_up(struct hook_conn *c)
{
	struct push *p = c->push;

	conn_free(c);
	if (p == NULL || p->hook != HOOK_COMMITTING)
		return;
	if (!p->appended && repo_is_moving(p->repo, p->moves))
		p->vacated = true;
	else
		push_git_cut_off(p, "git's proc-receive hook was killed");
}

static void
on_stream(struct stream *s, enum stream_event ev, void *arg)
{
	struct hook_conn *c = OBJ_FROM(arg, struct hook_conn, HOOK_CONN_MAGIC);
	struct pushes *all = c->all;
	struct pktline pkt;
	struct buf lines;
	ssize_t n = 0;

	if (ev == STREAM_DEAD || (ev == STREAM_READABLE && stream_at_end(s))) {
		hung_up(c);
		return;
	}
	if (ev != STREAM_READABLE)
		return;
	while (stream_readable(s) > 0) {
		struct slice in = stream_peek(s, PKTLINE_MAX);

		n = pktline_parse(&pkt, in);
		if (n <= 0)
			break;
		if (pkt.kind == PKTLINE_DATA) {
			buf_add_slice(&c->lines, pktline_text(&pkt));
			buf_add_byte(&c->lines, '\n');
			stream_take(s, (size_t)n);
			continue;
		}
		stream_take(s, (size_t)n);
		/* The connection may end by it, and no second message comes unasked. */
		lines = c->lines;
		buf_init(&c->lines, MAX_LINES);
		on_message(c, buf_slice(&lines));
		buf_release(&lines);
		/* An end that came with the message is told by no further event. */
		if (is_open(all, c) && stream_at_end(c->stream))
			hung_up(c);
		return;
	}
	if (n < 0 || !buf_ok(&c->lines))
		conn_free(c);
}

static void
on_connect(struct stream *s, void *arg)
{
	struct pushes *all = arg;
	struct hook_conn *c = MEM_NEW(struct hook_conn);

	c->magic = HOOK_CONN_MAGIC;
	c->all = all;
	c->stream = s;
	buf_init(&c->lines, MAX_LINES);
	LIST_INSERT_HEAD(&all->conns, c, next);
	stream_on(s, on_stream, c);
}

int
push_hook_listen(struct pushes *all, struct err *err)
{
	LIST_INIT(&all->conns);
	return unix_server_new(&all->server, all->serve->loop, all->serve->sock, on_connect, all,
			       err);
}

void
push_hook_close(struct pushes *all)
{
	unix_server_free(&all->server);
	while (!LIST_EMPTY(&all->conns))
		conn_free(LIST_FIRST(&all->conns));
}
