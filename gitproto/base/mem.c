#include "gitproto/base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "gitproto/base/check.h"

static __thread unsigned fail_in;

static void *
checked(void *p)
{
	CHECK(p != NULL && "out of memory");
	return p;
}

void *
mem_alloc(size_t n)
{
	return checked(calloc(1, n > 0 ? n : 1));
}

void *
mem_array(size_t n, size_t size)
{
	return checked(calloc(n > 0 ? n : 1, size));
}

void *
mem_resize(void *p, size_t n)
{
	return checked(realloc(p, n > 0 ? n : 1));
}

void *
mem_dup(const void *p, size_t n)
{
	void *q = mem_alloc(n);

	if (n > 0)
		memcpy(q, p, n);
	return q;
}

char *
mem_strndup(const void *p, size_t n)
{
	char *q = mem_alloc(n + 1);

	if (n > 0)
		memcpy(q, p, n);
	return q;
}

char *
mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

static bool
must_fail(void)
{
	return fail_in > 0 && --fail_in == 0;
}

void *
mem_try_alloc(size_t n)
{
	return must_fail() ? NULL : calloc(1, n > 0 ? n : 1);
}

char *
mem_try_text(const void *p, size_t n)
{
	char *text = mem_try_alloc(n + 1);

	if (text != NULL && n > 0)
		memcpy(text, p, n);
	return text;
}

void *
mem_try_resize(void *p, size_t n)
{
	return must_fail() ? NULL : realloc(p, n > 0 ? n : 1);
}

void
mem_fail_at(unsigned nth)
{
	fail_in = nth;
}
