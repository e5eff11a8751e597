#include "tests/lib/disk_fault.h"

#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "gitproto/base/check.h"

struct file {
	sqlite3_file base;
	bool wal;
	/* the file of the real disk follows */
};

static sqlite3_vfs vfs, *real_vfs;
static unsigned left[DISK_FAULT_NKINDS]; /* atomic */

void
disk_fault_set(enum disk_fault kind, unsigned times)
{
	__atomic_store_n(&left[kind], times, __ATOMIC_SEQ_CST);
}

unsigned
disk_fault_left(enum disk_fault kind)
{
	return __atomic_load_n(&left[kind], __ATOMIC_SEQ_CST);
}

static bool
fails(enum disk_fault kind)
{
	unsigned n = disk_fault_left(kind);

	while (n > 0)
		if (__atomic_compare_exchange_n(&left[kind], &n, n - 1, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return true;
	return false;
}

static sqlite3_file *
real(sqlite3_file *f)
{
	return (sqlite3_file *)((struct file *)f + 1);
}

static int
on_close(sqlite3_file *f)
{
	return real(f)->pMethods->xClose(real(f));
}

static int
on_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	if (fails(DISK_FAULT_READ))
		return SQLITE_IOERR_READ;
	return real(f)->pMethods->xRead(real(f), to, n, at);
}

static int
on_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
	if (((struct file *)f)->wal && fails(DISK_FAULT_WRITE))
		return SQLITE_IOERR_WRITE;
	if (((struct file *)f)->wal && fails(DISK_FAULT_FULL))
		return SQLITE_FULL;
	return real(f)->pMethods->xWrite(real(f), from, n, at);
}

static int
on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return real(f)->pMethods->xTruncate(real(f), size);
}

static int
on_sync(sqlite3_file *f, int flags)
{
	bool wal = ((struct file *)f)->wal;

	while (wal && disk_fault_left(DISK_FAULT_HANG) > 0)
		usleep(1000);
	if (wal && fails(DISK_FAULT_SYNC))
		return SQLITE_IOERR_FSYNC;
	return real(f)->pMethods->xSync(real(f), flags);
}

static int
on_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return real(f)->pMethods->xFileSize(real(f), size);
}

static int
on_lock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xLock(real(f), level);
}

static int
on_unlock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xUnlock(real(f), level);
}

static int
on_check_lock(sqlite3_file *f, int *out)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), out);
}

static int
on_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int
on_sector_size(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int
on_traits(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int
on_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}

static int
on_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return real(f)->pMethods->xShmLock(real(f), at, n, flags);
}

static void
on_shm_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int
on_shm_unmap(sqlite3_file *f, int remove)
{
	return real(f)->pMethods->xShmUnmap(real(f), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = on_lock,
	.xUnlock = on_unlock,
	.xCheckReservedLock = on_check_lock,
	.xFileControl = on_control,
	.xSectorSize = on_sector_size,
	.xDeviceCharacteristics = on_traits,
	.xShmMap = on_shm_map,
	.xShmLock = on_shm_lock,
	.xShmBarrier = on_shm_barrier,
	.xShmUnmap = on_shm_unmap,
};

static int
on_open(sqlite3_vfs *v UNUSED, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct file *file = (struct file *)f;
	int rc = real_vfs->xOpen(real_vfs, name, real(f), flags, out);

	file->wal = (flags & SQLITE_OPEN_WAL) != 0;
	file->base.pMethods = real(f)->pMethods != NULL ? &methods : NULL;
	return rc;
}

void
disk_fault_install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	CHECK(real_vfs != NULL && real_vfs != &vfs);
	vfs = *real_vfs;
	vfs.zName = "disk_fault";
	vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
	vfs.xOpen = on_open;
	CHECK(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}
