/* The catalog's part of repacking: what the files in objects/pack are. */
#include "replica/shard/catalog_impl.h"

static sqlite3_stmt *
use(struct catalog *c, enum catalog_st which, const uint8_t id[16], const char *name,
    struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, which, err);

	if (st == NULL)
		return NULL;
	catalog_bind_bytes(st, 1, id, 16);
	catalog_bind_str(st, 2, name);
	return st;
}

int
catalog_pack_kind(struct catalog *c, const uint8_t id[16], const char *name,
		  enum catalog_pack_kind *out, struct err *err)
{
	sqlite3_stmt *st = use(c, CATALOG_PACK_KIND, id, name, err);
	int rc;

	*out = CATALOG_PACK_UNKNOWN;
	if (st == NULL)
		return ERR_IO;
	rc = catalog_row(c, st, err);
	if (rc == 1 && sqlite3_column_int(st, 0) != 0)
		*out = CATALOG_PACK_MADE;
	else if (rc == 1 && sqlite3_column_int(st, 1) != 0)
		*out = CATALOG_PACK_NAMED;
	sqlite3_reset(st);
	return rc < 0 ? rc : 0;
}

int
catalog_staged_packs(struct catalog *c, const uint8_t id[16], const char *name,
		     catalog_staged_fn *fn, void *arg, struct err *err)
{
	sqlite3_stmt *st = use(c, CATALOG_PACKS_STAGED, id, name, err);
	uint8_t sha256[32];
	int rc, stop = 0;

	if (st == NULL)
		return ERR_IO;
	while (stop == 0 && (rc = catalog_row(c, st, err)) == 1)
		stop = catalog_column(st, 0, sha256, sizeof(sha256)) ? fn(sha256, arg, err)
								     : catalog_damaged("pack", err);
	sqlite3_reset(st);
	return stop != 0 ? stop : rc;
}

int
catalog_put_made(struct catalog *c, const uint8_t id[16], const char *name, struct err *err)
{
	sqlite3_stmt *st = use(c, CATALOG_MADE_PUT, id, name, err);

	return st == NULL ? ERR_IO : catalog_run(c, st, err);
}

int
catalog_drop_made(struct catalog *c, const uint8_t id[16], const char *name, struct err *err)
{
	sqlite3_stmt *st = use(c, CATALOG_MADE_DROP, id, name, err);

	return st == NULL ? ERR_IO : catalog_run(c, st, err);
}
