#include "shard-map/commitlog/map_follow.h"

#include <inttypes.h>
#include <pthread.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/work.h"
#include "shard-map/commitlog/directory_judge.h"
#include "shard-map/commitlog/map_judge.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/map_file.h"

struct map_follow {
	LIST_ENTRY(map_follow) link;
	uintptr_t id;                /* what posts to the loop carry: this may be freed meanwhile */
	struct map_follow_opts opts; /* its strings are owned */
	struct directory_log *directory; /* owned */
	/* Of the loop: */
	const struct map *map; /* owned; the newest that was told */
	bool from_log;
	struct work *work; /* owned; writes the cache */
	bool saving;
	const struct map *to_save; /* owned; written when the present one is */
	/* Of the log threads of their streams: */
	const struct map *last; /* owned; the map after the last record */
	bool stopped;           /* records that follow cannot be judged */
	bool directory_begun;
	/* Between them: */
	struct {
		pthread_mutex_t lock;
		const struct map *ready; /* owned; not told yet */
		struct err trouble;
		bool has_trouble;
		bool posted;
		const struct map *saved; /* owned; what the worker writes */
		struct err save_err;     /* how that ended */
	} shared;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, map_follow) registry = LIST_HEAD_INITIALIZER(registry);
static uintptr_t last_id;

/* The one that a post was meant for, NULL when it is gone.  It is freed on the loop's thread, where
 * posts run; workers are waited for before. */
static struct map_follow *
find(void *id)
{
	struct map_follow *f;

	pthread_mutex_lock(&registry_lock);
	LIST_FOREACH (f, &registry, link)
		if (f->id == (uintptr_t)id)
			break;
	pthread_mutex_unlock(&registry_lock);
	return f;
}

/* ---- the cache, written by a worker ---------------------------------------------------------- */

static void
run_save(void *id)
{
	struct map_follow *f = find(id);
	struct err err = { 0 };

	if (f == NULL)
		return;
	if (map_file_save(f->shared.saved, f->opts.cache, &err) < 0)
		err_prefix(&err, "the copy of the map cannot be kept");
	f->shared.save_err = err;
}

static void save_next(struct map_follow *);

static void
on_saved(void *id)
{
	struct map_follow *f = find(id);
	struct err err;

	if (f == NULL)
		return;
	err = f->shared.save_err;
	map_unref(&f->shared.saved);
	f->saving = false;
	save_next(f);
	if (err.code < 0 && f->opts.on_trouble != NULL)
		f->opts.on_trouble(&err, f->opts.arg);
}

static void
save_next(struct map_follow *f)
{
	if (f->saving || f->to_save == NULL)
		return;
	f->saving = true;
	f->shared.saved = f->to_save;
	f->to_save = NULL;
	work_do(f->work, run_save, on_saved, (void *)f->id);
}

static void
save(struct map_follow *f, const struct map *m)
{
	if (f->work == NULL)
		return;
	map_unref(&f->to_save);
	f->to_save = map_ref(m);
	save_next(f);
}

/* ---- on the loop ----------------------------------------------------------------------------- */

static void
take_map(struct map_follow *f, const struct map *m)
{
	void *id = (void *)f->id;
	bool same_cluster = f->map == NULL || memcmp(f->map->uuid, m->uuid, sizeof(m->uuid)) == 0;
	struct err err = { 0 };

	/* The log is read from its beginning: what the cache had already is no news, and older. */
	if (same_cluster && f->map != NULL && m->version < f->map->version)
		return;
	if (!same_cluster)
		err_set(&err, ERR_CONFLICT,
			"%s holds the map of another cluster; the log's map takes its place",
			f->opts.cache);
	if (f->map == NULL || !same_cluster || m->version > f->map->version)
		save(f, m);
	map_unref(&f->map);
	f->map = map_ref(m);
	f->from_log = true;
	if (err.code < 0 && f->opts.on_trouble != NULL)
		f->opts.on_trouble(&err, f->opts.arg);
	if (find(id) != NULL)
		f->opts.on_map(f->map, true, f->opts.arg);
}

static void
on_post(void *id)
{
	struct map_follow *f = find(id);
	const struct map *m;
	struct err trouble;
	bool has_trouble;

	if (f == NULL)
		return;
	pthread_mutex_lock(&f->shared.lock);
	m = f->shared.ready;
	f->shared.ready = NULL;
	trouble = f->shared.trouble;
	has_trouble = f->shared.has_trouble;
	f->shared.has_trouble = f->shared.posted = false;
	pthread_mutex_unlock(&f->shared.lock);
	if (has_trouble && f->opts.on_trouble != NULL)
		f->opts.on_trouble(&trouble, f->opts.arg);
	/* The callback may have ended it. */
	if (m != NULL && find(id) != NULL)
		take_map(f, m);
	map_unref(&m);
}

static void
on_cached(void *id)
{
	struct map_follow *f = find(id);

	/* The log may have been quicker. */
	if (f != NULL && f->map != NULL && !f->from_log)
		f->opts.on_map(f->map, false, f->opts.arg);
}

/* ---- on log threads -------------------------------------------------------------------------- */

/* The log comes and goes; anything else must not be forgotten over that. */
static bool
is_serious(const struct err *e)
{
	return e->code != ERR_OK && e->code != ERR_UNAVAILABLE;
}

/* Hands over a map (taken) or a trouble. */
static void
post(struct map_follow *f, const struct map *m, const struct err *trouble)
{
	bool again;

	pthread_mutex_lock(&f->shared.lock);
	if (m != NULL) {
		map_unref(&f->shared.ready);
		f->shared.ready = m;
	}
	if (trouble != NULL && !(f->shared.has_trouble && is_serious(&f->shared.trouble))) {
		f->shared.trouble = *trouble;
		f->shared.has_trouble = true;
	}
	again = !f->shared.posted;
	f->shared.posted = true;
	pthread_mutex_unlock(&f->shared.lock);
	if (again)
		loop_post(f->opts.loop, on_post, (void *)f->id);
}

static void
on_log_trouble(uint32_t stream, const struct err *err, void *arg)
{
	struct map_follow *f = arg;
	struct err e = *err;

	if (e.code != ERR_OK)
		err_prefix(&e, stream == COMMITLOG_MAP ? "the map" : "the directory");
	post(f, NULL, &e);
}

static void
stop(struct map_follow *f, struct err *err, uint64_t offset)
{
	f->stopped = true;
	err_prefix(err, "the map at offset %" PRIu64 " of its stream", offset);
	post(f, NULL, err);
}

static bool
is_ours(struct map_follow *f, const struct map *m, uint64_t offset)
{
	struct err err = { 0 };

	if (strcmp(m->cluster, f->opts.cluster) == 0)
		return true;
	err_set(&err, ERR_REFUSED, "it is of the cluster %s, not of %s; check `log` and `cluster`",
		m->cluster, f->opts.cluster);
	stop(f, &err, offset);
	return false;
}

static void
on_maps(uint32_t stream UNUSED, const struct commitlog_record *r, size_t n, void *arg)
{
	struct map_follow *f = arg;
	bool news = false;

	for (size_t i = 0; i < n && !f->stopped; i++) {
		const struct map *next = NULL;
		struct err err = { 0 };
		int rc = map_judge(&next, f->last, r[i].bytes, &err);

		if (rc < 0)
			stop(f, &err, r[i].offset);
		if (rc <= 0 || !is_ours(f, next, r[i].offset)) {
			map_unref(&next);
			continue;
		}
		map_unref(&f->last);
		f->last = next;
		news = true;
	}
	if (!news)
		return;
	post(f, map_ref(f->last), NULL);
	if (!f->directory_begun) {
		/* Its records name the cluster's uuid, which is known only now. */
		f->directory_begun = true;
		directory_log_begin(f->directory, f->last->uuid);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
load_cache(struct map_follow *f)
{
	struct err err = { 0 };
	const struct map *m = NULL;
	int rc = map_file_load(&m, f->opts.cache, &err);

	if (rc == 0 && strcmp(m->cluster, f->opts.cluster) != 0)
		rc = err_set(&err, ERR_CONFLICT,
			     "%s is of the cluster %s, not of %s; it is not used", f->opts.cache,
			     m->cluster, f->opts.cluster);
	if (rc < 0) {
		map_unref(&m);
		if (rc != ERR_NOT_FOUND) /* of a first start */
			post(f, NULL, &err);
		return;
	}
	f->map = m;
	loop_post(f->opts.loop, on_cached, (void *)f->id);
}

struct map_follow *
map_follow_new(const struct map_follow_opts *opts)
{
	struct map_follow *f = MEM_NEW(struct map_follow);

	f->opts = *opts;
	f->opts.cluster = mem_strdup(opts->cluster);
	f->opts.cache = opts->cache != NULL ? mem_strdup(opts->cache) : NULL;
	f->directory = directory_log_new(opts->log, opts->loop, on_log_trouble, f);
	pthread_mutex_init(&f->shared.lock, NULL);
	pthread_mutex_lock(&registry_lock);
	f->id = ++last_id;
	LIST_INSERT_HEAD(&registry, f, link);
	pthread_mutex_unlock(&registry_lock);
	if (f->opts.cache != NULL) {
		f->work = work_new(f->opts.loop, 1);
		load_cache(f);
	}
	commitlog_read(f->opts.log, COMMITLOG_MAP, 0, on_maps, on_log_trouble, f);
	return f;
}

void
map_follow_free(struct map_follow **follow)
{
	struct map_follow *f = *follow;

	*follow = NULL;
	if (f == NULL)
		return;
	CHECK_LOOP(f->opts.loop);
	/* First the maps: they begin the directory. */
	commitlog_unread(f->opts.log, COMMITLOG_MAP);
	directory_log_free(&f->directory);
	work_free(&f->work);
	pthread_mutex_lock(&registry_lock);
	LIST_REMOVE(f, link);
	pthread_mutex_unlock(&registry_lock);
	map_unref(&f->map);
	map_unref(&f->last);
	map_unref(&f->to_save);
	map_unref(&f->shared.ready);
	map_unref(&f->shared.saved);
	pthread_mutex_destroy(&f->shared.lock);
	free((char *)(uintptr_t)f->opts.cluster);
	free((char *)(uintptr_t)f->opts.cache);
	free(f);
}

const struct map *
map_follow_map(const struct map_follow *f)
{
	return f->map;
}

bool
map_follow_from_log(const struct map_follow *f)
{
	return f->from_log;
}

const struct directory *
map_follow_directory(const struct map_follow *f)
{
	return directory_log_directory(f->directory);
}

struct directory_log *
map_follow_directory_log(const struct map_follow *f)
{
	return f->directory;
}

/* ---- for tools ------------------------------------------------------------------------------- */

struct reading {
	const struct map *last; /* owned */
	uint64_t until;         /* version after which it is enough */
	struct err err;
	int rc;
};

static void
on_scanned(uint32_t stream UNUSED, const struct commitlog_record *r, size_t n, void *arg)
{
	struct reading *g = arg;

	for (size_t i = 0; i < n && g->rc == 0; i++) {
		const struct map *next = NULL;
		int rc;

		if (g->last != NULL && g->last->version >= g->until)
			return;
		rc = map_judge(&next, g->last, r[i].bytes, &g->err);

		if (rc < 0)
			g->rc = rc;
		if (rc <= 0)
			continue;
		map_unref(&g->last);
		g->last = next;
	}
}

static int
read_until(const struct map **out, uint64_t version, struct commitlog *log, struct err *err)
{
	struct reading g = { .until = version };
	uint64_t first = 0, next = 0;
	int rc = commitlog_ends(log, COMMITLOG_MAP, &first, &next, err);

	*out = NULL;
	if (rc == 0 && first > 0)
		rc = err_set(err, ERR_CORRUPT, "the stream of maps begins at offset %" PRIu64,
			     first);
	if (rc == 0 && next > 0)
		rc = commitlog_scan(log, COMMITLOG_MAP, 0, next, on_scanned, &g, err);
	if (rc == 0 && g.rc < 0) {
		rc = g.rc;
		if (err != NULL)
			*err = g.err;
	}
	if (rc < 0)
		map_unref(&g.last);
	else
		*out = g.last;
	return rc;
}

int
map_follow_read(const struct map **out, struct commitlog *log, struct err *err)
{
	return read_until(out, UINT64_MAX, log, err);
}

int
map_follow_read_version(const struct map **out, uint64_t version, struct commitlog *log,
			struct err *err)
{
	int rc = read_until(out, version, log, err);

	if (rc == 0 && *out != NULL && (*out)->version != version)
		map_unref(out);
	return rc;
}

struct reading_directory {
	struct directory_judge judge;
	struct directory *directory;
	const uint8_t *uuid;
	struct err err;
	int rc;
};

static void
on_scanned_exceptions(uint32_t stream UNUSED, const struct commitlog_record *r, size_t n, void *arg)
{
	struct reading_directory *g = arg;

	for (size_t i = 0; i < n && g->rc >= 0; i++)
		g->rc = directory_judge(&g->judge, g->directory, g->uuid, r[i].offset, r[i].bytes,
					NULL, &g->err);
}

int
map_follow_read_directory(struct directory *d, const struct map *m, struct commitlog *log,
			  struct err *err)
{
	struct reading_directory *g = MEM_NEW(struct reading_directory);
	uint64_t first = 0, next = 0;
	int rc = commitlog_ends(log, COMMITLOG_DIRECTORY, &first, &next, err);

	g->directory = d;
	g->uuid = m->uuid;

	if (rc == 0 && next > first)
		rc = commitlog_scan(log, COMMITLOG_DIRECTORY, first, next - first,
				    on_scanned_exceptions, g, err);
	if (rc == 0 && g->rc < 0) {
		rc = g->rc;
		if (err != NULL)
			*err = g->err;
	}
	free(g);
	return rc;
}
