/* replica/replica_place.c - which shards the map wishes on this node, and following their streams.
 *
 * A shard begins with a look at the log: its last records are compared with the hashes that we
 * remember (R12), its end is asked for, so that no useless claim is made; then it is read from
 * where the catalog stands. */
#include <inttypes.h>
#include <string.h>

#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/replica_impl.h"
#include "replica/serve/stage_hold.h"
#include "replica/serve/stage_slot.h"
#include "replica/serve/status_feed.h"

#define AGAIN_MSEC 1000 /* before a log that did not answer is asked again */

struct look {
	struct replica *replica;
	uint32_t shard;
	bool trust; /* after a record whose writer had seen another log */
	struct verdict_state state;
	uint64_t end;
	struct err err;
	struct timer *again;
};

static void look_at_log(struct replica *, uint32_t shard, bool trust);

bool
replica_place_ready(const struct replica *r, size_t shard)
{
	const struct place *p = &r->places[shard];
	struct shard *s = shards_get(r->shards, (uint32_t)shard);

	return p->state == PLACE_FOLLOWING && s != NULL && shard_halted(s) == NULL &&
	       shard_applied(s) >= p->start_end && (shard_epoch(s) > 0);
}

/* What was read of the log is not in it any more.  What is here is kept: with the log it came from,
 * the shard goes on. */
void
replica_place_stop(struct replica *r, uint32_t shard, const char *event, const struct err *why)
{
	struct err err;

	err_set(&err, ERR_CORRUPT,
		"%s; nothing is written to this shard, and its copy here is kept as it is: bring "
		"the "
		"log back that was read, then start this node again",
		err_text(why));
	log_error("-", event, "shard=%" PRIu32 " why=%s", shard,
		  log_value(err_text(&err), strlen(err_text(&err))));
	r->places[shard].state = PLACE_BROKEN;
	/* What another log says from there on is not applied to this copy. */
	commitlog_unread(r->log, shard);
	apply_unfollow(r->apply, shard);
	shards_on_halt(r->shards, shard, &err);
}

/* --- reading -------------------------------------------------------------------------------- */

static void
on_records(uint32_t stream, const struct commitlog_record *recs, size_t n, void *arg)
{
	struct replica *r = arg;

	apply_records(stream, recs, n, r->apply);
}

struct trouble {
	struct replica *replica;
	uint32_t shard;
	struct err err;
};

static void
loop_trouble(void *arg)
{
	struct trouble *t = arg;
	struct replica *r = t->replica;

	if (t->err.code == ERR_UNAVAILABLE || t->err.code == ERR_OK) {
		replica_log_trouble(r, &t->err);
	} else {
		replica_place_stop(r, t->shard, "log-broken", &t->err);
	}
	free(t);
}

static void
on_trouble(uint32_t stream, const struct err *err, void *arg)
{
	struct replica *r = arg;
	struct trouble *t = MEM_NEW(struct trouble);

	t->replica = r;
	t->shard = stream;
	t->err = *err;
	loop_post_owned(r->loop, loop_trouble, t, free);
}

/* --- the first look ------------------------------------------------------------------------- */

static void
run_look(void *arg)
{
	struct look *l = arg;
	uint64_t first;
	int rc;

	/* What is known of a shard is known also when its log is another one. */
	rc = apply_shard_state(l->replica->apply, l->shard, &l->state, &l->err);
	if (rc == 0)
		rc = apply_recheck(l->replica->apply, l->replica->log, l->shard, UINT64_MAX,
				   &l->err);
	if (rc == 0)
		rc = commitlog_ends(l->replica->log, l->shard, &first, &l->end, &l->err);
	l->err.code = rc;
}

static void
on_again(void *arg)
{
	struct look *l = arg;

	timer_free(&l->again);
	look_at_log(l->replica, l->shard, l->trust);
	free(l);
}

static void
on_look(void *arg)
{
	struct look *l = arg;
	struct replica *r = l->replica;
	struct place *p = &r->places[l->shard];
	uint8_t hash[32];
	struct shard *s;

	if (l->err.code != 0 && l->err.code != ERR_CORRUPT) {
		log_warn("-", "log-look", "shard=%" PRIu32 " why=%s", l->shard,
			 log_value(err_text(&l->err), strlen(err_text(&l->err))));
		replica_log_trouble(r, &l->err);
		l->again = timer_new(r->loop, on_again, l);
		timer_set(l->again, AGAIN_MSEC);
		return;
	}
	apply_shard_hash(r->apply, l->shard, hash);
	s = shards_add(r->shards, l->shard, &l->state, hash);
	stage_hold_on_state(r->serve.holds, l->shard, &l->state);
	if (l->err.code == ERR_CORRUPT) {
		replica_place_stop(r, l->shard, "log-cut", &l->err);
		free(l);
		return;
	}
	replica_log_trouble(r, &(struct err){ 0 });
	p->state = PLACE_FOLLOWING;
	p->start_end = l->end;
	shard_set_missing(s, apply_shard_missing(r->apply, l->shard));
	shards_on_halt(r->shards, l->shard, NULL);
	commitlog_unread(r->log, l->shard);
	if (l->trust)
		apply_trust(r->apply, l->shard, l->state.next);
	apply_follow(r->apply, l->shard, r->serve.cluster);
	commitlog_read(r->log, l->shard, l->state.next, on_records, on_trouble, r);
	shard_set_log_end(s, l->end);
	shard_set_preferred(s, p->preferred);
	free(l);
}

static void
look_at_log(struct replica *r, uint32_t shard, bool trust)
{
	struct look *l = MEM_NEW(struct look);

	l->replica = r;
	l->shard = shard;
	l->trust = trust;
	r->places[shard].state = PLACE_CHECKING;
	work_do(r->work, run_look, on_look, l);
}

void
replica_place_start(struct replica *r, uint32_t shard)
{
	look_at_log(r, shard, false);
}

/* R12: another writer's record names a hash that is not ours.  The log itself says who is wrong. */
void
replica_place_halted(struct replica *r, uint32_t shard, const struct err *why)
{
	if (why->code == ERR_CONFLICT && shard < r->n_places &&
	    r->places[shard].state == PLACE_FOLLOWING)
		look_at_log(r, shard, true);
}

/* --- the map -------------------------------------------------------------------------------- */

static void
put_peers(struct replica *r, const struct map *m)
{
	for (uint32_t i = 0; i < m->nnodes; i++)
		if (m->nodes[i].id != r->serve.self)
			peers_put(r->peers, m->nodes[i].id, m->nodes[i].addr);
}

static void
grow_places(struct replica *r, size_t n)
{
	if (n <= r->n_places)
		return;
	r->places = mem_resize(r->places, n * sizeof(*r->places));
	memset(r->places + r->n_places, 0, (n - r->n_places) * sizeof(*r->places));
	r->n_places = n;
}

/* A shard that the map wishes here, or wished here before: what is here is followed on, since who
 * belongs to a shard stands in its own stream. */
static void
place_shard(struct replica *r, const struct map *m, uint32_t shard)
{
	uint32_t n;
	const uint32_t *members = map_members(m, shard, &n);
	struct shard *s;

	if (!map_is_member(m, shard, r->serve.self))
		return;
	r->places[shard].preferred = n > 0 && members[0] == r->serve.self;
	if (r->places[shard].state == PLACE_NONE) {
		replica_place_start(r, shard);
		return;
	}
	s = shards_get(r->shards, shard);
	if (s != NULL)
		shard_set_preferred(s, r->places[shard].preferred);
}

static void
on_map(const struct map *m, bool from_log, void *arg)
{
	struct replica *r = arg;
	const struct map_node *self = map_node_named(m, r->conf->name);

	log_info("-", "map", "version=%" PRIu64 " from=%s node=%s", m->version,
		 from_log ? "log" : "cache", self != NULL ? "member" : "unknown");
	map_unref(&r->serve.map);
	r->serve.map = map_ref(m);
	memcpy(r->serve.cluster, m->uuid, sizeof(r->serve.cluster));
	r->serve.directory = map_follow_directory(r->follow);
	status_feed_map_changed(r->serve.feed);
	if (self == NULL)
		return;
	r->serve.self = self->id;
	shards_set_self(r->shards, self->id, m->uuid);
	put_peers(r, m);
	stage_slots_set_peers(r->serve.slots, m->nnodes - 1);
	grow_places(r, m->nshards);
	for (uint32_t i = 0; i < m->nshards; i++)
		place_shard(r, m, i);
}

static void
on_map_trouble(const struct err *err, void *arg UNUSED)
{
	log_error("-", "map-trouble", "why=%s", log_value(err_text(err), strlen(err_text(err))));
}

void
replica_follow_map(struct replica *r)
{
	struct map_follow_opts o = { .log = r->log,
				     .loop = r->loop,
				     .cluster = r->conf->cluster,
				     .cache = r->dirs.map_cache,
				     .on_map = on_map,
				     .on_trouble = on_map_trouble,
				     .arg = r };

	r->follow = map_follow_new(&o);
	r->serve.directory_log = map_follow_directory_log(r->follow);
}
