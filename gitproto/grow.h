/* gitproto/grow.h - room for one more element in an array that input fills.  Thread: any.
 *
 *	more = grow_try(a->items, &a->cap, a->n, sizeof(*a->items));
 *	if (more == NULL)
 *		return err_set(err, ERR_NOMEM, "%s", "no memory");	a->items is still valid
 *	a->items = more;						and has room at [n] */
#ifndef GITPROTO_GROW_H
#define GITPROTO_GROW_H

#include "gitproto/base/mem.h"

MUST_CHECK static inline void *
grow_try(void *p, size_t *cap, size_t n, size_t size)
{
	size_t more = *cap > 0 ? *cap * 2 : 16;
	size_t bytes;
	void *q;

	if (n < *cap)
		return p;
	if (__builtin_mul_overflow(more, size, &bytes))
		return NULL;
	q = mem_try_resize(p, bytes);
	if (q != NULL)
		*cap = more;
	return q;
}

#endif
