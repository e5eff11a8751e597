/* One step of a story, in words. */
#include "tests/model/world.h"

static char
name(unsigned node)
{
	return (char)('A' + node);
}

static void
print_record(const struct mrec *m)
{
	const char *by =
		m->node == 0 ? "" : (const char *[]){ "A's ", "B's ", "C's " }[m->node - 1];

	if (m->free) {
		printf("%sfree barrier", by);
		return;
	}
	printf("%s%s", by, record_type_name(m->type));
	if (m->type == RECORD_CLAIM)
		printf(" of epoch %u (base %u)", m->epoch, m->b);
	else if (m->type == RECORD_UPDATE && m->a == REC_UPDATE_DOOMED)
		printf(" with a wrong old value (epoch %u, seq %u)", m->epoch, m->seq);
	else if (m->type == RECORD_UPDATE)
		printf(" for push %u (epoch %u, seq %u)", m->a + 1u, m->epoch, m->seq);
	else
		printf(" (epoch %u, seq %u)", m->epoch, m->seq);
	if (m->type == RECORD_CONFIG)
		for (unsigned i = 0; i < NODES; i++)
			if (m->a & 1u << i)
				printf(" %c%s", name(i), m->c == i + 1 ? "'s new disk" : "");
}

/* The record that a step asked for: the one that is under way now and was not before. */
static void
print_asked(const struct world *before, const struct world *after)
{
	for (unsigned i = 0; i < after->pend_n; i++)
		if (i >= before->pend_n ||
		    memcmp(&after->pend[i], &before->pend[i], sizeof(after->pend[0])) != 0) {
			printf("asked for: ");
			print_record(&after->pend[i]);
			return;
		}
}

static void
print_read(const struct world *before, const struct world *after, struct move m)
{
	unsigned at = before->node[m.a].pos;
	static const char *const told[] = { "", "done", "failed", "outcome unknown" };

	printf("%c reads offset %u: ", name(m.a), at);
	print_record(&before->log[at]);
	if (m.b)
		printf(", stamped with the time before");
	if (before->node[m.a].epoch == 0 && after->node[m.a].epoch != 0)
		printf("; it is primary");
	if (before->node[m.a].epoch != 0 && after->node[m.a].epoch == 0)
		printf("; it is deposed");
	for (unsigned i = 0; i < PUSHES; i++)
		if (before->told[i] != after->told[i])
			printf("; push %u is told: %s", i + 1, told[after->told[i]]);
}

static void
print_strict_read(const struct world *before, const struct world *after, struct move m)
{
	const struct mread *r = &before->read;

	if (m.kind == MOVE_ARRIVE)
		printf("a strict read arrives at %c%s", name(m.a),
		       m.c ? " (clock cached before)" : "");
	if (m.kind == MOVE_ARRIVE && m.a != m.b)
		printf(", which asks %c", name(m.b));
	if (m.kind == MOVE_SAMPLE)
		printf("%c samples its clock for the read", name(r->via));
	if (m.kind == MOVE_CHECK)
		printf("%c checks its lease: %s", name(r->via),
		       after->read.phase == READ_CHECKED ? "holds" : "does not hold");
	if (m.kind == MOVE_POSITION)
		printf("%c names position %u", name(r->via), after->read.position);
	if (m.kind == MOVE_SERVE)
		printf("%c serves the read, having read up to %u", name(r->node),
		       before->node[r->node].pos);
	if (m.kind == MOVE_FREE)
		printf("%c asked for a free barrier", name(m.a));
}

static void
print_pack(struct move m)
{
	static const char *const words[MOVE_N] = {
		[MOVE_FSYNC] = "has the staged pack fsynced and confirms",
		[MOVE_RELEASE] = "gives the push up and releases its pack",
		[MOVE_RELEASED] = "gets the release and drops the staged pack",
		[MOVE_FETCH] = "fetches the pack from another",
		[MOVE_DROP] = "drops the staged pack by age",
	};

	if (m.kind == MOVE_STAGE)
		printf("%c stages the pack of push %u at %c", name(m.a), m.b + 1u, name(m.c));
	else if (m.kind == MOVE_CONFIRM)
		printf("%c gets %c's confirmation of push %u", name(m.a), name(m.c), m.b + 1u);
	else
		printf("%c %s (push %u)", name(m.a), words[m.kind], m.b + 1u);
}

void
story_print(const struct world *before, const struct world *after, struct move m)
{
	printf("      ");
	switch (m.kind) {
	case MOVE_TICK:
		printf("2 s pass");
		break;
	case MOVE_LAND:
		printf("offset %u: ", before->log_n);
		print_record(&before->pend[m.a]);
		printf(": %s%s", verdict_name(after->verdicts[before->log_n]),
		       m.b ? "; it will be put into the log again" : "");
		break;
	case MOVE_READ:
		print_read(before, after, m);
		break;
	case MOVE_RESTART:
		printf("%c is killed and started again%s", name(m.a),
		       m.b ? ", what it read last is forgotten" : "");
		break;
	case MOVE_SNAPSHOT:
		printf("%c installs a snapshot at %u", name(m.a), after->node[m.a].pos);
		break;
	case MOVE_WIPE:
		printf("%c's disk is lost, it starts empty", name(m.a));
		break;
	case MOVE_DELIVERED:
		printf("the delivery report of offset %u arrives", m.a);
		break;
	case MOVE_TIMEOUT:
		printf("%c's oldest push times out: told failed", name(m.a));
		break;
	default:
		if (m.kind <= MOVE_CONFIG)
			print_asked(before, after);
		else if (m.kind <= MOVE_FREE)
			print_strict_read(before, after, m);
		else
			print_pack(m);
		break;
	}
	printf("\n");
}
