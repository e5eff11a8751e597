/* replica/serve/push_commit.c - from accepted objects to moved refs, under the repository's lock.
 *
 *	durable		our own copy of the pack, its folder included, is on disk
 *	locked		first come, first served
 *	proved		a strict read: we still reign, and all that was committed is applied here
 *	checked		the refs may move so; what is already so needs no record
 *	appended	one update record (several for a large push that is not atomic)
 *	answered	once it was read back, is effective and applied (R9)
 *
 * While the fate of an append is open the lock stays held, beyond the client's deadline (R5). */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/repo/disk.h"
#include "replica/serve/push_impl.h"
#include "shard-map/commitlog/record.h"

#define MAX_ANSWER (128u << 20)

static void append_next(struct push *);

/* --- answers -------------------------------------------------------------------------------- */

static void
unlink_done(void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);
	struct pushes *all = p->all;
	struct unlinking *u;

	LIST_FOREACH (u, &all->unlinkings, next)
		if (memcmp(u->repo_id, p->repo->id, 16) == 0 &&
		    strcmp(u->name, p->pack->name) == 0) {
			LIST_REMOVE(u, next);
			free(u);
			break;
		}
	p->waits--;
	push_maybe_free(p);
	push_hook_unlinked(all);
}

/* Apply thread, so in order with the records: only a pack that no effective record named goes. */
static void
on_looked_up(int rc, const struct catalog_pack *known UNUSED, void *arg)
{
	static const char *const ends[] = { "idx", "rev", "keep", "pack" };
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);
	char path[DISK_PATH + 128], dir[DISK_PATH];
	bool deleted;

	/* One that is deleted has its folder in the trash; where it was may be another's. */
	pthread_mutex_lock(&p->repo->shared.lock);
	deleted = p->repo->shared.deleted;
	pthread_mutex_unlock(&p->repo->shared.lock);
	if (rc == ERR_NOT_FOUND && !deleted &&
	    repo_dir_of(dir, sizeof(dir), p->serve->repos, p->repo))
		for (size_t i = 0; i < COUNT(ends); i++) {
			snprintf(path, sizeof(path), "%s/objects/pack/pack-%s.%s", dir,
				 p->pack->name, ends[i]);
			unlink(path);
		}
	loop_post(p->serve->loop, unlink_done, p);
}

/* Does this push still need its pack?  One that is over needs it only while it may be committed. */
static bool
needs_pack(const struct push *o)
{
	if (o->hook == HOOK_REFUSED)
		return false;
	return o->hook != HOOK_ANSWERED || o->append_open || o->keep;
}

static bool
pack_in_use(const struct push *p)
{
	const struct push *o;

	LIST_FOREACH (o, &p->all->list, next)
		if (o != p && o->repo == p->repo && o->pack != NULL && o->pack->present &&
		    needs_pack(o) && strcmp(o->pack->name, p->pack->name) == 0)
			return true;
	return false;
}

/* A push that was refused after its objects had migrated leaves none behind, unless an effective
 * record names that very pack, or another push brings it too. */
static void
drop_pack(struct push *p)
{
	struct unlinking *u;

	if (p->keep || p->pack == NULL || !p->pack->present || pack_in_use(p))
		return;
	u = MEM_NEW(struct unlinking);
	memcpy(u->repo_id, p->repo->id, sizeof(u->repo_id));
	memcpy(u->name, p->pack->name, sizeof(u->name));
	LIST_INSERT_HEAD(&p->all->unlinkings, u, next);
	p->waits++;
	apply_find_file(p->serve->apply, p->repo->id, p->pack->pack.sha256, p->pack->name,
			on_looked_up, p);
}

static void
answer(struct push *p)
{
	struct buf lines = BUF_MAX(MAX_ANSWER);

	if (p->hook == HOOK_ANSWERED)
		return;
	p->hook = HOOK_ANSWERED;
	push_hook_say(&lines, &p->say);
	for (size_t i = 0; i < p->n_refs; i++) {
		const struct push_ref *r = &p->refs[i];

		if (r->why != NULL)
			push_hook_add(&lines, "ng %s %s", r->name, r->why);
		else
			push_hook_add(&lines, "ok %s", r->name);
	}
	FAULT("push.before_answer");
	push_hook_answer(p, &lines, true);
	if (p->child != NULL)
		child_is_ending(p->child);
	buf_release(&lines);
}

/* Nothing is open any more: answer, and let others in. */
static void
finish(struct push *p)
{
	answer(p);
	drop_pack(p);
	if (p->stage != NULL)
		stage_send_free(&p->stage, p->keep);
	repo_lock_give(&p->lock);
	timer_free(&p->late);
	push_maybe_free(p);
}

void
push_commit_never(struct push *p)
{
	p->hook = HOOK_REFUSED;
	drop_pack(p);
}

static void refuse_open(struct push *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* All that is neither committed nor already so; an atomic push is answered whole: nothing of it is
 * committed then, and what is already so shares the words of the rest. */
static void
refuse_open(struct push *p, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < p->n_refs; i++)
		if (!p->refs[i].in_record && (p->atomic || !p->refs[i].done))
			push_refuse_ref(&p->refs[i], "%s", text);
}

/* The client's patience ends, the log has not spoken: say so, and keep the lock. */
static void
on_late(void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	if (!p->append_open)
		return; /* nothing is appended after the deadline: whatever is waited for, refuses */
	for (size_t i = p->next_ref - p->in_record; i < p->next_ref; i++)
		if (p->atomic || (p->refs[i].in_record && !p->refs[i].done))
			push_refuse_ref(&p->refs[i], "outcome unknown, push again");
	for (size_t i = p->next_ref; i < p->n_refs; i++)
		if (!p->refs[i].done)
			push_refuse_ref(&p->refs[i], "not tried, push again");
	buf_addf(&p->say,
		 "error: the commit log did not answer in time: outcome unknown, push again\n");
	log_warn(p->request, "push-unknown", "repo=%s", p->path.repo.path);
	answer(p);
}

/* --- the record ----------------------------------------------------------------------------- */

static struct record_oid
to_record(const struct oid *o)
{
	struct record_oid r;

	_Static_assert(sizeof(struct record_oid) == sizeof(struct oid), "one layout");
	memcpy(&r, o, sizeof(r));
	return r;
}

static void
on_fate(enum shard_fate fate, uint64_t offset, const char *why, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);
	size_t from = p->next_ref - p->in_record;

	p->append_open = false;
	if (fate == SHARD_COMMITTED) {
		FAULT("push.after_apply");
		p->committed = true;
		p->keep = true;
		log_debug(p->request, "committed", "repo=%s offset=%" PRIu64, p->path.repo.path,
			  offset);
		for (size_t i = from; i < p->next_ref; i++)
			p->refs[i].done = p->refs[i].done || p->refs[i].in_record;
		append_next(p);
		return;
	}
	for (size_t i = from; i < p->next_ref; i++)
		p->refs[i].in_record = false;
	if (fate == SHARD_DEAD)
		refuse_open(p, "%s",
			    why != NULL && why[0] != '\0' ? why : "not committed; push again");
	else
		refuse_open(p, "outcome unknown, push again");
	p->keep = p->keep || fate == SHARD_UNKNOWN;
	finish(p);
}

static void
fill_pack(struct record_pack *out, const struct pushed_pack *pack)
{
	*out = (struct record_pack){ .inlined = pack->inlined,
				     .size = pack->pack.size,
				     .idx_size = pack->idx.size,
				     .name = pack->name };
	memcpy(out->sha256, pack->pack.sha256, sizeof(out->sha256));
	memcpy(out->idx_sha256, pack->idx.sha256, sizeof(out->idx_sha256));
	if (pack->inlined) {
		out->pack = buf_slice(&pack->pack.bytes);
		out->idx = buf_slice(&pack->idx.bytes);
	}
}

/* Takes refs from next_ref on as far as they fit into one record; they get in_record. */
static size_t
choose_refs(struct push *p, struct record_ref *out, struct refset_change *change, size_t room)
{
	size_t n = 0, at;

	for (at = p->next_ref; at < p->n_refs; at++) {
		struct push_ref *r = &p->refs[at];
		size_t size = record_ref_size(r->name, p->oid_len);

		if (r->why != NULL || r->done)
			continue;
		if (size > room || n == RECORD_REFS_MAX)
			break;
		room -= size;
		out[n].name = r->name;
		out[n].old = to_record(&r->old);
		out[n].new = to_record(&r->new);
		change[n].name = r->name;
		change[n].oid = r->new;
		r->in_record = true;
		n++;
	}
	p->in_record = at - p->next_ref;
	p->next_ref = at;
	return n;
}

static int
append_update(struct push *p, struct record *r, struct refset_change *change, size_t n,
	      struct err *err)
{
	struct shard_asker asker = {
		.done = on_fate, .arg = p, .repo = p->path.repo.path, .request = p->request
	};
	bool ok;

	r->update.config = shard_state(p->shard)->config;
	r->update.oid_len = p->oid_len;
	memcpy(r->update.id, p->repo->id, sizeof(r->update.id));
	memcpy(r->update.push, p->id, sizeof(r->update.push));
	pthread_mutex_lock(&p->repo->shared.lock);
	ok = p->repo->shared.refs != NULL;
	if (ok)
		refset_digest_after(p->repo->shared.refs, change, n, NULL, r->update.digest);
	pthread_mutex_unlock(&p->repo->shared.lock);
	if (!ok)
		return err_set(err, ERR_UNAVAILABLE, "the primary is out of memory; push again");
	FAULT("push.before_append");
	/* R8: counted in one step with giving seq. */
	if (p->stage_needed && !p->appended && !stage_send_enough(p->stage))
		return err_set(
			err, ERR_UNAVAILABLE,
			"quorum not reached any more: the shard's members changed; push again");
	p->append_open = true;
	return shard_append(p->shard, r, &asker, err);
}

/* The next record of this push, or the end of it. */
static void
append_next(struct push *p)
{
	struct record r = { .type = RECORD_UPDATE };
	struct record_pack pack;
	struct record_ref *refs = mem_array(p->n_refs, sizeof(*refs));
	struct refset_change *change = mem_array(p->n_refs, sizeof(*change));
	size_t room = RECORD_UPDATE_ROOM, n, left = 0;
	struct err err = { 0 };
	int rc = 0;

	if (p->pack != NULL && p->pack->present && !p->appended) {
		fill_pack(&pack, p->pack);
		r.update.packs = &pack;
		r.update.n_packs = 1;
		room -= record_pack_size(&pack);
	}
	n = choose_refs(p, refs, change, room);
	for (size_t i = p->next_ref; i < p->n_refs; i++)
		left += p->refs[i].why == NULL && !p->refs[i].done;
	if (p->atomic && left > 0) {
		for (size_t i = 0; i < p->n_refs; i++)
			p->refs[i].in_record = false;
		refuse_open(p,
			    "an atomic push may move about %u refs at once; push fewer, or "
			    "without --atomic",
			    RECORD_REFS_MAX);
		n = 0;
	}
	if (n > 0) {
		r.update.refs = refs;
		r.update.n_refs = n;
		rc = append_update(p, &r, change, n, &err);
		if (rc == 0) {
			p->appended = true;
			FAULT("push.after_append");
		}
	}
	free(refs);
	free(change);
	if (rc != 0) {
		p->append_open = false;
		for (size_t i = p->next_ref - p->in_record; i < p->next_ref; i++)
			p->refs[i].in_record = false;
		refuse_open(p, "%s", err_text(&err));
	}
	if (rc != 0 || n == 0)
		finish(p);
}

/* --- lock, proof, check --------------------------------------------------------------------- */

static void
check(struct push *p)
{
	p->oid_len = (uint8_t)oid_size(p->repo->format);
	/* What git and we saw of its folder meanwhile may be less than was there. */
	if (p->vacated || repo_moves(p->repo) != p->moves)
		refuse_open(p, "the repository was renamed meanwhile; push again");
	if (!push_check(p, &p->say))
		refuse_open(p, "the repository is out of service on its primary; push again");
	for (size_t i = 0; i < p->n_refs; i++)
		if (p->refs[i].done && oid_is_zero(&p->refs[i].old) && oid_is_zero(&p->refs[i].new))
			buf_addf(&p->say, "warning: deleting a non-existent ref\n");
	p->next_ref = 0;
	p->in_record = 0;
	append_next(p);
}

static void
on_applied(int rc, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	p->waits--;
	/* Nothing is asked of the log so late that nobody would tell the client (on_late). */
	if (rc != 0 || clock_boot_ns() > p->deadline_ns) {
		refuse_open(p, "the primary is catching up; push again");
		finish(p);
		return;
	}
	check(p);
}

static void
on_proof(int rc, uint64_t position, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	p->waits--;
	if (rc != 0) {
		refuse_open(p, rc == ERR_WRONG_NODE
				       ? "this node is not the primary any more; push again"
				       : "the commit log does not answer; nothing was changed, "
					 "push again");
		finish(p);
		return;
	}
	p->waits++;
	shard_wait(p->shard, p->repo, position, p->deadline_ns, on_applied, p);
}

static void
on_lock(int rc, void *arg)
{
	struct push *p = OBJ_FROM(arg, struct push, PUSH_MAGIC);

	p->waits--;
	if (rc != 0) {
		p->lock = NULL; /* the place in the queue is gone */
		refuse_open(p, "other pushes to this repository took too long; push again");
		finish(p);
		return;
	}
	p->waits++;
	shard_read_primary(p->shard, on_proof, p);
}

/* --- our own copy --------------------------------------------------------------------------- */

struct own_copy {
	struct push *push;
	char dir[DISK_PATH], file[DISK_PATH + 128];
	uint64_t size;
	struct err err;
};

static void
sync_copy(void *arg)
{
	struct own_copy *c = arg;

	c->err.code = disk_sync_dir(c->dir, &c->err);
	if (c->err.code == 0 && disk_size(c->file) != (int64_t)c->size)
		err_set(&c->err, ERR_IO, "the pushed pack is not where git should have put it");
}

static void
take_lock(struct push *p)
{
	p->late = timer_new(p->serve->loop, on_late, p);
	timer_set(p->late, p->serve->push_msec);
	p->waits++;
	p->lock = repo_lock_take(p->all->locks, p->repo->id, p->deadline_ns, on_lock, p);
}

static void
on_synced(void *arg)
{
	struct own_copy *c = arg;
	struct push *p = c->push;
	struct err err = c->err;

	free(c);
	p->waits--;
	if (err.code != 0) {
		refuse_open(p, "%s", err_text(&err));
		finish(p);
		return;
	}
	if (p->stage != NULL)
		stage_send_self(p->stage);
	take_lock(p);
}

void
push_commit_begin(struct push *p)
{
	struct own_copy *c;
	char dir[DISK_PATH - 32];

	p->hook = HOOK_COMMITTING;
	p->deadline_ns = clock_boot_ns() + p->serve->push_msec * CLOCK_MSEC;
	if (p->atomic && p->n_refs < p->req.n_commands)
		for (size_t i = 0; i < p->n_refs; i++)
			push_refuse_ref(&p->refs[i], "atomic push failure");
	if (p->pack == NULL || !p->pack->present) {
		take_lock(p);
		return;
	}
	c = MEM_NEW(struct own_copy);
	c->push = p;
	c->size = p->pack->pack.size;
	if (repo_dir_of(dir, sizeof(dir), p->serve->repos, p->repo)) {
		snprintf(c->dir, sizeof(c->dir), "%s/objects/pack", dir);
		snprintf(c->file, sizeof(c->file), "%s/pack-%s.pack", c->dir, p->pack->name);
	}
	p->waits++;
	work_do(p->serve->work, sync_copy, on_synced, c);
}

/* --- the room ------------------------------------------------------------------------------- */

int
pushes_new(struct pushes **out, struct serve *s, struct err *err)
{
	struct pushes *all = MEM_NEW(struct pushes);
	int rc;

	all->serve = s;
	LIST_INIT(&all->list);
	LIST_INIT(&all->unlinkings);
	all->locks = repo_locks_new(s->loop);
	rc = push_hook_listen(all, err);
	if (rc != 0) {
		repo_locks_free(&all->locks);
		free(all);
		return rc;
	}
	*out = all;
	return 0;
}

void
pushes_free(struct pushes **allp)
{
	struct pushes *all = *allp;
	struct unlinking *u;

	if (all == NULL)
		return;
	*allp = NULL;
	push_hook_close(all);
	while (!LIST_EMPTY(&all->list))
		push_drop(LIST_FIRST(&all->list));
	while ((u = LIST_FIRST(&all->unlinkings)) != NULL) {
		LIST_REMOVE(u, next);
		free(u);
	}
	repo_locks_free(&all->locks);
	free(all);
}
