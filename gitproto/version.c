#include "gitproto/version.h"

enum version
version_parse(struct slice header)
{
	const struct slice key = SLICE_LIT("version=");
	enum version best = VERSION_0;

	while (header.len > 0) {
		struct slice item = slice_cut(&header, ':');

		if (!slice_begins(item, key) || item.len != key.len + 1)
			continue;
		if (item.p[key.len] == '2')
			best = VERSION_2;
		else if (item.p[key.len] == '1' && best < VERSION_1)
			best = VERSION_1;
	}
	return best;
}

enum version
version_spoken(enum service s, enum version asked)
{
	switch (s) {
	case SERVICE_UPLOAD_PACK:
		return asked;
	case SERVICE_RECEIVE_PACK:
		return asked == VERSION_1 ? VERSION_1 : VERSION_0;
	case SERVICE_UPLOAD_ARCHIVE:
	case SERVICE_NONE:
		break;
	}
	return VERSION_0;
}

const char *
version_text(enum version v)
{
	static const char *const texts[] = { NULL, "version=1", "version=2" };

	return texts[v];
}
