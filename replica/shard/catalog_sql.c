/* The statements of the catalog; the tables stand in catalog.c. */
#include "replica/shard/catalog_impl.h"

const char *const catalog_sql[CATALOG_NSTATEMENTS] = {
	/* IMMEDIATE: a lock that cannot be had is told at once, not at the first write. */
	[CATALOG_BEGIN] = "BEGIN IMMEDIATE",
	[CATALOG_COMMIT] = "COMMIT",
	[CATALOG_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[CATALOG_META_PUT] = "INSERT INTO meta VALUES (?1, ?2)"
			     " ON CONFLICT DO UPDATE SET value = ?2",
	[CATALOG_SHARDS] = "SELECT shard, next, state FROM shard ORDER BY shard",
	[CATALOG_SHARD_PUT] = "INSERT INTO shard VALUES (?1, ?2, ?3)"
			      " ON CONFLICT DO UPDATE SET next = ?2, state = ?3",
	[CATALOG_HASHES] = "SELECT offset, hash FROM hash WHERE shard = ?1 ORDER BY offset",
	[CATALOG_HASH_PUT] = "INSERT OR REPLACE INTO hash VALUES (?1, ?2, ?3, ?4)",
	[CATALOG_REPOS] =
		"SELECT id, shard, format, path, was_path, head, why, description, digest,"
		" applied, created FROM repo",
	[CATALOG_REPO_PUT] = "INSERT INTO repo (id, shard, format, path, was_path, head, why,"
			     " description, digest, applied, created)"
			     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
			     " ON CONFLICT DO UPDATE SET path = ?4, was_path = ?5, head = ?6,"
			     " why = ?7, description = ?8, digest = ?9, applied = ?10",
	[CATALOG_REPO_DROP] = "DELETE FROM repo WHERE id = ?1",
	[CATALOG_ID_PUT] = "INSERT OR IGNORE INTO used_id (shard, id) VALUES (?1, ?2)",
	[CATALOG_ID_RETIRE] = "UPDATE used_id SET deleted = ?2, trash ="
			      " (SELECT path FROM repo WHERE repo.id = ?1) WHERE id = ?1",
	[CATALOG_ID_USED] = "SELECT 1 FROM used_id WHERE shard = ?1 AND id = ?2",
	[CATALOG_TRASH] = "SELECT id, trash FROM used_id WHERE trash IS NOT NULL",
	[CATALOG_TRASHED] = "UPDATE used_id SET trash = NULL WHERE id = ?1 AND trash IS NOT NULL",
	[CATALOG_REFS_LIVING] = "SELECT name, oid, before, changed, peeled FROM ref"
				" WHERE repo = ?1 AND oid IS NOT NULL ORDER BY name",
	[CATALOG_REFS_DEAD] = "SELECT name, oid, before, changed, peeled FROM ref"
			      " WHERE repo = ?1 AND oid IS NULL ORDER BY changed, name",
	[CATALOG_REF_PUT] = "INSERT INTO ref VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE"
			    " SET oid = ?3, before = ?4, changed = ?5, peeled = ?6",
	[CATALOG_REFS_TRIM] = "DELETE FROM ref WHERE repo = ?1 AND oid IS NULL AND changed <"
			      " (SELECT changed FROM ref WHERE repo = ?1 AND oid IS NULL"
			      " ORDER BY changed DESC LIMIT 1 OFFSET ?2)",
	[CATALOG_REFS_DROP] = "DELETE FROM ref WHERE repo = ?1",
	[CATALOG_PACK_PUT] = "INSERT OR REPLACE INTO pack VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[CATALOG_PACK_FIND] = "SELECT idx_sha256, size, idx_size, name, offset, inlined FROM pack"
			      " WHERE repo = ?1 AND sha256 = ?2",
	[CATALOG_PACKS_DROP] = "DELETE FROM pack WHERE repo = ?1",
	[CATALOG_PACK_KIND] = "SELECT EXISTS (SELECT 1 FROM made WHERE repo = ?1 AND name = ?2),"
			      " EXISTS (SELECT 1 FROM pack WHERE repo = ?1 AND name = ?2)",
	[CATALOG_PACKS_STAGED] = "SELECT sha256 FROM pack WHERE repo = ?1 AND name = ?2"
				 " AND NOT inlined",
	[CATALOG_MADE_PUT] = "INSERT OR IGNORE INTO made VALUES (?1, ?2)",
	[CATALOG_MADE_DROP] = "DELETE FROM made WHERE repo = ?1 AND name = ?2",
	[CATALOG_MADES_DROP] = "DELETE FROM made WHERE repo = ?1",
	[CATALOG_NEEDS] = "SELECT repo, sha256, idx_sha256, size, idx_size, name, offset, shard,"
			  " node FROM need ORDER BY shard, offset",
	[CATALOG_NEED_PUT] = "INSERT OR REPLACE INTO need"
			     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[CATALOG_NEED_DROP] = "DELETE FROM need WHERE repo = ?1 AND sha256 = ?2",
	[CATALOG_NEEDS_DROP] = "DELETE FROM need WHERE repo = ?1",
};
