/* Status lines of a node: what is eaten is a whole line, and no cut of it says anything else. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/base/check.h"
#include "router/back/status_line.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct status_line l;

	while (in.len > 0) {
		ssize_t n = status_line_parse(&l, in);

		CHECK(n >= ERR_BAD && n <= (ssize_t)in.len && n <= (ssize_t)STATUS_LINE_MAX);
		if (n <= 0)
			break;
		CHECK(in.p[n - 1] == '\n');
		CHECK(memchr(l.incarnation, '\0', sizeof(l.incarnation)) != NULL);
		for (size_t cut = 0; cut < (size_t)n; cut++)
			CHECK(status_line_parse(&l, slice_head(in, cut)) == 0);
		in = slice_skip(in, (size_t)n);
	}
	return 0;
}
