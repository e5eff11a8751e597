#include "router/front/admit.h"

void
admit_init(struct admit *a, unsigned max)
{
	*a = (struct admit){ .max = max };
}

bool
admit_enter(struct admit *a)
{
	if (__atomic_add_fetch(&a->active, 1, __ATOMIC_RELAXED) <= a->max)
		return true;
	admit_leave(a);
	return false;
}

void
admit_leave(struct admit *a)
{
	__atomic_sub_fetch(&a->active, 1, __ATOMIC_RELAXED);
}

unsigned
admit_active(const struct admit *a)
{
	return __atomic_load_n(&a->active, __ATOMIC_RELAXED);
}
