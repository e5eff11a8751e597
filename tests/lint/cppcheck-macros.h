/* tests/lint/cppcheck-macros.h - loops behind macros of libraries, whose headers cppcheck does not
 * read, in a form that it understands.  Thread: none, nothing is compiled with this. */
void *next_of(const void *);
#define HASH_ITER(hh, head, el, tmp) \
	for ((el) = (head), (tmp) = next_of(el); (el); (el) = (tmp), (tmp) = next_of(el))
