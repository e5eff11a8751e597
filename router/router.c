#include "router/router.h"

#include <signal.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "router/admin/admin.h"
#include "router/map_source.h"
#include "router/worker.h"

#define DRAIN_SEC 30u

struct gather;

struct router {
	struct router_opts opts;
	struct loop *loop;   /* owned; the main thread's */
	struct stats *stats; /* owned */
	struct admit admit;
	struct worker *workers[ROUTER_CONF_MAX_THREADS]; /* owned */
	unsigned nworkers;
	struct admin *admin;    /* owned */
	struct map_source *map; /* owned; its directory outlives the workers */
	struct timer *drain;    /* owned; ends a drain that takes too long */
	unsigned undrained;     /* workers that still have requests */
	bool draining;
	LIST_HEAD(, gather) gathers;
};

/* A report on its way from worker to worker: one thread at a time has it. */
struct gather {
	struct router *r;
	unsigned next;
	struct health_report *report;
	loop_fn *done;
	void *arg;
	LIST_ENTRY(gather) link; /* of the main thread */
};

static void
on_gathered(void *arg)
{
	struct gather *g = arg;

	LIST_REMOVE(g, link);
	g->done(g->arg);
	free(g);
}

static void
gather_step(void *arg)
{
	struct gather *g = arg;
	struct router *r = g->r;

	health_report_add(g->report, worker_route(r->workers[g->next++]));
	if (g->next < r->nworkers)
		loop_post(worker_loop(r->workers[g->next]), gather_step, g);
	else
		loop_post(r->loop, on_gathered, g);
}

static void
gather(struct health_report *report, loop_fn *done, void *darg, void *arg)
{
	struct router *r = arg;
	struct gather *g = MEM_NEW(struct gather);

	*g = (struct gather){ .r = r, .report = report, .done = done, .arg = darg };
	LIST_INSERT_HEAD(&r->gathers, g, link);
	loop_post(worker_loop(r->workers[0]), gather_step, g);
}

static void
add_trouble(struct buf *out, void *arg)
{
	const struct router *r = arg;

	map_source_trouble(r->map, out);
}

static bool
is_draining(void *arg)
{
	const struct router *r = arg;

	return r->draining;
}

static bool
is_from_log(void *arg)
{
	const struct router *r = arg;

	return map_source_from_log(r->map);
}

static void
on_map(const struct map *m, const struct directory *d, void *arg)
{
	struct router *r = arg;

	for (unsigned i = 0; i < r->nworkers; i++)
		worker_set_map(r->workers[i], m, d);
}

/* --- signals --- */

static void
on_drained(void *arg)
{
	struct router *r = arg;

	if (--r->undrained == 0) {
		log_info("-", "drained", "all requests are over");
		loop_stop(r->loop);
	}
}

static void
on_late(void *arg)
{
	struct router *r = arg;

	log_warn("-", "drain", "requests=%u are cut off after %u s", admit_active(&r->admit),
		 DRAIN_SEC);
	loop_stop(r->loop);
}

static void
on_term(void *arg)
{
	struct router *r = arg;

	if (r->draining) {
		log_info("-", "stop", "at once");
		loop_stop(r->loop);
		return;
	}
	log_info("-", "drain", "requests=%u", admit_active(&r->admit));
	r->draining = true;
	r->undrained = r->nworkers;
	timer_set(r->drain, DRAIN_SEC * 1000);
	for (unsigned i = 0; i < r->nworkers; i++)
		worker_drain(r->workers[i], r->loop, on_drained, r);
}

static void
on_int(void *arg)
{
	struct router *r = arg;

	log_info("-", "stop", "at once");
	loop_stop(r->loop);
}

static void
on_hup(void *arg)
{
	struct router *r = arg;

	r->opts.reload(r->opts.arg);
}

/* --- start --- */

static unsigned
count_cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (unsigned)MIN(n, (long)ROUTER_CONF_MAX_THREADS);
}

static void
refuse_all(struct http_xchg *x, void *arg)
{
	(void)arg;
	http_xchg_reply(x, 503, NULL, NULL, SLICE_NONE);
}

/* Several listeners share an address by SO_REUSEPORT, with those of another process too: so one
 * without it is tried first.  Gives the address as bound. */
static int
probe_listen(char out[MAP_ADDR], struct router *r, struct err *err)
{
	struct http_server_opts o = {
		.listen = r->opts.conf->listen,
		.insecure = r->opts.conf->insecure,
		.handler = refuse_all,
	};
	struct http_server *probe;
	int rc = http_server_new(&probe, r->loop, &o, err);

	if (rc < 0)
		return rc;
	snprintf(out, MAP_ADDR, "%s", http_server_addr(probe));
	http_server_free(&probe);
	return 0;
}

static int
make_workers(struct router *r, struct err *err)
{
	const struct router_conf *c = r->opts.conf;
	unsigned n = c->threads > 0 ? (unsigned)c->threads : count_cores();
	char addr[MAP_ADDR];
	struct worker_opts o = {
		.zone = c->zone,
		.front = {
			.listen = addr,
			.reuse_port = n > 1,
			.insecure = c->insecure,
			.retry_msec = c->retry_deadline,
			.stall_msec = c->body_stall,
			.admit = &r->admit,
			.stats = r->stats,
		},
	};
	int rc = probe_listen(addr, r, err);

	for (; rc == 0 && r->nworkers < n; r->nworkers++) {
		o.number = r->nworkers;
		rc = worker_new(&r->workers[r->nworkers], &o, err);
		if (rc < 0)
			break;
	}
	return rc < 0 ? err_prefix(err, "router.listen") : 0;
}

static int
make_admin(struct router *r, struct err *err)
{
	struct admin_opts o = {
		.loop = r->loop,
		.listen = r->opts.conf->admin,
		.insecure = r->opts.conf->insecure,
		.cluster = r->opts.conf->cluster,
		.stats = r->stats,
		.admit = &r->admit,
		.gather = gather,
		.trouble = add_trouble,
		.draining = is_draining,
		.map_from_log = is_from_log,
		.arg = r,
	};

	return admin_new(&r->admin, &o, err) < 0 ? err_prefix(err, "router.admin") : 0;
}

static int
make_map(struct router *r, struct err *err)
{
	const struct router_conf *c = r->opts.conf;
	struct map_source_opts o = {
		.loop = r->loop,
		.cluster = c->cluster,
		.log = c->log,
		.allow_weak = c->allow_weak_log,
		.kafka_options = c->kafka_options,
		.cache = c->cache,
		.on_map = on_map,
		.arg = r,
	};

	return map_source_new(&r->map, &o, err);
}

int
router_new(struct router **out, const struct router_opts *o, struct err *err)
{
	struct router *r = MEM_NEW(struct router);
	int rc;

	r->opts = *o;
	LIST_INIT(&r->gathers);
	r->loop = loop_new("main");
	r->stats = front_stats_new();
	admit_init(&r->admit, (unsigned)o->conf->max_requests);
	r->drain = timer_new(r->loop, on_late, r);
	rc = make_workers(r, err);
	if (rc == 0)
		rc = make_admin(r, err);
	if (rc == 0)
		rc = make_map(r, err);
	if (rc < 0) {
		router_free(&r);
		return rc;
	}
	loop_on_signal(r->loop, SIGTERM, on_term, r);
	loop_on_signal(r->loop, SIGINT, on_int, r);
	loop_on_signal(r->loop, SIGHUP, on_hup, r);
	*out = r;
	return 0;
}

void
router_run(struct router *r)
{
	log_info("-", "ready", "listen=%s admin=%s threads=%u cluster=%s",
		 worker_addr(r->workers[0]), admin_addr(r->admin), r->nworkers,
		 r->opts.conf->cluster);
	for (unsigned i = 0; i < r->nworkers; i++)
		worker_start(r->workers[i]);
	loop_run(r->loop);
}

void
router_free(struct router **rp)
{
	struct router *r = *rp;
	struct gather *g;

	if (r == NULL)
		return;
	*rp = NULL;
	for (unsigned i = 0; i < r->nworkers; i++)
		worker_stop(&r->workers[i]);
	while ((g = LIST_FIRST(&r->gathers)) != NULL) {
		LIST_REMOVE(g, link);
		free(g);
	}
	admin_free(&r->admin);
	map_source_free(&r->map);
	timer_free(&r->drain);
	loop_free(&r->loop);
	stats_free(&r->stats);
	free(r);
}
