#include "shard-map/commitlog/staging.h"

#include "gitproto/base/check.h"
#include "shard-map/commitlog/mutant.h"
#include "shard-map/commitlog/record_wire.h"

#define FORMAT 1 /* of staging_hold_encode */

void
staging_init(struct staging *s, const uint8_t push[RECORD_ID], const struct record_reign *reign)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->push, push, RECORD_ID);
	s->reign = *reign;
}

static bool
is_same_member(const struct record_member *a, const struct record_member *b)
{
	return a->node == b->node && memcmp(a->incarnation, b->incarnation, RECORD_ID) == 0;
}

static bool
has_member(const struct record_member *m, size_t n, const struct record_member *who)
{
	for (size_t i = 0; i < n; i++)
		if (is_same_member(&m[i], who))
			return true;
	return false;
}

bool
staging_confirm(struct staging *s, const struct verdict_state *state,
		const struct record_reign *reign, const uint8_t push[RECORD_ID],
		const struct record_member *who)
{
	if (memcmp(push, s->push, RECORD_ID) != 0)
		return false;
	if (!record_reign_eq(reign, &s->reign) && !MUTANT(OLD_CONFIRMATION))
		return false;
	if (!verdict_is_member(state, who->node, who->incarnation))
		return false;
	if (has_member(s->confirmed, s->n, who))
		return true;
	if (s->n == VERDICT_MEMBERS_MAX) /* full of members that left meanwhile */
		return false;
	s->confirmed[s->n++] = *who;
	return true;
}

unsigned
staging_count(const struct staging *s, const struct verdict_state *state)
{
	unsigned n = 0;

	for (size_t i = 0; i < state->n_voters; i++)
		n += has_member(s->confirmed, s->n, &state->members[i]);
	return n;
}

bool
staging_enough(const struct staging *s, const struct verdict_state *state)
{
	if (!record_reign_eq(&s->reign, &state->reign))
		return false;
	return staging_count(s, state) >=
	       (MUTANT(MINORITY) ? 1 : verdict_majority(state->n_voters, state->single));
}

bool
staging_may_hold(const struct verdict_state *state, const struct record_reign *reign)
{
	return state->reign.epoch <= reign->epoch;
}

enum staging_fate
staging_on_read(const struct staging_hold *h, const struct record *r, enum verdict v)
{
	if (v != VERDICT_EFFECTIVE)
		return STAGING_KEEP;
	/* Another push may have named an equal pack, perhaps for another repository: that is not
	 * the record this copy was counted for. */
	if (record_names_pack(r, h->sha256) && memcmp(r->update.push, h->push, RECORD_ID) == 0)
		return STAGING_ADOPT;
	if (r->type == RECORD_CLAIM && r->reign.epoch > h->reign.epoch)
		return STAGING_DROP;
	return STAGING_KEEP;
}

enum staging_fate
staging_on_release(const struct staging_hold *h, const struct record_reign *reign,
		   const uint8_t push[RECORD_ID])
{
	return record_reign_eq(&h->reign, reign) && memcmp(h->push, push, RECORD_ID) == 0
		       ? STAGING_DROP
		       : STAGING_KEEP;
}

enum staging_fate
staging_on_state(const struct staging_hold *h, const struct verdict_state *state)
{
	return state->reign.epoch > h->reign.epoch ? STAGING_DROP : STAGING_KEEP;
}

bool
staging_may_unlink(const struct staging_hold *holds, size_t n, const uint8_t sha256[RECORD_HASH])
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(holds[i].sha256, sha256, RECORD_HASH) == 0)
			return false;
	return true;
}

void
staging_hold_encode(struct buf *b, const struct staging_hold *h)
{
	buf_add_byte(b, FORMAT);
	buf_add(b, h->push, RECORD_ID);
	buf_add(b, h->sha256, RECORD_HASH);
	buf_add_u64(b, h->reign.epoch);
	buf_add_u32(b, h->reign.node);
	buf_add_u64(b, h->reign.boot);
}

int
staging_hold_decode(struct staging_hold *out, struct slice s, struct err *err)
{
	if (s.len >= 1 && s.p[0] > FORMAT)
		return err_set(err, ERR_VERSION, "a staged pack's note by a newer gitshard");
	if (s.len != STAGING_HOLD_BYTES || s.p[0] != FORMAT)
		return err_set(err, ERR_CORRUPT, "a staged pack's note is damaged");
	memset(out, 0, sizeof(*out));
	memcpy(out->push, s.p + 1, RECORD_ID);
	memcpy(out->sha256, s.p + 17, RECORD_HASH);
	out->reign.epoch = record_wire_int(s.p + 49, 8);
	out->reign.node = (uint32_t)record_wire_int(s.p + 57, 4);
	out->reign.boot = record_wire_int(s.p + 61, 8);
	return 0;
}

bool
staging_config_enough(const struct record_members *m, uint64_t base,
		      const struct staging_report *reports, size_t n)
{
	unsigned whole = 0;

	if (MUTANT(CONFIG_WITHOUT_COUNT))
		return true;
	for (size_t i = 0; i < m->n_voters; i++)
		for (size_t j = 0; j < n; j++)
			if (is_same_member(&m->voters[i], &reports[j].member) &&
			    reports[j].whole >= base) {
				whole++;
				break;
			}
	return whole >= verdict_majority(m->n_voters, m->single);
}

bool
staging_checkpoint_enough(const struct verdict_state *state, const struct record_member *who,
			  size_t n)
{
	unsigned durable = 0;

	for (size_t i = 0; i < state->n_voters; i++)
		durable += has_member(who, n, &state->members[i]);
	return durable >= verdict_majority(state->n_voters, state->single);
}
