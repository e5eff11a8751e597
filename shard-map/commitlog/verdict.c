#include "shard-map/commitlog/verdict.h"

#include "gitproto/base/check.h"
#include "shard-map/commitlog/mutant.h"
#include "shard-map/commitlog/record_wire.h"

#define FORMAT 1 /* of verdict_state_encode */

void
verdict_init(struct verdict_state *s, const uint8_t cluster[RECORD_ID], uint32_t shard)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->cluster, cluster, RECORD_ID);
	s->shard = shard;
}

const char *
verdict_name(enum verdict v)
{
	static const char *const names[] = { "free", "out", "dead", "effective" };

	return (unsigned)v < COUNT(names) ? names[v] : "?";
}

unsigned
verdict_majority(size_t n_voters, bool single)
{
	if (single)
		return 1;
	if (MUTANT(CONFIG_OF_ONE) && n_voters == 1)
		return 1;
	return MAX(2, (unsigned)n_voters / 2 + 1);
}

static bool
is_among(const struct record_member *m, size_t n, uint32_t node, const uint8_t inc[RECORD_ID])
{
	for (size_t i = 0; i < n; i++)
		if (m[i].node == node && memcmp(m[i].incarnation, inc, RECORD_ID) == 0)
			return true;
	return false;
}

bool
verdict_is_voter(const struct verdict_state *s, uint32_t node, const uint8_t inc[RECORD_ID])
{
	return is_among(s->members, s->n_voters, node, inc);
}

bool
verdict_is_member(const struct verdict_state *s, uint32_t node, const uint8_t inc[RECORD_ID])
{
	return is_among(s->members, (size_t)s->n_voters + s->n_learners, node, inc);
}

struct record_members
verdict_members(const struct verdict_state *s)
{
	return (struct record_members){
		.voters = s->members,
		.n_voters = s->n_voters,
		.learners = s->members + s->n_voters,
		.n_learners = s->n_learners,
		.single = s->single,
	};
}

static const struct record_member *
member_at(const struct record_members *m, size_t i)
{
	return i < m->n_voters ? &m->voters[i] : &m->learners[i - m->n_voters];
}

/* NULL when a config may be made of them, otherwise why not. */
static const char *
wrong_members(const struct record_members *m)
{
	size_t n = m->n_voters + m->n_learners;

	if (n > VERDICT_MEMBERS_MAX)
		return "it has too many members";
	if (m->n_voters < (m->single || MUTANT(CONFIG_OF_ONE) ? 1 : 2))
		return "it has fewer than two voters and does not say single";
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++) {
			const struct record_member *a = member_at(m, i), *b = member_at(m, j);

			if (a->node == b->node ||
			    memcmp(a->incarnation, b->incarnation, RECORD_ID) == 0)
				return "it names a member twice";
		}
	return NULL;
}

static enum verdict
check_genesis(const struct verdict_state *s, uint64_t offset, const struct record *r,
	      struct err *why)
{
	const char *wrong = wrong_members(&r->genesis.members);

	if (offset != 0 || s->genesis)
		wrong = "it does not stand at the beginning";
	else if (r->genesis.format != 1)
		wrong = "its stream has a format that is not known here";
	if (wrong == NULL)
		return VERDICT_EFFECTIVE;
	err_set(why, ERR_REFUSED, "this genesis means nothing: %s", wrong);
	return VERDICT_OUT;
}

/* R2 */
static enum verdict
check_claim(const struct verdict_state *s, const struct record *r, struct err *why)
{
	uint64_t e = s->reign.epoch;

	if (r->reign.epoch != e + 1)
		err_set(why, ERR_CONFLICT, "a claim of epoch %llu after epoch %llu",
			(unsigned long long)r->reign.epoch, (unsigned long long)e);
	else if (!verdict_is_voter(s, r->reign.node, r->claim.incarnation))
		err_set(why, ERR_REFUSED, "a claim by node %u, whose disk is no voter",
			r->reign.node);
	else if (e > 0 && s->last_offset > r->claim.base && !MUTANT(CLAIM_WITHOUT_BASE))
		err_set(why, ERR_CONFLICT, "a claim based on offset %llu, the holder wrote at %llu",
			(unsigned long long)r->claim.base, (unsigned long long)s->last_offset);
	else
		return VERDICT_EFFECTIVE;
	return VERDICT_OUT;
}

/* R8: what a config must be to count.  Who holds the packs was counted before it was appended. */
static enum verdict
check_config(const struct verdict_state *s, const struct record *r, struct err *why)
{
	const struct record_members *m = &r->config.members;
	const char *wrong = wrong_members(m);

	if (s->last_offset > r->config.base && !MUTANT(CONFIG_WITHOUT_BASE))
		wrong = "its writer wrote something else meanwhile";
	else if (wrong == NULL && !is_among(m->voters, m->n_voters, s->reign.node, s->holder))
		wrong = "the primary is not among its voters";
	if (wrong == NULL)
		return VERDICT_EFFECTIVE;
	err_set(why, ERR_CONFLICT, "this change of members does not count: %s", wrong);
	return VERDICT_DEAD;
}

/* R11 */
static enum verdict
check_checkpoint(const struct verdict_state *s, uint64_t offset, const struct record *r,
		 struct err *why)
{
	const struct record_checkpoint *c = &r->checkpoint;
	unsigned n = 0;

	for (size_t i = 0; i < s->n_voters; i++)
		n += is_among(c->members, c->n_members, s->members[i].node,
			      s->members[i].incarnation);
	if (c->head <= offset && n >= verdict_majority(s->n_voters, s->single))
		return VERDICT_EFFECTIVE;
	err_set(why, ERR_REFUSED, "this checkpoint does not count: %u of %u voters, head %llu", n,
		s->n_voters, (unsigned long long)c->head);
	return VERDICT_DEAD;
}

static int
check_effective(const struct verdict_state *s, uint64_t offset, const struct record *r,
		const struct verdict_content *content, struct err *why)
{
	switch (r->type) {
	case RECORD_YIELD:
	case RECORD_BARRIER:
		return VERDICT_EFFECTIVE;
	case RECORD_CONFIG:
		return check_config(s, r, why);
	case RECORD_CHECKPOINT:
		return check_checkpoint(s, offset, r, why);
	default:
		return verdict_content(s, r, content, why);
	}
}

/* Section 1, "in order", of a reign record that is no claim. */
static bool
is_in_order(const struct verdict_state *s, const struct record *r, struct err *why)
{
	if ((s->reign.epoch == 0 || !record_reign_eq(&s->reign, &r->reign)) &&
	    !MUTANT(REIGN_IGNORED)) {
		err_set(why, ERR_CONFLICT, "another primary took over before this was in the log");
		return false;
	}
	if (r->seq <= s->last_seq && !MUTANT(NO_SEQ)) {
		err_set(why, ERR_CONFLICT, "a later record of its writer was in the log before it");
		return false;
	}
	return true;
}

int
verdict_check(const struct verdict_state *s, uint64_t offset, const struct record *r,
	      const struct verdict_content *content, struct err *why)
{
	CHECK(offset == s->next);
	if (r->type == RECORD_START || (r->type == RECORD_BARRIER && r->free))
		return VERDICT_FREE;
	if (r->shard != s->shard || memcmp(r->cluster, s->cluster, RECORD_ID) != 0) {
		err_set(why, ERR_REFUSED, "a record of another cluster or shard");
		return VERDICT_OUT;
	}
	if (r->type == RECORD_GENESIS)
		return check_genesis(s, offset, r, why);
	if (!s->genesis || !record_has_reign(r)) {
		err_set(why, ERR_REFUSED,
			s->genesis ? "no record of a shard"
				   : "its stream does not begin with a genesis");
		return VERDICT_OUT;
	}
	if (r->type == RECORD_CLAIM)
		return check_claim(s, r, why);
	if (!is_in_order(s, r, why))
		return VERDICT_OUT;
	return check_effective(s, offset, r, content, why);
}

static void
take_members(struct verdict_state *s, const struct record_members *m)
{
	size_t n = m->n_voters + m->n_learners;

	CHECK(n <= VERDICT_MEMBERS_MAX);
	for (size_t i = 0; i < n; i++)
		s->members[i] = *member_at(m, i);
	/* states of equal streams are equal as memory, for those who compare them */
	memset(s->members + n, 0, (VERDICT_MEMBERS_MAX - n) * sizeof(s->members[0]));
	s->n_voters = (uint8_t)m->n_voters;
	s->n_learners = (uint8_t)m->n_learners;
	s->single = m->single;
}

static void
take_genesis(struct verdict_state *s, const struct record_genesis *g)
{
	s->genesis = true;
	memcpy(s->uuid, g->uuid, RECORD_ID);
	s->shards = g->shards;
	s->key_seed = g->key_seed;
	s->config = 0;
	take_members(s, &g->members);
}

void
verdict_advance(struct verdict_state *s, uint64_t offset, const struct record *r, enum verdict v)
{
	CHECK(offset == s->next);
	s->next = offset + 1;
	if (v == VERDICT_OUT && MUTANT(BASE_COUNTS_OUT) && s->reign.epoch > 0) {
		s->last_offset = offset;
		s->last_type = r->type;
	}
	if (v == VERDICT_FREE || v == VERDICT_OUT)
		return;
	if (r->type == RECORD_GENESIS) {
		take_genesis(s, &r->genesis);
		return;
	}
	if (v == VERDICT_DEAD && MUTANT(EFFECTIVE_FOR_IN_ORDER))
		return;
	s->last_seq = r->seq;
	if (r->type == RECORD_CLAIM) {
		s->reign = r->reign;
		memcpy(s->holder, r->claim.incarnation, RECORD_ID);
		if (MUTANT(CLAIM_NO_RECORD))
			return;
	}
	s->last_offset = offset;
	s->last_type = r->type;
	if (v != VERDICT_EFFECTIVE)
		return;
	if (r->type == RECORD_CONFIG) {
		take_members(s, &r->config.members);
		s->config++;
	} else if (r->type == RECORD_CHECKPOINT) {
		s->checkpoint = r->checkpoint.head;
	}
}

void
verdict_state_encode(struct buf *b, const struct verdict_state *s)
{
	buf_add_byte(b, FORMAT);
	buf_add_byte(b, s->genesis);
	buf_add_u64(b, s->next);
	buf_add_u32(b, s->shard);
	buf_add(b, s->cluster, RECORD_ID);
	buf_add(b, s->uuid, RECORD_ID);
	buf_add_u32(b, s->shards);
	buf_add_u64(b, s->key_seed);
	buf_add_u64(b, s->reign.epoch);
	buf_add_u32(b, s->reign.node);
	buf_add_u64(b, s->reign.boot);
	buf_add(b, s->holder, RECORD_ID);
	buf_add_u64(b, s->last_offset);
	buf_add_u64(b, s->last_seq);
	buf_add_byte(b, (uint8_t)s->last_type);
	buf_add_u64(b, s->config);
	buf_add_u64(b, s->checkpoint);
	buf_add_byte(b, s->single);
	buf_add_byte(b, s->n_voters);
	buf_add_byte(b, s->n_learners);
	for (size_t i = 0; i < (size_t)s->n_voters + s->n_learners; i++) {
		buf_add_u32(b, s->members[i].node);
		buf_add(b, s->members[i].incarnation, RECORD_ID);
	}
}

static uint64_t
cut_int(struct slice *s, size_t n)
{
	uint64_t v = record_wire_int(s->p, n);

	*s = slice_skip(*s, n);
	return v;
}

static void
cut_bytes(struct slice *s, uint8_t *to, size_t n)
{
	memcpy(to, s->p, n);
	*s = slice_skip(*s, n);
}

/* s has at least HEAD bytes. */
#define HEAD (2 + 8 + 4 + 16 + 16 + 4 + 8 + 20 + 16 + 8 + 8 + 1 + 8 + 8 + 3)
static void
cut_head(struct verdict_state *out, struct slice *s)
{
	*s = slice_skip(*s, 1);
	out->genesis = cut_int(s, 1) != 0;
	out->next = cut_int(s, 8);
	out->shard = (uint32_t)cut_int(s, 4);
	cut_bytes(s, out->cluster, RECORD_ID);
	cut_bytes(s, out->uuid, RECORD_ID);
	out->shards = (uint32_t)cut_int(s, 4);
	out->key_seed = cut_int(s, 8);
	out->reign.epoch = cut_int(s, 8);
	out->reign.node = (uint32_t)cut_int(s, 4);
	out->reign.boot = cut_int(s, 8);
	cut_bytes(s, out->holder, RECORD_ID);
	out->last_offset = cut_int(s, 8);
	out->last_seq = cut_int(s, 8);
	out->last_type = (enum record_type)cut_int(s, 1);
	out->config = cut_int(s, 8);
	out->checkpoint = cut_int(s, 8);
	out->single = cut_int(s, 1) != 0;
	out->n_voters = (uint8_t)cut_int(s, 1);
	out->n_learners = (uint8_t)cut_int(s, 1);
}

int
verdict_state_decode(struct verdict_state *out, struct slice s, struct err *err)
{
	size_t n;

	if (s.len >= 1 && s.p[0] > FORMAT)
		return err_set(err, ERR_VERSION, "the state of a shard by a newer gitshard");
	if (s.len < HEAD || s.p[0] != FORMAT)
		return err_set(err, ERR_CORRUPT, "the state of a shard is cut short");
	memset(out, 0, sizeof(*out));
	cut_head(out, &s);
	n = (size_t)out->n_voters + out->n_learners;
	if (n > VERDICT_MEMBERS_MAX || s.len != n * RECORD_WIRE_MEMBER ||
	    out->last_type >= RECORD_NTYPES)
		return err_set(err, ERR_CORRUPT, "the state of a shard does not add up");
	for (size_t i = 0; i < n; i++) {
		out->members[i].node = (uint32_t)cut_int(&s, 4);
		cut_bytes(&s, out->members[i].incarnation, RECORD_ID);
	}
	return 0;
}
