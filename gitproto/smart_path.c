#include "gitproto/smart_path.h"

#include "gitproto/base/check.h"

#define DECODED_MAX (SMART_PATH_NAME_MAX + 5) /* one byte more than the longest "name.git" */

static int
read_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Undoes %xx once.  Bytes written; ERR_BAD: a broken %xx; ERR_TOO_BIG: more than size. */
static ssize_t
decode_percent(uint8_t *out, size_t size, struct slice in, bool plus_is_blank)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.p[i];

		if (c == '%') {
			int hi = i + 2 < in.len ? read_digit(in.p[i + 1]) : -1;
			int lo = i + 2 < in.len ? read_digit(in.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return ERR_BAD;
			c = (uint8_t)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		if (n == size)
			return ERR_TOO_BIG;
		out[n++] = c;
	}
	return (ssize_t)n;
}

static bool
is_name_byte(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '_' || c == '.';
}

static void
lower_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] |= 0x20;
}

/* What owner and name have in common; in lower case already, except for what is refused. */
static int
check_name(struct slice s, const char *what, struct err *err)
{
	if (s.len == 0)
		return err_set(err, ERR_BAD, "the %s is empty", what);
	if (s.p[0] == '.' || s.p[0] == '-')
		return err_set(err, ERR_BAD, "the %s begins with '%c'", what, s.p[0]);
	for (size_t i = 0; i < s.len; i++)
		if (!is_name_byte(s.p[i]))
			return err_set(err, ERR_BAD,
				       "the %s has a byte that is none of A-Z a-z 0-9 . _ -", what);
	if (s.len > SMART_PATH_NAME_MAX)
		return err_set(err, ERR_BAD, "the %s is longer than %d bytes", what,
			       SMART_PATH_NAME_MAX);
	return 0;
}

/* owner and name are decoded and in lower case. */
static int
make_repo(struct smart_path_repo *out, struct slice owner, struct slice name, struct err *err)
{
	const struct slice git = SLICE_LIT(".git"), wiki = SLICE_LIT(".wiki");
	int rc = check_name(owner, "owner", err);

	if (rc < 0)
		return rc;
	if (slice_ends(owner, git))
		return err_set(err, ERR_BAD, "the owner ends with .git");
	if (slice_ends(name, git) && name.len > git.len)
		name.len -= git.len;
	rc = check_name(name, "repository name", err);
	if (rc < 0)
		return rc;
	if (slice_ends(name, git))
		return err_set(err, ERR_BAD, "the repository name ends with .git twice");
	memset(out, 0, sizeof(*out));
	snprintf(out->path, sizeof(out->path), "%.*s/%.*s", SLICE_ARG(owner), SLICE_ARG(name));
	out->wiki = slice_ends(name, wiki) && name.len > wiki.len;
	if (out->wiki)
		name.len -= wiki.len;
	if (out->wiki && (slice_ends(name, wiki) || slice_ends(name, git)))
		return err_set(err, ERR_BAD, "the repository name has more than one ending");
	snprintf(out->key, sizeof(out->key), "%.*s/%.*s", SLICE_ARG(owner), SLICE_ARG(name));
	return 0;
}

int
smart_path_repo_parse(struct smart_path_repo *out, struct slice name, struct err *err)
{
	uint8_t low[SMART_PATH_REPO_SIZE + 4]; /* ".git" */
	struct slice rest;
	struct slice owner;

	if (name.len > sizeof(low))
		return err_set(err, ERR_BAD, "the name is too long");
	if (slice_find(name, '/') < 0)
		return err_set(err, ERR_BAD, "a repository is named owner/name");
	memcpy(low, name.p, name.len);
	lower_bytes(low, name.len);
	rest = slice_of(low, name.len);
	owner = slice_cut(&rest, '/');
	return make_repo(out, owner, rest, err);
}

/* The service of the query, the last one named; *said: was there one? */
static int
read_query(enum service *out, bool *said, struct slice query, struct err *err)
{
	const struct slice key = SLICE_LIT("service");
	uint8_t name[16], value[32];

	*said = false;
	*out = SERVICE_NONE;
	while (query.len > 0) {
		struct slice val = slice_cut(&query, '&');
		struct slice raw = slice_cut(&val, '=');
		ssize_t n = decode_percent(name, sizeof(name), raw, true);

		if (n < 0 || !slice_eq(slice_of(name, (size_t)n), key))
			continue;
		n = decode_percent(value, sizeof(value), val, true);
		*said = true;
		*out = SERVICE_NONE;
		if (n > 0 && !service_parse(out, slice_of(value, (size_t)n)))
			*out = SERVICE_NONE;
	}
	if (*said && *out == SERVICE_NONE)
		return err_set(err, ERR_REFUSED, "Unsupported service");
	return 0;
}

static bool
all_hex(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (read_digit(s.p[i]) < 0 || (s.p[i] >= 'A' && s.p[i] <= 'F'))
			return false;
	return true;
}

/* Is it "pack-HEX.pack" or "pack-HEX.idx"? */
static bool
is_pack_name(struct slice s)
{
	struct slice begin = SLICE_LIT("pack-");
	struct slice hex;

	if (!slice_begins(s, begin))
		return false;
	s = slice_skip(s, begin.len);
	hex = slice_cut(&s, '.');
	return (hex.len == 40 || hex.len == 64) && all_hex(hex) &&
	       (slice_eq_str(s, "pack") || slice_eq_str(s, "idx"));
}

/* The files that http-backend serves. */
static bool
is_dumb_file(struct slice f)
{
	static const char *const whole[] = { "HEAD", "objects/info/packs",
					     "objects/info/alternates",
					     "objects/info/http-alternates" };
	struct slice objects = SLICE_LIT("objects/"), packs = SLICE_LIT("objects/pack/");
	struct slice dir;

	for (size_t i = 0; i < COUNT(whole); i++)
		if (slice_eq_str(f, whole[i]))
			return true;
	if (slice_begins(f, packs))
		return is_pack_name(slice_skip(f, packs.len));
	if (!slice_begins(f, objects))
		return false;
	f = slice_skip(f, objects.len);
	dir = slice_cut(&f, '/');
	return dir.len == 2 && all_hex(dir) && (f.len == 38 || f.len == 62) && all_hex(f);
}

/* What stands behind the repository, and its query. */
static int
read_endpoint(struct smart_path *out, struct slice file, struct slice query, struct err *err)
{
	enum service service;
	bool said;

	if (slice_eq_str(file, "info/refs")) {
		out->endpoint = SMART_PATH_INFO_REFS;
		return read_query(&out->service, &said, query, err);
	}
	if (service_parse(&service, file)) {
		static const enum smart_path_endpoint of[] = {
			[SERVICE_UPLOAD_PACK] = SMART_PATH_UPLOAD_PACK,
			[SERVICE_RECEIVE_PACK] = SMART_PATH_RECEIVE_PACK,
			[SERVICE_UPLOAD_ARCHIVE] = SMART_PATH_UPLOAD_ARCHIVE,
		};

		out->endpoint = of[service];
		out->service = service;
		return 0;
	}
	if (!is_dumb_file(file))
		return err_set(err, ERR_NOT_FOUND, "no such thing in a git repository");
	out->endpoint = SMART_PATH_DUMB;
	out->service = SERVICE_NONE;
	out->file = file;
	return 0;
}

/* Takes "/a/b" (of the prefix) off the path, which begins with a slash. */
static bool
strip_prefix(struct slice *path, struct slice prefix)
{
	while (prefix.len > 0 && prefix.p[0] == '/')
		prefix = slice_skip(prefix, 1);
	while (prefix.len > 0 && prefix.p[prefix.len - 1] == '/')
		prefix.len--;
	if (prefix.len == 0)
		return true;
	if (path->len < prefix.len + 2 || path->p[prefix.len + 1] != '/' ||
	    !slice_begins(slice_skip(*path, 1), prefix))
		return false;
	*path = slice_skip(*path, prefix.len + 1);
	return true;
}

/* One component, decoded and in lower case, in out. */
static int
read_component(struct slice *out, uint8_t *store, struct slice raw, const char *what,
	       struct err *err)
{
	ssize_t n = decode_percent(store, DECODED_MAX, raw, false);

	if (n == ERR_TOO_BIG)
		return err_set(err, ERR_BAD, "the %s is longer than %d bytes", what,
			       SMART_PATH_NAME_MAX);
	if (n < 0)
		return err_set(err, ERR_BAD, "the %s has a broken %%xx", what);
	lower_bytes(store, (size_t)n);
	*out = slice_of(store, (size_t)n);
	return 0;
}

int
smart_path_parse(struct smart_path *out, struct slice target, struct slice prefix, struct err *err)
{
	uint8_t owner_bytes[DECODED_MAX], name_bytes[DECODED_MAX];
	struct slice path, raw_owner, raw_name, owner, name;
	int rc;

	memset(out, 0, sizeof(*out));
	if (target.len > SMART_PATH_TARGET_MAX)
		return err_set(err, ERR_TOO_BIG, "a target of more than %d bytes",
			       SMART_PATH_TARGET_MAX);
	path = slice_cut(&target, '?');
	if (path.len == 0 || path.p[0] != '/')
		return err_set(err, ERR_BAD, "a path begins with '/'");
	if (!strip_prefix(&path, prefix))
		return err_set(err, ERR_NOT_FOUND, "repositories are below /%.*s",
			       SLICE_ARG(prefix));
	path = slice_skip(path, 1);
	raw_owner = slice_cut(&path, '/');
	raw_name = slice_cut(&path, '/');
	rc = read_component(&owner, owner_bytes, raw_owner, "owner", err);
	if (rc == 0)
		rc = read_component(&name, name_bytes, raw_name, "repository name", err);
	if (rc == 0)
		rc = make_repo(&out->repo, owner, name, err);
	return rc < 0 ? rc : read_endpoint(out, path, target, err);
}
