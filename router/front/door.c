#include "router/front/door.h"

#include <strings.h>

static enum front_stats_kind
kind_of(const struct smart_path *p)
{
	if (p->endpoint == SMART_PATH_INFO_REFS && p->service == SERVICE_UPLOAD_PACK)
		return FRONT_STATS_ADVERTISE_FETCH;
	if (p->endpoint == SMART_PATH_INFO_REFS && p->service == SERVICE_RECEIVE_PACK)
		return FRONT_STATS_ADVERTISE_PUSH;
	if (p->endpoint == SMART_PATH_UPLOAD_PACK)
		return FRONT_STATS_FETCH;
	return p->endpoint == SMART_PATH_RECEIVE_PACK ? FRONT_STATS_PUSH : FRONT_STATS_OTHER;
}

static int
refuse(struct door *d, int status, const char *text)
{
	err_set(&d->why, ERR_REFUSED, "%s", text);
	return status;
}

static int
parse_target(struct door *d, const char *target)
{
	struct slice rest = slice_str(target), path = slice_cut(&rest, '?');
	int rc;

	if (slice_eq_str(path, "/"))
		return refuse(d, 404,
			      "this is a git server; repositories are at /OWNER/NAME.git, clone "
			      "one with git");
	rc = smart_path_parse(&d->path, slice_str(target), SLICE_NONE, &d->why);
	if (rc < 0)
		return err_http_status(rc);
	d->named = true;
	d->kind = kind_of(&d->path);
	d->writes = service_writes(d->path.service);
	d->has_body = d->path.endpoint != SMART_PATH_INFO_REFS;
	if (d->path.service == SERVICE_NONE)
		return refuse(d, 403,
			      "the dumb HTTP protocol is not spoken here; use git 1.6.6 or later");
	if (d->kind == FRONT_STATS_OTHER)
		return refuse(d, 403,
			      "archives are not served here; clone the repository and run git "
			      "archive");
	return 0;
}

/* The type must be exactly git's, as with git's own server: 415 otherwise. */
static int
check_body(struct door *d, const struct http_head *h)
{
	const char *type = http_head_get(h, "content-type");
	const char *coding = http_head_get(h, "content-encoding");

	if (type == NULL || strcmp(type, service_type_request(d->path.service)) != 0)
		return refuse(d, 415,
			      "the content-type of this request is not that of a git client");
	if (coding != NULL && strcasecmp(coding, "gzip") != 0 &&
	    strcasecmp(coding, "x-gzip") != 0 && strcasecmp(coding, "identity") != 0)
		return refuse(d, 415, "of the content-encodings only gzip is understood");
	return 0;
}

int
door_check(struct door *d, const struct http_head *h)
{
	const char *method;
	int status;

	*d = (struct door){ .kind = FRONT_STATS_OTHER };
	status = parse_target(d, h->target);
	if (status != 0)
		return status;
	method = d->has_body ? "POST" : "GET";
	if (strcmp(h->method, method) == 0)
		return d->has_body ? check_body(d, h) : 0;
	d->allow = method;
	err_set(&d->why, ERR_REFUSED, "this address takes %s requests only", method);
	return 405;
}
