/*
 * State of one shim and what its parts call of each other. Everything runs in one thread; nothing
 * here blocks. Objects that an event handler removes are freed after the batch of events, so
 * handlers may hold pointers.
 */
#ifndef GANTRY_SHIM_SHIM_H
#define GANTRY_SHIM_SHIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shim/config.h"
#include "shim/json-log.h"
#include "shim/protocol.h"
#include "shim/ring.h"

/* One read of output; a frame of it fits an empty ring. */
#define READ_MAX 65472
/* For output; CONTROL_RESERVE more for answers, LAGGED and EXIT. */
#define OUTPUT_RING_SIZE 65536
#define CONTROL_RESERVE (CONTROL_PAYLOAD_MAX + 8192)
#define CLIENTS_MAX 256
#define EXECS_MAX 1024
/* Records of exec sessions kept in the run folder: health checks must not fill it. */
#define EXEC_RECORDS_KEPT 32
#define NEVER UINT64_MAX

struct shim;
struct watch;

typedef void watch_handler(struct shim *shim, struct watch *watch, uint32_t events);

/* A descriptor in the event loop. */
struct watch {
	int fd; /* owned by the holder; -1 = closed */
	uint32_t events;
	bool is_added;
	watch_handler *handle;
	void *owner;
};

enum session_status {
	SESSION_STARTING,
	SESSION_CREATED,
	SESSION_RUNNING,
	SESSION_FAILED, /* the runtime refused */
	SESSION_EXITED, /* reaped */
};

/* An output pipe, or the console. */
struct stream {
	struct watch watch;
	struct session *session;
	int number; /* 0 stdout, 1 stderr */
	int owed;   /* bytes that were in it when the process ended and are not read yet */
};

/* The container itself or an exec session: a process with its streams. */
struct session {
	struct session *next; /* exec sessions */
	char id[ID_MAX + 1];  /* empty: the container */
	bool tty;
	bool stdin_wanted;
	bool stdin_once;
	bool has_log;
	bool is_recorded; /* exit told to whoever waits */
	bool is_over;	  /* all output delivered, sessions ended */
	bool reads_early; /* the runtime takes long: output is not held back any more */
	enum session_status status;
	pid_t pid; /* 0 before it is known */
	uint64_t start_ticks;
	uint64_t started_ns;
	struct exit_info exit;
	uint16_t columns; /* last size asked for, applied when the console comes */
	uint16_t rows;
	struct stream streams[2]; /* with a tty: streams[0] is the console */
	struct watch stdin_watch;
	uint64_t quiet_at;    /* after the exit: when the streams count as ended; NEVER before */
	uint64_t drain_until; /* then they end in any case, once what they are owed is read */
};

/* What a call of the runtime is for. */
enum op_kind { OP_RUN, OP_CREATE, OP_START, OP_EXEC, OP_DELETE };

/* One running call of the OCI runtime. */
struct op {
	struct op *next;
	bool is_done;
	off_t log_start; /* size of runtime.log before it */
	enum op_kind kind;
	pid_t pid;
	struct session *session;
	struct client *client; /* to answer, or NULL */
	uint16_t tag;
	int text_fd; /* its own messages; -1 when they share the container's standard error */
	struct watch console;
	char console_name[32]; /* in the run folder; empty = none */
	char pid_name[32];
	uint64_t slow_at; /* when output is read although the runtime has not ended */
};

/* A connection. Allocated with mmap: its pages cost nothing before they are used. */
struct client {
	struct client *next;
	struct watch watch;
	bool is_launch;
	bool said_hello;
	bool is_closing;     /* after what is queued */
	bool is_output_dead; /* the peer has gone; queued input still counts */
	bool is_removed;
	bool is_lagged;
	bool is_stdin_blocked;
	bool is_stdin_closed; /* CLOSE_STDIN seen */
	bool wants_oom;
	bool waits_gone;
	uint16_t gone_tag;
	uint16_t attach_tag;
	uint8_t wants; /* enum attach_flag */
	struct session *session;
	struct {
		struct session *session;
		uint16_t tag;
	} waits[16];
	size_t stdin_done; /* bytes already written of the STDIN frame at the front */
	size_t in_size;
	struct ring out;
	uint8_t in[FRAME_HEADER_SIZE + REQUEST_PAYLOAD_MAX];
	uint8_t out_data[OUTPUT_RING_SIZE + CONTROL_RESERVE];
};

struct shim {
	struct shim_config config;
	const char *run_dir; /* absolute, also the working folder */
	int epoll_fd;
	struct watch listener;
	struct watch signals;
	struct watch oom_watch;
	int oom_fd; /* v1: kept open with its eventfd */
	uint64_t oom_check_at;
	uint32_t oom_kills;
	int oom_score; /* of the engine; the runtime gets it back */
	struct session container;
	struct session *execs;
	size_t exec_count;
	char exec_records[EXEC_RECORDS_KEPT][ID_MAX + 1]; /* a ring, by exec_record_count */
	uint64_t exec_record_count;
	struct client *clients;
	size_t client_count;
	struct op *ops;
	uint32_t op_number; /* makes file names unique */
	bool is_held;	    /* no output is read yet */
	bool is_shutting_down;
	bool is_gone_begun;
	bool is_gone;
	uint64_t gone_retry_at;
	uint64_t gone_until;
	uint64_t linger_until; /* after gone: for exec sessions */
	uint64_t trim_at;
	uint8_t *failure; /* START_FAILED payload to send once cleaned up, or NULL */
	size_t failure_size;
	struct json_log log;
	uint8_t read_buffer[READ_MAX];
};

/* loop.c */
uint64_t now_ms(void);
uint64_t realtime_ns(void);
/* Sets what is waited for; 0 keeps the descriptor out of the loop. */
void watch_set(struct shim *shim, struct watch *watch, uint32_t events);
/* Takes it out and closes the descriptor. */
void watch_close(struct shim *shim, struct watch *watch);
/* Appends a line to shim.log; never fails. */
void shim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Runs until the container is gone. `launch_fd` is -1 or the launch connection (owned). Returns the
 * exit status. */
int shim_run(struct shim *shim, int listen_fd, int launch_fd);

/* main.c and loop.c: names in the run folder. */
#define SOCKET_NAME "shim.sock"
#define PID_NAME "shim.pid"

/* session.c */
void session_init(struct session *session, const char *id, bool tty);
struct session *session_find(struct shim *shim, struct view id);
/* Starts or stops reading its output, by what holds it and who is behind. */
void session_update(struct shim *shim, struct session *session);
/* Takes over the console (owned). */
void session_take_console(struct shim *shim, struct session *session, int fd);
void session_resize(struct session *session, uint16_t columns, uint16_t rows);
/* Its process was reaped. */
void session_exited(struct shim *shim, struct session *session, int wait_status);
/* Goes on with recording and ending as far as possible. */
void session_progress(struct shim *shim, struct session *session);
/* Frees exec sessions that are over. */
void session_sweep(struct shim *shim);
void session_close_stdin(struct shim *shim, struct session *session);
/* Time-outs of a session that has exited. Returns the next one. */
uint64_t session_timers(struct shim *shim, struct session *session, uint64_t now);
/* Closes its streams without delivering what they hold. */
void session_abandon(struct shim *shim, struct session *session);
/* Sends the begun lines that are not in the log. */
void session_replay(struct shim *shim, struct session *session, struct client *client);

/* op.c */
/* Starts the runtime for `session`. -errno when not even that was possible (nothing is left behind
 * then). */
int op_begin(struct shim *shim, enum op_kind kind, struct session *session,
	     const char *process_path, struct client *client, uint16_t tag, struct err *err);
/* Reaps children; ends operations and sessions. */
void op_reap(struct shim *shim);
uint64_t op_timers(struct shim *shim, uint64_t now);
/* Kills the runtime calls for the container (not a delete). */
void op_abort(struct shim *shim);
/* Frees the ended ones. */
void op_sweep(struct shim *shim);

/* client.c */
struct client *client_add(struct shim *shim, int fd, bool is_launch);
void client_remove(struct shim *shim, struct client *client);
/* Frees the removed ones. */
void client_sweep(struct shim *shim);
/* Queues a frame; a client that cannot take it is removed. */
void client_send(struct shim *shim, struct client *client, uint16_t type, uint16_t tag,
		 const uint8_t *payload, size_t size);
/* Sends or queues output whole. False: it does not fit, nothing was sent. */
bool client_output(struct shim *shim, struct client *client, uint16_t type, const uint8_t *data,
		   size_t size);
void client_error(struct shim *shim, struct client *client, uint16_t tag, enum error_code code,
		  const char *message);
/* Goes on with input that had to wait for the program. */
void client_resume_input(struct shim *shim, struct client *client);
/* Ends its attach session with an EXIT. */
void client_end_session(struct shim *shim, struct client *client);
bool client_is_idle(const struct client *client);

/* request.c */
void request_serve(struct shim *shim, struct client *client, const struct request *request);

/* record.c */
/* Writes an exit record; `is_durable` syncs file and folder. */
int record_write(const char *path, const char *id, const struct exit_info *exit, bool is_durable,
		 struct err *err);

/* oom.c */
/* Kill count in the text of memory.oom_control or memory.events. 0 when it has none. */
uint32_t oom_parse(const char *text, size_t size);
/* Begins to watch config.oom_file; does nothing when it cannot. */
void oom_begin(struct shim *shim);
/* Reads the counter and tells the clients when it has grown. */
void oom_check(struct shim *shim);

/* gone.c */
/* Makes the runtime forget the container. */
void gone_begin(struct shim *shim);
/* Called when the delete operation has ended. */
void gone_finish(struct shim *shim);
uint64_t gone_timers(struct shim *shim, uint64_t now);
/* Thaws the container's cgroups, so that a SIGKILL takes effect. */
void gone_thaw(struct shim *shim);

#endif
