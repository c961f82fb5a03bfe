#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "common/cleanup.h"
#include "shim/shim.h"

/* v1 tells of the event before it counts the kill. */
#define RECHECK_MS 100

uint32_t oom_parse(const char *text, size_t size)
{
	static const char KEY[] = "oom_kill ";
	const size_t key_size = sizeof(KEY) - 1;
	for (size_t at = 0; at + key_size <= size;) {
		if (memcmp(text + at, KEY, key_size) == 0) {
			uint64_t sum = 0;
			for (at += key_size; at < size && text[at] >= '0' && text[at] <= '9';
			     at++) {
				sum = sum * 10 + (uint64_t)(text[at] - '0');
				if (sum > UINT32_MAX) {
					return UINT32_MAX;
				}
			}
			return (uint32_t)sum;
		}
		const char *newline = memchr(text + at, '\n', size - at);
		if (newline == NULL) {
			return 0;
		}
		at = (size_t)(newline - text) + 1;
	}
	return 0;
}

void oom_check(struct shim *shim)
{
	if (shim->config.oom_file == NULL) {
		return;
	}
	char text[1024];
	cleanup_close int fd = open(shim->config.oom_file, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : RETRY(read(fd, text, sizeof(text)));
	uint32_t kills = size <= 0 ? 0 : oom_parse(text, (size_t)size);
	if (kills <= shim->oom_kills) {
		return;
	}
	shim->oom_kills = kills;
	uint8_t payload[4];
	for (struct client *client = shim->clients; client != NULL; client = client->next) {
		if (client->wants_oom) {
			client_send(shim, client, REP_OOM, 0, payload, encode_oom(payload, kills));
		}
	}
}

static void on_event(struct shim *shim, struct watch *watch, uint32_t events)
{
	(void)events;
	char buffer[512];
	/* What happened is in the file, not in the event. */
	if (read(watch->fd, buffer, sizeof(buffer)) < 0 && errno != EAGAIN) {
		watch_close(shim, watch);
		return;
	}
	oom_check(shim);
	shim->oom_check_at = now_ms() + RECHECK_MS;
}

/* cgroup v1: an eventfd is registered by writing to a file beside. Returns the eventfd or -1. */
static int begin_v1(struct shim *shim, const char *slash)
{
	char control[4096];
	char line[64];
	int dir_size = (int)(slash - shim->config.oom_file);
	snprintf(control, sizeof(control), "%.*s/cgroup.event_control", dir_size,
		 shim->config.oom_file);
	cleanup_close int control_fd = open(control, O_WRONLY | O_CLOEXEC);
	cleanup_close int oom_fd = open(shim->config.oom_file, O_RDONLY | O_CLOEXEC);
	cleanup_close int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (control_fd < 0 || oom_fd < 0 || event_fd < 0) {
		return -1;
	}
	int size = snprintf(line, sizeof(line), "%d %d", event_fd, oom_fd);
	if (write(control_fd, line, (size_t)size) != size) {
		return -1;
	}
	shim->oom_fd = steal_fd(&oom_fd);
	return steal_fd(&event_fd);
}

static int begin_v2(struct shim *shim)
{
	cleanup_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0 || inotify_add_watch(fd, shim->config.oom_file, IN_MODIFY) < 0) {
		return -1;
	}
	return steal_fd(&fd);
}

void oom_begin(struct shim *shim)
{
	const char *slash =
		shim->config.oom_file == NULL ? NULL : strrchr(shim->config.oom_file, '/');
	if (slash == NULL) {
		return;
	}
	int fd = strcmp(slash, "/memory.oom_control") == 0 ? begin_v1(shim, slash) : begin_v2(shim);
	shim->oom_watch = (struct watch){.fd = fd, .handle = on_event};
	watch_set(shim, &shim->oom_watch, EPOLLIN);
	/* Kills may have happened before the watch was there. */
	oom_check(shim);
}
