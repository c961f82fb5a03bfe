#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "shim/shim.h"

/*
 * Output is left in the pipes while the runtime works: when it fails, what is in there is its own
 * message. A container that writes more than a pipe holds in that time just waits; but not longer
 * than this.
 */
#define SLOW_MS 10000
#define TEXT_MAX 8192
#define RUNTIME_LOG "runtime.log"
#define LOG_MAX 65536

/* Descriptors for the child's 0, 1, 2; owned. */
struct child_fds {
	int fd[3];
};

static void close_child_fds(struct child_fds *fds)
{
	for (int i = 0; i < 3; i++) {
		if (fds->fd[i] >= 0) {
			close(fds->fd[i]);
		}
	}
}

#define cleanup_child_fds __attribute__((cleanup(close_child_fds)))

/* A pipe of which `*ours` does not block. */
static int make_pipe(int *ours, int *theirs, bool we_read, struct err *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0) {
		return err_set(err, errno, "pipe");
	}
	*ours = ends[we_read ? 0 : 1];
	*theirs = ends[we_read ? 1 : 0];
	fcntl(*ours, F_SETFL, O_NONBLOCK);
	return 0;
}

static bool makes_process(enum op_kind kind)
{
	return kind == OP_RUN || kind == OP_CREATE || kind == OP_EXEC;
}

/* The runtime connects early and sends the console when the container has made it. */
static void on_console_message(struct shim *shim, struct watch *watch, uint32_t events)
{
	(void)events;
	struct op *op = watch->owner;
	char name[256];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {name, sizeof(name)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t size = RETRY(recvmsg(watch->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
	if (size < 0 && errno == EAGAIN) {
		return;
	}
	struct cmsghdr *header = size < 0 ? NULL : CMSG_FIRSTHDR(&message);
	int console = -1;
	if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int))) {
		memcpy(&console, CMSG_DATA(header), sizeof(console));
	}
	watch_close(shim, watch);
	if (console >= 0) {
		fcntl(console, F_SETFL, O_NONBLOCK);
		session_take_console(shim, op->session, console);
	}
}

static void on_console_connection(struct shim *shim, struct watch *watch, uint32_t events)
{
	(void)events;
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		return;
	}
	/* One console per process: nobody else is listened to. */
	watch_close(shim, watch);
	watch->fd = fd;
	watch->handle = on_console_message;
	watch_set(shim, watch, EPOLLIN);
}

/* The runtime has ended: takes what it has sent and the loop has not looked at yet. */
static void finish_console(struct shim *shim, struct op *op)
{
	if (op->console.fd >= 0 && op->console.handle == on_console_connection) {
		on_console_connection(shim, &op->console, 0);
	}
	if (op->console.fd >= 0 && op->console.handle == on_console_message) {
		on_console_message(shim, &op->console, 0);
	}
}

static int listen_console(struct shim *shim, struct op *op, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(op->console_name, sizeof(op->console_name), "console-%u.sock", shim->op_number);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", op->console_name);
	unlink(op->console_name);
	op->console = (struct watch){.handle = on_console_connection, .owner = op};
	op->console.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (op->console.fd < 0 ||
	    bind(op->console.fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(op->console.fd, 1) != 0) {
		return err_set(err, errno, "console socket");
	}
	watch_set(shim, &op->console, EPOLLIN);
	return 0;
}

/* Makes the pipes of the session, or of the runtime's own messages, and the child's side of them.
 */
static int open_stdio(struct shim *shim, struct op *op, struct child_fds *child, struct err *err)
{
	struct session *session = op->session;
	if (makes_process(op->kind) && !session->tty) {
		for (int i = 0; i < 2; i++) {
			int result = make_pipe(&session->streams[i].watch.fd, &child->fd[i + 1],
					       true, err);
			if (result != 0) {
				return result;
			}
		}
		if (session->stdin_wanted) {
			return make_pipe(&session->stdin_watch.fd, &child->fd[0], false, err);
		}
	} else {
		int result = make_pipe(&op->text_fd, &child->fd[1], true, err);
		if (result != 0) {
			return result;
		}
		child->fd[2] = fcntl(child->fd[1], F_DUPFD_CLOEXEC, 3);
		if (makes_process(op->kind)) {
			result = listen_console(shim, op, err);
			if (result != 0) {
				return result;
			}
		}
	}
	child->fd[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	return child->fd[0] < 0 ? err_set(err, errno, "open /dev/null") : 0;
}

static void exec_runtime(const struct shim *shim, const struct child_fds *child, char *const argv[])
{
	for (int i = 0; i < 3; i++) {
		dup2(child->fd[i], i);
	}
	char score[16];
	int size = snprintf(score, sizeof(score), "%d", shim->oom_score);
	cleanup_close int score_fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (score_fd >= 0 && write(score_fd, score, (size_t)size) < 0) {
		/* Raising it back is always allowed; the container then is as the machine says. */
	}
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < 32; number++) {
		signal(number, SIG_DFL);
	}
	umask(022);
	execv(argv[0], argv);
	dprintf(2, "cannot execute %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Absolute path of a file in the run folder; short enough for a socket address in any case. */
static void run_path(const struct shim *shim, const char *name, char *to, size_t size)
{
	if (strlen(shim->run_dir) + strlen(name) + 1 < size) {
		snprintf(to, size, "%s/%s", shim->run_dir, name);
	} else {
		snprintf(to, size, "/proc/%d/cwd/%s", (int)getpid(), name);
	}
}

#define ARGV_MAX (RUNTIME_ARGS_MAX + 24)

static int spawn(struct shim *shim, struct op *op, const char *process_path,
		 const struct child_fds *child, struct err *err)
{
	static const char *const COMMANDS[] = {"run", "create", "start", "exec", "delete"};
	const char *argv[ARGV_MAX];
	size_t count = 0;
	char log[4096];
	char pid_file[4096];
	char console[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	run_path(shim, RUNTIME_LOG, log, sizeof(log));
	run_path(shim, op->pid_name, pid_file, sizeof(pid_file));
	run_path(shim, op->console_name, console, sizeof(console));
	argv[count++] = shim->config.runtime;
	for (size_t i = 0; i < shim->config.runtime_arg_count; i++) {
		argv[count++] = shim->config.runtime_args[i];
	}
	argv[count++] = "--log";
	argv[count++] = log;
	argv[count++] = "--log-format";
	argv[count++] = "json";
	argv[count++] = COMMANDS[op->kind];
	if (op->kind == OP_RUN || op->kind == OP_CREATE) {
		argv[count++] = "--bundle";
		argv[count++] = shim->config.bundle;
	}
	if (op->kind == OP_RUN || op->kind == OP_EXEC) {
		argv[count++] = "--detach";
	}
	if (op->kind == OP_EXEC) {
		argv[count++] = "--process";
		argv[count++] = process_path;
	}
	if (op->kind == OP_DELETE) {
		argv[count++] = "--force";
	}
	if (makes_process(op->kind)) {
		argv[count++] = "--pid-file";
		argv[count++] = pid_file;
		if (op->session->tty) {
			argv[count++] = "--console-socket";
			argv[count++] = console;
		}
	}
	argv[count++] = shim->config.id;
	argv[count] = NULL;
	pid_t pid = fork();
	if (pid == 0) {
		exec_runtime(shim, child, (char *const *)argv);
	}
	if (pid < 0) {
		return err_set(err, errno, "fork");
	}
	op->pid = pid;
	return 0;
}

static void release_op(struct shim *shim, struct op *op)
{
	watch_close(shim, &op->console);
	if (op->text_fd >= 0) {
		close(op->text_fd);
		op->text_fd = -1;
	}
	if (op->console_name[0] != 0) {
		unlink(op->console_name);
	}
	op->is_done = true;
}

/* Size of the runtime's log. A long one is emptied when nobody writes to it. */
static off_t measure_log(const struct shim *shim)
{
	struct stat log = {0};
	if (stat(RUNTIME_LOG, &log) != 0) {
		return 0;
	}
	if (log.st_size > LOG_MAX && shim->ops == NULL && truncate(RUNTIME_LOG, 0) == 0) {
		return 0;
	}
	return log.st_size;
}

int op_begin(struct shim *shim, enum op_kind kind, struct session *session,
	     const char *process_path, struct client *client, uint16_t tag, struct err *err)
{
	cleanup_free struct op *op = calloc(1, sizeof(*op));
	cleanup_child_fds struct child_fds child = {{-1, -1, -1}};
	if (op == NULL) {
		return err_set(err, ENOMEM, "start the runtime");
	}
	*op = (struct op){.kind = kind,
			  .session = session,
			  .client = client,
			  .tag = tag,
			  .text_fd = -1,
			  .console.fd = -1,
			  .slow_at = NEVER};
	shim->op_number++;
	if (kind == OP_EXEC) {
		snprintf(op->pid_name, sizeof(op->pid_name), "exec-%u.pid", shim->op_number);
	} else {
		snprintf(op->pid_name, sizeof(op->pid_name), "init.pid");
	}
	if (makes_process(kind)) {
		unlink(op->pid_name);
		op->slow_at = now_ms() + SLOW_MS;
	}
	op->log_start = measure_log(shim);
	int result = open_stdio(shim, op, &child, err);
	if (result == 0) {
		result = spawn(shim, op, process_path, &child, err);
	}
	if (result != 0) {
		release_op(shim, op);
		if (makes_process(kind)) {
			session_abandon(shim, session);
		}
		return result;
	}
	op->next = shim->ops;
	shim->ops = op;
	steal_pointer(&op);
	return 0;
}

/* Reads at most `max` bytes of what is there now. */
static size_t read_now(int fd, uint8_t *to, size_t max)
{
	size_t size = 0;
	while (fd >= 0 && size < max) {
		ssize_t count = RETRY(read(fd, to + size, max - size));
		if (count <= 0) {
			break;
		}
		size += (size_t)count;
	}
	return size;
}

/* START_FAILED payload: the end of the runtime's log since the operation began, and what it
 * printed. */
static size_t describe_failure(const struct op *op, uint32_t exit_code, uint8_t *payload)
{
	uint8_t log[TEXT_MAX];
	uint8_t text[TEXT_MAX];
	size_t log_size = 0;
	cleanup_close int log_fd = open(RUNTIME_LOG, O_RDONLY | O_CLOEXEC);
	if (log_fd >= 0) {
		off_t end = lseek(log_fd, 0, SEEK_END);
		off_t from = end - op->log_start > TEXT_MAX ? end - TEXT_MAX : op->log_start;
		lseek(log_fd, from, SEEK_SET);
		log_size = read_now(log_fd, log, sizeof(log));
	}
	bool has_own = op->text_fd >= 0;
	size_t text_size = read_now(has_own ? op->text_fd : op->session->streams[1].watch.fd, text,
				    sizeof(text));
	return encode_start_failed(payload, exit_code, (struct view){log, log_size},
				   (struct view){text, text_size});
}

static pid_t read_pid(const char *name)
{
	char text[16] = {0};
	cleanup_close int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || read_now(fd, (uint8_t *)text, sizeof(text) - 1) == 0) {
		return -1;
	}
	long pid = strtol(text, NULL, 10);
	return pid > 1 && pid <= INT32_MAX ? (pid_t)pid : -1;
}

static uint64_t read_start_ticks(pid_t pid)
{
	char path[32];
	char text[1024] = {0};
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	read_now(fd, (uint8_t *)text, sizeof(text) - 1);
	/* The name in parentheses may hold anything; field 3 follows the last one. */
	char *at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 22; field++) {
		at = strchr(at + 1, ' ');
	}
	return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

static struct client *launch_client(struct shim *shim)
{
	for (struct client *client = shim->clients; client != NULL; client = client->next) {
		if (client->is_launch && !client->is_removed) {
			return client;
		}
	}
	return NULL;
}

static void tell_launched(struct shim *shim, const struct op *op)
{
	uint8_t payload[32];
	struct process_info process = {
		.pid = (uint32_t)op->session->pid,
		.start_ticks = op->session->start_ticks,
		.started_ns = op->session->started_ns,
	};
	bool is_launch = op->kind == OP_RUN || op->kind == OP_CREATE;
	struct client *client = is_launch ? launch_client(shim) : op->client;
	if (client != NULL) {
		client_send(shim, client, REP_LAUNCHED, is_launch ? 0 : op->tag, payload,
			    encode_launched(payload, &process));
	}
}

static void finish_start(struct shim *shim, struct op *op)
{
	struct session *session = op->session;
	finish_console(shim, op);
	session->start_ticks = read_start_ticks(session->pid);
	session->started_ns = realtime_ns();
	session->status = op->kind == OP_CREATE ? SESSION_CREATED : SESSION_RUNNING;
	if (op->kind == OP_EXEC) {
		unlink(op->pid_name);
	} else {
		oom_begin(shim);
	}
	tell_launched(shim, op);
	if (shim->is_shutting_down) {
		kill(session->pid, SIGKILL);
	}
	session_update(shim, session);
}

static void fail_start(struct shim *shim, struct op *op, uint32_t exit_code)
{
	struct session *session = op->session;
	uint8_t *payload = malloc(CONTROL_PAYLOAD_MAX);
	size_t size = payload == NULL ? 0 : describe_failure(op, exit_code, payload);
	if (op->kind == OP_RUN || op->kind == OP_CREATE) {
		session->status = SESSION_FAILED;
		session_abandon(shim, session);
		shim->failure = payload;
		shim->failure_size = size;
		gone_begin(shim);
		return;
	}
	if (op->kind == OP_EXEC) {
		session->status = SESSION_FAILED;
		session->is_over = true;
		session_abandon(shim, session);
		unlink(op->pid_name);
	}
	if (op->client != NULL && payload != NULL) {
		if (op->kind == OP_EXEC) {
			op->client->session = NULL;
		}
		client_send(shim, op->client, REP_START_FAILED, op->tag, payload, size);
	}
	free(payload);
}

static void finish(struct shim *shim, struct op *op, int wait_status)
{
	uint32_t exit_code = WIFSIGNALED(wait_status) ? 128U + (uint32_t)WTERMSIG(wait_status)
						      : (uint32_t)WEXITSTATUS(wait_status);
	pid_t pid = makes_process(op->kind) && exit_code == 0 ? read_pid(op->pid_name) : 0;
	if (op->kind == OP_DELETE) {
		if (exit_code != 0) {
			shim_note("runtime delete failed with %u", exit_code);
		}
		gone_finish(shim);
	} else if (exit_code != 0 || pid < 0) {
		fail_start(shim, op, exit_code == 0 ? 1 : exit_code);
	} else if (op->kind == OP_START) {
		if (op->session->status == SESSION_CREATED) {
			op->session->status = SESSION_RUNNING;
		}
		op->session->started_ns = realtime_ns();
		tell_launched(shim, op);
	} else {
		op->session->pid = pid;
		finish_start(shim, op);
	}
	release_op(shim, op);
}

static bool reap_operations(struct shim *shim)
{
	bool has_progress = false;
	for (struct op *op = shim->ops; op != NULL; op = op->next) {
		int status = 0;
		if (!op->is_done && waitpid(op->pid, &status, WNOHANG) == op->pid) {
			finish(shim, op, status);
			has_progress = true;
		}
	}
	return has_progress;
}

static void reap_session(struct shim *shim, struct session *session)
{
	bool is_alive = session->status == SESSION_RUNNING || session->status == SESSION_CREATED;
	if (!is_alive || session->pid <= 0) {
		return;
	}
	int status = 0;
	pid_t pid = waitpid(session->pid, &status, WNOHANG);
	if (pid == session->pid) {
		session_exited(shim, session, status);
	} else if (pid < 0 && errno == ECHILD) {
		/* Not our child (any more): its status is lost. As if killed, rather than waited
		 * for in vain. */
		shim_note("process %d is not a child", (int)session->pid);
		session_exited(shim, session, SIGKILL);
	}
}

void op_reap(struct shim *shim)
{
	do {
		reap_session(shim, &shim->container);
		for (struct session *exec = shim->execs; exec != NULL; exec = exec->next) {
			reap_session(shim, exec);
		}
	} while (reap_operations(shim));
	/*
	 * The rest are orphans. While the runtime is at work one of them may be the process whose
	 * pid it is about to name: they wait until then.
	 */
	for (const struct op *op = shim->ops; op != NULL; op = op->next) {
		if (!op->is_done && makes_process(op->kind)) {
			return;
		}
	}
	for (;;) {
		siginfo_t info = {0};
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
			return;
		}
		bool is_known = info.si_pid == shim->container.pid &&
				shim->container.status != SESSION_EXITED;
		for (const struct session *exec = shim->execs; exec != NULL; exec = exec->next) {
			is_known = is_known ||
				   (info.si_pid == exec->pid && exec->status != SESSION_EXITED);
		}
		for (const struct op *op = shim->ops; op != NULL; op = op->next) {
			is_known = is_known || (!op->is_done && info.si_pid == op->pid);
		}
		if (is_known) {
			/* It ended since it was looked at: from the start. */
			op_reap(shim);
			return;
		}
		waitpid(info.si_pid, NULL, WNOHANG);
	}
}

uint64_t op_timers(struct shim *shim, uint64_t now)
{
	uint64_t next = NEVER;
	for (struct op *op = shim->ops; op != NULL; op = op->next) {
		if (op->slow_at <= now) {
			op->slow_at = NEVER;
			op->session->reads_early = true;
			session_update(shim, op->session);
		}
		next = op->slow_at < next ? op->slow_at : next;
	}
	return next;
}

void op_abort(struct shim *shim)
{
	for (const struct op *op = shim->ops; op != NULL; op = op->next) {
		if (!op->is_done && op->kind != OP_DELETE) {
			kill(op->pid, SIGKILL);
		}
	}
}

void op_sweep(struct shim *shim)
{
	struct op **link = &shim->ops;
	while (*link != NULL) {
		struct op *op = *link;
		if (op->is_done) {
			*link = op->next;
			free(op);
		} else {
			link = &op->next;
		}
	}
}
