/* router/back/status_line.h - one line of a node's status stream.  Thread: any.  Pure.
 * Format: docs/node-api.md, `GET /gs/status`; text lines that end with a line feed. */
#ifndef ROUTER_BACK_STATUS_LINE_H
#define ROUTER_BACK_STATUS_LINE_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"

#define STATUS_LINE_MAX 512u /* bytes of a line, its line feed included */

enum status_line_kind {
	STATUS_LINE_NODE,  /* node, incarnation */
	STATUS_LINE_MAP,   /* map */
	STATUS_LINE_SHARD, /* all of `shard` */
	STATUS_LINE_BEAT,
	STATUS_LINE_OTHER /* a word of a later version: to be passed over */
};

enum status_line_role {
	STATUS_LINE_PRIMARY,
	STATUS_LINE_FOLLOWER,
	STATUS_LINE_LEARNER,
	STATUS_LINE_HALTED
};

/* What a node says of one shard. */
struct status_line_shard {
	uint32_t shard;
	enum status_line_role role;
	uint64_t epoch;    /* of the reign it has read of; 0: none */
	uint32_t primary;  /* number of the node; 0: none known */
	uint64_t position; /* the next offset that it reads */
	uint64_t applied;  /* all before it is applied */
};

struct status_line {
	enum status_line_kind kind;
	uint32_t node;
	char incarnation[33];
	uint64_t map;
	struct status_line_shard shard;
};

/* Bytes eaten (the line and its line feed), 0: wants more, ERR_BAD: no such line, or one that is too
 * long.  Words behind those that are known here are passed over. */
MUST_CHECK ssize_t status_line_parse(struct status_line *out, struct slice in);

#endif
