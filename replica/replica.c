#include "replica/replica.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/net/unix_server.h"
#include "replica/install.h"
#include "replica/replica_impl.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/push.h"
#include "replica/serve/stage_hold.h"

#define DRAIN_MSEC 50
#define DRAIN_MAX_NS (30 * CLOCK_SEC)

static bool
log_ok(void *arg)
{
	const struct replica *r = arg;

	return r->log_trouble.code == 0;
}

static bool
log_away(void *arg)
{
	const struct replica *r = arg;

	return r->log_away;
}

static bool
is_draining(void *arg)
{
	const struct replica *r = arg;

	return r->draining;
}

static const struct err *
log_trouble(void *arg)
{
	const struct replica *r = arg;

	return r->log_trouble.code != 0 ? &r->log_trouble : NULL;
}

static bool
is_ready(struct buf *why, void *arg)
{
	struct replica *r = arg;
	size_t behind = 0;

	if (r->draining)
		buf_add_str(why, "draining\n");
	if (r->serve.map == NULL)
		buf_add_str(why, "no map yet: run 'shardctl map init'\n");
	else if (r->serve.self == 0)
		buf_addf(why, "node '%s' is not in the map\n", r->conf->name);
	for (size_t i = 0; i < r->n_places; i++)
		behind += r->places[i].state != PLACE_NONE && !replica_place_ready(r, i);
	if (behind > 0)
		buf_addf(why, "%zu shards are catching up\n", behind);
	return why->len == 0;
}

static void
on_shard_changed(struct shard *s, void *arg)
{
	struct replica *r = arg;

	serve_shard_changed(&r->serve, s);
}

static void
on_fatal(const struct err *err, void *arg)
{
	struct replica *r = arg;

	log_error("-", "fatal", "why=%s", log_value(err_text(err), strlen(err_text(err))));
	if (err->code == ERR_CORRUPT)
		install_mark_unfit(&r->dirs, err);
	r->exit_status = 1;
	loop_stop(r->loop);
}

/* --- stopping ------------------------------------------------------------------------------- */

static void
on_drain_tick(void *arg)
{
	struct replica *r = arg;

	if ((pushes_active(r->serve.pushes) == 0 && child_running(r->children) == 0) ||
	    clock_boot_ns() > r->drain_until) {
		loop_stop(r->loop);
		return;
	}
	timer_set(r->drain_timer, DRAIN_MSEC);
}

static void
on_term(void *arg)
{
	struct replica *r = arg;

	if (r->draining) { /* the second one: now */
		loop_stop(r->loop);
		return;
	}
	log_info("-", "drain", "pushes=%u children=%u", pushes_active(r->serve.pushes),
		 child_running(r->children));
	r->draining = true;
	if (r->repacks != NULL)
		repacks_stop(r->repacks);
	r->drain_until = clock_boot_ns() + DRAIN_MAX_NS;
	http_server_drain(r->server);
	r->drain_timer = timer_new(r->loop, on_drain_tick, r);
	timer_set(r->drain_timer, 1);
}

static void
on_int(void *arg)
{
	struct replica *r = arg;

	loop_stop(r->loop);
}

static void
on_hup(void *arg UNUSED)
{
	/* Nothing of a node can be changed while it runs but by the map; the signal must not kill. */
	log_info("-", "reload", "nothing to reload; restart the node to change its options");
}

/* --- starting ------------------------------------------------------------------------------- */

static int
open_state(struct replica *r, struct err *err)
{
	const struct replica_conf *c = r->conf;
	struct catalog_identity id;
	struct commitlog_opts lo = { .cluster = c->cluster,
				     .create = true,
				     .wait = true,
				     .allow_weak = c->allow_weak_log,
				     .kafka_options = c->kafka_options,
				     .append_msec = c->push_deadline };
	char weak[COMMITLOG_WEAK];
	int rc;

	rc = install_dirs(&r->dirs, c, err);
	if (rc == 0)
		rc = install_check_fit(&r->dirs, err);
	if (rc == 0)
		rc = catalog_open(&r->catalog, r->dirs.data, c->cluster, c->name, &id, err);
	if (rc == 0)
		rc = install_hooks(&r->dirs, c, err);
	if (rc == 0)
		rc = install_learn(&r->caps, &r->dirs, err);
	if (rc == 0)
		rc = commitlog_open(&r->log, c->log, &lo, err);
	/* One in Kafka says so itself, once its topics were looked at. */
	if (rc == 0 && strcmp(commitlog_kind(r->log), "kafka") != 0 &&
	    commitlog_weak(r->log, weak, sizeof(weak)))
		log_warn("-", "weak-log", "why=%s", log_value(weak, strlen(weak)));
	if (rc == 0) {
		memcpy(r->serve.incarnation, id.incarnation, 16);
		r->start = id.start;
	}
	return rc;
}

static int
start_parts(struct replica *r, struct err *err)
{
	const struct replica_conf *c = r->conf;
	struct without_log without_log = replica_conf_without_log(c);
	struct shards_opts so = { .loop = r->loop,
				  .log = r->log,
				  .start = r->start,
				  .boot = r->boot,
				  .lease_reads = c->lease_reads,
				  .read_msec = c->read_deadline,
				  .fresh_msec = without_log.bound_msec,
				  .changed = on_shard_changed,
				  .fatal = on_fatal,
				  .arg = r };
	int rc;

	r->children = child_reaper_new(r->loop);
	r->work = work_new(r->loop, (unsigned)c->workers);
	r->peers = peers_new(r->loop);
	r->repos = repo_table_new(c->root);
	memcpy(so.incarnation, r->serve.incarnation, 16);
	r->shards = shards_new(&so);
	rc = replica_apply_start(r, err);
	if (rc != 0)
		return rc;
	r->serve.loop = r->loop;
	r->serve.work = r->work;
	r->serve.children = r->children;
	r->serve.shards = r->shards;
	r->serve.repos = r->repos;
	r->serve.apply = r->apply;
	r->serve.peers = r->peers;
	r->serve.caps = &r->caps;
	r->serve.log_ok = log_ok;
	r->serve.log_away = log_away;
	r->serve.log_arg = r;
	r->serve.data = r->dirs.data;
	r->serve.log_url = c->log;
	r->serve.home = r->dirs.home;
	r->serve.hooks = r->dirs.hooks;
	r->serve.sock = r->dirs.sock;
	r->serve.read_msec = c->read_deadline;
	r->serve.without_log = without_log;
	r->serve.push_msec = c->push_deadline;
	r->serve.inline_max = c->inline_max;
	r->serve.max_push = c->max_push;
	r->serve.min_free = c->min_free;
	r->serve.stage_budget = c->stage_budget;
	r->serve.max_children = (unsigned)c->max_children;
	r->serve.auto_create = c->auto_create;
	rc = serve_start(&r->serve, err);
	if (rc == 0 && c->repack_packs > 0)
		r->repacks = repacks_new(&r->serve, (size_t)c->repack_packs);
	return rc;
}

static int
start_listeners(struct replica *r, struct err *err)
{
	const struct replica_conf *c = r->conf;
	struct http_server_opts back = { .listen = c->listen,
					 .http2 = true,
					 .insecure = c->insecure,
					 .handler = serve_handle,
					 .arg = &r->serve };
	struct http_server_opts admin = { .listen = c->admin,
					  .insecure = c->insecure,
					  .handler = admin_handle,
					  .arg = &r->admin };
	int rc;

	rc = http_server_new(&r->server, r->loop, &back, err);
	if (rc != 0)
		return rc;
	r->admin = (struct admin){ .serve = &r->serve,
				   .cluster = c->cluster,
				   .node = c->name,
				   .listen = http_server_addr(r->server),
				   .start = r->start,
				   .repacks = r->repacks,
				   .log = r->log,
				   .ready = is_ready,
				   .draining = is_draining,
				   .log_trouble = log_trouble,
				   .log_away = log_away,
				   .arg = r };
	return http_server_new(&r->admin_server, r->loop, &admin, err);
}

int
replica_new(struct replica **out, const struct replica_conf *conf, struct err *err)
{
	struct replica *r = MEM_NEW(struct replica);
	int rc;

	r->conf = conf;
	rnd_bytes(&r->boot, sizeof(r->boot));
	replica_stats_init();
	r->loop = loop_new("replica");
	rc = open_state(r, err);
	if (rc == 0)
		rc = start_parts(r, err);
	if (rc == 0)
		rc = start_listeners(r, err);
	if (rc != 0) {
		replica_free(&r);
		return rc;
	}
	replica_follow_map(r);
	replica_recheck_start(r);
	loop_on_signal(r->loop, SIGTERM, on_term, r);
	loop_on_signal(r->loop, SIGINT, on_int, r);
	loop_on_signal(r->loop, SIGHUP, on_hup, r);
	*out = r;
	return 0;
}

int
replica_run(struct replica *r)
{
	log_info("-", "ready", "node=%s listen=%s admin=%s start=%" PRIu64 " git=%s", r->conf->name,
		 http_server_addr(r->server), http_server_addr(r->admin_server), r->start,
		 log_value(r->caps.git_version, strlen(r->caps.git_version)));
	loop_run(r->loop);
	log_info("-", "stop", "node=%s", r->conf->name);
	return r->exit_status;
}

/* From the outside in: nobody calls into a part that is gone.  First those who wait for the log are
 * told, while all that they may use then is there; then the threads end, which know pushes; then the
 * pushes themselves. */
void
replica_free(struct replica **rp)
{
	struct replica *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	http_server_free(&r->server);
	http_server_free(&r->admin_server);
	timer_free(&r->drain_timer);
	timer_free(&r->log_timer);
	r->serve.directory_log = NULL;
	map_follow_free(&r->follow);
	r->serve.directory = NULL;
	if (r->shards != NULL)
		shards_stop(r->shards);
	serve_stop_lives(&r->serve);
	if (r->apply != NULL)
		apply_stop(r->apply);
	commitlog_close(&r->log);
	if (r->apply != NULL)
		apply_free(&r->apply);
	work_free(&r->work);
	replica_recheck_free(r);
	repacks_free(&r->repacks);
	if (r->serve.loop != NULL)
		serve_stop(&r->serve);
	child_reaper_free(&r->children);
	shards_free(&r->shards);
	peers_free(&r->peers);
	repo_table_free(&r->repos);
	catalog_close(&r->catalog);
	capline_release(&r->caps);
	map_unref(&r->serve.map);
	install_release(&r->dirs);
	free(r->places);
	loop_free(&r->loop);
	free(r);
}
