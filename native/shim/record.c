#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "shim/shim.h"

#define RECORD_MAX 1024

static int write_all(int fd, const char *text, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t count = RETRY(write(fd, text + done, size - done));
		if (count < 0) {
			return -errno;
		}
		done += (size_t)count;
	}
	return 0;
}

int record_write(const char *path, const char *id, const struct exit_info *exit, bool is_durable,
		 struct err *err)
{
	char dir[4096] = ".";
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	if (slash != NULL) {
		size_t size = slash == path ? 1 : (size_t)(slash - path);
		if (size >= sizeof(dir)) {
			return err_refuse(err, ENAMETOOLONG, "exit record: path is too long");
		}
		memcpy(dir, path, size);
		dir[size] = 0;
	}
	char text[RECORD_MAX];
	char temporary[300];
	int size = snprintf(
		text, sizeof(text),
		"{\"version\":1,\"id\":\"%s\",\"pid\":%u,\"exitCode\":%u,\"signal\":%u,"
		"\"oomKilled\":%s,\"startedAtNs\":\"%llu\",\"finishedAtNs\":\"%llu\","
		"\"lostLogBytes\":\"%llu\"}\n",
		id, exit->pid, exit->exit_code, exit->signal, exit->oom_killed ? "true" : "false",
		(unsigned long long)exit->started_ns, (unsigned long long)exit->finished_ns,
		(unsigned long long)exit->lost_log_bytes);
	snprintf(temporary, sizeof(temporary), ".%s.tmp", name);
	cleanup_close int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0) {
		return err_set(err, errno, "exit record: open folder %s", dir);
	}
	cleanup_close int fd = openat(dir_fd, temporary,
				      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write_all(fd, text, (size_t)size) != 0 || (is_durable && fsync(fd) != 0) ||
	    renameat(dir_fd, temporary, dir_fd, name) != 0 || (is_durable && fsync(dir_fd) != 0)) {
		return err_set(err, errno, "exit record: write %s", path);
	}
	return 0;
}
