#include "gitproto/service.h"

#include "gitproto/base/check.h"

static const struct {
	const char *name, *advertisement, *request, *result;
} rows[] = {
	[SERVICE_NONE] = { "", "", "", "" },
	[SERVICE_UPLOAD_PACK] = { "git-upload-pack", "application/x-git-upload-pack-advertisement",
				  "application/x-git-upload-pack-request",
				  "application/x-git-upload-pack-result" },
	[SERVICE_RECEIVE_PACK] = { "git-receive-pack",
				   "application/x-git-receive-pack-advertisement",
				   "application/x-git-receive-pack-request",
				   "application/x-git-receive-pack-result" },
	[SERVICE_UPLOAD_ARCHIVE] = { "git-upload-archive",
				     "application/x-git-upload-archive-advertisement",
				     "application/x-git-upload-archive-request",
				     "application/x-git-upload-archive-result" },
};

const char *
service_name(enum service s)
{
	CHECK((size_t)s < COUNT(rows));
	return rows[s].name;
}

const char *
service_word(enum service s)
{
	return s == SERVICE_NONE ? "" : service_name(s) + strlen("git-");
}

bool
service_parse(enum service *out, struct slice name)
{
	for (size_t i = 1; i < COUNT(rows); i++)
		if (slice_eq_str(name, rows[i].name)) {
			*out = (enum service)i;
			return true;
		}
	return false;
}

bool
service_writes(enum service s)
{
	return s == SERVICE_RECEIVE_PACK;
}

const char *
service_type_advertisement(enum service s)
{
	CHECK((size_t)s < COUNT(rows));
	return rows[s].advertisement;
}

const char *
service_type_request(enum service s)
{
	CHECK((size_t)s < COUNT(rows));
	return rows[s].request;
}

const char *
service_type_result(enum service s)
{
	CHECK((size_t)s < COUNT(rows));
	return rows[s].result;
}
