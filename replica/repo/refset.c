#include "replica/repo/refset.h"

#include <openssl/evp.h>
#include <uthash.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

#define LANES 4 /* of the digest */

struct living {
	struct reflist_item item; /* first: the array is handed out as one of these */
	struct oid before;
	uint64_t changed;
	char name[];
};

struct dead {
	UT_hash_handle hh;
	struct refset_ref ref;
	char name[];
};

struct refset {
	enum oid_format format;
	struct reflist_item **items; /* owned; each begins a struct living; sorted by name */
	size_t n, cap;
	struct dead *dead; /* by name; uthash keeps the order of insertion, oldest first */
	char *head;        /* owned; NULL before the first refset_set_head */
	uint64_t sum[LANES];
	size_t bytes; /* of names and structs */
	/* A context for all digests: making one costs more than hashing a name. */
	EVP_MD_CTX *md;
};

static struct living *
living_of(const struct refset *s, size_t at)
{
	return CONTAINER_OF(s->items[at], struct living, item);
}

struct refset *
refset_new(enum oid_format format)
{
	struct refset *s = MEM_NEW(struct refset);

	s->format = format;
	s->md = EVP_MD_CTX_new();
	CHECK(s->md != NULL && EVP_DigestInit_ex(s->md, EVP_sha256(), NULL) == 1);
	s->bytes = sizeof(*s);
	return s;
}

static void
bury(struct refset *s, struct dead *d)
{
	HASH_DEL(s->dead, d);
	s->bytes -= sizeof(*d) + strlen(d->name) + 1;
	free(d);
}

void
refset_free(struct refset **sp)
{
	struct refset *s = *sp;
	struct dead *d, *next;

	if (s == NULL)
		return;
	*sp = NULL;
	for (size_t i = 0; i < s->n; i++)
		free(living_of(s, i));
	free(s->items);
	HASH_ITER (hh, s->dead, d, next)
		bury(s, d);
	free(s->head);
	EVP_MD_CTX_free(s->md);
	free(s);
}

/* The four lanes of SHA-256 over "name NUL value". */
static void
hash_pair(const struct refset *s, const char *name, const void *value, size_t len,
	  uint64_t out[LANES])
{
	uint8_t h[32];
	unsigned n = sizeof(h);

	CHECK(EVP_DigestInit_ex(s->md, NULL, NULL) == 1 &&
	      EVP_DigestUpdate(s->md, name, strlen(name) + 1) == 1 &&
	      EVP_DigestUpdate(s->md, value, len) == 1 && EVP_DigestFinal_ex(s->md, h, &n) == 1);
	for (unsigned i = 0; i < LANES; i++) {
		out[i] = 0;
		for (unsigned k = 0; k < 8; k++)
			out[i] = out[i] << 8 | h[i * 8 + k];
	}
}

static void
lanes_add(uint64_t sum[LANES], const uint64_t x[LANES])
{
	for (unsigned i = 0; i < LANES; i++)
		sum[i] += x[i];
}

static void
lanes_sub(uint64_t sum[LANES], const uint64_t x[LANES])
{
	for (unsigned i = 0; i < LANES; i++)
		sum[i] -= x[i];
}

static void
lanes_write(const uint64_t sum[LANES], uint8_t out[REFSET_DIGEST])
{
	for (unsigned i = 0; i < REFSET_DIGEST; i++)
		out[i] = (uint8_t)(sum[i / 8] >> (56 - 8 * (i % 8)));
}

static void
lanes_read(uint64_t sum[LANES], const uint8_t in[REFSET_DIGEST])
{
	memset(sum, 0, LANES * sizeof(*sum));
	for (unsigned i = 0; i < REFSET_DIGEST; i++)
		sum[i / 8] = sum[i / 8] << 8 | in[i];
}

static void
sum_oid(const struct refset *s, uint64_t sum[LANES], const char *name, const struct oid *from,
	const struct oid *to)
{
	uint64_t x[LANES];

	if (from != NULL && !oid_is_zero(from)) {
		hash_pair(s, name, from->b, from->len, x);
		lanes_sub(sum, x);
	}
	if (to != NULL && !oid_is_zero(to)) {
		hash_pair(s, name, to->b, to->len, x);
		lanes_add(sum, x);
	}
}

static void
sum_head(const struct refset *s, uint64_t sum[LANES], const char *from, const char *to)
{
	uint64_t x[LANES];

	if (from != NULL) {
		hash_pair(s, "HEAD", from, strlen(from), x);
		lanes_sub(sum, x);
	}
	if (to != NULL) {
		hash_pair(s, "HEAD", to, strlen(to), x);
		lanes_add(sum, x);
	}
}

/* Index of the first living ref whose name is >= name. */
static size_t
lower(const struct refset *s, const char *name)
{
	size_t lo = 0, hi = s->n;

	/* What is loaded or pushed in bulk comes in order. */
	if (hi > 0 && strcmp(s->items[hi - 1]->name, name) < 0)
		return hi;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(s->items[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool
is_at(const struct refset *s, size_t at, const char *name)
{
	return at < s->n && strcmp(s->items[at]->name, name) == 0;
}

static struct dead *
find_dead(const struct refset *s, const char *name)
{
	struct dead *d;

	HASH_FIND_STR(s->dead, name, d);
	return d;
}

bool
refset_get(const struct refset *s, const char *name, struct refset_ref *out)
{
	size_t at = lower(s, name);
	const struct dead *d;

	if (is_at(s, at, name)) {
		const struct living *l = living_of(s, at);

		*out = (struct refset_ref){ l->item.oid, l->before, l->changed };
		return true;
	}
	d = find_dead(s, name);
	if (d == NULL) {
		*out = (struct refset_ref){ oid_null(s->format), oid_null(s->format), 0 };
		return false;
	}
	*out = d->ref;
	return true;
}

static struct living *
insert(struct refset *s, size_t at, const char *name)
{
	size_t len = strlen(name);
	struct living *l = mem_alloc(sizeof(*l) + len + 1);

	memcpy(l->name, name, len + 1);
	l->item.name = l->name;
	if (s->n == s->cap) {
		s->cap = s->cap > 0 ? s->cap * 2 : 16;
		s->items = mem_resize(s->items, s->cap * sizeof(*s->items));
	}
	memmove(s->items + at + 1, s->items + at, (s->n - at) * sizeof(*s->items));
	s->items[at] = &l->item;
	s->n++;
	s->bytes += sizeof(*l) + len + 1;
	return l;
}

static void
drop(struct refset *s, size_t at)
{
	struct living *l = living_of(s, at);

	s->bytes -= sizeof(*l) + strlen(l->name) + 1;
	memmove(s->items + at, s->items + at + 1, (s->n - at - 1) * sizeof(*s->items));
	s->n--;
	free(l);
}

static void
add_dead(struct refset *s, const char *name, const struct refset_ref *ref)
{
	size_t len = strlen(name);
	struct dead *d = mem_alloc(sizeof(*d) + len + 1);

	memcpy(d->name, name, len + 1);
	d->ref = *ref;
	HASH_ADD_KEYPTR(hh, s->dead, d->name, len, d);
	s->bytes += sizeof(*d) + len + 1;
	while (HASH_COUNT(s->dead) > REFSET_TOMBSTONES)
		bury(s, s->dead);
}

static void
kill_ref(struct refset *s, const char *name, uint64_t offset)
{
	size_t at = lower(s, name);
	struct refset_ref ref = { oid_null(s->format), oid_null(s->format), offset };

	if (!is_at(s, at, name))
		return;
	ref.before = s->items[at]->oid;
	sum_oid(s, s->sum, name, &ref.before, NULL);
	add_dead(s, name, &ref);
	drop(s, at);
}

void
refset_set(struct refset *s, const char *name, const struct oid *value, const struct oid *peeled,
	   uint64_t offset)
{
	size_t at;
	struct dead *d;
	struct living *l;

	if (oid_is_zero(value)) {
		kill_ref(s, name, offset);
		return;
	}
	at = lower(s, name);
	d = find_dead(s, name);
	if (d != NULL)
		bury(s, d);
	if (is_at(s, at, name)) {
		l = living_of(s, at);
		l->before = l->item.oid;
	} else {
		l = insert(s, at, name);
		l->before = oid_null(s->format);
	}
	sum_oid(s, s->sum, name, &l->before, value);
	l->item.oid = *value;
	l->item.peeled = peeled != NULL ? *peeled : OID_NONE;
	l->changed = offset;
}

void
refset_load(struct refset *s, const char *name, const struct refset_ref *ref,
	    const struct oid *peeled)
{
	size_t at = lower(s, name);
	struct refset_ref dead = { oid_null(s->format), ref->before, ref->changed };
	struct living *l;

	CHECK(!is_at(s, at, name));
	if (oid_is_zero(&ref->oid)) {
		CHECK(find_dead(s, name) == NULL);
		add_dead(s, name, &dead);
		return;
	}
	l = insert(s, at, name);
	l->item.oid = ref->oid;
	l->item.peeled = peeled != NULL ? *peeled : OID_NONE;
	l->before = oid_is_zero(&ref->before) ? oid_null(s->format) : ref->before;
	l->changed = ref->changed;
	sum_oid(s, s->sum, name, NULL, &ref->oid);
}

void
refset_set_peeled(struct refset *s, const char *name, const struct oid *peeled)
{
	size_t at = lower(s, name);

	if (is_at(s, at, name))
		s->items[at]->peeled = *peeled;
}

void
refset_set_head(struct refset *s, const char *target)
{
	char *copy = mem_strdup(target);

	sum_head(s, s->sum, s->head, copy);
	free(s->head);
	s->head = copy;
}

const char *
refset_head(const struct refset *s)
{
	return s->head;
}

size_t
refset_count(const struct refset *s)
{
	return s->n;
}

size_t
refset_bytes(const struct refset *s)
{
	return s->bytes + s->cap * sizeof(*s->items);
}

/* A living ref that is a directory on the way to name. */
static const char *
find_above(const struct refset *s, const char *name, bool (*ignore)(const char *, void *),
	   void *arg)
{
	char *dir = mem_strdup(name);
	const char *found = NULL;

	for (char *p = dir; found == NULL && (p = strchr(p, '/')) != NULL; *p++ = '/') {
		size_t at;

		*p = 0;
		at = lower(s, dir);
		if (is_at(s, at, dir) && (ignore == NULL || !ignore(dir, arg)))
			found = s->items[at]->name;
	}
	free(dir);
	return found;
}

/* Index of the first living ref whose name is >= "name/". */
static size_t
lower_inside(const struct refset *s, const char *name, size_t len)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const char *it = s->items[mid]->name;
		int c = strncmp(it, name, len);

		if (c < 0 || (c == 0 && (unsigned char)it[len] < '/'))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const char *
refset_conflict(const struct refset *s, const char *name, bool (*ignore)(const char *, void *),
		void *arg)
{
	const char *above = find_above(s, name, ignore, arg);
	size_t len = strlen(name);

	if (above != NULL)
		return above;
	for (size_t at = lower_inside(s, name, len); at < s->n; at++) {
		const char *it = s->items[at]->name;

		if (strncmp(it, name, len) != 0 || it[len] != '/')
			break;
		if (ignore == NULL || !ignore(it, arg))
			return it;
	}
	return NULL;
}

void
refset_digest(const struct refset *s, uint8_t out[REFSET_DIGEST])
{
	lanes_write(s->sum, out);
}

void
refset_digest_step(const struct refset *s, uint8_t digest[REFSET_DIGEST], const char *name,
		   const struct oid *from, const struct oid *to)
{
	uint64_t sum[LANES];

	lanes_read(sum, digest);
	sum_oid(s, sum, name, from, to);
	lanes_write(sum, digest);
}

void
refset_digest_head(const struct refset *s, uint8_t digest[REFSET_DIGEST], const char *from,
		   const char *to)
{
	uint64_t sum[LANES];

	lanes_read(sum, digest);
	sum_head(s, sum, from, to);
	lanes_write(sum, digest);
}

void
refset_digest_after(const struct refset *s, const struct refset_change *changes, size_t n,
		    const char *new_head, uint8_t out[REFSET_DIGEST])
{
	uint64_t sum[LANES];
	struct refset_ref now;

	memcpy(sum, s->sum, sizeof(sum));
	for (size_t i = 0; i < n; i++) {
		refset_get(s, changes[i].name, &now);
		sum_oid(s, sum, changes[i].name, &now.oid, &changes[i].oid);
	}
	if (new_head != NULL)
		sum_head(s, sum, s->head, new_head);
	lanes_write(sum, out);
}

void
refset_list(const struct refset *s, struct reflist *out)
{
	*out = (struct reflist){
		.items = (const struct reflist_item *const *)s->items,
		.n = s->n,
		.head_target = s->head,
		.head_detached = OID_NONE,
		.format = s->format,
	};
}
