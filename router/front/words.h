/* router/front/words.h - what clients are told when no node's answer can be handed on: what happened,
 * whether something was changed, what to do.  Thread: any.  Pure.  Sentences without an end. */
#ifndef ROUTER_FRONT_WORDS_H
#define ROUTER_FRONT_WORDS_H

#include "gitproto/base/defs.h"

/* Nobody could be reached in so long; why: of the last attempt, may be "". */
#define WORDS_MAX 640
void words_gave_up(char out[WORDS_MAX], bool writes, uint64_t msec, const char *why);
const char *words_lost(bool writes);     /* the node is gone, with the body or in its answer */
const char *words_log_away(bool writes); /* every node that could do it says so */

#endif
