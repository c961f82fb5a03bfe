#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "shim/shim.h"

#define RETRY_MS 10
#define NATIVE_MS 3000
#define LINGER_MS 5000
#define DEPTH_MAX 32

static void write_file(int dir_fd, const char *name, const char *text)
{
	cleanup_close int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0) {
		return; /* tried again with the next round, or not there in this cgroup version */
	}
}

/* Opens a cgroup folder, but never a root of a hierarchy. -1 when it is not there. */
static int open_cgroup(const char *path)
{
	cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat stat = {0};
	if (fd < 0 || fstat(fd, &stat) != 0 || stat.st_ino <= 1) {
		return -1;
	}
	return steal_fd(&fd);
}

static void kill_processes(int dir_fd)
{
	write_file(dir_fd, "cgroup.kill", "1");
	cleanup_close int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t size = fd < 0 ? -1 : RETRY(read(fd, text, sizeof(text) - 1));
	if (size <= 0) {
		return;
	}
	text[size] = 0;
	for (char *at = text; *at != 0;) {
		char *end = at;
		long pid = strtol(at, &end, 10);
		if (end == at || *end != '\n') {
			return; /* cut in the middle: the next round has it */
		}
		if (pid > 1 && pid != getpid()) {
			kill((pid_t)pid, SIGKILL);
		}
		at = end + 1;
	}
}

/* Clears a cgroup and the ones below it. Those that are still busy stay for the next round. */
static void clear_cgroup(int dir_fd, int depth)
{
	kill_processes(dir_fd);
	int copy = depth < DEPTH_MAX ? openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (dir == NULL) {
		return;
	}
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0) {
			continue;
		}
		cleanup_close int child = openat(dir_fd, entry->d_name,
						 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child >= 0) {
			clear_cgroup(child, depth + 1);
			unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR);
		}
	}
}

/* Files of one folder, then the folder. The runtime keeps no folders in it. */
static bool remove_state(const char *path)
{
	cleanup_close int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int copy = dir_fd < 0 ? -1 : fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (dir == NULL) {
		return errno == ENOENT;
	}
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (entry->d_type != DT_DIR) {
			unlinkat(dir_fd, entry->d_name, 0);
		}
	}
	return rmdir(path) == 0 || errno == ENOENT;
}

/* One round; true when nothing is left. */
static bool try_native(const struct shim *shim)
{
	bool is_clear = true;
	for (size_t i = 0; i < shim->config.cgroup_dir_count; i++) {
		const char *path = shim->config.cgroup_dirs[i];
		if (rmdir(path) == 0 || errno == ENOENT) {
			continue;
		}
		cleanup_close int fd = open_cgroup(path);
		if (fd >= 0) {
			clear_cgroup(fd, 0);
		}
		is_clear = (rmdir(path) == 0 || errno == ENOENT) && is_clear;
	}
	return is_clear && (shim->config.state_dir == NULL || remove_state(shim->config.state_dir));
}

static void begin_delete(struct shim *shim)
{
	struct err err = {0};
	if (op_begin(shim, OP_DELETE, &shim->container, NULL, NULL, 0, &err) != 0) {
		shim_note("%s", err.message);
		gone_finish(shim);
	}
}

void gone_begin(struct shim *shim)
{
	if (shim->is_gone_begun) {
		return;
	}
	shim->is_gone_begun = true;
	if (shim->config.cgroup_dir_count == 0) {
		begin_delete(shim);
		return;
	}
	shim->gone_retry_at = now_ms();
	shim->gone_until = shim->gone_retry_at + NATIVE_MS;
}

uint64_t gone_timers(struct shim *shim, uint64_t now)
{
	if (shim->gone_retry_at > now) {
		return shim->gone_retry_at;
	}
	shim->gone_retry_at = NEVER;
	if (try_native(shim)) {
		gone_finish(shim);
	} else if (now >= shim->gone_until) {
		begin_delete(shim);
	} else {
		shim->gone_retry_at = now + RETRY_MS;
	}
	return shim->gone_retry_at;
}

void gone_finish(struct shim *shim)
{
	shim->is_gone = true;
	/* A client that takes its time may keep us: the run folder is free for the container's next
	 * start. */
	watch_close(shim, &shim->listener);
	unlink(SOCKET_NAME);
	unlink(PID_NAME);
	if (shim->container.has_log) {
		json_log_close(&shim->log);
	}
	shim->linger_until = now_ms() + LINGER_MS;
	for (struct client *client = shim->clients; client != NULL; client = client->next) {
		if (client->is_launch && shim->failure != NULL) {
			client_send(shim, client, REP_START_FAILED, 0, shim->failure,
				    shim->failure_size);
		}
		if (client->waits_gone) {
			client->waits_gone = false;
			client_send(shim, client, REP_GONE, client->gone_tag, NULL, 0);
		}
	}
}

void gone_thaw(struct shim *shim)
{
	for (size_t i = 0; i < shim->config.cgroup_dir_count; i++) {
		cleanup_close int fd = open_cgroup(shim->config.cgroup_dirs[i]);
		if (fd >= 0) {
			write_file(fd, "freezer.state", "THAWED");
			write_file(fd, "cgroup.freeze", "0");
		}
	}
}
