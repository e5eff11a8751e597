/* Records: what is read can be written again byte for byte, and kept. */
#include "tests/fuzz/fuzz.h"

#include "gitproto/base/check.h"
#include "shard-map/commitlog/record.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = BUF_MAX(2 * (size_t)RECORD_MAX);
	struct record r;
	struct err err = { 0 };
	int rc = record_decode(&r, slice_of(data, size), &err);

	CHECK(rc <= 0);
	if (rc < 0) {
		CHECK(err.text[0] != '\0');
		return 0;
	}
	/* A newer writer's fields are not ours to repeat. */
	if (record_encode(&out, &r, &err) == 0 && data[4] == RECORD_VERSION &&
	    data[5] == RECORD_READER)
		CHECK(slice_eq(buf_slice(&out), slice_of(data, size)));
	CHECK(record_keep(&r, NULL) == 0);
	record_release(&r);
	buf_release(&out);
	return 0;
}
