/* The whole instance in one process: workers on threads of their own, nodes and clients on another
 * one, the log a file. */
#include "router/router.h"

#include <pthread.h>
#include <signal.h>

#include "gitproto/base/fsio.h"
#include "gitproto/base/rnd.h"
#include "router/worker.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/commitlog/map_judge.h"
#include "shard-map/map_check.h"
#include "shard-map/map_file.h"
#include "tests/unit/router/front/req_test.h"

static char dir[64];

/* What the tester's thread works with. */
struct world {
	struct fake node[FAKES];
	struct loop *loop;
	char clients[64], admin[64]; /* addresses of the router */
	const struct map *map;
	pthread_t thread;
	void (*play)(struct world *);
	bool told; /* the router was told to end */
};

static void
in_dir(char out[128], const char *name)
{
	snprintf(out, 128, "%s/%s", dir, name);
}

static const struct map *
make_map(struct world *w, uint64_t version)
{
	struct map *m = map_alloc(4, FAKES, 4 * FAKES);
	struct err e;

	assert_non_null(m);
	m->format = MAP_FORMAT;
	m->version = version;
	m->uuid[0] = 1;
	m->next_node = FAKES + 1;
	m->replicas = FAKES;
	snprintf(m->cluster, sizeof(m->cluster), "test");
	for (uint32_t i = 0; i < FAKES; i++) {
		m->nodes[i].id = i + 1;
		m->nodes[i].weight = 1;
		snprintf(m->nodes[i].name, MAP_NAME, "node%u", i + 1);
		snprintf(m->nodes[i].addr, MAP_ADDR, "%s", w->node[i].addr);
		snprintf(m->nodes[i].admin, MAP_ADDR, "127.0.0.1:%u", i + 1);
	}
	for (uint32_t s = 0; s < 4; s++) {
		for (uint32_t i = 0; i < FAKES; i++)
			m->members[s * FAKES + i] = i + 1;
		m->first[s + 1] = (s + 1) * FAKES;
	}
	if (map_check(m, &e) < 0)
		fail_msg("%s", e.text);
	map_seal(m);
	return m;
}

static void
on_appended(enum commitlog_outcome how, uint64_t offset, const struct err *e, void *arg)
{
	(void)how;
	(void)offset;
	(void)e;
	(void)arg;
}

/* The beginning of a log that holds the map. */
static void
write_log(const struct map *m)
{
	struct commitlog_opts o = { .cluster = "test", .create = true, .allow_weak = true };
	struct buf record = BUF_MAX(COMMITLOG_MAX_RECORD);
	uint8_t txn[RECORD_ID];
	char url[160], path[128];
	struct commitlog *log;
	struct err e;
	uint64_t first, next = 0;

	in_dir(path, "log");
	snprintf(url, sizeof(url), "file:%s", path);
	assert_int_equal(commitlog_open(&log, url, &o, &e), 0);
	rnd_bytes(txn, sizeof(txn));
	assert_int_equal(map_judge_record(&record, m, txn, &e), 0);
	commitlog_append(log, COMMITLOG_MAP, buf_slice(&record), on_appended, NULL);
	while (next == 0)
		assert_int_equal(commitlog_ends(log, COMMITLOG_MAP, &first, &next, &e), 0);
	commitlog_close(&log);
	buf_release(&record);
}

/* One request on a connection of its own, from the tester's loop. */
static int
ask_at(struct world *w, const char *addr, const char *request, struct client *c)
{
	client_connect(c, w->loop, addr, request);
	assert_true(run_until(w->loop, is_over, c));
	return client_status(c);
}

static int
ask_status(struct world *w, const char *addr, const char *request)
{
	struct client c;
	int status = ask_at(w, addr, request, &c);

	client_close(&c);
	return status;
}

#define AT(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void
wait_for(struct world *w, const char *path, const char *words)
{
	char request[200];
	bool found = false;

	snprintf(request, sizeof(request), AT("%s"), path);
	for (uint64_t end = clock_boot_ns() + DEADLINE_SEC * CLOCK_SEC; !found;) {
		struct client c;

		ask_at(w, w->admin, request, &c);
		found = strstr(buf_str(&c.raw), words) != NULL;
		if (!found && clock_boot_ns() > end) {
			print_error("no \"%s\" in the answer of %s: %s\n", words, path,
				    buf_str(&c.raw));
			abort();
		}
		client_close(&c);
		run_msec(w->loop, 5);
	}
}

static void *
run_tester(void *arg)
{
	struct world *w = arg;

	w->play(w);
	if (!w->told)
		kill(getpid(), SIGTERM);
	return NULL;
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* Runs a router with what is in `dir`, while play() runs on a thread of its own. */
static void
run_world(struct world *w, void (*play)(struct world *), int64_t threads)
{
	char log[160], path[128], cache[128];
	struct router_conf conf = { .cluster = (char *)"test",
				    .allow_weak_log = true,
				    .listen = w->clients,
				    .admin = w->admin,
				    .cache = cache,
				    .threads = threads,
				    .max_requests = 100,
				    .retry_deadline = 5000,
				    .body_stall = 60000 };
	struct router_opts o = { .conf = &conf, .reload = nothing };
	struct router *r;
	struct err e = { 0 };

	in_dir(path, "log");
	in_dir(cache, "cache");
	snprintf(log, sizeof(log), "file:%s", path);
	conf.log = log;
	w->play = play;
	w->told = false;
	assert_int_equal(router_new(&r, &o, &e), 0);
	assert_int_equal(pthread_create(&w->thread, NULL, run_tester, w), 0);
	router_run(r);
	router_free(&r);
	pthread_join(w->thread, NULL);
}

/* A port that was free a moment ago. */
static void
choose_addr(char out[64], struct loop *l)
{
	struct fake f = { 0 };

	fake_open(&f, l, 0, "127.0.0.1:0");
	snprintf(out, 64, "%s", f.addr);
	fake_close(&f);
}

static void
open_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	snprintf(dir, sizeof(dir), "/tmp/gitshard-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	w->loop = loop_new("tester");
	for (uint32_t i = 0; i < FAKES; i++) {
		struct fake *f = &w->node[i];

		f->git = say_hello;
		fake_open(f, w->loop, i + 1, "127.0.0.1:0");
		snprintf(f->lines, sizeof(f->lines),
			 "node %u 00112233445566778899aabbccddeeff\nmap 1\n"
			 "shard 0 %s 5 1 1 1\nshard 1 %s 5 1 1 1\nshard 2 %s 5 1 1 1\n"
			 "shard 3 %s 5 1 1 1\nbeat\n",
			 i + 1, i == 0 ? "primary" : "follower", i == 0 ? "primary" : "follower",
			 i == 0 ? "primary" : "follower", i == 0 ? "primary" : "follower");
	}
	choose_addr(w->clients, w->loop);
	choose_addr(w->admin, w->loop);
	w->map = make_map(w, 1);
}

static void
close_world(struct world *w)
{
	for (uint32_t i = 0; i < FAKES; i++)
		fake_close(&w->node[i]);
	run_msec(w->loop, 1);
	loop_free(&w->loop);
	map_unref(&w->map);
	assert_int_equal(fsio_remove_tree(dir, NULL), 0);
}

static void
play_all(struct world *w)
{
	wait_for(w, "/readyz", " 200 ");
	assert_int_equal(ask_status(w, w->admin, AT("/healthz")), 200);
	assert_int_equal(ask_status(w, w->admin, AT("/nothing")), 404);
	assert_int_equal(ask_status(w, w->admin,
				    "POST /status HTTP/1.1\r\nHost: x\r\nConnection: "
				    "close\r\nContent-Length: 0\r\n\r\n"),
			 405);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(ask_status(w, w->clients, GET("a/b")), 200);
	wait_for(w, "/metrics", "kind=\"advertise-fetch\",code=\"2xx\"} 20\n");
	wait_for(w, "/metrics", "gitshard_router_node_connected{node=\"node2\"} 1\n");
	wait_for(w, "/metrics", "gitshard_router_shards_led 4\n");
	wait_for(w, "/status", "\"map_from\": \"log\"");
	wait_for(w, "/status", "\"primary\": 1");
}

static void
test_with_log(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	write_log(w.map);
	run_world(&w, play_all, 3);
	/* and with one thread, which listens alone */
	run_world(&w, play_all, 1);
	close_world(&w);
}

static void
play_without_log(struct world *w)
{
	wait_for(w, "/readyz", "no map");
	assert_int_equal(ask_status(w, w->clients, GET("a/b")), 503);
	write_log(w->map);
	wait_for(w, "/readyz", " 200 ");
	wait_for(w, "/status", "\"map_from\": \"log\"");
	assert_int_equal(ask_status(w, w->clients, GET("a/b")), 200);
}

static void
play_from_cache(struct world *w)
{
	wait_for(w, "/readyz", " 200 ");
	wait_for(w, "/status", "\"map_from\": \"cache\"");
	assert_int_equal(ask_status(w, w->clients, GET("a/b")), 200);
}

/* It waits for a log; keeps the map; starts with it when the log is gone. */
static void
test_log_comes_and_goes(void **state)
{
	struct world w;
	char path[128];

	(void)state;
	open_world(&w);
	run_world(&w, play_without_log, 2);
	in_dir(path, "log");
	assert_int_equal(unlink(path), 0);
	run_world(&w, play_from_cache, 2);
	close_world(&w);
}

static bool
node_was_hit(void *arg)
{
	struct world *w = arg;

	return w->node[0].hits_n + w->node[1].hits_n + w->node[2].hits_n > 0;
}

/* SIGTERM while a request runs: it is not ready, takes nothing new, and finishes that one. */
static void
play_drain(struct world *w)
{
	struct client c;

	wait_for(w, "/readyz", " 200 ");
	for (unsigned i = 0; i < FAKES; i++)
		w->node[i].git = hang;
	client_connect(&c, w->loop, w->clients, GET("a/b"));
	assert_true(run_until(w->loop, node_was_hit, w));
	w->told = true;
	kill(getpid(), SIGTERM);
	wait_for(w, "/readyz", "draining");
	wait_for(w, "/status", "\"requests_active\": 1");
	for (unsigned i = 0; i < FAKES; i++)
		if (!LIST_EMPTY(&w->node[i].hits))
			hit_reply(LIST_FIRST(&w->node[i].hits), 200, "late\n");
	assert_true(run_until(w->loop, is_over, &c));
	assert_int_equal(client_status(&c), 200);
	client_close(&c);
}

/* A second signal ends it although a request hangs. */
static void
play_impatient(struct world *w)
{
	struct client c;

	wait_for(w, "/readyz", " 200 ");
	for (unsigned i = 0; i < FAKES; i++) {
		w->node[i].git = hang;
		w->node[i].hits_n = 0;
	}
	client_connect(&c, w->loop, w->clients, GET("a/b"));
	assert_true(run_until(w->loop, node_was_hit, w));
	w->told = true;
	kill(getpid(), SIGTERM);
	wait_for(w, "/readyz", "draining");
	kill(getpid(), SIGTERM);
	assert_true(run_until(w->loop, is_over, &c));
	client_close(&c);
}

static void
test_drain(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	write_log(w.map);
	run_world(&w, play_drain, 2);
	run_world(&w, play_impatient, 2);
	close_world(&w);
}

static void
test_start_faults(void **state)
{
	struct world w;
	char cache[128];
	struct router_conf conf = { .cluster = (char *)"test",
				    .log = (char *)"file:/nowhere/log",
				    .listen = w.clients,
				    .admin = w.admin,
				    .cache = cache,
				    .threads = 2,
				    .max_requests = 1,
				    .retry_deadline = 1,
				    .body_stall = 1 };
	struct router_opts o = { .conf = &conf };
	struct router *r;
	struct err e = { 0 };

	(void)state;
	open_world(&w);
	in_dir(cache, "cache");
	assert_int_equal(router_new(&r, &o, &e), ERR_REFUSED);
	assert_non_null(strstr(e.text, "allow_weak_log"));
	conf.allow_weak_log = true;
	conf.log = (char *)"paper:x";
	assert_int_equal(router_new(&r, &o, &e), ERR_BAD);
	conf.log = (char *)"file:/nowhere/log";
	snprintf(w.clients, sizeof(w.clients), "%s", w.node[0].addr);
	assert_int_equal(router_new(&r, &o, &e), ERR_IO);
	assert_non_null(strstr(e.text, "router.listen"));
	snprintf(w.clients, sizeof(w.clients), "0.0.0.0:0");
	assert_int_equal(router_new(&r, &o, &e), ERR_REFUSED);
	snprintf(w.clients, sizeof(w.clients), "127.0.0.1:0");
	snprintf(w.admin, sizeof(w.admin), "nonsense");
	assert_int_equal(router_new(&r, &o, &e), ERR_BAD);
	assert_non_null(strstr(e.text, "router.admin"));
	close_world(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_log),
		cmocka_unit_test(test_log_comes_and_goes),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_start_faults),
	};

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
