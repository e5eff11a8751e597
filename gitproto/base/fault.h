/* gitproto/base/fault.h - named places where a test makes the process die or pause.  Thread: any.
 * Only in test builds (GITSHARD_TEST); in others FAULT is nothing. */
#ifndef GITPROTO_BASE_FAULT_H
#define GITPROTO_BASE_FAULT_H

#include "gitproto/base/defs.h"

#ifdef GITSHARD_TEST
#define FAULT(point) fault_at(point)
#else
#define FAULT(point) ((void)0)
#endif

void fault_at(const char *point);
/* action: "die" (SIGKILL to ourselves), "stop" (SIGSTOP), "none".  Once: the next time the point is
 * reached.  false for a word that is no action, or in builds without faults. */
MUST_CHECK bool fault_arm(const char *point, const char *action);

#endif
