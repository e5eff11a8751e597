#include "gitproto/base/fsio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"

static int
open_failed(const char *path, struct err *err)
{
	if (errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
	return err_errno(err, "cannot open %s", path);
}

int
fsio_read(struct buf *out, const char *path, size_t max, struct err *err)
{
	uint8_t block[16384];
	size_t total = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return open_failed(path, err);
	while ((n = read(fd, block, sizeof(block))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = err_errno(err, "cannot read %s", path);
			break;
		}
		total += (size_t)n;
		if (total > max) {
			rc = err_set(err, ERR_TOO_BIG, "%s is larger than %zu bytes", path, max);
			break;
		}
		buf_add(out, block, (size_t)n);
	}
	close(fd);
	if (rc == 0 && !buf_ok(out))
		rc = err_set(err, ERR_NOMEM, "no memory for the content of %s", path);
	return rc;
}

/* Folder part of path as a new string: "." when there is none. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_strdup(".");
	return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

int
fsio_sync_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return open_failed(path, err);
	if (fsync(fd) < 0)
		rc = err_errno(err, "cannot sync the folder %s", path);
	close(fd);
	return rc;
}

static int
sync_folder_of(const char *path, struct err *err)
{
	char *folder = folder_of(path);
	int rc = fsio_sync_dir(folder, err);

	free(folder);
	return rc;
}

int
fsio_write_all(int fd, struct slice s)
{
	while (s.len > 0) {
		ssize_t n = write(fd, s.p, s.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		s = slice_skip(s, (size_t)n);
	}
	return 0;
}

int
fsio_write(const char *path, struct slice content, mode_t mode, struct err *err)
{
	struct buf temp = BUF_MAX(PATH_MAX);
	const char *name;
	int fd, rc = 0;

	/* A name of one's own: two writers never share a temporary file, the last rename wins. */
	buf_addf(&temp, "%s.tmp-%016llx", path, (unsigned long long)rnd_u64());
	if (!buf_ok(&temp)) {
		rc = err_set(err, ERR_TOO_BIG, "the path %.200s... is too long", path);
		buf_release(&temp);
		return rc;
	}
	name = buf_str(&temp);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0) {
		rc = err_errno(err, "cannot create %s", name);
		buf_release(&temp);
		return rc;
	}
	if (fsio_write_all(fd, content) < 0 || fsync(fd) < 0)
		rc = err_errno(err, "cannot write %s", name);
	if (close(fd) < 0 && rc == 0)
		rc = err_errno(err, "cannot write %s", name);
	if (rc == 0 && rename(name, path) < 0)
		rc = err_errno(err, "cannot rename %s to %s", name, path);
	if (rc < 0)
		unlink(name);
	else
		rc = sync_folder_of(path, err);
	buf_release(&temp);
	return rc;
}

static int
make_folder(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return sync_folder_of(path, err);
	if (errno != EEXIST)
		return err_errno(err, "cannot make the folder %s", path);
	if (stat(path, &st) < 0)
		return err_errno(err, "cannot look at %s", path);
	return S_ISDIR(st.st_mode) ? 0 : err_set(err, ERR_IO, "%s is not a folder", path);
}

int
fsio_mkdirs(const char *path, mode_t mode, struct err *err)
{
	char *copy = mem_strdup(path);
	int rc = 0;

	for (char *p = copy + 1; *copy != '\0' && *p != '\0' && rc == 0; p++)
		if (*p == '/' && p[-1] != '/') {
			*p = '\0';
			rc = make_folder(copy, mode, err);
			*p = '/';
		}
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	if (rc == 0)
		rc = make_folder(copy, mode, err);
	free(copy);
	return rc;
}

static int remove_at(int dir, const char *name, unsigned depth, struct err *);

static int
remove_content(int fd, unsigned depth, struct err *err)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int rc = 0;

	if (d == NULL) {
		close(fd);
		return err_errno(err, "cannot list a folder");
	}
	while (rc == 0 && (errno = 0, e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = remove_at(dirfd(d), e->d_name, depth + 1, err);
	if (rc == 0 && errno != 0)
		rc = err_errno(err, "cannot list a folder");
	closedir(d);
	return rc;
}

static int
remove_at(int dir, const char *name, unsigned depth, struct err *err)
{
	int fd, rc;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(err, "cannot remove %s", name);
	/* Each level holds a descriptor open. */
	if (depth > 128)
		return err_set(err, ERR_TOO_BIG, "folders are nested too deep at %s", name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "cannot open %s", name);
	rc = remove_content(fd, depth, err);
	if (rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rc = err_errno(err, "cannot remove the folder %s", name);
	return rc;
}

int
fsio_remove_tree(const char *path, struct err *err)
{
	int rc = remove_at(AT_FDCWD, path, 0, err);

	if (rc < 0)
		err_prefix(err, "removing %s", path);
	return rc;
}
