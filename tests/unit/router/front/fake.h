/* Fake storage nodes, a client that speaks raw HTTP/1.1, and a front between them, all on one loop.
 * A node keeps its status stream with beats and hands each git request to the test's function. */
#ifndef TESTS_UNIT_ROUTER_FRONT_FAKE_H
#define TESTS_UNIT_ROUTER_FRONT_FAKE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gitproto/base/buf.h"
#include "gitproto/net/http_server.h"
#include "gitproto/net/stream.h"
#include "router/front/front.h"
#include "tests/unit/gitproto/net/net_test.h"

#define FAKES 3

struct fake;

/* A git request at a node. */
struct hit {
	struct fake *f;
	struct http_xchg *x;
	struct stream *s;
	struct buf body; /* what came, if it is read */
	uint64_t got;    /* bytes of it */
	uint32_t sum;
	uint64_t owed, sent; /* bytes of an answer made by hit_send */
	bool cut;            /* the answer breaks off instead of ending */
	bool dead;
	bool slow;                   /* the body is not read */
	void (*whole)(struct hit *); /* when the body is there */
	LIST_ENTRY(hit) link;
};

struct feed {
	struct stream *s;
	struct fake *f;
	LIST_ENTRY(feed) link;
};

struct fake {
	uint32_t number;
	struct http_server *srv;
	char addr[64];
	struct loop *loop;
	struct timer *beat;
	bool mute;
	char lines[512]; /* the state that a status stream begins with */
	LIST_HEAD(, feed) feeds;
	LIST_HEAD(, hit) hits;
	void (*git)(struct hit *);
	unsigned hits_n, closed, dead;
	uint64_t body_max; /* most unread bytes of a body at the moment of an answer */
};

struct bed {
	struct loop *loop;
	struct fake node[FAKES];
	struct route *route;
	struct front *front;
	struct admit admit;
	struct stats *stats;
	const struct map *map;
};

static uint32_t
sum_of(uint32_t h, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * 16777619u;
	return h;
}

static void
fill(uint8_t *p, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((at + i) * 2654435761u >> 11);
}

UNUSED static uint32_t
fill_sum(uint64_t n)
{
	uint8_t block[8192];
	uint32_t h = 0;

	for (uint64_t at = 0; at < n; at += sizeof(block)) {
		size_t k = MIN(sizeof(block), n - at);

		fill(block, k, at);
		h = sum_of(h, slice_of(block, k));
	}
	return h;
}

/* --- nodes --- */

static void
hit_pump(struct hit *h)
{
	uint8_t block[16384];

	while (h->sent < h->owed && stream_queued(h->s) < STREAM_HIGH) {
		size_t k = MIN(sizeof(block), h->owed - h->sent);

		fill(block, k, h->sent);
		stream_write(h->s, slice_of(block, k));
		h->sent += k;
	}
	if (h->owed == 0 || h->sent < h->owed)
		return;
	h->owed = 0;
	if (h->cut)
		stream_reset(h->s, "cut by the test");
	else
		stream_end(h->s);
}

static void
on_hit_stream(struct stream *s, enum stream_event e, void *arg)
{
	struct hit *h = arg;

	if (e == STREAM_DEAD) {
		h->dead = true;
		h->f->dead++;
	}
	if (e == STREAM_WRITABLE)
		hit_pump(h);
	if (e != STREAM_READABLE || h->slow)
		return;
	while (stream_readable(s) > 0) {
		struct slice got = stream_peek(s, 0);

		h->sum = sum_of(h->sum, got);
		h->got += got.len;
		buf_add_slice(&h->body, got);
		stream_take(s, got.len);
	}
	if (stream_at_end(s) && h->whole != NULL && !http_xchg_responded(h->x))
		h->whole(h);
}

/* Reads the body, then calls whole. */
UNUSED static void
hit_read(struct hit *h, void (*whole)(struct hit *))
{
	h->whole = whole;
	stream_on(h->s, on_hit_stream, h);
}

UNUSED static void
hit_head(struct hit *h, int status)
{
	struct http_head *head = http_head_new();

	head->status = status;
	http_head_addf(head, "content-type", "application/x-git-upload-pack-result");
	http_head_addf(head, "gitshard-offset", "0:7");
	http_head_addf(head, "x-private", "never");
	http_xchg_respond(h->x, head);
	http_head_free(&head);
}

/* 200 and n bytes of the pattern; cut: it breaks off after them. */
UNUSED static void
hit_send(struct hit *h, uint64_t n, bool cut)
{
	h->owed = n;
	h->cut = cut;
	stream_on(h->s, on_hit_stream, h);
	hit_head(h, 200);
	hit_pump(h);
}

UNUSED static void
hit_reply(struct hit *h, int status, const char *text)
{
	h->f->body_max = MAX(h->f->body_max, stream_readable(h->s));
	http_xchg_reply(h->x, status, NULL, "text/plain", slice_str(text));
}

UNUSED static void
hit_wrong_of(struct hit *h, const char *shard, uint64_t epoch, uint32_t primary)
{
	struct http_head *extra = http_head_new();

	h->f->body_max = MAX(h->f->body_max, stream_readable(h->s));
	http_head_addf(extra, "gitshard-epoch", "%llu", (unsigned long long)epoch);
	if (shard != NULL)
		http_head_addf(extra, "gitshard-shard", "%s", shard);
	if (primary != 0)
		http_head_addf(extra, "gitshard-primary", "%u", primary);
	http_xchg_reply(h->x, 421, extra, "text/plain", SLICE_LIT("another node leads\n"));
	http_head_free(&extra);
}

UNUSED static void
hit_wrong(struct hit *h, uint64_t epoch, uint32_t primary)
{
	hit_wrong_of(h, NULL, epoch, primary);
}

static void
on_hit_close(void *arg)
{
	struct hit *h = arg;

	h->f->closed++;
	LIST_REMOVE(h, link);
	buf_release(&h->body);
	free(h);
}

static void
on_feed_close(void *arg)
{
	struct feed *d = arg;

	LIST_REMOVE(d, link);
	free(d);
}

static void
start_feed(struct fake *f, struct http_xchg *x)
{
	struct feed *d = MEM_NEW(struct feed);
	struct http_head *h = http_head_new();

	h->status = 200;
	d->s = http_xchg_stream(x);
	d->f = f;
	LIST_INSERT_HEAD(&f->feeds, d, link);
	http_xchg_on_close(x, on_feed_close, d);
	http_xchg_respond(x, h);
	http_head_free(&h);
	stream_write(d->s, slice_str(f->lines));
}

static void
on_fake(struct http_xchg *x, void *arg)
{
	struct fake *f = arg;
	struct hit *h;

	if (strcmp(http_xchg_request(x)->target, "/gs/status") == 0) {
		start_feed(f, x);
		return;
	}
	h = MEM_NEW(struct hit);
	h->f = f;
	h->x = x;
	h->s = http_xchg_stream(x);
	h->body = BUF_MAX(1024 * 1024);
	LIST_INSERT_HEAD(&f->hits, h, link);
	http_xchg_on_close(x, on_hit_close, h);
	f->hits_n++;
	f->git(h);
}

UNUSED static void
fake_say(struct fake *f, const char *line)
{
	struct feed *d;

	LIST_FOREACH (d, &f->feeds, link)
		stream_write(d->s, slice_str(line));
}

static void
on_beat(void *arg)
{
	struct fake *f = arg;

	timer_set(f->beat, 100);
	if (!f->mute)
		fake_say(f, "beat\n");
}

static void
fake_open(struct fake *f, struct loop *l, uint32_t number, const char *addr)
{
	struct http_server_opts o = { .listen = addr, .http2 = true, .handler = on_fake, .arg = f };
	struct err e;

	f->loop = l;
	f->number = number;
	LIST_INIT(&f->feeds);
	LIST_INIT(&f->hits);
	assert_int_equal(http_server_new(&f->srv, l, &o, &e), 0);
	snprintf(f->addr, sizeof(f->addr), "%s", http_server_addr(f->srv));
	f->beat = timer_new(l, on_beat, f);
	timer_set(f->beat, 100);
}

static void
fake_close(struct fake *f)
{
	http_server_free(&f->srv);
	timer_free(&f->beat);
}

/* --- the bed --- */

static bool
all_well(void *arg)
{
	struct bed *b = arg;

	return pool_well(route_pool(b->route)) == FAKES &&
	       shards_member(route_shards(b->route), 0, 1) != NULL;
}

static const struct map *
bed_map(struct bed *b, uint64_t version)
{
	struct map *m = map_alloc(1, FAKES, FAKES);

	assert_non_null(m);
	m->format = MAP_FORMAT;
	m->version = version;
	snprintf(m->cluster, sizeof(m->cluster), "test");
	m->next_node = FAKES + 1;
	m->replicas = FAKES;
	for (uint32_t i = 0; i < FAKES; i++) {
		m->nodes[i].id = i + 1;
		m->nodes[i].weight = 1;
		snprintf(m->nodes[i].name, MAP_NAME, "node%u", i + 1);
		snprintf(m->nodes[i].addr, MAP_ADDR, "%s", b->node[i].addr);
		m->members[i] = i + 1;
	}
	m->first[1] = FAKES;
	map_seal(m);
	return m;
}

static uint64_t bed_stall_msec = 60000;

/* git: what all nodes do; primary: who they say leads (0: nobody); retry_msec, max: of the front. */
UNUSED static void
bed_open(struct bed *b, void (*git)(struct hit *), uint32_t primary, unsigned retry_msec,
	 unsigned max)
{
	struct front_opts fo = { .listen = "127.0.0.1:0",
				 .retry_msec = retry_msec,
				 .stall_msec = bed_stall_msec };
	struct err e;

	memset(b, 0, sizeof(*b));
	b->loop = loop_new("test");
	for (uint32_t i = 0; i < FAKES; i++) {
		struct fake *f = &b->node[i];
		char who[8];

		f->git = git;
		fake_open(f, b->loop, i + 1, "127.0.0.1:0");
		snprintf(who, sizeof(who), "%u", primary);
		snprintf(f->lines, sizeof(f->lines),
			 "node %u 00112233445566778899aabbccddeeff\nmap 1\n"
			 "shard 0 %s 5 %s 10 10\nbeat\n",
			 i + 1, primary == i + 1 ? "primary" : "follower",
			 primary != 0 ? who : "-");
	}
	b->stats = front_stats_new();
	admit_init(&b->admit, max);
	b->route = route_new(b->loop, NULL);
	fo.loop = b->loop;
	fo.route = b->route;
	fo.admit = &b->admit;
	fo.stats = b->stats;
	assert_int_equal(front_new(&b->front, &fo, &e), 0);
	b->map = bed_map(b, 1);
	route_set_map(b->route, b->map, NULL);
	assert_true(run_until(b->loop, all_well, b));
}

UNUSED static void
bed_close(struct bed *b)
{
	front_free(&b->front);
	run_msec(b->loop, 1);
	assert_int_equal(admit_active(&b->admit), 0);
	route_free(&b->route);
	for (uint32_t i = 0; i < FAKES; i++)
		fake_close(&b->node[i]);
	map_unref(&b->map);
	stats_free(&b->stats);
	run_msec(b->loop, 1);
	loop_free(&b->loop);
}

UNUSED static unsigned
bed_hits(const struct bed *b)
{
	return b->node[0].hits_n + b->node[1].hits_n + b->node[2].hits_n;
}

/* --- the client --- */

struct client {
	struct loop *loop;
	struct stream *s;    /* owned */
	int fd;              /* of the stream */
	struct buf raw;      /* all that came back */
	uint64_t owed, sent; /* bytes of a body still to be written */
	bool chunked;
	bool lazy; /* reads nothing */
	bool over; /* the server closed, or broke, the connection */
	bool broke;
	uint64_t got;
};

static void
client_pump(struct client *c)
{
	uint8_t block[16384];

	while (c->sent < c->owed && stream_queued(c->s) < STREAM_HIGH) {
		size_t k = MIN(sizeof(block), c->owed - c->sent);

		fill(block, k, c->sent);
		stream_write(c->s, slice_of(block, k));
		c->sent += k;
	}
}

static void
on_client_stream(struct stream *s, enum stream_event e, void *arg)
{
	struct client *c = arg;

	if (e == STREAM_WRITABLE)
		client_pump(c);
	if (e == STREAM_DEAD)
		c->over = c->broke = true;
	if (e != STREAM_READABLE || c->lazy)
		return;
	while (stream_readable(s) > 0) {
		struct slice got = stream_peek(s, 0);

		buf_add_slice(&c->raw, got);
		c->got += got.len;
		stream_take(s, got.len);
	}
	if (stream_at_end(s))
		c->over = true;
}

static void
client_connect(struct client *c, struct loop *l, const char *addr, const char *request)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(c, 0, sizeof(*c));
	a.sin_port = htons((uint16_t)atoi(strchr(addr, ':') + 1));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	c->raw = BUF_MAX((size_t)128 * 1024 * 1024);
	c->loop = l;
	c->fd = fd;
	c->s = stream_open_fd(l, fd, fd);
	stream_on(c->s, on_client_stream, c);
	stream_write(c->s, slice_str(request));
}

UNUSED static void
client_open(struct client *c, struct bed *b, const char *request)
{
	client_connect(c, b->loop, front_addr(b->front), request);
}

UNUSED static void
client_body(struct client *c, uint64_t n)
{
	c->owed = n;
	c->sent = 0;
	client_pump(c);
}

UNUSED static void
client_close(struct client *c)
{
	stream_free(&c->s);
	buf_release(&c->raw);
}

/* With a reset, as when the machine of a client goes away. */
UNUSED static void
client_abort(struct client *c)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	client_close(c);
}

UNUSED static int
client_status(const struct client *c)
{
	const char *p = buf_str(&c->raw);

	return strncmp(p, "HTTP/1.1 ", 9) == 0 ? atoi(p + 9) : 0;
}

/* The body as it stands on the wire, chunks and all. */
UNUSED static const char *
client_text(const struct client *c)
{
	const char *p = strstr(buf_str(&c->raw), "\r\n\r\n");

	return p != NULL ? p + 4 : "";
}

/* Takes a chunked body apart: bytes and sum; false: it has no end. */
UNUSED static bool
client_dechunk(const struct client *c, uint64_t *n, uint32_t *sum)
{
	const char *p = client_text(c), *end = (const char *)c->raw.p + c->raw.len;

	*n = 0;
	*sum = 0;
	while (p < end) {
		char *q;
		unsigned long k = strtoul(p, &q, 16);

		if (q + 2 > end || (size_t)(end - q) < k + 4)
			return false;
		if (k == 0)
			return true;
		*sum = sum_of(*sum, slice_of(q + 2, k));
		*n += k;
		p = q + 2 + k + 2;
	}
	return false;
}

#endif
