#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"
#include "replica/repo/disk.h"

#define TRIES 5 /* a second apart, before one repository is left behind */

void
apply_item_free(struct apply_item **ip)
{
	struct apply_item *i = *ip;

	if (i == NULL)
		return;
	*ip = NULL;
	if (i->decoded)
		record_release(&i->record);
	free(i);
}

/* These are batches of their own (apply_impl.h). */
static bool
is_alone(enum record_type t)
{
	return t == RECORD_CREATE || t == RECORD_DELETE || t == RECORD_RENAME || t == RECORD_META;
}

/* May the record join what is in the batch already? */
static bool
fits(struct apply *a, const struct apply_item *i)
{
	size_t records = a->stuck ? APPLY_STUCK_RECORDS : APPLY_BATCH_RECORDS;
	size_t bytes = a->stuck ? APPLY_STUCK_BYTES : APPLY_BATCH_BYTES;
	const struct apply_repo *r;

	if (a->n == 0)
		return true;
	if (a->n >= records || a->batch_bytes + i->len > bytes || is_alone(i->record.type))
		return false;
	if (i->record.type != RECORD_UPDATE)
		return true;
	if (is_alone(a->batch[0].note->record->type))
		return false;
	r = apply_repo_find(a, i->record.update.id);
	return r == NULL || r->over_names <= APPLY_BATCH_NAMES;
}

/* R12: what the writer had read must be what we read. */
static int
check_seen(const struct apply_shard *s, const struct apply_item *i, struct err *err)
{
	const struct record *r = &i->record;

	if (i->offset == s->trust || r->shard != s->shard ||
	    memcmp(r->cluster, s->state.cluster, sizeof(r->cluster)) != 0)
		return 0;
	switch (runhash_check_record(&s->hash, r)) {
	case RUNHASH_SAME:
	case RUNHASH_OLD:
		return 0;
	case RUNHASH_AHEAD:
	case RUNHASH_DIFFERS:
		break;
	}
	return err_set(
		err, ERR_CONFLICT,
		"shard %u: the writer of record %llu had read another log up to offset %llu: "
		"the log was cut, or that writer is wrong",
		s->shard, (unsigned long long)i->offset, (unsigned long long)r->seen);
}

/* A create or rename onto a path that a repository of another shard has: the two streams do not
 * know of each other, and one folder cannot hold both. */
static int
check_path(struct apply *a, const struct apply_shard *s, const struct record *r, struct err *err)
{
	const char *path = r->type == RECORD_CREATE ? r->create.path : r->rename.path;
	struct repo *there = repo_find(a->table, path);
	uint32_t other = there != NULL ? there->shard : s->shard;
	int rc = 0;

	if (r->type == RECORD_CREATE && other == s->shard) {
		struct apply_repo *same = apply_repo_find(a, r->create.id);

		other = same != NULL ? same->repo->shard : s->shard;
	}
	if (other != s->shard)
		rc = err_set(
			err, ERR_EXISTS,
			"shard %u: '%s' is taken by a repository of shard %u: rename or delete "
			"that one",
			s->shard, path, other);
	repo_unref(&there);
	return rc;
}

/* Everything that may stop the shard instead of a verdict; err in words. */
static int
judge(struct apply *a, struct apply_shard *s, struct apply_item *i, struct err *why,
      struct err *err)
{
	struct apply_content_arg arg = { a, s, { 0 } };
	const struct verdict_content content = apply_content(&arg);
	struct apply_repo *r = NULL;
	int v, rc = check_seen(s, i, err);

	if (rc < 0)
		return rc;
	if (i->record.type == RECORD_UPDATE)
		r = apply_repo_find(a, i->record.update.id);
	if (r != NULL && (rc = apply_repo_load(a, r, err)) < 0)
		return rc;
	v = verdict_check(&s->state, i->offset, &i->record, &content, why);
	if (v < 0)
		return arg.err.code != 0 ? err_set(err, v, "%s", arg.err.text)
					 : err_set(err, v, "%s", err_default_text(v));
	if (i->offset == 0 && v != VERDICT_EFFECTIVE)
		return err_set(err, ERR_BAD,
			       "shard %u: the log does not begin with this cluster's genesis: it "
			       "belongs to another cluster or was made anew",
			       s->shard);
	if (v == VERDICT_EFFECTIVE &&
	    (i->record.type == RECORD_CREATE || i->record.type == RECORD_RENAME))
		rc = check_path(a, s, &i->record, err);
	return rc < 0 ? rc : v;
}

/* Is it an error that time may heal, by the same record again? */
static bool
may_pass(int rc)
{
	return rc == ERR_IO || rc == ERR_FULL || rc == ERR_NOMEM || rc == ERR_UNAVAILABLE;
}

static struct apply_note *
make_note(struct apply_item *i, const struct apply_shard *s, enum verdict v, const struct err *why)
{
	struct apply_note *n = MEM_NEW(struct apply_note);

	n->refs = 1;
	n->shard = i->shard;
	n->offset = i->offset;
	n->read_ns = i->read_ns;
	n->verdict = v;
	n->record = mem_dup(&i->record, sizeof(i->record)); /* moved */
	i->decoded = false;
	memcpy(n->hash, s->hash.now, sizeof(n->hash));
	if (v != VERDICT_EFFECTIVE)
		snprintf(n->why, sizeof(n->why), "%.*s", (int)sizeof(n->why) - 1, why->text);
	return n;
}

static struct apply_repo *
subject(struct apply *a, const struct record *r)
{
	switch (r->type) {
	case RECORD_UPDATE:
		return apply_repo_find(a, r->update.id);
	case RECORD_DELETE:
		return apply_repo_find(a, r->del.id);
	case RECORD_RENAME:
		return apply_repo_find(a, r->rename.id);
	case RECORD_META:
		return apply_repo_find(a, r->meta.id);
	default:
		return NULL;
	}
}

void
apply_batch_touch(struct apply *a, struct apply_repo *r)
{
	if (r->in_batch)
		return;
	r->in_batch = true;
	memcpy(r->next_digest, r->digest, sizeof(r->digest));
	r->next_applied = r->applied;
	STAILQ_INSERT_TAIL(&a->touched, r, touched);
}

/* The verdict is given: state and hash go on, the record joins the batch. */
static void
take(struct apply *a, struct apply_shard *s, struct apply_item *i, enum verdict v,
     const struct err *why)
{
	struct apply_entry *e;

	if (a->n == a->n_room) {
		a->n_room = MAX(2 * a->n_room, (size_t)APPLY_BATCH_RECORDS);
		a->batch = mem_resize(a->batch, a->n_room * sizeof(*a->batch));
	}
	e = &a->batch[a->n++];
	memset(e, 0, sizeof(*e));
	s->fresh = false;
	a->batch_bytes += i->len;
	verdict_advance(&s->state, i->offset, &i->record, v);
	pthread_mutex_lock(&a->lock);
	runhash_add(&s->hash, slice_of(i->bytes, i->len));
	pthread_mutex_unlock(&a->lock);
	if (!s->in_batch) {
		s->in_batch = true;
		STAILQ_INSERT_TAIL(&a->touched_shards, s, touched);
	}
	e->item = i;
	e->s = s;
	if (i->record.type == RECORD_UPDATE) {
		for (size_t k = 0; k < i->record.update.n_packs; k++) {
			e->pack[k] = a->inlined[k][0];
			e->idx[k] = a->inlined[k][1];
		}
	}
	e->note = make_note(i, s, v, why);
	memcpy(e->hash, e->note->hash, sizeof(e->hash));
	if (v != VERDICT_EFFECTIVE)
		return;
	e->r = subject(a, e->note->record);
	if (e->r != NULL)
		apply_batch_touch(a, e->r);
	apply_record_decide(a, e);
}

/* The record of the item, made to last beyond its bytes; of those only inline packs are used
 * further on, which a->inlined remembers until the item is taken. */
static int
decode(struct apply *a, struct apply_shard *s, struct apply_item *i, struct err *err)
{
	int rc;

	if (i->decoded)
		return 0;
	rc = record_decode(&i->record, slice_of(i->bytes, i->len), err);
	if (rc < 0)
		goto out;
	if (i->record.type == RECORD_UPDATE) {
		for (size_t k = 0; k < i->record.update.n_packs; k++) {
			a->inlined[k][0] = i->record.update.packs[k].pack;
			a->inlined[k][1] = i->record.update.packs[k].idx;
		}
	}
	rc = record_keep(&i->record, err);
	i->decoded = rc == 0;
	if (rc < 0)
		record_release(&i->record);
out:
	if (rc < 0)
		err_prefix(err, "shard %u, record %llu", s->shard, (unsigned long long)i->offset);
	return rc;
}

static bool
drop(struct apply_item *i)
{
	apply_item_free(&i);
	return true;
}

bool
apply_batch_add(struct apply *a, struct apply_item *i)
{
	struct apply_shard *s = apply_find_shard(a, i->shard);
	struct err err = { 0 }, why = { 0 };
	int rc;

	if (s == NULL || !s->followed || s->halted || i->offset < s->state.next)
		return drop(i);
	/* What an earlier reader of the stream still hands over until it is stopped. */
	if (s->fresh && i->offset > s->state.next) {
		log_warn("-", "apply.ahead", "shard=%u offset=%llu wanted=%llu", s->shard,
			 (unsigned long long)i->offset, (unsigned long long)s->state.next);
		return drop(i);
	}
	if (i->offset > s->state.next)
		rc = err_set(&err, ERR_BAD,
			     "shard %u: record %llu was handed over, %llu is next: a bug", s->shard,
			     (unsigned long long)i->offset, (unsigned long long)s->state.next);
	else
		rc = decode(a, s, i, &err);
	if (rc == 0 && !fits(a, i))
		return false;
	if (rc == 0)
		rc = judge(a, s, i, &why, &err);
	if (rc >= 0) {
		if (a->n == 0)
			apply_retry_over(a);
		take(a, s, i, (enum verdict)rc, &why);
		return true;
	}
	/* What was decided before is finished first. */
	if (a->n > 0)
		return false;
	if (!may_pass(rc)) {
		apply_halt(a, s, &err);
		return drop(i);
	}
	return apply_wait_retry(a, &err, false) ? apply_batch_add(a, i) : drop(i);
}

static void
tell_decided(struct apply *a)
{
	struct apply_note *notes[APPLY_BATCH_RECORDS];

	while (a->n_told < a->n) {
		size_t n = MIN(a->n - a->n_told, COUNT(notes));

		for (size_t i = 0; i < n; i++) {
			notes[i] = a->batch[a->n_told + i].note;
			__atomic_add_fetch(&notes[i]->refs, 1, __ATOMIC_RELAXED);
		}
		a->n_told += n;
		a->opts.events.decided(notes, n, a->opts.events.arg);
	}
}

void
apply_batch_extend(struct apply *a)
{
	struct apply_item *i;

	while (a->n < APPLY_STUCK_RECORDS && (i = apply_take(a)) != NULL) {
		if (!apply_batch_add(a, i))
			apply_hold(a, i);
	}
	tell_decided(a);
}

/* Is it this repository's folder alone that cannot be written?  A file of our own tells. */
static bool
disk_is_well(struct apply *a)
{
	char path[DISK_PATH];
	bool well;

	if (disk_path(path, NULL, "%s/tmp/probe", a->data) < 0)
		return false;
	unlink(path);
	well = disk_write_new(path, SLICE_LIT("probe"), 0600, NULL) == 0;
	unlink(path);
	return well;
}

/* The repository goes without its packs until they can be fetched and written; the others must
 * not wait for an operator who mends one folder. */
static void
give_up(struct apply *a, struct apply_repo *r, const struct err *err)
{
	log_error("-", "apply.folder", "repo=%s cannot_be_written=%s", r->path, err->text);
	for (size_t i = 0; i < a->n; i++) {
		struct apply_entry *e = &a->batch[i];

		if (e->r != r)
			continue;
		for (size_t k = 0; k < COUNT(e->placed); k++)
			e->placed[k] = APPLY_PACK_MISSING;
		if (e->note->record->type == RECORD_UPDATE && e->note->record->update.n_packs > 0)
			r->lacks = true;
		e->done_disk = true;
	}
	r->sync_packs = false;
}

/* A step for one repository failed; 0: its batch goes on without it. */
static int
judge_failure(struct apply *a, struct apply_repo *r, int rc, const struct err *err)
{
	if (r == NULL || rc == ERR_FULL || rc == ERR_NOMEM || ++r->tries < TRIES ||
	    !disk_is_well(a))
		return rc;
	give_up(a, r, err);
	return 0;
}

static int
do_disk(struct apply *a, struct err *err)
{
	struct apply_repo *r;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->n; i++) {
		struct apply_entry *e = &a->batch[i];

		if (e->done_disk || e->note->verdict != VERDICT_EFFECTIVE)
			continue;
		rc = apply_record_disk(a, e, err);
		FAULT("apply-disk");
		e->done_disk = rc == 0;
		if (rc < 0)
			rc = judge_failure(a, e->r, rc, err);
	}
	STAILQ_FOREACH (r, &a->touched, touched) {
		if (rc < 0 || !r->sync_packs)
			continue;
		rc = apply_pack_sync(a, r, err);
		if (rc < 0)
			rc = judge_failure(a, r, rc, err);
	}
	return rc;
}

static int
store_shard(struct apply *a, const struct apply_shard *s, struct err *err)
{
	struct buf b = BUF_MAX(1u << 20);
	struct catalog_shard row = { .shard = s->shard, .next = s->state.next };
	int rc;

	verdict_state_encode(&b, &s->state);
	CHECK(buf_ok(&b));
	row.state = buf_slice(&b);
	rc = catalog_put_shard(a->catalog, &row, err);
	buf_release(&b);
	return rc;
}

static int
store_all(struct apply *a, struct err *err)
{
	struct apply_shard *s;
	struct apply_repo *r;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->n; i++) {
		const struct apply_entry *e = &a->batch[i];

		rc = catalog_put_hash(a->catalog, e->s->shard, e->note->offset, e->hash, err);
		if (rc == 0 && e->note->verdict == VERDICT_EFFECTIVE)
			rc = apply_record_store(a, &a->batch[i], err);
	}
	STAILQ_FOREACH (r, &a->touched, touched) {
		if (rc == 0 && a->batch[0].note->record->type != RECORD_DELETE)
			rc = apply_repo_store(a, r, err);
	}
	STAILQ_FOREACH (s, &a->touched_shards, touched) {
		if (rc == 0)
			rc = store_shard(a, s, err);
	}
	return rc;
}

static int
do_store(struct apply *a, struct err *err)
{
	int rc = catalog_begin(a->catalog, err);

	if (rc == 0)
		rc = store_all(a, err);
	FAULT("apply-transaction");
	return catalog_end(a->catalog, rc, err);
}

static void
do_show(struct apply *a)
{
	struct apply_shard *s;
	struct apply_repo *r;

	for (size_t i = 0; i < a->n; i++) {
		if (a->batch[i].note->verdict == VERDICT_EFFECTIVE)
			apply_record_show(a, &a->batch[i]);
	}
	STAILQ_FOREACH (r, &a->touched, touched)
		apply_repo_settle(a, r);
	pthread_mutex_lock(&a->lock);
	STAILQ_FOREACH (s, &a->touched_shards, touched) {
		s->stored = s->state;
		memcpy(s->stored_hash, s->hash.now, sizeof(s->stored_hash));
	}
	pthread_mutex_unlock(&a->lock);
}

static int
do_after(struct apply *a, struct err *err)
{
	struct apply_repo *r;
	int rc = 0;

	STAILQ_FOREACH (r, &a->touched, touched) {
		if (r->over != NULL)
			apply_folder_project(a, r);
	}
	for (size_t i = 0; rc == 0 && i < a->n; i++) {
		if (a->batch[i].note->verdict == VERDICT_EFFECTIVE)
			rc = apply_record_after(a, &a->batch[i], err);
	}
	return rc;
}

static void
tell_applied(struct apply *a)
{
	struct apply_shard *s;

	STAILQ_FOREACH (s, &a->touched_shards, touched)
		a->opts.events.applied(s->shard, s->state.next, a->opts.events.arg);
}

static void
clear_repo(struct apply_repo *r)
{
	r->in_batch = r->sync_packs = r->head_changed = r->lacks = false;
	refset_free(&r->over);
	r->over_names = r->tries = 0;
	free(r->next_head);
	free(r->next_why);
	free(r->next_description);
	free(r->next_path);
	r->next_head = r->next_why = r->next_description = r->next_path = NULL;
}

static void
clear(struct apply *a)
{
	struct apply_repo *r;
	struct apply_shard *s;

	while ((r = STAILQ_FIRST(&a->touched)) != NULL) {
		STAILQ_REMOVE_HEAD(&a->touched, touched);
		clear_repo(r);
		if (r->gone)
			apply_repo_forget(a, r);
	}
	while ((s = STAILQ_FIRST(&a->touched_shards)) != NULL) {
		STAILQ_REMOVE_HEAD(&a->touched_shards, touched);
		s->in_batch = false;
	}
	for (size_t i = 0; i < a->n; i++) {
		apply_item_free(&a->batch[i].item);
		apply_note_unref(&a->batch[i].note);
		free(a->batch[i].peeled);
	}
	a->n = a->n_told = 0;
	a->batch_bytes = 0;
}

/* The step until it succeeds; false: the engine is to end. */
static bool
insist(struct apply *a, int (*step)(struct apply *, struct err *), bool extend)
{
	struct err err = { 0 };

	while (step(a, &err) < 0) {
		apply_count(a, &a->counts.retries, 1);
		if (!apply_wait_retry(a, &err, extend))
			return false;
	}
	return true;
}

/* Of all records, those that joined meanwhile too. */
static int
do_durable(struct apply *a, struct err *err)
{
	int rc = do_disk(a, err);

	return rc < 0 ? rc : do_store(a, err);
}

void
apply_batch_run(struct apply *a)
{
	if (a->n == 0)
		return;
	FAULT("apply-read");
	tell_decided(a);
	if (insist(a, do_durable, true)) {
		FAULT("apply-stored");
		do_show(a);
		if (insist(a, do_after, false)) {
			FAULT("apply-files");
			apply_retry_over(a);
			apply_count(a, &a->counts.records, a->n);
			apply_count(a, &a->counts.batches, 1);
			tell_applied(a);
		}
	}
	clear(a);
	apply_hold_over(a);
	apply_repo_unload_some(a);
}
