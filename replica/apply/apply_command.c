/* What others ask of the engine, in the order of asking; each runs on the engine's thread. */
#include "gitproto/base/check.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"

/* Begins with the state that is stored, or with none. */
static void
follow(struct apply *a, const struct apply_command *c)
{
	struct apply_shard *s = apply_make_shard(a, c->shard);
	struct err err;

	s->followed = s->fresh = true;
	s->halted = s->stuck = false;
	if (s->state.next == 0) {
		pthread_mutex_lock(&a->lock);
		verdict_init(&s->state, c->cluster, c->shard);
		s->stored = s->state;
		pthread_mutex_unlock(&a->lock);
	} else if (memcmp(s->state.cluster, c->cluster, sizeof(c->cluster)) != 0) {
		err_set(&err, ERR_REFUSED,
			"shard %u on this disk is of another cluster: start with an empty data "
			"directory",
			c->shard);
		apply_halt(a, s, &err);
	}
}

static void
unfollow(struct apply *a, const struct apply_command *c)
{
	struct apply_shard *s = apply_find_shard(a, c->shard);

	if (s != NULL)
		s->followed = s->stuck = false;
}

static void
load(struct apply *a, const struct apply_command *c)
{
	struct apply_repo *r = apply_repo_find(a, c->repo->id);
	struct err err = { 0 };
	int rc = ERR_NOT_FOUND;

	if (r != NULL && !r->gone) {
		rc = apply_repo_load(a, r, &err);
		if (rc == 0 && !r->checked && !r->in_batch)
			apply_folder_check(a, r);
		if (rc < 0)
			log_error("-", "apply.load", "repo=%s why=%s", r->path, err.text);
	}
	c->loaded(c->repo, rc, c->arg);
	if (rc == 0)
		apply_repo_unload_some(a);
}

/* A pack is named by its bytes: one that is pushed may be the very one that repacking made. */
static int
find_file(struct apply *a, const struct apply_command *c, struct err *err)
{
	enum catalog_pack_kind kind;
	int rc = catalog_pack_kind(a->catalog, c->id, c->name, &kind, err);

	return rc < 0 ? rc : kind == CATALOG_PACK_UNKNOWN ? ERR_NOT_FOUND : 0;
}

static void
find(struct apply *a, const struct apply_command *c)
{
	struct catalog_pack pack;
	struct err err = { 0 };
	int rc = catalog_find_pack(a->catalog, c->id, c->sha256, &pack, &err);

	if (rc == ERR_NOT_FOUND && c->name[0] != '\0')
		rc = find_file(a, c, &err);
	if (rc < 0 && rc != ERR_NOT_FOUND)
		log_error("-", "apply.find_pack", "why=%s", err.text);
	c->found(rc, rc == 0 ? &pack : NULL, c->arg);
}

static void
check(struct apply *a, const struct apply_command *c)
{
	struct apply_repo *r = apply_repo_find(a, c->repo->id);

	if (r != NULL)
		apply_folder_check(a, r);
}

static void
trust(struct apply *a, const struct apply_command *c)
{
	struct apply_shard *s = apply_find_shard(a, c->shard);

	if (s != NULL)
		s->trust = c->offset;
}

static void
run_command(struct apply *a, struct apply_command *c)
{
	switch (c->kind) {
	case APPLY_FOLLOW:
		follow(a, c);
		break;
	case APPLY_UNFOLLOW:
		unfollow(a, c);
		break;
	case APPLY_LOAD:
		load(a, c);
		break;
	case APPLY_ARRIVED:
		apply_pack_come(a, c->id, c->sha256, &c->files);
		break;
	case APPLY_CHECK:
		check(a, c);
		break;
	case APPLY_FIND:
		find(a, c);
		break;
	case APPLY_TRUST:
		trust(a, c);
		break;
	case APPLY_ROLL:
		apply_roll_step(a, c);
		break;
	}
	repo_unref(&c->repo);
	free(c);
}

/* The first command; in the middle of a batch only those that read. */
static struct apply_command *
take_command(struct apply *a, bool reading)
{
	struct apply_command *c;

	pthread_mutex_lock(&a->lock);
	STAILQ_FOREACH (c, &a->commands, next) {
		if (!reading || c->kind == APPLY_LOAD || c->kind == APPLY_FIND)
			break;
	}
	if (c != NULL)
		STAILQ_REMOVE(&a->commands, c, apply_command, next);
	pthread_mutex_unlock(&a->lock);
	return c;
}

bool
apply_command_run(struct apply *a, bool reading)
{
	struct apply_command *c = take_command(a, reading);

	if (c != NULL)
		run_command(a, c);
	return c != NULL;
}

void
apply_command_drop(struct apply *a)
{
	struct err stopping = { ERR_UNAVAILABLE, "this node stops" };
	struct apply_command *c;

	while ((c = STAILQ_FIRST(&a->commands)) != NULL) {
		STAILQ_REMOVE_HEAD(&a->commands, next);
		if (c->kind == APPLY_LOAD)
			c->loaded(c->repo, ERR_UNAVAILABLE, c->arg);
		if (c->kind == APPLY_FIND)
			c->found(ERR_UNAVAILABLE, NULL, c->arg);
		if (c->kind == APPLY_ROLL)
			c->roll->done(ERR_UNAVAILABLE, &stopping, c->roll->arg);
		repo_unref(&c->repo);
		free(c);
	}
}

static void
push(struct apply *a, const struct apply_command *what)
{
	struct apply_command *c = mem_dup(what, sizeof(*what));

	pthread_mutex_lock(&a->lock);
	STAILQ_INSERT_TAIL(&a->commands, c, next);
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->lock);
}

/* What an earlier reader of the stream still had on its way: the next one begins again. */
static void
drop_some(struct apply *a, struct apply_items *list, uint32_t shard)
{
	struct apply_item *i, *next;
	struct apply_items keep = STAILQ_HEAD_INITIALIZER(keep);

	for (i = STAILQ_FIRST(list); i != NULL; i = next) {
		next = STAILQ_NEXT(i, next);
		if (i->shard != shard) {
			STAILQ_INSERT_TAIL(&keep, i, next);
			continue;
		}
		a->queued -= i->len + sizeof(*i);
		apply_item_free(&i);
	}
	STAILQ_INIT(list);
	STAILQ_CONCAT(list, &keep);
}

static void
drop_items(struct apply *a, uint32_t shard)
{
	pthread_mutex_lock(&a->lock);
	drop_some(a, &a->held, shard);
	drop_some(a, &a->items, shard);
	pthread_cond_broadcast(&a->room);
	pthread_mutex_unlock(&a->lock);
}

void
apply_follow(struct apply *a, uint32_t shard, const uint8_t cluster_uuid[16])
{
	struct apply_command c = { .kind = APPLY_FOLLOW, .shard = shard };

	memcpy(c.cluster, cluster_uuid, sizeof(c.cluster));
	drop_items(a, shard);
	push(a, &c);
}

void
apply_unfollow(struct apply *a, uint32_t shard)
{
	push(a, &(struct apply_command){ .kind = APPLY_UNFOLLOW, .shard = shard });
}

void
apply_trust(struct apply *a, uint32_t shard, uint64_t offset)
{
	push(a, &(struct apply_command){ .kind = APPLY_TRUST, .shard = shard, .offset = offset });
}

void
apply_load(struct apply *a, struct repo *repo, void (*done)(struct repo *, int rc, void *arg),
	   void *arg)
{
	push(a, &(struct apply_command){
			.kind = APPLY_LOAD, .repo = repo_ref(repo), .loaded = done, .arg = arg });
}

void
apply_pack_arrived(struct apply *a, const uint8_t repo_id[16], const uint8_t pack_sha256[32],
		   const struct apply_pack_files *files)
{
	struct apply_command c = { .kind = APPLY_ARRIVED, .files = *files };

	memcpy(c.id, repo_id, sizeof(c.id));
	memcpy(c.sha256, pack_sha256, sizeof(c.sha256));
	push(a, &c);
}

void
apply_find_pack(struct apply *a, const uint8_t repo_id[16], const uint8_t pack_sha256[32],
		void (*done)(int rc, const struct catalog_pack *, void *arg), void *arg)
{
	apply_find_file(a, repo_id, pack_sha256, "", done, arg);
}

void
apply_find_file(struct apply *a, const uint8_t repo_id[16], const uint8_t pack_sha256[32],
		const char *name, void (*done)(int rc, const struct catalog_pack *, void *arg),
		void *arg)
{
	struct apply_command c = { .kind = APPLY_FIND, .found = done, .arg = arg };

	memcpy(c.id, repo_id, sizeof(c.id));
	memcpy(c.sha256, pack_sha256, sizeof(c.sha256));
	snprintf(c.name, sizeof(c.name), "%s", name);
	push(a, &c);
}

void
apply_roll_kinds(struct apply *a, struct apply_roll *roll)
{
	push(a,
	     &(struct apply_command){ .kind = APPLY_ROLL, .step = APPLY_ROLL_KINDS, .roll = roll });
}

void
apply_roll_in(struct apply *a, struct apply_roll *roll)
{
	push(a, &(struct apply_command){ .kind = APPLY_ROLL, .step = APPLY_ROLL_IN, .roll = roll });
}

void
apply_roll_out(struct apply *a, struct apply_roll *roll)
{
	push(a,
	     &(struct apply_command){ .kind = APPLY_ROLL, .step = APPLY_ROLL_OUT, .roll = roll });
}

void
apply_check_projection(struct apply *a, struct repo *repo)
{
	push(a, &(struct apply_command){ .kind = APPLY_CHECK, .repo = repo_ref(repo) });
}

void
apply_pushes_since(struct apply *a, uint64_t wall_ms)
{
	a->pushes_ms = wall_ms;
}
