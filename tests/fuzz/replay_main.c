/* tests/fuzz/replay_main.c - gives files, and all files below folders, to a fuzz target, and each of
 * them also without its end.  Prints how many; ends non-zero when one cannot be read. */
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>

#include "gitproto/base/buf.h"
#include "tests/fuzz/fuzz.h"

#define FILE_MAX_BYTES ((size_t)16 << 20)

/* A copy of its own, so that a read past the end is found. */
static void
replay_bytes(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	if (n > 0)
		memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static bool
replay_file(const char *path)
{
	struct buf b = BUF_MAX(FILE_MAX_BYTES);
	char part[65536];
	size_t n;
	FILE *f = fopen(path, "r");

	if (f == NULL) {
		perror(path);
		return false;
	}
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(&b, part, n);
	fclose(f);
	replay_bytes(b.p, b.len);
	for (size_t cut = b.len; cut > 0 && b.len - cut < 64; cut--)
		replay_bytes(b.p, cut - 1);
	buf_release(&b);
	return true;
}

int
main(int argc, char **argv)
{
	unsigned files = 0, bad = 0;
	FTS *fts;
	FTSENT *e;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", argv[0]);
		return 2;
	}
	fts = fts_open(argv + 1, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	while (fts != NULL && (e = fts_read(fts)) != NULL) {
		if (e->fts_info == FTS_F) {
			files++;
			bad += !replay_file(e->fts_path);
		} else if (e->fts_info == FTS_NS || e->fts_info == FTS_ERR ||
			   e->fts_info == FTS_DNR) {
			fprintf(stderr, "%s: cannot be read\n", e->fts_path);
			bad++;
		}
	}
	if (fts != NULL)
		fts_close(fts);
	printf("%u files\n", files);
	return bad > 0 || files == 0;
}
