#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "shim/shim.h"

static void serve_hello(struct shim *shim, struct client *client, const struct request *request)
{
	uint8_t payload[16];
	if (request->version != PROTOCOL_VERSION) {
		client_error(shim, client, request->tag, ERROR_VERSION,
			     "this shim speaks version 1");
		return;
	}
	client->said_hello = true;
	client->wants_oom = (request->flags & HELLO_WANTS_OOM) != 0;
	client_send(shim, client, REP_HELLO_OK, request->tag, payload,
		    encode_hello_ok(payload, (uint32_t)getpid()));
}

static void serve_state(struct shim *shim, struct client *client, const struct request *request)
{
	static const enum shim_status STATUS[] = {
		[SESSION_STARTING] = STATUS_STARTING, [SESSION_CREATED] = STATUS_CREATED,
		[SESSION_RUNNING] = STATUS_RUNNING,   [SESSION_FAILED] = STATUS_EXITED,
		[SESSION_EXITED] = STATUS_EXITED,
	};
	const struct session *container = &shim->container;
	uint8_t payload[512];
	struct state_info state = {
		.status = STATUS[container->status],
		.has_log = container->has_log,
		.has_exit = container->is_recorded,
		.shim_pid = (uint32_t)getpid(),
		.process = {(uint32_t)container->pid, container->start_ticks,
			    container->started_ns},
		.lost_log_bytes = shim->log.file.lost,
		.oom_kills = shim->oom_kills,
		.exit = container->exit,
		.container_id = {(const uint8_t *)shim->config.id, strlen(shim->config.id)},
	};
	if (container->has_log) {
		state.position = json_log_position(&shim->log);
	}
	client_send(shim, client, REP_STATE_OK, request->tag, payload,
		    encode_state(payload, &state));
}

static void serve_attach(struct shim *shim, struct client *client, const struct request *request)
{
	struct session *session = session_find(shim, request->id);
	if (session == NULL) {
		client_error(shim, client, request->tag, ERROR_NOT_FOUND, "no such exec session");
		return;
	}
	if (client->session != NULL) {
		client_error(shim, client, request->tag, ERROR_CONFLICT, "attached already");
		return;
	}
	if (session->is_over || session->status == SESSION_FAILED) {
		client_error(shim, client, request->tag, ERROR_CONFLICT, "the process has ended");
		return;
	}
	client->session = session;
	client->wants = request->flags & (WANT_STDIN | WANT_STDOUT | WANT_STDERR);
	client->attach_tag = request->tag;
	client->is_lagged = false;
	bool replays = session->has_log && (request->flags & ATTACH_REPLAY) != 0;
	struct log_position position = {0};
	if (session->has_log) {
		position = json_log_position(&shim->log);
	}
	if (replays) {
		position.skip[0] = 0;
		position.skip[1] = 0;
	}
	uint8_t payload[64];
	client_send(shim, client, REP_ATTACHED, request->tag, payload,
		    encode_attached(payload, session->has_log, &position));
	if (replays) {
		session_replay(shim, session, client);
	}
	session_update(shim, session);
}

static void serve_resize(struct shim *shim, struct client *client, const struct request *request)
{
	struct session *session = session_find(shim, request->id);
	if (session == NULL) {
		client_error(shim, client, request->tag, ERROR_NOT_FOUND, "no such exec session");
		return;
	}
	session_resize(session, request->columns, request->rows);
	client_send(shim, client, REP_OK, request->tag, NULL, 0);
}

static void serve_signal(struct shim *shim, struct client *client, const struct request *request)
{
	struct session *session = session_find(shim, request->id);
	if (session == NULL) {
		client_error(shim, client, request->tag, ERROR_NOT_FOUND, "no such exec session");
		return;
	}
	bool is_alive = session->status == SESSION_RUNNING || session->status == SESSION_CREATED;
	if (!is_alive || request->number == 0 || request->number > 64) {
		client_error(shim, client, request->tag, ERROR_CONFLICT,
			     "the process is not running");
		return;
	}
	/* It is our child and not reaped: the pid cannot be anybody else's. */
	if (kill(session->pid, (int)request->number) != 0) {
		client_error(shim, client, request->tag, ERROR_SYSTEM, strerror(errno));
		return;
	}
	client_send(shim, client, REP_OK, request->tag, NULL, 0);
}

static void serve_start(struct shim *shim, struct client *client, const struct request *request)
{
	struct err err = {0};
	for (const struct op *op = shim->ops; op != NULL; op = op->next) {
		if (op->kind == OP_START && !op->is_done) {
			client_error(shim, client, request->tag, ERROR_CONFLICT,
				     "it is being started");
			return;
		}
	}
	if (shim->container.status != SESSION_CREATED) {
		client_error(shim, client, request->tag, ERROR_CONFLICT,
			     "the container is not waiting to be started");
		return;
	}
	if (op_begin(shim, OP_START, &shim->container, NULL, client, request->tag, &err) != 0) {
		client_error(shim, client, request->tag, ERROR_SYSTEM, err.message);
	}
}

/* True when the id is in use or was used before. */
static bool is_used(struct shim *shim, struct view id)
{
	char name[ID_MAX + 16];
	snprintf(name, sizeof(name), "exec-%.*s.json", (int)id.size, (const char *)id.data);
	return session_find(shim, id) != NULL || access(name, F_OK) == 0;
}

static void serve_exec(struct shim *shim, struct client *client, const struct request *request)
{
	struct err err = {0};
	if (client->session != NULL || is_used(shim, request->id)) {
		client_error(shim, client, request->tag, ERROR_CONFLICT,
			     client->session != NULL ? "attached already"
						     : "exec id was used already");
		return;
	}
	if (shim->container.status != SESSION_RUNNING || shim->is_shutting_down) {
		client_error(shim, client, request->tag, ERROR_CONFLICT,
			     "the container is not running");
		return;
	}
	if (shim->exec_count >= EXECS_MAX) {
		client_error(shim, client, request->tag, ERROR_LIMIT, "too many exec sessions");
		return;
	}
	char id[ID_MAX + 1];
	char path[4096];
	snprintf(id, sizeof(id), "%.*s", (int)request->id.size, (const char *)request->id.data);
	snprintf(path, sizeof(path), "%.*s", (int)request->path.size,
		 (const char *)request->path.data);
	cleanup_free struct session *session = malloc(sizeof(*session));
	if (session == NULL) {
		client_error(shim, client, request->tag, ERROR_SYSTEM, "out of memory");
		return;
	}
	session_init(session, id, (request->flags & EXEC_TTY) != 0);
	session->stdin_wanted = (request->flags & WANT_STDIN) != 0;
	session->stdin_once = true;
	session->columns = request->columns;
	session->rows = request->rows;
	if (op_begin(shim, OP_EXEC, session, path, client, request->tag, &err) != 0) {
		client_error(shim, client, request->tag, ERROR_SYSTEM, err.message);
		return;
	}
	client->session = session;
	client->wants = request->flags & (WANT_STDIN | WANT_STDOUT | WANT_STDERR);
	client->attach_tag = request->tag;
	client->is_lagged = false;
	session->next = shim->execs;
	shim->execs = session;
	shim->exec_count++;
	steal_pointer(&session);
}

static void serve_wait(struct shim *shim, struct client *client, const struct request *request)
{
	struct session *session = session_find(shim, request->id);
	if (session == NULL) {
		client_error(shim, client, request->tag, ERROR_NOT_FOUND, "no such exec session");
		return;
	}
	if (session->is_recorded) {
		uint8_t payload[64 + ID_MAX];
		client_send(shim, client, REP_EXIT, request->tag, payload,
			    encode_exit(payload, &session->exit, request->id));
		return;
	}
	for (size_t i = 0; i < sizeof(client->waits) / sizeof(client->waits[0]); i++) {
		if (client->waits[i].session == NULL) {
			client->waits[i].session = session;
			client->waits[i].tag = request->tag;
			return;
		}
	}
	client_error(shim, client, request->tag, ERROR_LIMIT, "too many waits on one connection");
}

static void serve_log(struct shim *shim, struct client *client, const struct request *request)
{
	struct err err = {0};
	int result = 0;
	if (!shim->container.has_log) {
		client_error(shim, client, request->tag, ERROR_CONFLICT,
			     "the container has no log");
		return;
	}
	switch (request->number) {
	case LOG_REOPEN:
		result = log_file_reopen(&shim->log.file, &err);
		break;
	case LOG_ROTATE:
		result = log_file_rotate(&shim->log.file, &err);
		break;
	case LOG_TRUNCATE:
		result = log_file_truncate(&shim->log.file, &err);
		break;
	default:
		client_error(shim, client, request->tag, ERROR_PROTOCOL, "unknown log action");
		return;
	}
	if (result != 0) {
		client_error(shim, client, request->tag, ERROR_SYSTEM, err.message);
		return;
	}
	client_send(shim, client, REP_OK, request->tag, NULL, 0);
}

static void release(struct shim *shim)
{
	shim->is_held = false;
	session_update(shim, &shim->container);
}

static void serve_shutdown(struct shim *shim, struct client *client, const struct request *request)
{
	struct session *container = &shim->container;
	client_send(shim, client, REP_OK, request->tag, NULL, 0);
	shim->is_shutting_down = true;
	release(shim);
	gone_thaw(shim);
	if (container->status == SESSION_RUNNING || container->status == SESSION_CREATED) {
		kill(container->pid, SIGKILL);
	} else if (container->status == SESSION_STARTING) {
		op_abort(shim);
	}
}

static void serve_gone(struct shim *shim, struct client *client, const struct request *request)
{
	if (shim->is_gone) {
		client_send(shim, client, REP_GONE, request->tag, NULL, 0);
		return;
	}
	client->waits_gone = true;
	client->gone_tag = request->tag;
}

void request_serve(struct shim *shim, struct client *client, const struct request *request)
{
	switch (request->type) {
	case REQ_HELLO:
		serve_hello(shim, client, request);
		break;
	case REQ_STATE:
		serve_state(shim, client, request);
		break;
	case REQ_ATTACH:
		serve_attach(shim, client, request);
		break;
	case REQ_CLOSE_STDIN:
		if (client->session != NULL && (client->wants & WANT_STDIN) != 0) {
			session_close_stdin(shim, client->session);
		}
		break;
	case REQ_RESIZE:
		serve_resize(shim, client, request);
		break;
	case REQ_SIGNAL:
		serve_signal(shim, client, request);
		break;
	case REQ_START:
		serve_start(shim, client, request);
		break;
	case REQ_EXEC_START:
		serve_exec(shim, client, request);
		break;
	case REQ_WAIT:
		serve_wait(shim, client, request);
		break;
	case REQ_WAIT_GONE:
		serve_gone(shim, client, request);
		break;
	case REQ_SHUTDOWN:
		serve_shutdown(shim, client, request);
		break;
	case REQ_LOG:
		serve_log(shim, client, request);
		break;
	case REQ_RELEASE:
		release(shim);
		client_send(shim, client, REP_OK, request->tag, NULL, 0);
		break;
	default:
		break;
	}
}
