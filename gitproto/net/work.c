#include "gitproto/net/work.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

struct job {
	void (*run)(void *);
	loop_fn *done;
	void *arg;
	STAILQ_ENTRY(job) next;
};

struct work {
	struct loop *loop;  /* borrowed */
	pthread_t *threads; /* owned, n of them */
	unsigned n;
	struct {
		pthread_mutex_t lock;
		pthread_cond_t more;
		STAILQ_HEAD(, job) jobs;
		bool stop;
	} shared;
};

static struct job *
next_job(struct work *w)
{
	struct job *j;

	pthread_mutex_lock(&w->shared.lock);
	while (STAILQ_EMPTY(&w->shared.jobs) && !w->shared.stop)
		pthread_cond_wait(&w->shared.more, &w->shared.lock);
	j = w->shared.stop ? NULL : STAILQ_FIRST(&w->shared.jobs);
	if (j != NULL)
		STAILQ_REMOVE_HEAD(&w->shared.jobs, next);
	pthread_mutex_unlock(&w->shared.lock);
	return j;
}

static void *
worker(void *arg)
{
	struct work *w = arg;
	struct job *j;

	while ((j = next_job(w)) != NULL) {
		j->run(j->arg);
		loop_post(w->loop, j->done, j->arg);
		free(j);
	}
	return NULL;
}

struct work *
work_new(struct loop *loop, unsigned threads)
{
	struct work *w = MEM_NEW(struct work);

	w->loop = loop;
	w->n = threads;
	w->threads = mem_array(threads, sizeof(*w->threads));
	pthread_mutex_init(&w->shared.lock, NULL);
	pthread_cond_init(&w->shared.more, NULL);
	STAILQ_INIT(&w->shared.jobs);
	for (unsigned i = 0; i < threads; i++)
		CHECK(pthread_create(&w->threads[i], NULL, worker, w) == 0);
	return w;
}

void
work_free(struct work **wp)
{
	struct work *w = *wp;
	struct job *j;

	if (w == NULL)
		return;
	*wp = NULL;
	pthread_mutex_lock(&w->shared.lock);
	w->shared.stop = true;
	pthread_cond_broadcast(&w->shared.more);
	pthread_mutex_unlock(&w->shared.lock);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	while ((j = STAILQ_FIRST(&w->shared.jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->shared.jobs, next);
		free(j);
	}
	pthread_cond_destroy(&w->shared.more);
	pthread_mutex_destroy(&w->shared.lock);
	free(w->threads);
	free(w);
}

void
work_do(struct work *w, void (*run)(void *), loop_fn *done, void *arg)
{
	struct job *j = MEM_NEW(struct job);

	j->run = run;
	j->done = done;
	j->arg = arg;
	pthread_mutex_lock(&w->shared.lock);
	STAILQ_INSERT_TAIL(&w->shared.jobs, j, next);
	pthread_cond_signal(&w->shared.more);
	pthread_mutex_unlock(&w->shared.lock);
}
