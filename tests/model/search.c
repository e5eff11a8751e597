/* The set of seen worlds keeps 64 bits of hash each (with 30 million worlds one of them is mistaken
 * for another with a chance of 1 in 40,000); of each world, in the order of discovery, the parent
 * and the move that made it; whole worlds only of the two levels that are in work. */
#include "tests/model/search.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

#define MOVES_MAX 256

struct step {
	uint32_t parent;
	struct move move;
};
struct level {
	struct world *w;
	size_t n, cap;
};
struct searcher {
	uint64_t *set; /* open addressing; 0: free */
	size_t set_n, set_cap;
	struct step *steps;
	size_t n, cap;
	struct level now, next;
	size_t base; /* number of the first world of `now` */
};

static void
grow_set(struct searcher *s)
{
	uint64_t *old = s->set;
	size_t old_cap = s->set_cap;

	s->set_cap = old_cap == 0 ? 1u << 16 : 2 * old_cap;
	s->set = mem_array(s->set_cap, sizeof(*s->set));
	for (size_t i = 0; i < old_cap; i++)
		if (old[i] != 0) {
			size_t at = old[i] & (s->set_cap - 1);

			while (s->set[at] != 0)
				at = (at + 1) & (s->set_cap - 1);
			s->set[at] = old[i];
		}
	free(old);
}

/* false: it was there already */
static bool
add_to_set(struct searcher *s, const struct world *w)
{
	uint64_t h = XXH3_64bits(w, sizeof(*w)) | 1;
	size_t at;

	if (s->set_n * 10 >= s->set_cap * 7)
		grow_set(s);
	for (at = h & (s->set_cap - 1); s->set[at] != 0; at = (at + 1) & (s->set_cap - 1))
		if (s->set[at] == h)
			return false;
	s->set[at] = h;
	s->set_n++;
	return true;
}

static void
add_world(struct searcher *s, const struct world *w, uint32_t parent, struct move m)
{
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 1u << 16 : 2 * s->cap;
		s->steps = mem_resize(s->steps, s->cap * sizeof(*s->steps));
	}
	s->steps[s->n++] = (struct step){ parent, m };
	if (s->next.n == s->next.cap) {
		s->next.cap = s->next.cap == 0 ? 1u << 12 : 2 * s->next.cap;
		s->next.w = mem_resize(s->next.w, s->next.cap * sizeof(*s->next.w));
	}
	s->next.w[s->next.n++] = *w;
}

static void
tell(const struct searcher *s, uint32_t at, struct move last)
{
	struct move path[256];
	struct world w, to;
	struct prefix p;
	bool possible;
	size_t n = 0;

	path[n++] = last;
	for (; at != 0; at = s->steps[at].parent) {
		CHECK(n < COUNT(path));
		path[n++] = s->steps[at].move;
	}
	printf("      offset 0: genesis, voters A B C; offset 1: A's claim of epoch 1, all read "
	       "it\n");
	world_begin(&w);
	while (n-- > 0) {
		world_prefix(&p, &w);
		(void)world_step(&to, &w, &p, path[n], &possible);
		story_print(&w, &to, path[n]);
		w = to;
	}
}

/* false: a promise broke */
static bool
expand(struct searcher *s, size_t i, struct found *f, bool story)
{
	const struct world *from = &s->now.w[i];
	struct move moves[MOVES_MAX];
	struct prefix p;
	struct world to;
	size_t n;

	world_prefix(&p, from);
	n = world_moves(from, &p, moves, COUNT(moves));
	for (size_t k = 0; k < n; k++) {
		bool possible;

		f->broken = world_step(&to, from, &p, moves[k], &possible);
		if (!possible)
			continue;
		if (f->broken != NULL) {
			if (story)
				tell(s, (uint32_t)(s->base + i), moves[k]);
			return false;
		}
		if (add_to_set(s, &to))
			add_world(s, &to, (uint32_t)(s->base + i), moves[k]);
	}
	return true;
}

void
search(struct found *f, uint64_t max_states, bool story)
{
	struct searcher s = { .set = NULL };
	struct world w;
	bool whole = true;

	memset(f, 0, sizeof(*f));
	world_begin(&w);
	grow_set(&s);
	(void)add_to_set(&s, &w);
	add_world(&s, &w, 0, (struct move){ 0, 0, 0, 0 });
	while (s.next.n > 0 && whole) {
		struct level done = s.now;

		s.base = s.n - s.next.n;
		s.now = s.next;
		s.next = done;
		s.next.n = 0;
		f->depth++;
		for (size_t i = 0; i < s.now.n && whole; i++)
			whole = s.n < max_states && expand(&s, i, f, story);
	}
	f->complete = whole;
	f->states = s.n;
	free(s.set);
	free(s.steps);
	free(s.now.w);
	free(s.next.w);
}
