#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/shim.h"

/* Nothing came for so long after the exit: whoever still holds the pipe has nothing to do with it.
 */
#define QUIET_MS 100
#define DRAIN_MS 2000
#define TRIM_AFTER_MS 1000

static void on_stdin_writable(struct shim *shim, struct watch *watch, uint32_t events);
static void on_stream_readable(struct shim *shim, struct watch *watch, uint32_t events);

void session_init(struct session *session, const char *id, bool tty)
{
	*session = (struct session){.tty = tty, .quiet_at = NEVER, .drain_until = NEVER};
	snprintf(session->id, sizeof(session->id), "%s", id);
	for (int i = 0; i < 2; i++) {
		struct stream *stream = &session->streams[i];
		*stream = (struct stream){.session = session, .number = i};
		stream->watch =
			(struct watch){.fd = -1, .handle = on_stream_readable, .owner = stream};
	}
	session->stdin_watch =
		(struct watch){.fd = -1, .handle = on_stdin_writable, .owner = session};
}

struct session *session_find(struct shim *shim, struct view id)
{
	if (id.size == 0) {
		return &shim->container;
	}
	for (struct session *exec = shim->execs; exec != NULL; exec = exec->next) {
		if (strlen(exec->id) == id.size && memcmp(exec->id, id.data, id.size) == 0) {
			return exec;
		}
	}
	return NULL;
}

static bool wants_stream(const struct client *client, const struct stream *stream)
{
	uint8_t flag = stream->number == 0 ? WANT_STDOUT : WANT_STDERR;
	return client->session == stream->session && (client->wants & flag) != 0 &&
	       !client->is_lagged && !client->is_output_dead && !client->is_removed;
}

/* True when its bytes may be read now. */
static bool may_read(const struct shim *shim, const struct stream *stream)
{
	const struct session *session = stream->session;
	bool is_begun = session->status != SESSION_STARTING || session->reads_early;
	if (!is_begun || (session == &shim->container && shim->is_held)) {
		return false;
	}
	if (session->has_log) {
		return true;
	}
	for (const struct client *client = shim->clients; client != NULL; client = client->next) {
		if (wants_stream(client, stream) && client->out.size > 0) {
			return false;
		}
	}
	return true;
}

void session_update(struct shim *shim, struct session *session)
{
	for (int i = 0; i < 2; i++) {
		struct stream *stream = &session->streams[i];
		watch_set(shim, &stream->watch, may_read(shim, stream) ? EPOLLIN : 0);
	}
}

static void end_stream(struct shim *shim, struct stream *stream)
{
	watch_close(shim, &stream->watch);
	if (stream->session->has_log) {
		json_log_end(&shim->log, stream->number, realtime_ns());
	}
}

static void deliver(struct shim *shim, struct stream *stream, size_t size)
{
	struct session *session = stream->session;
	struct log_position position = {0};
	if (session->has_log) {
		position = json_log_position(&shim->log);
		json_log_write(&shim->log, stream->number, shim->read_buffer, size, realtime_ns());
	}
	uint16_t type = stream->number == 0 ? REP_STDOUT : REP_STDERR;
	for (struct client *client = shim->clients; client != NULL; client = client->next) {
		if (!wants_stream(client, stream) ||
		    client_output(shim, client, type, shim->read_buffer, size)) {
			continue;
		}
		uint8_t payload[64];
		client->is_lagged = true;
		client_send(shim, client, REP_LAGGED, client->attach_tag, payload,
			    encode_position(payload, &position));
	}
	if (!session->has_log) {
		session_update(shim, session);
	}
}

static void on_stream_readable(struct shim *shim, struct watch *watch, uint32_t events)
{
	(void)events;
	struct stream *stream = watch->owner;
	struct session *session = stream->session;
	if (!may_read(shim, stream)) {
		session_update(shim, session);
		return;
	}
	ssize_t size = read(watch->fd, shim->read_buffer, READ_MAX);
	if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (session->quiet_at != NEVER) {
		session->quiet_at = now_ms() + QUIET_MS;
	}
	if (size > 0) {
		stream->owed -= stream->owed < size ? stream->owed : (int)size;
		shim->trim_at = now_ms() + TRIM_AFTER_MS;
		deliver(shim, stream, (size_t)size);
		return;
	}
	/* A console answers EIO when its last user has closed it. */
	end_stream(shim, stream);
	session_progress(shim, session);
}

void session_take_console(struct shim *shim, struct session *session, int fd)
{
	watch_close(shim, &session->streams[0].watch);
	watch_close(shim, &session->stdin_watch);
	session->streams[0].watch.fd = fd;
	if (session->stdin_wanted) {
		/* Waiting to write must not disturb waiting to read: a descriptor for each. */
		session->stdin_watch.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	session_resize(session, session->columns, session->rows);
	session_update(shim, session);
	on_stdin_writable(shim, &session->stdin_watch, 0);
}

void session_resize(struct session *session, uint16_t columns, uint16_t rows)
{
	session->columns = columns;
	session->rows = rows;
	if (session->tty && session->streams[0].watch.fd >= 0 && columns > 0 && rows > 0) {
		struct winsize size = {.ws_col = columns, .ws_row = rows};
		ioctl(session->streams[0].watch.fd, TIOCSWINSZ, &size);
	}
}

static void on_stdin_writable(struct shim *shim, struct watch *watch, uint32_t events)
{
	(void)events;
	struct session *session = watch->owner;
	watch_set(shim, watch, 0);
	for (struct client *client = shim->clients; client != NULL; client = client->next) {
		if (client->session == session && client->is_stdin_blocked) {
			client_resume_input(shim, client);
		}
	}
}

void session_close_stdin(struct shim *shim, struct session *session)
{
	if (!session->tty) {
		watch_close(shim, &session->stdin_watch);
		on_stdin_writable(shim, &session->stdin_watch, 0);
	}
}

void session_exited(struct shim *shim, struct session *session, int wait_status)
{
	bool is_signalled = WIFSIGNALED(wait_status);
	uint32_t signal_number = is_signalled ? (uint32_t)WTERMSIG(wait_status) : 0;
	session->status = SESSION_EXITED;
	session->exit = (struct exit_info){
		.exit_code =
			is_signalled ? 128 + signal_number : (uint32_t)WEXITSTATUS(wait_status),
		.signal = signal_number,
		.pid = (uint32_t)session->pid,
		.started_ns = session->started_ns,
		.finished_ns = realtime_ns(),
	};
	session->quiet_at = now_ms() + QUIET_MS;
	session->drain_until = now_ms() + DRAIN_MS;
	for (int i = 0; i < 2; i++) {
		struct stream *stream = &session->streams[i];
		if (stream->watch.fd < 0 || ioctl(stream->watch.fd, FIONREAD, &stream->owed) != 0) {
			stream->owed = 0;
		}
	}
	watch_close(shim, &session->stdin_watch);
	on_stdin_writable(shim, &session->stdin_watch, 0);
	session_update(shim, session);
	session_progress(shim, session);
}

static void record_exec(struct shim *shim, const struct session *session)
{
	struct err err = {0};
	char path[ID_MAX + 16];
	char *slot = shim->exec_records[shim->exec_record_count++ % EXEC_RECORDS_KEPT];
	if (slot[0] != 0) {
		snprintf(path, sizeof(path), "exec-%s.json", slot);
		unlink(path);
	}
	memcpy(slot, session->id, ID_MAX + 1);
	snprintf(path, sizeof(path), "exec-%s.json", session->id);
	if (record_write(path, session->id, &session->exit, false, &err) != 0) {
		shim_note("%s", err.message);
	}
}

static void record(struct shim *shim, struct session *session)
{
	bool is_container = session == &shim->container;
	struct err err = {0};
	oom_check(shim);
	session->exit.oom_killed = shim->oom_kills > 0;
	session->exit.lost_log_bytes = is_container ? shim->log.file.lost : 0;
	if (is_container) {
		if (record_write(shim->config.exit_record, shim->config.id, &session->exit, true,
				 &err) != 0) {
			shim_note("%s", err.message);
			record_write("exit.json", shim->config.id, &session->exit, false, NULL);
		}
	} else {
		record_exec(shim, session);
	}
	session->is_recorded = true;
}

static void tell_waiting(struct shim *shim, struct session *session)
{
	uint8_t payload[64 + ID_MAX];
	struct view id = {(const uint8_t *)session->id, strlen(session->id)};
	size_t size = encode_exit(payload, &session->exit, id);
	for (struct client *client = shim->clients; client != NULL; client = client->next) {
		for (size_t i = 0; i < sizeof(client->waits) / sizeof(client->waits[0]); i++) {
			if (client->waits[i].session == session) {
				client->waits[i].session = NULL;
				client_send(shim, client, REP_EXIT, client->waits[i].tag, payload,
					    size);
			}
		}
	}
}

void session_progress(struct shim *shim, struct session *session)
{
	bool is_drained = session->streams[0].watch.fd < 0 && session->streams[1].watch.fd < 0;
	if (session->status != SESSION_EXITED || session->is_over) {
		return;
	}
	/* A client that is slow to take the output of an unlogged process does not delay its exit.
	 */
	if (!session->is_recorded && (is_drained || !session->has_log)) {
		record(shim, session);
		tell_waiting(shim, session);
		if (session == &shim->container) {
			gone_begin(shim);
		}
	}
	if (!session->is_recorded || !is_drained) {
		return;
	}
	session->is_over = true;
	for (struct client *client = shim->clients; client != NULL; client = client->next) {
		if (client->session == session) {
			client_end_session(shim, client);
		}
	}
}

/* True when whoever still holds the stream open is not waited for any more. */
static bool is_drained(const struct session *session, const struct stream *stream, uint64_t now)
{
	if (now >= session->drain_until && stream->owed == 0) {
		return true;
	}
	/* The time may have passed because we were not scheduled: what is there counts. */
	struct pollfd look = {.fd = stream->watch.fd, .events = POLLIN};
	return now >= session->quiet_at && poll(&look, 1, 0) == 0;
}

uint64_t session_timers(struct shim *shim, struct session *session, uint64_t now)
{
	if (session->status != SESSION_EXITED || session->is_over) {
		return NEVER;
	}
	uint64_t next = NEVER;
	for (int i = 0; i < 2; i++) {
		struct stream *stream = &session->streams[i];
		if (stream->watch.fd < 0) {
			continue;
		}
		if (!may_read(shim, stream)) {
			/* Held back by us: the time to be quiet begins when it is read again. */
			session->quiet_at = now + QUIET_MS;
			session->drain_until = now + DRAIN_MS;
			continue;
		}
		if (is_drained(session, stream, now)) {
			end_stream(shim, stream);
		} else {
			uint64_t end = session->quiet_at > now ? session->quiet_at : now + QUIET_MS;
			next = end < next ? end : next;
		}
	}
	session_progress(shim, session);
	return next;
}

void session_abandon(struct shim *shim, struct session *session)
{
	watch_close(shim, &session->streams[0].watch);
	watch_close(shim, &session->streams[1].watch);
	watch_close(shim, &session->stdin_watch);
	on_stdin_writable(shim, &session->stdin_watch, 0);
}

void session_replay(struct shim *shim, struct session *session, struct client *client)
{
	for (int i = 0; i < 2; i++) {
		if (wants_stream(client, &session->streams[i]) && shim->log.partial_size[i] > 0) {
			client_output(shim, client, i == 0 ? REP_STDOUT : REP_STDERR,
				      shim->log.partial[i], shim->log.partial_size[i]);
		}
	}
}

static bool is_referenced(const struct shim *shim, const struct session *session)
{
	for (const struct client *client = shim->clients; client != NULL; client = client->next) {
		if (client->session == session) {
			return true;
		}
	}
	for (const struct op *op = shim->ops; op != NULL; op = op->next) {
		if (op->session == session) {
			return true;
		}
	}
	return false;
}

void session_sweep(struct shim *shim)
{
	struct session **link = &shim->execs;
	while (*link != NULL) {
		struct session *session = *link;
		if (session->is_over && !is_referenced(shim, session)) {
			*link = session->next;
			shim->exec_count--;
			free(session);
		} else {
			link = &session->next;
		}
	}
}
