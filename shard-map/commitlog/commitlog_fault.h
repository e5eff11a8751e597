/* shard-map/commitlog/commitlog_fault.h - a log that does, by a seed, whatever protocol R5 allows a
 * log to do.  Can be opened in test builds only (GITSHARD_TEST).  Thread: as commitlog.h.
 *
 * URL: fault:SEED,FAULT,...:URL-OF-THE-LOG-BELOW, a FAULT being NAME=PERMILLE[@TIME], say
 * "fault:7,lostack=20,late=10@500ms:file:/tmp/log".  Each append meets at most one of them:
 *	refuse   NOT: nothing was sent
 *	lost     UNKNOWN, and it never comes
 *	lostack  UNKNOWN, although it came
 *	late     UNKNOWN, and it comes up to TIME later
 *	twice    comes, and once more up to TIME later
 *	delay    comes, and is answered up to TIME later
 *	freeze   for TIME nothing is appended, answered or read by this handle any more
 * The order of appends that are neither late nor the second of two is kept.  The same seed gives the
 * same faults to the same sequence of appends. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_FAULT_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_FAULT_H

struct buf;
struct commitlog;
struct commitlog_backend;
extern const struct commitlog_backend commitlog_fault_backend;

/* gitshard_log_faults_total{kind="late"} and so on, as Prometheus text: how many of each kind took
 * place; a late or second record counts when it is in the log.  Nothing for another log. */
void commitlog_fault_metrics(struct commitlog *, struct buf *out);

#endif
