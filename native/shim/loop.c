#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>

#include "common/cleanup.h"
#include "shim/shim.h"

#define NOTE_FILE_MAX 65536
#define EVENTS_MAX 16

uint64_t now_ms(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000U + (uint64_t)time.tv_nsec / 1000000U;
}

uint64_t realtime_ns(void)
{
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

void watch_set(struct shim *shim, struct watch *watch, uint32_t events)
{
	if (watch->fd < 0 || (watch->is_added ? events == watch->events : events == 0)) {
		return;
	}
	struct epoll_event event = {.events = events, .data.ptr = watch};
	int call = events == 0 ? EPOLL_CTL_DEL : watch->is_added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (epoll_ctl(shim->epoll_fd, call, watch->fd, &event) != 0) {
		shim_note("epoll_ctl: %s", strerror(errno));
		return;
	}
	watch->is_added = events != 0;
	watch->events = events;
}

void watch_close(struct shim *shim, struct watch *watch)
{
	if (watch->fd >= 0) {
		watch_set(shim, watch, 0);
		close(watch->fd);
		watch->fd = -1;
	}
}

void shim_note(const char *format, ...)
{
	cleanup_close int fd =
		open("shim.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || lseek(fd, 0, SEEK_END) > NOTE_FILE_MAX) {
		return;
	}
	char line[ERR_MESSAGE_MAX + 64];
	size_t used = rfc3339_nano(line, realtime_ns());
	line[used++] = ' ';
	va_list args;
	va_start(args, format);
	int size = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	va_end(args);
	used += size < 0 ? 0 : (size_t)size;
	if (used > sizeof(line) - 2) {
		used = sizeof(line) - 2;
	}
	line[used++] = '\n';
	if (write(fd, line, used) < 0) {
		return; /* a note is not worth more */
	}
}

static void accept_clients(struct shim *shim, struct watch *watch, uint32_t events)
{
	(void)events;
	for (int i = 0; i < EVENTS_MAX; i++) {
		int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			return;
		}
		if (shim->client_count >= CLIENTS_MAX || client_add(shim, fd, false) == NULL) {
			close(fd);
		}
	}
}

static void read_signals(struct shim *shim, struct watch *watch, uint32_t events)
{
	(void)events;
	struct signalfd_siginfo info;
	while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		/* Only SIGCHLD matters, and signals merge: all children are looked at. */
	}
	op_reap(shim);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Runs what is due and returns the time of the next. */
static uint64_t run_timers(struct shim *shim)
{
	uint64_t now = now_ms();
	uint64_t next = session_timers(shim, &shim->container, now);
	for (struct session *exec = shim->execs, *after; exec != NULL; exec = after) {
		after = exec->next;
		next = earlier(next, session_timers(shim, exec, now));
	}
	next = earlier(next, op_timers(shim, now));
	next = earlier(next, gone_timers(shim, now));
	if (shim->oom_check_at <= now) {
		shim->oom_check_at = NEVER;
		oom_check(shim);
	}
	if (shim->trim_at <= now) {
		shim->trim_at = NEVER;
		json_log_trim(&shim->log);
		uintptr_t start = ((uintptr_t)shim->read_buffer + 4095U) & ~(uintptr_t)4095U;
		uintptr_t end = ((uintptr_t)shim->read_buffer + READ_MAX) & ~(uintptr_t)4095U;
		madvise((void *)start, end - start, MADV_DONTNEED);
	}
	next = earlier(next, earlier(shim->trim_at, shim->oom_check_at));
	return shim->is_gone && shim->linger_until > now ? earlier(next, shim->linger_until) : next;
}

static bool is_finished(const struct shim *shim)
{
	if (!shim->is_gone || shim->ops != NULL) {
		return false;
	}
	/* The output of the dead is delivered however long a client takes; the living had their
	 * time. */
	bool is_late = now_ms() >= shim->linger_until;
	if (shim->container.status == SESSION_EXITED && !shim->container.is_over) {
		return false;
	}
	for (const struct session *exec = shim->execs; exec != NULL; exec = exec->next) {
		if (!exec->is_over && (exec->status == SESSION_EXITED || !is_late)) {
			return false;
		}
	}
	for (const struct client *client = shim->clients; client != NULL; client = client->next) {
		if (!client_is_idle(client)) {
			return false;
		}
	}
	return true;
}

static int wait_ms(uint64_t next)
{
	uint64_t now = now_ms();
	if (next == NEVER) {
		return -1;
	}
	if (next <= now) {
		return 0;
	}
	return next - now > 60000U ? 60000 : (int)(next - now);
}

static int begin(struct shim *shim, int listen_fd, int launch_fd, struct err *err)
{
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	shim->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	shim->listener = (struct watch){.fd = listen_fd, .handle = accept_clients};
	shim->signals = (struct watch){.fd = signal_fd, .handle = read_signals};
	if (shim->epoll_fd < 0 || signal_fd < 0) {
		return err_set(err, errno, "event loop");
	}
	watch_set(shim, &shim->listener, EPOLLIN);
	watch_set(shim, &shim->signals, EPOLLIN);
	if (launch_fd >= 0 && client_add(shim, launch_fd, true) == NULL) {
		return err_set(err, ENOMEM, "launch connection");
	}
	struct session *container = &shim->container;
	session_init(container, "", shim->config.tty);
	container->stdin_wanted = shim->config.stdin_open;
	container->stdin_once = shim->config.stdin_once;
	container->columns = shim->config.columns;
	container->rows = shim->config.rows;
	container->has_log = shim->config.log_path != NULL;
	return op_begin(shim, shim->config.only_create ? OP_CREATE : OP_RUN, container, NULL, NULL,
			0, err);
}

/* The container cannot even be tried: says so on the launch connection. */
static void refuse_launch(struct shim *shim, const struct err *err)
{
	shim_note("cannot start: %s", err->message);
	for (struct client *client = shim->clients; client != NULL; client = client->next) {
		uint8_t payload[8 + ERR_MESSAGE_MAX];
		struct view text = {(const uint8_t *)err->message, strlen(err->message)};
		size_t size = encode_start_failed(payload, 127, (struct view){NULL, 0}, text);
		client_send(shim, client, REP_START_FAILED, 0, payload, size);
	}
}

int shim_run(struct shim *shim, int listen_fd, int launch_fd)
{
	struct err err = {0};
	shim->is_held = shim->config.hold;
	shim->oom_fd = -1;
	shim->oom_watch.fd = -1;
	shim->oom_check_at = NEVER;
	shim->trim_at = NEVER;
	shim->gone_retry_at = NEVER;
	if (begin(shim, listen_fd, launch_fd, &err) != 0) {
		refuse_launch(shim, &err);
		return 1;
	}
	for (;;) {
		uint64_t next = run_timers(shim);
		client_sweep(shim);
		session_sweep(shim);
		op_sweep(shim);
		if (is_finished(shim)) {
			return 0;
		}
		struct epoll_event events[EVENTS_MAX];
		int count = epoll_wait(shim->epoll_fd, events, EVENTS_MAX, wait_ms(next));
		for (int i = 0; i < count; i++) {
			struct watch *watch = events[i].data.ptr;
			if (watch->fd >= 0 && watch->is_added) {
				watch->handle(shim, watch, events[i].events);
			}
		}
	}
}
