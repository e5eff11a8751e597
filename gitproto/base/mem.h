/* gitproto/base/mem.h - allocation policy.  Thread: any.
 * mem_* abort when memory is gone: for small sizes that no input decides.  mem_try_* return NULL
 * and are for lengths that came from a wire or a file (bounded before).  Tests make the nth
 * mem_try_* fail. */
#ifndef GITPROTO_BASE_MEM_H
#define GITPROTO_BASE_MEM_H

#include "gitproto/base/defs.h"

void *mem_alloc(size_t n);              /* zeroed */
void *mem_array(size_t n, size_t size); /* zeroed; an overflow of n*size aborts */
void *mem_resize(void *p, size_t n);    /* like realloc */
char *mem_strdup(const char *s);
char *mem_strndup(const void *p, size_t n); /* NUL put behind */
void *mem_dup(const void *p, size_t n);

MUST_CHECK void *mem_try_alloc(size_t n);               /* zeroed */
MUST_CHECK char *mem_try_text(const void *p, size_t n); /* a copy, NUL put behind */
MUST_CHECK void *mem_try_resize(void *p, size_t n);     /* p stays valid on failure */

/* Tests: the nth mem_try_* from now fails, once (1 is the next); 0 ends it. */
void mem_fail_at(unsigned nth);

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))

#endif
