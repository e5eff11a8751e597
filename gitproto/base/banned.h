/* gitproto/base/banned.h - functions that cannot be used safely are compile errors.  Include last,
 * by way of defs.h.  Instead of them: snprintf, buf_addf, slice functions, gmtime_r. */
#ifndef GITPROTO_BASE_BANNED_H
#define GITPROTO_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok strtok_r gmtime localtime
#pragma GCC poison ctime asctime gets tmpnam mktemp

#endif
