#include "router/back/retry.h"

const char *
retry_word(enum retry_reason r)
{
	static const char *const words[RETRY_NREASONS] = {
		[RETRY_WRONG_NODE] = "wrong_node",
		[RETRY_BUSY] = "busy",
		[RETRY_LOST] = "lost",
		[RETRY_SILENT] = "silent",
		[RETRY_SLOW] = "slow",
		[RETRY_NO_NODE] = "no_node",
		[RETRY_LOG_AWAY] = "log_away",
	};

	return words[r];
}

bool
retry_status(int status, enum retry_reason *why)
{
	if (status != 421 && status != 503)
		return false;
	*why = status == 421 ? RETRY_WRONG_NODE : RETRY_BUSY;
	return true;
}

unsigned
retry_wait_msec(unsigned round, uint64_t random)
{
	unsigned ms = 20u << MIN(round > 0 ? round - 1 : 0, 5u);

	ms = MIN(ms, RETRY_WAIT_MAX);
	return ms / 2 + (unsigned)(random % (ms / 2 + 1));
}
