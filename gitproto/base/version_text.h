/* gitproto/base/version_text.h - the version of gitshard, the same for all programs. */
#ifndef GITPROTO_BASE_VERSION_TEXT_H
#define GITPROTO_BASE_VERSION_TEXT_H

#define VERSION_TEXT "0.1.0"

#endif
