/* replica/replica_apply.c - the apply engine tells its events on its own thread; here they become
 * messages to the loop, in order. */
#include <inttypes.h>
#include <string.h>

#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/replica_impl.h"
#include "replica/serve/pack_get.h"
#include "replica/serve/stage_hold.h"

struct decided {
	struct replica *replica;
	size_t n;
	struct apply_note *notes[];
};

static void
loop_decided(void *arg)
{
	struct decided *d = arg;

	for (size_t i = 0; i < d->n; i++) {
		struct apply_note *a = d->notes[i];
		struct shard_note n = { .offset = a->offset,
					.read_ns = a->read_ns,
					.verdict = a->verdict,
					.record = a->record,
					.hash = a->hash,
					.why = a->why };

		shards_on_note(d->replica->shards, a->shard, &n);
		stage_hold_on_note(d->replica->serve.holds, a->shard, a->offset, a->record,
				   a->verdict);
		if (i + 1 == d->n || d->notes[i + 1]->shard != a->shard)
			shards_on_read(d->replica->shards, a->shard);
		apply_note_unref(&d->notes[i]);
	}
	free(d);
}

static void
drop_decided(void *arg)
{
	struct decided *d = arg;

	for (size_t i = 0; i < d->n; i++)
		apply_note_unref(&d->notes[i]);
	free(d);
}

static void
on_decided(struct apply_note **notes, size_t n, void *arg)
{
	struct replica *r = arg;
	struct decided *d = mem_alloc(sizeof(*d) + n * sizeof(*notes));

	d->replica = r;
	d->n = n;
	memcpy(d->notes, notes, n * sizeof(*notes));
	loop_post_owned(r->loop, loop_decided, d, drop_decided);
}

/* The other events are small: one struct serves all. */
struct event {
	struct replica *replica;
	uint32_t shard;
	uint64_t next;
	struct apply_need need;
	struct err err;
	uint8_t repo_id[16];
};

static struct event *
new_event(void *arg, uint32_t shard)
{
	struct event *e = MEM_NEW(struct event);

	e->replica = arg;
	e->shard = shard;
	return e;
}

static void
loop_applied(void *arg)
{
	struct event *e = arg;

	shards_on_applied(e->replica->shards, e->shard, e->next);
	stage_hold_on_applied(e->replica->serve.holds, e->shard, e->next);
	free(e);
}

static void
on_applied(uint32_t shard, uint64_t next, void *arg)
{
	struct event *e = new_event(arg, shard);

	e->next = next;
	loop_post_owned(e->replica->loop, loop_applied, e, free);
}

static void
count_missing(struct replica *r, uint32_t shard)
{
	struct shard *s = shards_get(r->shards, shard);

	if (s != NULL)
		shard_set_missing(s, apply_shard_missing(r->apply, shard));
}

static void
loop_need(void *arg)
{
	struct event *e = arg;

	log_info("-", "need-pack", "shard=%" PRIu32 " offset=%" PRIu64 " bytes=%" PRIu64,
		 e->need.shard, e->need.offset, e->need.pack_size);
	count_missing(e->replica, e->need.shard);
	pack_get(e->replica->serve.wants, &e->need);
	free(e);
}

static void
on_need(const struct apply_need *need, void *arg)
{
	struct event *e = new_event(arg, need->shard);

	e->need = *need;
	loop_post_owned(e->replica->loop, loop_need, e, free);
}

static void
loop_whole(void *arg)
{
	struct event *e = arg;
	struct repo *repo = repo_find_id(e->replica->repos, e->repo_id);

	if (repo != NULL) {
		count_missing(e->replica, repo->shard);
		shards_on_whole(e->replica->shards, repo->shard);
		pack_get_on_whole(e->replica->serve.wants, e->repo_id);
	}
	repo_unref(&repo);
	free(e);
}

static void
on_whole(const uint8_t repo_id[16], void *arg)
{
	struct event *e = new_event(arg, 0);

	memcpy(e->repo_id, repo_id, sizeof(e->repo_id));
	loop_post_owned(e->replica->loop, loop_whole, e, free);
}

static void
loop_halted(void *arg)
{
	struct event *e = arg;

	log_error("-", "halted", "shard=%" PRIu32 " why=%s", e->shard,
		  log_value(err_text(&e->err), strlen(err_text(&e->err))));
	shards_on_halt(e->replica->shards, e->shard, &e->err);
	replica_place_halted(e->replica, e->shard, &e->err);
	free(e);
}

static void
on_halted(uint32_t shard, const struct err *err, void *arg)
{
	struct event *e = new_event(arg, shard);

	e->err = *err;
	loop_post_owned(e->replica->loop, loop_halted, e, free);
}

static void
loop_stuck(void *arg)
{
	struct event *e = arg;

	shards_on_stuck(e->replica->shards, e->shard, &e->err);
	free(e);
}

static void
on_stuck(uint32_t shard, const struct err *err, void *arg)
{
	struct event *e = new_event(arg, shard);

	e->err = *err;
	loop_post_owned(e->replica->loop, loop_stuck, e, free);
}

static void
loop_resumed(void *arg)
{
	struct event *e = arg;

	shards_on_stuck(e->replica->shards, e->shard, NULL);
	free(e);
}

static void
on_resumed(uint32_t shard, void *arg)
{
	struct event *e = new_event(arg, shard);

	loop_post_owned(e->replica->loop, loop_resumed, e, free);
}

struct packed {
	struct replica *replica;
	uint8_t repo_id[16];
	uint64_t bytes;
};

static void
loop_packed(void *arg)
{
	struct packed *p = arg;

	if (p->replica->repacks != NULL)
		repacks_packed(p->replica->repacks, p->repo_id, p->bytes);
	free(p);
}

static void
on_packed(const uint8_t repo_id[16], uint64_t bytes, void *arg)
{
	struct packed *p = MEM_NEW(struct packed);

	p->replica = arg;
	memcpy(p->repo_id, repo_id, sizeof(p->repo_id));
	p->bytes = bytes;
	loop_post_owned(p->replica->loop, loop_packed, p, free);
}

struct vacated {
	struct replica *replica;
	uint8_t repo_id[16];
};

static void
loop_vacate(void *arg)
{
	struct vacated *v = arg;
	struct repo *repo = repo_find_id(v->replica->repos, v->repo_id);

	if (repo != NULL)
		child_vacate(v->replica->children, repo);
	repo_unref(&repo);
	free(v);
}

static void
on_vacate(const uint8_t repo_id[16], void *arg)
{
	struct vacated *v = MEM_NEW(struct vacated);

	v->replica = arg;
	memcpy(v->repo_id, repo_id, sizeof(v->repo_id));
	loop_post_owned(v->replica->loop, loop_vacate, v, free);
}

int
replica_apply_start(struct replica *r, struct err *err)
{
	const struct replica_conf *c = r->conf;
	struct apply_opts o = { .root = c->root,
				.data = r->dirs.data,
				.hooks = r->dirs.hooks,
				.refs_max_bytes = c->refs_memory,
				.projection_check_msec = c->projection_check,
				.trash_sec = c->trash_grace / 1000,
				.events = { .decided = on_decided,
					    .applied = on_applied,
					    .need = on_need,
					    .whole = on_whole,
					    .halted = on_halted,
					    .stuck = on_stuck,
					    .resumed = on_resumed,
					    .packed = on_packed,
					    .vacate = on_vacate,
					    .arg = r } };

	return apply_new(&r->apply, r->catalog, r->repos, &o, err);
}
