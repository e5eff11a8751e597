/* Both sides of staging (R8): a primary and two voters over real back-plane sessions. */
#include "replica/serve/stage_send.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/statvfs.h>

#include "gitproto/base/hex.h"
#include "replica/apply/apply.h"
#include "replica/repo/replica_stats.h"
#include "replica/serve/pack_get.h"
#include "replica/serve/pack_recv.h"
#include "replica/serve/room.h"
#include "replica/serve/serve.h"
#include "replica/serve/stage_come.h"
#include "replica/serve/stage_hold.h"
#include "replica/serve/stage_slot.h"
#include "tests/unit/replica/serve/files_test.h"
#include "tests/unit/replica/shard/shard_world.h"

#define PACK (700u * 1024)
#define IDX 5000u

struct voter {
	struct node *node;
	struct serve serve;
	struct http_server *server;
	char data[96];
	bool slow; /* takes no request's body */
};

struct stage {
	struct world *w;
	struct work *work;
	struct node *primary;
	struct serve serve;
	struct voter voters[2]; /* nodes 2 and 3 */
	struct pushed_pack pack;
	uint8_t *bytes; /* owned */
	char hex[65];
	unsigned told;
	struct err err;
};

static void
serve_init(struct stage *s, struct serve *v, struct node *n, uint8_t node, const char *data)
{
	v->loop = s->w->loop;
	v->work = s->work;
	v->shards = n->shards;
	v->self = node;
	v->incarnation[0] = node;
	v->data = data;
	v->push_msec = 5000;
}

static void
handle(struct http_xchg *x, void *arg)
{
	struct voter *v = arg;

	if (v->slow)
		return;
	if (strcmp(http_xchg_request(x)->target, "/gs/stage") == 0)
		stage_come_receive(v->serve.comes, x, v->node->shard);
	else
		stage_hold_release(v->serve.holds, x, v->node->shard);
}

static void
voter_begin(struct stage *s, struct voter *v, uint8_t node)
{
	struct http_server_opts o = { .listen = "127.0.0.1:0", .http2 = true, .handler = handle };

	v->node = node_begin(s->w, &(struct node_opts){ .node = node });
	snprintf(v->data, sizeof(v->data), "%s/%u", s->w->dir, node);
	serve_init(s, &v->serve, v->node, node, v->data);
	v->serve.wants = pack_gets_new(&v->serve);
	v->serve.comes = stage_comes_new(&v->serve);
	v->serve.slots = stage_slots_new(s->w->loop, 8u << 20);
	assert_int_equal(stage_holds_new(&v->serve.holds, &v->serve, NULL), 0);
	o.arg = v;
	assert_int_equal(http_server_new(&v->server, s->w->loop, &o, NULL), 0);
	peers_put(s->serve.peers, node, http_server_addr(v->server));
}

static int
open_bytes(struct stage *s, const char *name, const uint8_t *p, size_t n, uint8_t sha256[32])
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", s->w->dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, p, n), n);
	sum(sha256, p, n);
	return fd;
}

static int
begin(void **state)
{
	struct stage *s = MEM_NEW(struct stage);

	world_begin((void **)&s->w);
	s->work = work_new(s->w->loop, 2);
	s->primary = node_begin(s->w, &(struct node_opts){ .node = 1 });
	shard_set_preferred(s->primary->shard, true);
	wait_primary(s->primary);
	serve_init(s, &s->serve, s->primary, 1, s->w->dir);
	s->serve.peers = peers_new(s->w->loop);
	s->serve.slots = stage_slots_new(s->w->loop, 2 * STAGE_SLOT_BYTES);
	voter_begin(s, &s->voters[0], 2);
	voter_begin(s, &s->voters[1], 3);
	s->bytes = some_bytes(PACK + IDX);
	s->pack.present = true;
	s->pack.pack.size = PACK;
	s->pack.idx.size = IDX;
	s->pack.pack.fd = open_bytes(s, "pack", s->bytes, PACK, s->pack.pack.sha256);
	s->pack.idx.fd = open_bytes(s, "idx", s->bytes + PACK, IDX, s->pack.idx.sha256);
	hex_encode(s->hex, s->pack.pack.sha256, 32);
	*state = s;
	return 0;
}

static int
end(void **state)
{
	struct stage *s = *state;

	for (size_t i = 0; i < COUNT(s->voters); i++)
		http_server_free(&s->voters[i].server);
	stage_slots_free(&s->serve.slots);
	peers_free(&s->serve.peers);
	run_msec(s->w->loop, 20);
	work_free(&s->work);
	for (size_t i = 0; i < COUNT(s->voters); i++) {
		stage_comes_free(&s->voters[i].serve.comes);
		pack_gets_free(&s->voters[i].serve.wants);
		stage_holds_free(&s->voters[i].serve.holds);
		stage_slots_free(&s->voters[i].serve.slots);
		node_end(&s->voters[i].node);
	}
	node_end(&s->primary);
	close(s->pack.pack.fd);
	close(s->pack.idx.fd);
	free(s->bytes);
	world_end((void **)&s->w);
	free(s);
	return 0;
}

static void
on_staged(const struct err *err, void *arg)
{
	struct stage *s = arg;

	s->told++;
	s->err = *err;
}

static bool
is_decided(void *arg)
{
	return ((struct stage *)arg)->told > 0;
}

static struct stage_send *
send_pack(struct stage *s, uint8_t push, uint64_t msec)
{
	uint8_t push_id[16] = { push }, repo_id[16] = { 9 };

	s->told = 0;
	return stage_send_new(&s->serve, s->primary->shard, push_id, repo_id, &s->pack,
			      clock_boot_ns() + msec * CLOCK_MSEC, on_staged, s);
}

static size_t
held(const struct stage *s, unsigned voter)
{
	return stage_holds_count(s->voters[voter].serve.holds);
}

static bool
has_file(const struct stage *s, unsigned voter, const char *ends)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s/%s.%s", s->voters[voter].data, APPLY_STAGING, s->hex,
		 ends);
	return access(path, F_OK) == 0;
}

static bool
both_have_it(void *arg)
{
	return has_file(arg, 0, "hold") && has_file(arg, 1, "hold");
}

static bool
nobody_holds(void *arg)
{
	return held(arg, 0) == 0 && held(arg, 1) == 0;
}

static bool
holds_of_both(struct stage *s, size_t n)
{
	return held(s, 0) == n && held(s, 1) == n;
}

struct holds {
	struct stage *s;
	size_t n;
};

static bool
are_held(void *arg)
{
	struct holds *h = arg;

	return both_have_it(h->s) && holds_of_both(h->s, h->n);
}

/* Until both have the files, and hold them for so many pushes. */
static void
wait_held(struct stage *s, size_t n)
{
	struct holds h = { s, n };

	assert_true(run_until(s->w->loop, are_held, &h));
	run_msec(s->w->loop, 20); /* and answers are on their way back */
	assert_true(holds_of_both(s, n));
}

static void
test_confirmed_and_released(void **state)
{
	struct stage *s = *state;
	struct stage_send *send = send_pack(s, 1, 60000);

	assert_false(stage_send_enough(send));
	assert_true(run_until(s->w->loop, is_decided, s));
	assert_int_equal(s->err.code, 0);
	wait_held(s, 1);
	stage_send_self(send);
	assert_true(stage_send_enough(send));
	assert_true(has_file(s, 0, "pack") && has_file(s, 0, "idx"));
	assert_int_equal(s->told, 1);
	stage_send_free(&send, false);
	assert_true(run_until(s->w->loop, nobody_holds, s));
	assert_false(has_file(s, 0, "pack") || has_file(s, 1, "idx") || has_file(s, 1, "hold"));
}

static struct record
update_of(struct stage *s, uint8_t push, struct record_pack *pack)
{
	struct record r = { .type = RECORD_UPDATE, .shard = SHARD };

	r.reign = shard_reign(s->primary->shard);
	r.update.push[0] = push;
	*pack = (struct record_pack){ .size = PACK, .idx_size = IDX };
	memcpy(pack->sha256, s->pack.pack.sha256, 32);
	r.update.packs = pack;
	r.update.n_packs = 1;
	return r;
}

/* Kept until an effective record of that push is applied. */
static void
test_committed(void **state)
{
	struct stage *s = *state;
	struct stage_holds *h = s->voters[0].serve.holds;
	struct stage_send *send = send_pack(s, 1, 60000);
	struct record_pack pack;
	struct record r;

	wait_held(s, 1);
	stage_send_free(&send, true);
	run_msec(s->w->loop, 50);
	assert_true(holds_of_both(s, 1));
	r = update_of(s, 2, &pack); /* another push with that pack */
	stage_hold_on_note(h, SHARD, 10, &r, VERDICT_EFFECTIVE);
	stage_hold_on_applied(h, SHARD, 11);
	assert_int_equal(held(s, 0), 1);
	r = update_of(s, 1, &pack);
	stage_hold_on_note(h, SHARD, 12, &r, VERDICT_DEAD);
	stage_hold_on_applied(h, SHARD, 13);
	assert_int_equal(held(s, 0), 1);
	stage_hold_on_note(h, SHARD, 14, &r, VERDICT_EFFECTIVE);
	stage_hold_on_applied(h, SHARD, 14);
	assert_int_equal(held(s, 0), 1); /* judged, not yet linked into the repository */
	assert_true(has_file(s, 0, "pack"));
	stage_hold_on_applied(h, SHARD, 15);
	assert_int_equal(held(s, 0), 0);
	assert_false(has_file(s, 0, "pack"));
	assert_int_equal(held(s, 1), 1);
}

/* A higher claim frees it; another shard's does not. */
static void
test_higher_claim(void **state)
{
	struct stage *s = *state;
	struct stage_holds *h = s->voters[0].serve.holds;
	struct stage_send *send = send_pack(s, 1, 60000);
	struct record r = { .type = RECORD_CLAIM };

	wait_held(s, 1);
	r.reign.epoch = shard_epoch(s->primary->shard);
	stage_hold_on_note(h, SHARD, 10, &r, VERDICT_EFFECTIVE);
	r.reign.epoch++;
	stage_hold_on_note(h, SHARD + 1, 10, &r, VERDICT_EFFECTIVE);
	stage_hold_on_note(h, SHARD, 10, &r, VERDICT_OUT);
	stage_hold_on_applied(h, SHARD, 11);
	assert_int_equal(held(s, 0), 1);
	stage_hold_on_note(h, SHARD, 11, &r, VERDICT_EFFECTIVE);
	stage_hold_on_applied(h, SHARD, 12);
	assert_int_equal(held(s, 0), 0);
	stage_send_free(&send, true);
}

static void
test_majority_is_enough(void **state)
{
	struct stage *s = *state;
	struct stage_send *send;

	s->voters[1].slow = true;
	send = send_pack(s, 1, 60000);
	assert_true(run_until(s->w->loop, is_decided, s));
	assert_int_equal(s->err.code, 0);
	assert_false(stage_send_enough(send)); /* our own copy is not durable yet */
	stage_send_self(send);
	assert_true(stage_send_enough(send));
	stage_send_free(&send, false);
	assert_true(run_until(s->w->loop, nobody_holds, s));
}

static void
test_no_majority(void **state)
{
	struct stage *s = *state;
	struct stage_send *send;

	peers_drop(s->serve.peers, 2);
	peers_drop(s->serve.peers, 3);
	send = send_pack(s, 1, 200);
	assert_true(run_until(s->w->loop, is_decided, s));
	assert_int_equal(s->err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err_text(&s->err), "quorum not reached"));
	stage_send_self(send);
	assert_false(stage_send_enough(send));
	stage_send_free(&send, false);
	assert_int_equal(s->told, 1);
}

/* One voter takes nothing in: pushes go on by the other, and what waits for it is bounded. */
static void
test_slow_voter_does_not_hold_up(void **state)
{
	struct stage *s = *state;
	struct stage_slot_counts n;

	s->voters[1].slow = true;
	for (uint8_t push = 1; push <= 6; push++) {
		struct stage_send *send = send_pack(s, push, 60000);

		assert_true(run_until(s->w->loop, is_decided, s));
		assert_int_equal(s->err.code, 0);
		stage_send_self(send);
		assert_true(stage_send_enough(send));
		stage_send_free(&send, true);
		stage_slots_count(s->serve.slots, &n);
		assert_int_equal(n.sending + n.waiting, 0);
		assert_true(n.lingering <= 1); /* of two slots */
	}
	assert_int_equal(n.lingering, 1);
	assert_int_equal(held(s, 0), 6);
	assert_int_equal(held(s, 1), 0);
}

/* A disk without so much room. */
static void
test_voters_are_full(void **state)
{
	struct stage *s = *state;
	struct stage_slot_counts n;
	struct stage_send *send;

	s->voters[0].serve.min_free = UINT64_MAX / 2;
	s->voters[1].serve.min_free = UINT64_MAX / 2;
	send = send_pack(s, 1, 1500);
	assert_true(run_until(s->w->loop, is_decided, s));
	assert_int_equal(s->err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err_text(&s->err), "507: its disk is full"));
	stage_slots_count(s->serve.slots, &n);
	assert_int_equal(n.sending, 0);
	assert_true(nobody_holds(s));
	stage_send_free(&send, false);
}

static void
on_head(struct http_call *call, enum http_call_event ev, void *arg)
{
	if (ev == CALL_HEAD)
		*(int *)arg = http_call_response(call)->status;
}

/* The head of a pack to node 2; its body never comes. */
static struct http_call *
call_without_body(struct stage *s, const char *push, uint64_t size, int *status)
{
	struct http_head *h = http_head_new();
	struct record_reign r = shard_reign(s->primary->shard);
	char text[PACK_NAME_TEXT];
	struct http_call *call;

	http_head_request(h, "POST", "/gs/stage");
	http_head_addf(h, "gitshard-reign", "%" PRIu64 ":%" PRIu32 ":%" PRIu64, r.epoch, r.node,
		       r.boot);
	http_head_addf(h, "gitshard-push", "%s", push);
	http_head_addf(h, "gitshard-repo", "%032x", 9);
	pack_name_format(text, s->pack.pack.sha256, size);
	http_head_addf(h, "gitshard-pack", "%s", text);
	pack_name_format(text, s->pack.idx.sha256, IDX);
	http_head_addf(h, "gitshard-idx", "%s", text);
	*status = 0;
	call = http_call_new(peers_get(s->serve.peers, 2), h, true, on_head, status);
	http_head_free(&h);
	return call;
}

static bool
one_comes(void *arg)
{
	return stage_comes_count(((struct stage *)arg)->voters[0].serve.comes) == 1;
}

static bool
none_comes(void *arg)
{
	return stage_comes_count(((struct stage *)arg)->voters[0].serve.comes) == 0;
}

static bool
is_answered(void *arg)
{
	return *(int *)arg != 0;
}

/* What is on its way counts: its bytes for the disk, itself for its sender's slots. */
static void
test_bounds_of_what_comes(void **state)
{
	struct stage *s = *state;
	struct serve *v = &s->voters[0].serve;
	struct http_call *one, *two;
	struct statvfs fs;
	int status, other;
	uint64_t got, half;

	assert_int_equal(statvfs(v->data, &fs), 0);
	half = (uint64_t)fs.f_bavail * fs.f_frsize / 2;
	v->min_free = half / 2 * 3;
	assert_int_equal(room_for_pack(v, 0, NULL), 0);
	v->min_free = 0;
	one = call_without_body(s, "00000000000000000000000000000001", half, &status);
	assert_true(run_until(s->w->loop, one_comes, s));
	assert_int_equal(stage_comes_left(v->comes), half + IDX);
	assert_true(stage_come_find(v->comes, s->pack.pack.sha256, &got));
	assert_int_equal(got, 0);
	v->min_free = half / 2 * 3;
	assert_int_equal(room_for_pack(v, 0, NULL), ERR_FULL);
	v->min_free = 0;
	stage_slots_set_peers(v->slots, 1000); /* one slot */
	two = call_without_body(s, "00000000000000000000000000000002", PACK, &other);
	assert_true(run_until(s->w->loop, is_answered, &other));
	assert_int_equal(other, 503);
	assert_int_equal(status, 0);
	http_call_free(&one);
	http_call_free(&two);
	assert_true(run_until(s->w->loop, none_comes, s));
	assert_int_equal(stage_comes_left(v->comes), 0);
	assert_int_equal(held(s, 0), 0);
}

/* Two pushes of one pack: what is released of the one stays for the other, also over a restart. */
static void
test_two_pushes_of_one_pack(void **state)
{
	struct stage *s = *state;
	struct voter *v = &s->voters[0];
	struct stage_send *one = send_pack(s, 1, 60000), *two = send_pack(s, 2, 60000);

	while (s->told < 2)
		run_msec(s->w->loop, 1);
	wait_held(s, 2);
	stage_holds_free(&v->serve.holds);
	assert_int_equal(stage_holds_new(&v->serve.holds, &v->serve, NULL), 0);
	assert_int_equal(held(s, 0), 2);
	stage_send_free(&one, false);
	while (!holds_of_both(s, 1))
		run_msec(s->w->loop, 1);
	assert_true(has_file(s, 0, "pack") && has_file(s, 1, "pack"));
	stage_send_free(&two, false);
	assert_true(run_until(s->w->loop, nobody_holds, s));
	assert_false(has_file(s, 0, "pack") || has_file(s, 1, "pack"));
}

/* The push ends before the packs are there: nothing is held, nothing left. */
static void
test_given_up_on_the_way(void **state)
{
	struct stage *s = *state;

	for (unsigned msec = 0; msec < 12; msec += 2) {
		struct stage_send *send = send_pack(s, 1, 60000);

		run_msec(s->w->loop, msec);
		stage_send_free(&send, false);
		assert_null(send);
	}
	run_msec(s->w->loop, 100);
	assert_true(run_until(s->w->loop, nobody_holds, s));
	assert_false(has_file(s, 0, "pack") || has_file(s, 1, "pack"));
}

/* A reign that the voter knows to be over: not confirmed (R8). */
static void
test_of_a_reign_that_is_over(void **state)
{
	struct stage *s = *state;
	struct stage_send *send;
	struct node *next;

	s->primary->holds = true; /* it does not hear of its end */
	next = node_begin(s->w, &(struct node_opts){ .node = 1, .start = 2 });
	wait_primary(next);
	while (shard_epoch(s->voters[0].node->shard) < 2 ||
	       shard_epoch(s->voters[1].node->shard) < 2)
		run_msec(s->w->loop, 1);
	send = send_pack(s, 1, 1500);
	assert_true(run_until(s->w->loop, is_decided, s));
	assert_int_equal(s->err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err_text(&s->err), "421"));
	assert_true(nobody_holds(s));
	stage_send_free(&send, false);
	node_end(&next);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_confirmed_and_released),
		T(test_committed),
		T(test_higher_claim),
		T(test_majority_is_enough),
		T(test_no_majority),
		T(test_slow_voter_does_not_hold_up),
		T(test_voters_are_full),
		T(test_bounds_of_what_comes),
		T(test_two_pushes_of_one_pack),
		T(test_given_up_on_the_way),
		T(test_of_a_reign_that_is_over),
	};

	replica_stats_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
