/* make model: searches every world below as the rules are, where no promise may break, and then
 * with each rule broken on purpose, where the search must find one that does.
 *
 *	model [-s] [-w WORLD] [-m MUTANT]
 *
 * -s: short: a bound on the states of each world.  -w, -m: only these (numbers as printed).
 * The last line is `N passed, N failed`; ends non-zero when anything failed. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/model/search.h"

#define STATES_MAX UINT64_C(25000000)
#define STATES_SHORT UINT64_C(7000000)

enum world_name {
	FATES,
	PIPELINE,
	LEASE,
	ASK,
	YIELD,
	RESUME,
	RECLAIM,
	FREE,
	PACKS,
	MEMBERS,
	LOST,
	WIDE_FATES,
	WIDE_READS,
	WIDE_PACKS
};

#define A 1
#define B 2
#define C 4

static const struct scenario worlds[] = {
	[FATES] = { .name = "fates",
		    .about = "pushes and dead records late, double and lost; restarts, a rival",
		    .budget = { .ticks = 1,
				.claims = 1,
				.doomed = 1,
				.restarts = 1,
				.dups = 1,
				.snapshots = 1 },
		    .pushes = 2,
		    .same_repo = 1,
		    .nodes = A | B,
		    .claimers = A | B,
		    .log_max = 7 },
	[PIPELINE] = { .name = "pipeline",
		       .about = "two pushes to one repository, a rival, and free barriers",
		       .budget = { .ticks = 1, .claims = 2, .barriers = 1, .reads = 1 },
		       .pushes = 2,
		       .same_repo = 3,
		       .nodes = A | B,
		       .claimers = A | B,
		       .readers = A | B,
		       .by_barrier = 1,
		       .log_max = 8 },
	[LEASE] = { .name = "lease",
		    .about = "strict reads at primaries, while rivals claim",
		    .budget = { .ticks = 2, .claims = 2, .barriers = 1, .reads = 1 },
		    .pushes = 1,
		    .nodes = A | B,
		    .claimers = A | B,
		    .readers = A | B,
		    .log_max = 7 },
	[ASK] = { .name = "ask",
		  .about = "strict reads at a follower, which asks whom it takes for the primary",
		  .budget = { .ticks = 1, .claims = 1, .barriers = 1, .reads = 1 },
		  .pushes = 2,
		  .nodes = A | B | C,
		  .claimers = B,
		  .readers = C,
		  .log_max = 6 },
	[YIELD] = { .name = "yield",
		    .about = "hand-over, taken back or not, under strict reads",
		    .budget = { .ticks = 1, .claims = 2, .barriers = 1, .yields = 1, .reads = 1 },
		    .pushes = 1,
		    .nodes = A | B,
		    .claimers = A | B,
		    .readers = A | B,
		    .log_max = 8 },
	[RESUME] = { .name = "restart",
		     .about = "restarts of a primary, with a yield of its former life under way",
		     .budget = { .ticks = 1,
				 .claims = 1,
				 .barriers = 1,
				 .yields = 1,
				 .restarts = 1,
				 .reads = 1 },
		     .pushes = 1,
		     .nodes = A | B,
		     .claimers = A | B,
		     .readers = A,
		     .log_max = 7 },
	[RECLAIM] = { .name = "reclaim",
		      .about = "a primary that is deposed and comes back, with a read under way",
		      .budget = { .ticks = 2, .claims = 2, .restarts = 1, .reads = 1 },
		      .pushes = 1,
		      .nodes = A | B | C,
		      .claimers = A | B,
		      .readers = C,
		      .log_max = 6 },
	[FREE] = { .name = "free barrier",
		   .about = "strict reads at any node, without the primary",
		   .budget = { .ticks = 1, .claims = 1, .reads = 2, .dups = 1, .barriers = 1 },
		   .pushes = 1,
		   .nodes = A | B | C,
		   .claimers = B,
		   .readers = B | C,
		   .by_barrier = 1,
		   .log_max = 7 },
	[PACKS] = { .name = "packs",
		    .about = "a staged pack, its confirmations and releases, over three reigns",
		    .budget = { .ticks = 2, .claims = 2, .restarts = 1, .fetches = 1 },
		    .pushes = 1,
		    .staged = 1,
		    .nodes = A | B,
		    .claimers = A | B,
		    .log_max = 6 },
	[MEMBERS] = { .name = "members",
		      .about = "changes of the voters beside a staged push",
		      .budget = { .barriers = 1, .configs = 1, .fetches = 1 },
		      .pushes = 1,
		      .staged = 1,
		      .nodes = A | B | C,
		      .claimers = A,
		      .sets = 1 << A | 1 << (A | B) | 1 << (A | C),
		      .log_max = 6 },
	[LOST] = { .name = "lost disk",
		   .about = "a disk is lost and its node comes back empty",
		   .budget = { .configs = 1, .fetches = 1, .wipes = 1 },
		   .pushes = 1,
		   .staged = 1,
		   .nodes = A | B | C,
		   .claimers = A,
		   .sets = 1 << (A | B) | 1 << (A | C) | 1 << (A | B | C),
		   .log_max = 5 },
	[WIDE_FATES] = { .name = "wide, fates",
			 .about = "three pushes, dead records, restarts, snapshots, four epochs",
			 .budget = { .ticks = 2,
				     .claims = 3,
				     .doomed = 1,
				     .restarts = 2,
				     .dups = 2,
				     .snapshots = 1,
				     .yields = 1,
				     .barriers = 1 },
			 .pushes = 3,
			 .same_repo = 3,
			 .nodes = A | B | C,
			 .claimers = A | B | C,
			 .log_max = 9,
			 .wide = true },
	[WIDE_READS] = { .name = "wide, reads",
			 .about = "strict reads anywhere, yields, restarts, four epochs",
			 .budget = { .ticks = 2,
				     .claims = 3,
				     .barriers = 2,
				     .yields = 1,
				     .restarts = 1,
				     .reads = 2 },
			 .pushes = 2,
			 .nodes = A | B | C,
			 .claimers = A | B | C,
			 .readers = A | B | C,
			 .log_max = 9,
			 .wide = true },
	[WIDE_PACKS] = { .name = "wide, packs",
			 .about = "two staged pushes, claims, changes of members, a lost disk",
			 .budget = { .ticks = 1,
				     .claims = 1,
				     .barriers = 1,
				     .configs = 1,
				     .restarts = 1,
				     .fetches = 2,
				     .wipes = 1 },
			 .pushes = 2,
			 .staged = 3,
			 .nodes = A | B | C,
			 .claimers = A | B,
			 .sets = 1 << (A | B) | 1 << (A | C) | 1 << (A | B | C),
			 .log_max = 7,
			 .wide = true },
};

static const struct {
	enum mutant mutant;
	const char *name;
	enum world_name world;
} mutants[] = {
	{ MUTANT_NO_SEQ, "no seq", FATES },
	{ MUTANT_EFFECTIVE_FOR_IN_ORDER, "\"valid\" for in order", FATES },
	{ MUTANT_REIGN_IGNORED, "epoch or holder ignored", FATES },
	{ MUTANT_NO_COMPARE, "no compare-and-set", FATES },
	{ MUTANT_CLAIM_WITHOUT_BASE, "claim without base", LEASE },
	{ MUTANT_BASE_COUNTS_OUT, "base that counts records not in order", YIELD },
	{ MUTANT_CLAIM_WITHOUT_WAIT, "claim without waiting", LEASE },
	{ MUTANT_STAMP_EARLY, "read stamp taken early", LEASE },
	{ MUTANT_CLAIM_NO_RECORD, "claim not a record of its reign", LEASE },
	{ MUTANT_T1_ABOVE_T2, "T1 above T2", LEASE },
	{ MUTANT_LEASE_FROM_READ_BACK, "lease counted from the read-back", LEASE },
	{ MUTANT_LEASE_FROM_DELIVERY, "lease from a delivery report", LEASE },
	{ MUTANT_LEASE_THROUGH_YIELD, "lease through a yield", YIELD },
	{ MUTANT_EVIDENCE_OLDER_THAN_YIELD, "lease from evidence older than a yield", YIELD },
	{ MUTANT_STICKY_YIELD, "sticky yield exemption", YIELD },
	{ MUTANT_CACHED_CHECK, "cached lease check", LEASE },
	{ MUTANT_POSITION_FIRST, "position before check", RECLAIM },
	{ MUTANT_ACKNOWLEDGED_NAMED, "highest acknowledged named", ASK },
	{ MUTANT_BARRIER_BEFORE_READ, "barrier asked before the read came", FREE },
	{ MUTANT_ACK_ON_DELIVERY, "acknowledge on delivery", FATES },
	{ MUTANT_ACK_WITHOUT_VERDICT, "acknowledge without verdict", MEMBERS },
	{ MUTANT_TIMEOUT_MEANS_FAILED, "time-out means failed", FATES },
	{ MUTANT_FREE_BARRIER_DECIDES, "fate by a free barrier", PIPELINE },
	{ MUTANT_RESUME_BY_SEQ, "restart resumes by seq", FATES },
	{ MUTANT_RESUME_BY_TXN, "restart resumes by txn id", RESUME },
	{ MUTANT_UPDATE_WITHOUT_CONFIG, "update without config number", MEMBERS },
	{ MUTANT_CONFIG_WITHOUT_BASE, "config without base", MEMBERS },
	{ MUTANT_CONFIG_WITHOUT_COUNT, "config without count on the new voters", MEMBERS },
	{ MUTANT_CLAIM_WITHOUT_PACKS, "claim without packs", PACKS },
	{ MUTANT_MINORITY, "minority of copies", PACKS },
	{ MUTANT_COPY_BEFORE_FSYNC, "copy counted before fsync", PACKS },
	{ MUTANT_STAGED_DROPPED, "staged pack dropped early", PACKS },
	{ MUTANT_OLD_CONFIRMATION, "confirmation of an earlier reign", PACKS },
	{ MUTANT_WIPED_KEEPS_IDENTITY, "wiped node keeps its identity", LOST },
	{ MUTANT_CONFIG_OF_ONE, "config of one voter", MEMBERS },
};

static unsigned passed, failed;

static double
seconds(clock_t since)
{
	return (double)(clock() - since) / CLOCKS_PER_SEC;
}

static void
count(bool ok)
{
	if (ok)
		passed++;
	else
		failed++;
}

static void
search_world(unsigned i, uint64_t max_states)
{
	clock_t begin = clock();
	struct found f;

	mutant_now = MUTANT_NONE;
	scenario_now = &worlds[i];
	printf("world %u, %s: %s\n", i, worlds[i].name, worlds[i].about);
	search(&f, max_states, true);
	printf("   %s: %llu states, %u steps deep%s, %.1f s\n",
	       f.broken != NULL ? f.broken : "every promise held", (unsigned long long)f.states,
	       f.depth, f.complete || f.broken != NULL ? "" : " (bounded, not all)",
	       seconds(begin));
	count(f.broken == NULL);
	fflush(stdout);
}

static void
search_mutant(unsigned i, bool story)
{
	clock_t begin = clock();
	struct found f;

	mutant_now = mutants[i].mutant;
	scenario_now = &worlds[mutants[i].world];
	printf("mutant %u, %s, in world \"%s\"\n", i, mutants[i].name, scenario_now->name);
	search(&f, STATES_MAX, story);
	printf("   %s: %llu states, %.1f s\n", f.broken != NULL ? f.broken : "NOT CAUGHT",
	       (unsigned long long)f.states, seconds(begin));
	count(f.broken != NULL);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	uint64_t max_states = STATES_MAX;
	int only_world = -1, only_mutant = -1, c;

	while ((c = getopt(argc, argv, "sw:m:")) != -1) {
		if (c == 's')
			max_states = STATES_SHORT;
		else if (c == 'w')
			only_world = atoi(optarg);
		else if (c == 'm')
			only_mutant = atoi(optarg);
		else
			return 2;
	}
	for (int i = 0; i < (int)COUNT(worlds); i++)
		if ((!worlds[i].wide || max_states == STATES_MAX) && only_mutant < 0 &&
		    (only_world < 0 || only_world == i))
			search_world((unsigned)i, max_states);
	for (int i = 0; i < (int)COUNT(mutants); i++)
		if (only_world < 0 && (only_mutant < 0 || only_mutant == i))
			search_mutant((unsigned)i, max_states == STATES_MAX || only_mutant >= 0);
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
