#include "shim/log-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#define NAME_MAX_BYTES 256
#define LOG_MODE 0640

/* A crash may have left half an entry: what follows starts on a line of its own. */
static int end_last_line(int fd, uint64_t *size)
{
	char last = '\n';
	if (*size > 0 && RETRY(pread(fd, &last, 1, (off_t)(*size - 1))) == 1 && last != '\n') {
		if (RETRY(write(fd, "\n", 1)) != 1) {
			return -errno;
		}
		*size += 1;
	}
	return 0;
}

/* Opens NAME and, when that worked, makes it the current file. */
static int open_current(struct log_file *log, int flags, struct err *err)
{
	cleanup_close int fd =
		openat(log->dir_fd, log->name,
		       O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags,
		       LOG_MODE);
	struct stat stat = {0};
	if (fd < 0 || fstat(fd, &stat) != 0) {
		return err_set(err, errno, "open log %s", log->name);
	}
	if (!S_ISREG(stat.st_mode)) {
		return err_refuse(err, EINVAL, "log %s is not a regular file", log->name);
	}
	uint64_t size = (uint64_t)stat.st_size;
	end_last_line(fd, &size);
	if (log->fd >= 0) {
		close(log->fd);
	}
	log->fd = steal_fd(&fd);
	log->size = size;
	log->inode = (uint64_t)stat.st_ino;
	log->rotate_at = log->max_size;
	return 0;
}

int log_file_open(struct log_file *log, const char *path, uint64_t max_size, uint32_t max_files,
		  struct err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	if (slash == NULL || slash[1] == 0 || (size_t)(slash - path) + 2 > sizeof(dir) ||
	    strlen(slash + 1) + 12 > NAME_MAX_BYTES) {
		return err_refuse(err, EINVAL, "log path is not usable");
	}
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = 0;
	struct log_file out = {
		.dir_fd = open(slash == path ? "/" : dir, O_PATH | O_DIRECTORY | O_CLOEXEC),
		.fd = -1,
		.name = slash + 1,
		.max_size = max_size,
		.max_files = max_files,
	};
	if (out.dir_fd < 0) {
		return err_set(err, errno, "open log folder %s", dir);
	}
	int result = open_current(&out, 0, err);
	if (result != 0) {
		close(out.dir_fd);
		return result;
	}
	*log = out;
	return 0;
}

void log_file_write(struct log_file *log, const char *entries, size_t size)
{
	size_t done = 0;
	while (log->fd >= 0 && done < size) {
		ssize_t count = RETRY(write(log->fd, entries + done, size - done));
		if (count <= 0) {
			break;
		}
		done += (size_t)count;
	}
	if (done == size) {
		log->size += size;
		return;
	}
	const char *newline = done == 0 ? NULL : memrchr(entries, '\n', done);
	size_t whole = newline == NULL ? 0 : (size_t)(newline - entries) + 1;
	if (done > whole && ftruncate(log->fd, (off_t)(log->size + whole)) != 0) {
		/* Half an entry stays; at least the next one gets a line of its own when there is
		 * room. */
		whole = done;
	}
	log->size += whole;
	log->lost += size - whole;
}

bool log_file_is_full(const struct log_file *log, size_t pending)
{
	return log->max_size != 0 && log->size + pending >= log->rotate_at;
}

static int file_name(const struct log_file *log, uint32_t number, char name[NAME_MAX_BYTES])
{
	if (number == 0) {
		return snprintf(name, NAME_MAX_BYTES, "%s", log->name);
	}
	return snprintf(name, NAME_MAX_BYTES, "%s.%u", log->name, number);
}

static int shift_files(const struct log_file *log, struct err *err)
{
	for (uint32_t number = log->max_files - 1; number > 0; number--) {
		char from[NAME_MAX_BYTES];
		char to[NAME_MAX_BYTES];
		file_name(log, number - 1, from);
		file_name(log, number, to);
		if (renameat(log->dir_fd, from, log->dir_fd, to) != 0 && errno != ENOENT) {
			return err_set(err, errno, "rename log %s", from);
		}
	}
	return 0;
}

int log_file_rotate(struct log_file *log, struct err *err)
{
	int result = 0;
	if (log->max_files < 2) {
		if (log->fd < 0 || ftruncate(log->fd, 0) != 0) {
			result = err_set(err, errno, "empty log %s", log->name);
		} else {
			log->size = 0;
		}
	} else {
		result = shift_files(log, err);
		if (result == 0) {
			result = open_current(log, O_TRUNC, err);
		}
	}
	if (result == 0) {
		log->generation++;
	} else {
		/* Not at every entry again. */
		log->rotate_at = log->size + (log->max_size == 0 ? 1 : log->max_size);
	}
	return result;
}

int log_file_reopen(struct log_file *log, struct err *err)
{
	uint64_t before = log->inode;
	int result = open_current(log, 0, err);
	if (result == 0 && log->inode != before) {
		log->generation++;
	}
	return result;
}

int log_file_truncate(struct log_file *log, struct err *err)
{
	if (log->fd < 0 || ftruncate(log->fd, 0) != 0) {
		return err_set(err, errno, "empty log %s", log->name);
	}
	log->size = 0;
	log->generation++;
	log->rotate_at = log->max_size;
	for (uint32_t number = 1; number < log->max_files; number++) {
		char name[NAME_MAX_BYTES];
		file_name(log, number, name);
		if (unlinkat(log->dir_fd, name, 0) != 0 && errno != ENOENT) {
			return err_set(err, errno, "remove log %s", name);
		}
	}
	return 0;
}

void log_file_close(struct log_file *log)
{
	if (log->fd >= 0) {
		close(log->fd);
		log->fd = -1;
	}
	if (log->dir_fd >= 0) {
		close(log->dir_fd);
		log->dir_fd = -1;
	}
}
