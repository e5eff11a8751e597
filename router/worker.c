#include "router/worker.h"

#include <pthread.h>

#include "gitproto/base/mem.h"
#include "router/router_conf.h"

#define DRAIN_MSEC 20 /* between two looks at whether all is over */

struct worker {
	struct loop *loop;   /* owned */
	struct route *route; /* owned */
	struct front *front; /* owned */
	pthread_t thread;
	bool started;
	/* of the loop's thread */
	struct timer *drain; /* owned; while draining */
	struct loop *home;
	loop_fn *drained;
	void *arg;
};

static void
close_all(struct worker *w)
{
	timer_free(&w->drain);
	front_free(&w->front);
	route_free(&w->route);
}

static void *
run(void *arg)
{
	struct worker *w = arg;

	loop_run(w->loop);
	close_all(w);
	return NULL;
}

/* Loops keep their names for ever. */
static const char *
name_of(unsigned number)
{
	static char names[ROUTER_CONF_MAX_THREADS][12];

	CHECK(number < ROUTER_CONF_MAX_THREADS);
	snprintf(names[number], sizeof(names[number]), "loop%u", number);
	return names[number];
}

int
worker_new(struct worker **out, const struct worker_opts *o, struct err *err)
{
	struct worker *w = MEM_NEW(struct worker);
	struct front_opts fo = o->front;
	int rc;

	w->loop = loop_new(name_of(o->number));
	w->route = route_new(w->loop, o->zone);
	fo.loop = w->loop;
	fo.route = w->route;
	rc = front_new(&w->front, &fo, err);
	if (rc < 0) {
		worker_stop(&w);
		return rc;
	}
	*out = w;
	return 0;
}

void
worker_start(struct worker *w)
{
	CHECK(pthread_create(&w->thread, NULL, run, w) == 0);
	w->started = true;
}

void
worker_stop(struct worker **wp)
{
	struct worker *w = *wp;

	if (w == NULL)
		return;
	*wp = NULL;
	if (w->started) {
		loop_stop(w->loop);
		CHECK(pthread_join(w->thread, NULL) == 0);
	} else {
		close_all(w);
	}
	loop_free(&w->loop);
	free(w);
}

const char *
worker_addr(const struct worker *w)
{
	return front_addr(w->front);
}

struct loop *
worker_loop(struct worker *w)
{
	return w->loop;
}

struct route *
worker_route(struct worker *w)
{
	return w->route;
}

struct news {
	struct worker *w;
	const struct map *map; /* owned reference */
	const struct directory *directory;
};

static void
on_news(void *arg)
{
	struct news *n = arg;

	route_set_map(n->w->route, n->map, n->directory);
	map_unref(&n->map);
	free(n);
}

void
worker_set_map(struct worker *w, const struct map *m, const struct directory *d)
{
	struct news *n = MEM_NEW(struct news);

	n->w = w;
	n->map = map_ref(m);
	n->directory = d;
	loop_post(w->loop, on_news, n);
}

static void
look(void *arg)
{
	struct worker *w = arg;

	if (front_active(w->front) > 0)
		timer_set(w->drain, DRAIN_MSEC);
	else
		loop_post(w->home, w->drained, w->arg);
}

static void
on_drain(void *arg)
{
	struct worker *w = arg;

	front_drain(w->front);
	w->drain = timer_new(w->loop, look, w);
	timer_set(w->drain, 0);
}

void
worker_drain(struct worker *w, struct loop *home, loop_fn *done, void *arg)
{
	CHECK(w->home == NULL);
	w->home = home;
	w->drained = done;
	w->arg = arg;
	loop_post(w->loop, on_drain, w);
}
