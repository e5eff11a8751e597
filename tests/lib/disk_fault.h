/* tests/lib/disk_fault.h - a disk below SQLite that fails when told to.  Thread: any.
 * Installed, it is the default of all connections that are opened afterwards in this process. */
#ifndef TESTS_LIB_DISK_FAULT_H
#define TESTS_LIB_DISK_FAULT_H

#include "gitproto/base/defs.h"

enum disk_fault {
	DISK_FAULT_READ,  /* every read: an I/O error */
	DISK_FAULT_WRITE, /* writes to the WAL: an I/O error, nothing written */
	DISK_FAULT_FULL,  /* writes to the WAL: no room */
	DISK_FAULT_SYNC,  /* fsync of the WAL: an I/O error, the data may be there or not */
	DISK_FAULT_HANG,  /* fsync of the WAL: does not return until disk_fault_set(.., 0) */
	DISK_FAULT_NKINDS
};

void disk_fault_install(void);
/* The next `times` operations of the kind fail. */
void disk_fault_set(enum disk_fault, unsigned times);
unsigned disk_fault_left(enum disk_fault);

#endif
