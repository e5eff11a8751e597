#include "shard-map/commitlog/commitlog_fault.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/cond.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/units.h"
#include "shard-map/commitlog/commitlog_backend.h"
#include "shard-map/commitlog/commitlog_thread.h"

enum fate { REFUSE, LOST, LOSTACK, LATE, TWICE, DELAY, FREEZE, NFATES, WELL = NFATES };

static const char *const names[NFATES] = {
	[REFUSE] = "refuse", [LOST] = "lost",   [LOSTACK] = "lostack", [LATE] = "late",
	[TWICE] = "twice",   [DELAY] = "delay", [FREEZE] = "freeze",
};

struct rule {
	unsigned permille;
	uint64_t msec; /* of its TIME */
};

/* Something to do at a moment: to append, or to answer. */
struct event {
	TAILQ_ENTRY(event) link;
	uint64_t due; /* clock_boot_ns */
	struct fault *fault;
	enum fate fate;
	enum fate cause; /* why it is appended though its writer was told: LATE, TWICE; else WELL */
	uint64_t later;  /* ns: when the part of its fate comes that takes TIME */
	bool answer;     /* tell fn what stands in outcome, offset, err; else append */
	enum commitlog_outcome outcome;
	uint64_t offset;
	struct err err;
	commitlog_append_fn *fn; /* NULL: nobody wants to know */
	void *arg;
	uint32_t stream;
	size_t len;
	uint8_t bytes[];
};
TAILQ_HEAD(events, event);

struct sub {
	LIST_ENTRY(sub) link;
	struct fault *fault;
	uint32_t stream;
	commitlog_read_fn *read;
	commitlog_trouble_fn *trouble;
	void *arg;
};

struct fault {
	struct commitlog base;
	struct commitlog *below; /* owned */
	struct rule rule[NFATES];
	pthread_t thread;
	struct {
		pthread_mutex_t lock;
		pthread_cond_t changed;
		struct events events; /* by due, those of the same moment as they came */
		LIST_HEAD(, sub) subs;
		uint64_t random;
		uint64_t frozen_until;
		uint64_t met[NFATES]; /* faults that took place */
		bool closing;         /* no more waiting */
	} shared;
};

static struct fault *
fault_of(struct commitlog *log)
{
	return CONTAINER_OF(log, struct fault, base);
}

static void
count(struct fault *f, enum fate fate)
{
	pthread_mutex_lock(&f->shared.lock);
	f->shared.met[fate]++;
	pthread_mutex_unlock(&f->shared.lock);
}

/* splitmix64 */
static uint64_t
draw(struct fault *f, uint64_t below)
{
	uint64_t z = f->shared.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return below > 0 ? z % below : 0;
}

static enum fate
draw_fate(struct fault *f)
{
	uint64_t at = draw(f, 1000);

	for (unsigned i = 0; i < NFATES; i++) {
		if (at < f->rule[i].permille)
			return (enum fate)i;
		at -= f->rule[i].permille;
	}
	return WELL;
}

/* The lock is held. */
static void
schedule(struct fault *f, struct event *e, uint64_t due)
{
	struct event *before;

	e->due = MAX(due, f->shared.frozen_until);
	TAILQ_FOREACH_REVERSE(before, &f->shared.events, events, link)
	if (before->due <= e->due)
		break;
	if (before == NULL)
		TAILQ_INSERT_HEAD(&f->shared.events, e, link);
	else
		TAILQ_INSERT_AFTER(&f->shared.events, before, e, link);
	pthread_cond_broadcast(&f->shared.changed);
}

static bool
is_frozen(struct fault *f)
{
	return !f->shared.closing && f->shared.frozen_until > clock_boot_ns();
}

/* Milliseconds until a moment, at least 1. */
static unsigned
until(uint64_t moment)
{
	uint64_t now = clock_boot_ns();

	return moment > now ? (unsigned)((moment - now) / CLOCK_MSEC) + 1 : 1;
}

static void
wait_thaw(struct fault *f)
{
	pthread_mutex_lock(&f->shared.lock);
	while (is_frozen(f))
		cond_wait_msec(&f->shared.changed, &f->shared.lock, until(f->shared.frozen_until));
	pthread_mutex_unlock(&f->shared.lock);
}

static void
tell(struct event *e)
{
	if (e->fate == REFUSE || e->fate == LOST || e->fate == DELAY || e->fate == FREEZE)
		count(e->fault, e->fate);
	if (e->fn != NULL)
		e->fn(e->outcome, e->offset, e->outcome == COMMITLOG_AT ? NULL : &e->err, e->arg);
	free(e);
}

static void
set_outcome(struct event *e, enum commitlog_outcome outcome)
{
	bool unknown = outcome == COMMITLOG_UNKNOWN;

	e->answer = true;
	e->outcome = outcome;
	e->offset = 0;
	err_set(&e->err, unknown ? ERR_UNKNOWN : ERR_UNAVAILABLE, "fault: %s", names[e->fate]);
}

static struct event *
new_event(struct fault *f, enum fate fate, uint32_t stream, struct slice bytes)
{
	struct event *e = mem_alloc(sizeof(*e) + bytes.len);

	e->fault = f;
	e->fate = fate;
	e->cause = WELL;
	e->stream = stream;
	e->len = bytes.len;
	if (bytes.len > 0)
		memcpy(e->bytes, bytes.p, bytes.len);
	return e;
}

/* The same bytes once more, for nobody.  The lock is held. */
static void
schedule_again(struct fault *f, const struct event *e)
{
	struct event *again = new_event(f, WELL, e->stream, slice_of(e->bytes, e->len));

	again->cause = e->fate;
	schedule(f, again, clock_boot_ns() + e->later);
}

static void
on_below(enum commitlog_outcome outcome, uint64_t offset, const struct err *err, void *arg)
{
	struct event *e = arg;
	struct fault *f = e->fault;
	bool wait;

	e->answer = true;
	e->outcome = outcome;
	e->offset = offset;
	if (outcome == COMMITLOG_AT && e->cause != WELL)
		count(f, e->cause);
	if (outcome != COMMITLOG_AT) {
		e->err = *err;
	} else if (e->fate == LOSTACK) {
		set_outcome(e, COMMITLOG_UNKNOWN);
		count(f, LOSTACK);
	}
	pthread_mutex_lock(&f->shared.lock);
	wait = !f->shared.closing && (e->fate == DELAY || is_frozen(f));
	if (wait)
		schedule(f, e, clock_boot_ns() + (e->fate == DELAY ? e->later : 0));
	if (e->fate == TWICE && outcome != COMMITLOG_NOT && !f->shared.closing)
		schedule_again(f, e);
	pthread_mutex_unlock(&f->shared.lock);
	if (!wait)
		tell(e);
}

/* What is still to come by itself when the log is closed never comes. */
static void
perform(struct event *e, bool closing)
{
	if (e->answer)
		tell(e);
	else if (e->fn == NULL && closing)
		free(e);
	else
		commitlog_append(e->fault->below, e->stream, slice_of(e->bytes, e->len), on_below,
				 e);
}

static void *
run(void *arg)
{
	struct fault *f = arg;
	struct event *e;
	uint64_t due;
	bool closing;

	pthread_mutex_lock(&f->shared.lock);
	for (;;) {
		e = TAILQ_FIRST(&f->shared.events);
		closing = f->shared.closing;
		if (e == NULL && closing)
			break;
		if (e == NULL) {
			pthread_cond_wait(&f->shared.changed, &f->shared.lock);
			continue;
		}
		due = MAX(e->due, f->shared.frozen_until);
		if (!closing && due > clock_boot_ns()) {
			cond_wait_msec(&f->shared.changed, &f->shared.lock, until(due));
			continue;
		}
		TAILQ_REMOVE(&f->shared.events, e, link);
		pthread_mutex_unlock(&f->shared.lock);
		perform(e, closing);
		pthread_mutex_lock(&f->shared.lock);
	}
	pthread_mutex_unlock(&f->shared.lock);
	return NULL;
}

static void
append(struct commitlog *log, uint32_t stream, struct slice bytes, commitlog_append_fn *fn,
       void *arg)
{
	struct fault *f = fault_of(log);
	struct event *e;
	uint64_t now;

	pthread_mutex_lock(&f->shared.lock);
	if (f->shared.closing) {
		pthread_mutex_unlock(&f->shared.lock);
		commitlog_append(f->below, stream, bytes, fn, arg);
		return;
	}
	now = clock_boot_ns();
	e = new_event(f, draw_fate(f), stream, bytes);
	e->fn = fn;
	e->arg = arg;
	if (e->fate != WELL)
		e->later = draw(f, f->rule[e->fate].msec * CLOCK_MSEC + 1);
	if (e->fate == FREEZE)
		f->shared.frozen_until = now + f->rule[FREEZE].msec * CLOCK_MSEC;
	else if (e->fate == LATE)
		schedule_again(f, e);
	if (e->fate == REFUSE)
		set_outcome(e, COMMITLOG_NOT);
	else if (e->fate == LOST || e->fate == LATE)
		set_outcome(e, COMMITLOG_UNKNOWN);
	schedule(f, e, now);
	pthread_mutex_unlock(&f->shared.lock);
}

static void
on_records(uint32_t stream, const struct commitlog_record *r, size_t n, void *arg)
{
	struct sub *s = arg;
	commitlog_read_fn *fn = s->read;
	void *of = s->arg;

	wait_thaw(s->fault);
	fn(stream, r, n, of);
}

static void
on_trouble(uint32_t stream, const struct err *err, void *arg)
{
	struct sub *s = arg;

	s->trouble(stream, err, s->arg);
}

static void
read_stream(struct commitlog *log, uint32_t stream, uint64_t from, commitlog_read_fn *fn,
	    commitlog_trouble_fn *trouble, void *arg)
{
	struct fault *f = fault_of(log);
	struct sub *s = MEM_NEW(struct sub);

	s->fault = f;
	s->stream = stream;
	s->read = fn;
	s->trouble = trouble;
	s->arg = arg;
	pthread_mutex_lock(&f->shared.lock);
	LIST_INSERT_HEAD(&f->shared.subs, s, link);
	pthread_mutex_unlock(&f->shared.lock);
	commitlog_read(f->below, stream, from, on_records, on_trouble, s);
}

static void
unread(struct commitlog *log, uint32_t stream)
{
	struct fault *f = fault_of(log);
	struct sub *s;

	commitlog_unread(f->below, stream);
	pthread_mutex_lock(&f->shared.lock);
	LIST_FOREACH (s, &f->shared.subs, link)
		if (s->stream == stream)
			break;
	if (s != NULL)
		LIST_REMOVE(s, link);
	pthread_mutex_unlock(&f->shared.lock);
	free(s);
}

static int
ends(struct commitlog *log, uint32_t stream, uint64_t *first, uint64_t *next, struct err *err)
{
	wait_thaw(fault_of(log));
	return commitlog_ends(fault_of(log)->below, stream, first, next, err);
}

static int
scan(struct commitlog *log, uint32_t stream, uint64_t from, uint64_t max, commitlog_read_fn *fn,
     void *arg, struct err *err)
{
	wait_thaw(fault_of(log));
	return commitlog_scan(fault_of(log)->below, stream, from, max, fn, arg, err);
}

static int
trim(struct commitlog *log, uint32_t stream, uint64_t head, struct err *err)
{
	wait_thaw(fault_of(log));
	return commitlog_trim(fault_of(log)->below, stream, head, err);
}

/* NAME=PERMILLE[@TIME] */
static int
parse_rule(struct rule *rules, struct slice text, struct err *err)
{
	struct slice rest = text, name = slice_cut(&rest, '='), number = slice_cut(&rest, '@');
	char *digits = mem_strndup(number.p, number.len), *time = mem_strndup(rest.p, rest.len);
	int64_t permille = 0;
	uint64_t msec = 0;
	unsigned i = 0;
	int rc = units_int(&permille, digits, err);

	while (i < NFATES && !slice_eq_str(name, names[i]))
		i++;
	if (rc == 0 && rest.len > 0)
		rc = units_msec(&msec, time, err);
	if (rc == 0 && (i == NFATES || permille < 0 || permille > 1000 || msec > 3600 * 1000))
		rc = err_set(err, ERR_BAD, "NAME=PERMILLE[@TIME] is meant");
	if (rc == 0)
		rules[i] = (struct rule){ (unsigned)permille, msec };
	else
		err_prefix(err, "fault \"%.*s\"", SLICE_ARG(slice_head(text, 60)));
	free(digits);
	free(time);
	return rc;
}

/* SEED,FAULT,... */
static int
parse_rules(struct fault *f, struct slice text, struct err *err)
{
	struct slice seed = slice_cut(&text, ',');
	char *digits = mem_strndup(seed.p, seed.len);
	int64_t number = 0;
	int rc = units_int(&number, digits, err);

	free(digits);
	f->shared.random = (uint64_t)number;
	while (rc == 0 && text.len > 0)
		rc = parse_rule(f->rule, slice_cut(&text, ','), err);
	return rc;
}

static void
destroy(struct fault *f)
{
	pthread_cond_destroy(&f->shared.changed);
	pthread_mutex_destroy(&f->shared.lock);
	free(f);
}

static void
close_fault(struct commitlog *log)
{
	struct fault *f = fault_of(log);
	struct sub *s;

	pthread_mutex_lock(&f->shared.lock);
	f->shared.closing = true;
	pthread_cond_broadcast(&f->shared.changed);
	pthread_mutex_unlock(&f->shared.lock);
	pthread_join(f->thread, NULL);
	commitlog_close(&f->below);
	while ((s = LIST_FIRST(&f->shared.subs)) != NULL) {
		LIST_REMOVE(s, link);
		free(s);
	}
	destroy(f);
}

static int
open_fault(struct commitlog **out, const char *where, const struct commitlog_opts *opts,
	   struct err *err)
{
	struct slice below = slice_str(where), rules = slice_cut(&below, ':');
	struct fault *f = MEM_NEW(struct fault);
	int rc;

	f->base.backend = &commitlog_fault_backend;
	pthread_mutex_init(&f->shared.lock, NULL);
	cond_init(&f->shared.changed);
	TAILQ_INIT(&f->shared.events);
	LIST_INIT(&f->shared.subs);
	rc = parse_rules(f, rules, err);
	if (rc == 0)
		rc = commitlog_open(&f->below, (const char *)below.p, opts, err);
	if (rc == 0)
		rc = commitlog_thread_start(&f->thread, run, f, "log-fault", err);
	if (rc < 0) {
		commitlog_close(&f->below);
		destroy(f);
		return rc;
	}
	*out = &f->base;
	return 0;
}

static bool
weak(struct commitlog *log, char *out, size_t size)
{
	return commitlog_weak(fault_of(log)->below, out, size);
}

void
commitlog_fault_metrics(struct commitlog *log, struct buf *out)
{
	static const char name[] = "gitshard_log_faults_total";
	struct fault *f;
	uint64_t met[NFATES];

	if (log->backend != &commitlog_fault_backend)
		return;
	f = fault_of(log);
	pthread_mutex_lock(&f->shared.lock);
	memcpy(met, f->shared.met, sizeof(met));
	pthread_mutex_unlock(&f->shared.lock);
	buf_addf(out, "# HELP %s faults of the log's test harness that took place\n", name);
	buf_addf(out, "# TYPE %s counter\n", name);
	for (unsigned i = 0; i < NFATES; i++)
		buf_addf(out, "%s{kind=\"%s\"} %" PRIu64 "\n", name, names[i], met[i]);
}

static int
create_topics(const char *where, const struct commitlog_opts *opts, uint32_t shards,
	      struct err *err)
{
	struct slice below = slice_str(where);

	slice_cut(&below, ':');
	return commitlog_create_topics((const char *)below.p, opts, shards, err);
}

const struct commitlog_backend commitlog_fault_backend = {
	.scheme = "fault",
	.open = open_fault,
	.create_topics = create_topics,
	.close = close_fault,
	.append = append,
	.read = read_stream,
	.unread = unread,
	.ends = ends,
	.scan = scan,
	.trim = trim,
	.weak = weak,
};
