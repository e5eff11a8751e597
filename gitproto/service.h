/* gitproto/service.h - the services a client can ask for.  Thread: any. */
#ifndef GITPROTO_SERVICE_H
#define GITPROTO_SERVICE_H

#include "gitproto/base/slice.h"

enum service {
	SERVICE_NONE, /* dumb HTTP: files */
	SERVICE_UPLOAD_PACK,
	SERVICE_RECEIVE_PACK,
	SERVICE_UPLOAD_ARCHIVE
};

const char *service_name(enum service); /* "git-upload-pack"; "" for none */
const char *service_word(enum service); /* "upload-pack" */
/* "git-upload-pack" and so on, exactly; false for another word */
MUST_CHECK bool service_parse(enum service *out, struct slice name);
bool service_writes(enum service); /* receive-pack alone */

/* "application/x-git-upload-pack-advertisement", "...-request", "...-result"; "" for none */
const char *service_type_advertisement(enum service);
const char *service_type_request(enum service);
const char *service_type_result(enum service);

#endif
