/* replica/hook/hook_wire.h - pkt-lines over descriptors, for the hook program.  Thread: any; blocks.
 *
 * What hook program and replica say on the unix socket DATA/hook.sock (H: hook, R: replica), each
 * line a pkt-line, each message ended by a flush:
 *
 *	H: pre-receive PUSH		R: go			(the repository's hooks may run)
 *	H: quarantine DIR		or say LINE ..., refuse TEXT
 *	H: command OLD NEW REF ...
 *	H: declined			(the repository's pre-receive said no; the end)
 *	H: ng REF TEXT ...		R: go | refuse TEXT	(staged where needed)
 *
 *	H: proc-receive PUSH		R: ok REF | ng REF TEXT | say TEXT ...
 *	H: command OLD NEW REF ...
 */
#ifndef REPLICA_HOOK_HOOK_WIRE_H
#define REPLICA_HOOK_HOOK_WIRE_H

#include "gitproto/base/buf.h"

/* Environment of a receive-pack child. */
#define HOOK_ENV_SOCK "GITSHARD_SOCK"
#define HOOK_ENV_PUSH "GITSHARD_PUSH"

enum hook_wire_kind { HOOK_WIRE_LINE, HOOK_WIRE_FLUSH, HOOK_WIRE_END };

/* The next packet of fd; its content replaces *line, one LF at the end dropped.  END: end of file,
 * an error, or no pkt-line. */
enum hook_wire_kind hook_wire_read(int fd, struct buf *line);
MUST_CHECK bool hook_wire_send(int fd, struct buf *out); /* writes all and empties it */
MUST_CHECK int hook_wire_connect(const char *path);      /* -1: errno */

#endif
