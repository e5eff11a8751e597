#include "shard-map/map_file.h"

#include <inttypes.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "gitproto/base/check.h"
#include "gitproto/base/fsio.h"
#include "gitproto/base/hex.h"
#include "gitproto/base/mem.h"
#include "shard-map/map_check.h"

#define SUM 32 /* bytes of a SHA-256 */
#define CANONICAL (JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII)

static const char *const states[] = { [MAP_NODE_UP] = "up", [MAP_NODE_DRAIN] = "drain" };

/* Checksum of an object that has no checksum in it, as hex digits. */
static int
checksum(char out[2 * SUM + 1], const json_t *object)
{
	char *text = json_dumps(object, CANONICAL);
	uint8_t sum[SUM];
	int ok;

	if (text == NULL)
		return ERR_NOMEM;
	ok = EVP_Digest(text, strlen(text), sum, NULL, EVP_sha256(), NULL);
	CHECK(ok == 1);
	free(text);
	hex_encode(out, sum, SUM);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static json_t *
node_object(const struct map_node *n)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:I, s:s}", "id", (json_int_t)n->id, "name",
			 n->name, "addr", n->addr, "admin", n->admin, "zone", n->zone, "weight",
			 (json_int_t)n->weight, "state", states[n->state]);
}

static json_t *
members_array(const struct map *m)
{
	json_t *all = json_array();

	for (uint32_t s = 0; s < m->nshards; s++) {
		json_t *one = json_array();

		for (uint32_t i = m->first[s]; i < m->first[s + 1]; i++)
			json_array_append_new(one, json_integer(m->members[i]));
		json_array_append_new(all, one);
	}
	return all;
}

static json_t *
map_object(const struct map *m)
{
	char uuid[33], seed[17];
	json_t *nodes = json_array(), *o;

	hex_encode(uuid, m->uuid, sizeof(m->uuid));
	snprintf(seed, sizeof(seed), "%016" PRIx64, m->key_seed);
	for (uint32_t i = 0; i < m->nnodes; i++)
		json_array_append_new(nodes, node_object(&m->nodes[i]));
	o = json_pack("{s:i, s:i, s:I, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "format",
		      (int)MAP_FORMAT, "min_reader", 1, "version", (json_int_t)m->version,
		      "cluster", m->cluster, "uuid", uuid, "key_seed", seed, "shards",
		      (json_int_t)m->nshards, "next_node", (json_int_t)m->next_node, "nodes", nodes,
		      "members", members_array(m));
	if (o == NULL)
		return NULL;
	json_object_set_new(o, "replicas",
			    m->replicas == MAP_ALL ? json_string("all")
						   : json_integer(m->replicas));
	return o;
}

static int
add_text(const char *p, size_t n, void *arg)
{
	buf_add(arg, p, n);
	return 0;
}

int
map_file_format(struct buf *out, const struct map *m, struct err *err)
{
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	char sum[2 * SUM + 1];
	json_t *o;
	int rc;

	if (m->format > MAP_FORMAT)
		return err_set(err, ERR_VERSION,
			       "the map has format %u, this program writes %u; use a newer one",
			       m->format, MAP_FORMAT);
	o = map_object(m);
	rc = o != NULL ? checksum(sum, o) : ERR_NOMEM;
	if (rc == 0 && json_object_set_new(o, "checksum", json_string(sum)) < 0)
		rc = ERR_NOMEM;
	if (rc == 0 && json_dump_callback(o, add_text, &text, CANONICAL) < 0)
		rc = ERR_NOMEM;
	json_decref(o);
	buf_add_byte(&text, '\n');
	if (rc == 0 && !buf_ok(&text))
		rc = err_set(err, ERR_TOO_BIG,
			     "the map is larger than %u bytes; use fewer shards or replicas",
			     MAP_FILE_MAX);
	else if (rc < 0)
		err_set(err, rc, "no memory for the text of the map");
	if (rc == 0) {
		buf_add_slice(out, buf_slice(&text));
		if (!buf_ok(out))
			rc = err_set(err, ERR_NOMEM, "no memory for the text of the map");
	}
	buf_release(&text);
	return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int
get_number(uint64_t *out, const json_t *o, const char *key, uint64_t max, struct err *err)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n > max)
		return err_set(err, ERR_BAD, "\"%s\" must be a whole number up to %" PRIu64, key,
			       max);
	*out = (uint64_t)n;
	return 0;
}

static int
get_u32(uint32_t *out, const json_t *o, const char *key, uint32_t max, struct err *err)
{
	uint64_t v = 0;
	int rc = get_number(&v, o, key, max, err);

	*out = (uint32_t)v;
	return rc;
}

/* A string without NUL inside, into out of `size` bytes. */
static int
get_text(char *out, size_t size, const json_t *o, const char *key, struct err *err)
{
	const json_t *v = json_object_get(o, key);
	size_t n = json_string_length(v);

	if (!json_is_string(v) || n >= size || strlen(json_string_value(v)) != n)
		return err_set(err, ERR_BAD, "\"%s\" must be a string of less than %zu bytes", key,
			       size);
	memcpy(out, json_string_value(v), n + 1);
	return 0;
}

static int
get_hex(void *out, size_t n, const json_t *o, const char *key, struct err *err)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_string(v) ||
	    hex_decode(out, n, slice_of(json_string_value(v), json_string_length(v))) < 0)
		return err_set(err, ERR_BAD, "\"%s\" must be %zu hex digits", key, 2 * n);
	return 0;
}

static int
check_format(const json_t *o, uint32_t *format, struct err *err)
{
	uint32_t reader = 0;
	int rc = get_u32(format, o, "format", UINT32_MAX, err);

	if (rc == 0)
		rc = get_u32(&reader, o, "min_reader", UINT32_MAX, err);
	if (rc == 0 && (reader > MAP_FORMAT || *format < 1))
		rc = err_set(
			err, ERR_VERSION,
			"the map needs a reader of format %u, this program reads %u; upgrade it",
			reader, MAP_FORMAT);
	return rc;
}

static int
check_sum(json_t *o, struct err *err)
{
	char want[2 * SUM + 1], have[2 * SUM + 1];
	int rc = get_text(have, sizeof(have), o, "checksum", err);

	if (rc < 0)
		return rc;
	json_object_del(o, "checksum");
	if (checksum(want, o) < 0)
		return err_set(err, ERR_NOMEM, "no memory to check the map");
	if (strcmp(want, have) != 0)
		return err_set(err, ERR_CORRUPT,
			       "the checksum does not fit: the map was changed or damaged");
	return 0;
}

static int
read_node(struct map_node *n, const json_t *o, struct err *err)
{
	char state[16] = "";
	int rc = get_u32(&n->id, o, "id", MAP_MAX_NODE_ID, err);

	if (rc == 0)
		rc = get_text(n->name, sizeof(n->name), o, "name", err);
	if (rc == 0)
		rc = get_text(n->addr, sizeof(n->addr), o, "addr", err);
	if (rc == 0)
		rc = get_text(n->admin, sizeof(n->admin), o, "admin", err);
	if (rc == 0)
		rc = get_text(n->zone, sizeof(n->zone), o, "zone", err);
	if (rc == 0)
		rc = get_u32(&n->weight, o, "weight", MAP_MAX_WEIGHT, err);
	if (rc == 0)
		rc = get_text(state, sizeof(state), o, "state", err);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < COUNT(states); i++)
		if (strcmp(states[i], state) == 0) {
			n->state = (enum map_node_state)i;
			return 0;
		}
	return err_set(err, ERR_BAD, "\"state\" must be up or drain");
}

/* Members of all shards together; ERR_BAD as a negative number when the lists are no lists. */
static int64_t
count_members(const json_t *lists, struct err *err)
{
	size_t i, n = 0;
	json_t *one;

	if (!json_is_array(lists) || json_array_size(lists) < 1 ||
	    json_array_size(lists) > MAP_MAX_SHARDS)
		return err_set(err, ERR_BAD, "\"members\" must be a list of 1 to %u lists",
			       MAP_MAX_SHARDS);
	json_array_foreach(lists, i, one)
	{
		if (!json_is_array(one))
			return err_set(err, ERR_BAD, "\"members\" of shard %zu are no list", i);
		n += json_array_size(one);
	}
	return (int64_t)n;
}

static int
read_members(struct map *m, const json_t *lists, struct err *err)
{
	uint32_t at = 0;
	size_t s, i;
	json_t *one, *v;

	json_array_foreach(lists, s, one)
	{
		m->first[s] = at;
		json_array_foreach(one, i, v)
		{
			json_int_t id = json_integer_value(v);

			if (!json_is_integer(v) || id < 1 || id > MAP_MAX_NODE_ID)
				return err_set(err, ERR_BAD,
					       "shard %zu has a member that is no node", s);
			m->members[at++] = (uint32_t)id;
		}
	}
	m->first[m->nshards] = at;
	return 0;
}

static int
read_head(struct map *m, const json_t *o, struct err *err)
{
	const json_t *replicas = json_object_get(o, "replicas");
	uint8_t seed[8];
	int rc = get_number(&m->version, o, "version", INT64_MAX, err);

	if (rc == 0)
		rc = get_text(m->cluster, sizeof(m->cluster), o, "cluster", err);
	if (rc == 0)
		rc = get_hex(m->uuid, sizeof(m->uuid), o, "uuid", err);
	if (rc == 0)
		rc = get_hex(seed, sizeof(seed), o, "key_seed", err);
	if (rc == 0)
		rc = get_u32(&m->next_node, o, "next_node", MAP_MAX_NODE_ID + 1, err);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < sizeof(seed); i++)
		m->key_seed = m->key_seed << 8 | seed[i];
	m->replicas = MAP_ALL;
	if (json_is_string(replicas) && strcmp(json_string_value(replicas), "all") == 0)
		return 0;
	rc = get_u32(&m->replicas, o, "replicas", MAP_MAX_NODES, err);
	if (rc == 0 && m->replicas == 0)
		rc = err_set(err, ERR_BAD, "\"replicas\" must be a number from 1 on, or \"all\"");
	return rc;
}

static int
read_object(struct map **out, const json_t *o, uint32_t format, struct err *err)
{
	const json_t *nodes = json_object_get(o, "nodes"), *lists = json_object_get(o, "members");
	int64_t nmembers = count_members(lists, err);
	uint32_t nshards;
	struct map *m;
	int rc;

	if (nmembers < 0)
		return (int)nmembers;
	if (!json_is_array(nodes) || json_array_size(nodes) > MAP_MAX_NODES)
		return err_set(err, ERR_BAD, "\"nodes\" must be a list of at most %u",
			       MAP_MAX_NODES);
	rc = get_u32(&nshards, o, "shards", MAP_MAX_SHARDS, err);
	if (rc < 0)
		return rc;
	if (nshards != json_array_size(lists))
		return err_set(err, ERR_BAD, "\"members\" must have one list for each of %u shards",
			       nshards);
	m = map_alloc(nshards, (uint32_t)json_array_size(nodes), (uint32_t)nmembers);
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "no memory for the map");
	m->format = format;
	rc = read_head(m, o, err);
	for (uint32_t i = 0; i < m->nnodes && rc == 0; i++) {
		rc = read_node(&m->nodes[i], json_array_get(nodes, i), err);
		if (rc < 0)
			err_prefix(err, "node %u of the list", i + 1);
	}
	if (rc == 0)
		rc = read_members(m, lists, err);
	if (rc == 0)
		rc = map_check(m, err);
	*out = m;
	return rc;
}

int
map_file_parse(const struct map **out, struct slice text, struct err *err)
{
	json_error_t why;
	uint32_t format = 0;
	struct map *m = NULL;
	const struct map *dropped;
	json_t *o;
	int rc;

	if (text.len > MAP_FILE_MAX)
		return err_set(err, ERR_TOO_BIG, "the map is larger than %u bytes", MAP_FILE_MAX);
	o = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(err, ERR_BAD, "the map is no JSON object: %s (line %d)", why.text,
			       why.line);
	}
	rc = check_format(o, &format, err);
	if (rc == 0)
		rc = check_sum(o, err);
	if (rc == 0)
		rc = read_object(&m, o, format, err);
	json_decref(o);
	if (rc == 0) {
		map_seal(m);
		*out = m;
		return 0;
	}
	dropped = m;
	map_unref(&dropped);
	return rc;
}

int
map_file_load(const struct map **out, const char *path, struct err *err)
{
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	int rc = fsio_read(&text, path, MAP_FILE_MAX, err);

	if (rc == 0) {
		rc = map_file_parse(out, buf_slice(&text), err);
		if (rc < 0)
			err_prefix(err, "%s", path);
	}
	buf_release(&text);
	return rc;
}

int
map_file_save(const struct map *m, const char *path, struct err *err)
{
	struct buf text = BUF_MAX(MAP_FILE_MAX);
	int rc = map_file_format(&text, m, err);

	if (rc == 0)
		rc = fsio_write(path, buf_slice(&text), 0644, err);
	buf_release(&text);
	return rc;
}
