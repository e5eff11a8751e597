/* Targets: what is accepted names a repository in the narrow form, which parses to itself. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/base/check.h"
#include "gitproto/smart_path.h"

static void
check_path(const char *path)
{
	unsigned slashes = 0;

	for (const char *c = path; *c != '\0'; c++) {
		bool first = c == path || c[-1] == '/';

		CHECK((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '/' ||
		      *c == '.' || *c == '-' || *c == '_');
		CHECK(!first || (*c != '.' && *c != '-' && *c != '/'));
		slashes += *c == '/';
	}
	CHECK(slashes == 1);
}

static void
check_repo(const struct smart_path_repo *r)
{
	struct smart_path_repo again;

	check_path(r->path);
	check_path(r->key);
	CHECK(smart_path_repo_parse(&again, slice_str(r->path), NULL) == 0);
	CHECK(memcmp(&again, r, sizeof(again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct smart_path p;
	struct smart_path_repo r;
	struct err err = { 0 };

	if (smart_path_parse(&p, in, SLICE_NONE, &err) == 0)
		check_repo(&p.repo);
	else
		CHECK(err.text[0] != '\0');
	if (smart_path_parse(&p, in, SLICE_LIT("/git"), NULL) == 0)
		check_repo(&p.repo);
	if (smart_path_repo_parse(&r, in, NULL) == 0)
		check_repo(&r);
	return 0;
}
