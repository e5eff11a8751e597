/* tests/model/search.h - all worlds that can be reached, nearest first.  Thread: one. */
#ifndef TESTS_MODEL_SEARCH_H
#define TESTS_MODEL_SEARCH_H

#include "tests/model/world.h"

struct found {
	uint64_t states;    /* different worlds seen */
	unsigned depth;     /* steps from the beginning to the last of them */
	bool complete;      /* all there are; false: broken, or more than max_states */
	const char *broken; /* NULL: every promise held */
};

/* Searches the world of scenario_now, with mutant_now, breadth first: the first broken promise has
 * the shortest story, which is printed when `story` says so. */
void search(struct found *, uint64_t max_states, bool story);

#endif
