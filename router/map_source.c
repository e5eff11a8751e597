#include "router/map_source.h"

#include "gitproto/base/fsio.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/work.h"
#include "shard-map/commitlog/map_follow.h"
#include "shard-map/map_file.h"

#define AGAIN_MSEC 1000 /* between two attempts to open the log */

struct map_source {
	unsigned magic;
#define MAP_SOURCE_MAGIC 0x3a950ce5u
	struct map_source_opts opts;
	char *file;                /* owned; the kept map; NULL: none */
	struct commitlog *log;     /* owned; NULL: away */
	struct map_follow *follow; /* owned; NULL: the log is away */
	const struct map *kept;    /* owned; to be told once the loop runs */
	struct timer *again;
	struct work *work;        /* owned; opens the log without blocking the loop */
	struct commitlog *opened; /* of the work's thread, until its done */
	struct err why;           /* likewise */
	int said;                 /* code of the trouble that was logged last */
	struct err trouble;       /* following ended */
};

static void
on_map(const struct map *m, bool from_log, void *arg)
{
	struct map_source *s = OBJ_FROM(arg, struct map_source, MAP_SOURCE_MAGIC);

	log_info("-", "map", "version=%llu from=%s", (unsigned long long)m->version,
		 from_log ? "log" : "cache");
	s->opts.on_map(m, map_follow_directory(s->follow), s->opts.arg);
}

static void
on_trouble(const struct err *e, void *arg)
{
	struct map_source *s = OBJ_FROM(arg, struct map_source, MAP_SOURCE_MAGIC);

	switch (e->code) {
	case ERR_OK:
		log_info("-", "log_back", "log=%s", s->opts.log);
		return;
	case ERR_UNAVAILABLE:
	case ERR_CONFLICT:
	case ERR_IO:
	case ERR_FULL:
		log_warn("-", "map_trouble", "why=%s", log_value(e->text, strlen(e->text)));
		return;
	default:
		log_error("-", "map_trouble", "the map is followed no more; why=%s",
			  log_value(e->text, strlen(e->text)));
		s->trouble = *e;
	}
}

static void
follow(struct map_source *s)
{
	struct map_follow_opts o = {
		.log = s->log,
		.loop = s->opts.loop,
		.cluster = s->opts.cluster,
		.cache = s->file,
		.on_map = on_map,
		.on_trouble = on_trouble,
		.arg = s,
	};

	s->follow = map_follow_new(&o);
}

static int
open_log(struct commitlog **out, const struct map_source *s, struct err *err)
{
	struct commitlog_opts o = { .cluster = s->opts.cluster,
				    .allow_weak = s->opts.allow_weak,
				    .kafka_options = s->opts.kafka_options };

	return commitlog_open(out, s->opts.log, &o, err);
}

static void
run_open(void *arg)
{
	struct map_source *s = arg;

	if (open_log(&s->opened, s, &s->why) < 0)
		s->opened = NULL;
}

static void
on_opened(void *arg)
{
	struct map_source *s = OBJ_FROM(arg, struct map_source, MAP_SOURCE_MAGIC);

	if (s->opened == NULL) {
		if (s->said != s->why.code)
			log_warn("-", "log_away", "why=%s",
				 log_value(s->why.text, strlen(s->why.text)));
		s->said = s->why.code;
		timer_set(s->again, AGAIN_MSEC);
		return;
	}
	s->log = s->opened;
	s->opened = NULL;
	log_info("-", "log_back", "log=%s", s->opts.log);
	follow(s);
}

static void
on_again(void *arg)
{
	struct map_source *s = OBJ_FROM(arg, struct map_source, MAP_SOURCE_MAGIC);

	work_do(s->work, run_open, on_opened, s);
}

/* The log was away at the start: what an earlier run kept, told once the loop runs. */
static void
on_kept(void *arg)
{
	struct map_source *s = OBJ_FROM(arg, struct map_source, MAP_SOURCE_MAGIC);

	log_info("-", "map", "version=%llu from=cache", (unsigned long long)s->kept->version);
	s->opts.on_map(s->kept, NULL, s->opts.arg);
}

static void
start_without_log(struct map_source *s, const struct err *why)
{
	struct err e = { 0 };

	log_warn("-", "log_away", "why=%s", log_value(why->text, strlen(why->text)));
	s->said = why->code;
	s->work = work_new(s->opts.loop, 1);
	s->again = timer_new(s->opts.loop, on_again, s);
	timer_set(s->again, AGAIN_MSEC);
	if (s->file == NULL)
		return;
	if (map_file_load(&s->kept, s->file, &e) < 0) {
		if (e.code != ERR_NOT_FOUND) /* of a first start */
			log_warn("-", "map_trouble", "why=%s", log_value(e.text, strlen(e.text)));
	} else if (strcmp(s->kept->cluster, s->opts.cluster) != 0) {
		log_warn("-", "map_trouble", "%s is of the cluster %s", s->file, s->kept->cluster);
		map_unref(&s->kept);
	} else {
		loop_post(s->opts.loop, on_kept, s);
	}
}

static int
prepare_cache(struct map_source *s, struct err *err)
{
	size_t n;
	int rc;

	if (s->opts.cache == NULL)
		return 0;
	rc = fsio_mkdirs(s->opts.cache, 0755, err);
	if (rc < 0)
		return rc;
	n = strlen(s->opts.cache) + sizeof("/map");
	s->file = mem_alloc(n);
	snprintf(s->file, n, "%s/map", s->opts.cache);
	return 0;
}

int
map_source_new(struct map_source **out, const struct map_source_opts *o, struct err *err)
{
	struct map_source *s = MEM_NEW(struct map_source);
	struct err why = { 0 };
	int rc;

	s->magic = MAP_SOURCE_MAGIC;
	s->opts = *o;
	rc = prepare_cache(s, err);
	if (rc == 0) {
		rc = open_log(&s->log, s, &why);
		if (rc == 0) {
			follow(s);
		} else if (rc == ERR_BAD || rc == ERR_REFUSED || rc == ERR_VERSION) {
			err_set(err, rc, "%s", err_text(&why));
		} else {
			start_without_log(s, &why);
			rc = 0;
		}
	}
	if (rc < 0) {
		map_source_free(&s);
		return rc;
	}
	*out = s;
	return 0;
}

void
map_source_free(struct map_source **sp)
{
	struct map_source *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	timer_free(&s->again);
	work_free(&s->work);
	commitlog_close(&s->opened);
	map_follow_free(&s->follow);
	commitlog_close(&s->log);
	map_unref(&s->kept);
	free(s->file);
	s->magic = 0;
	free(s);
}

bool
map_source_from_log(const struct map_source *s)
{
	return s->follow != NULL && map_follow_from_log(s->follow);
}

void
map_source_trouble(const struct map_source *s, struct buf *out)
{
	if (s->trouble.code != 0)
		buf_addf(out, "the map is followed no more: %s\n", err_text(&s->trouble));
}
