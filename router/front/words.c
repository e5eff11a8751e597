#include "router/front/words.h"

#include <inttypes.h>
#include <stdio.h>

void
words_gave_up(char out[WORDS_MAX], bool writes, uint64_t msec, const char *why)
{
	snprintf(out, WORDS_MAX,
		 writes ? "the primary of this repository could not be reached in %" PRIu64
			  " s (%s); nothing was changed, push again"
			: "no replica of this repository could serve this in %" PRIu64
			  " s (%s); try again",
		 (msec + 500) / 1000, why[0] != '\0' ? why : "nobody is there to be asked");
}

const char *
words_lost(bool writes)
{
	return writes ? "the node that took this push was lost before it answered; push "
			"again: if the push was accepted, git says so"
		      : "the node that served this was lost before it answered; try again";
}

const char *
words_log_away(bool writes)
{
	return writes ? "the commit log is away; nothing was changed, push again when it is back"
		      : "the commit log is away, so that no replica can show that it is up to "
			"date; try again when it is back";
}
