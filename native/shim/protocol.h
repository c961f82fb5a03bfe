/*
 * Frames of protocol 1 (README.md): layout of requests and replies, nothing about connections.
 * All functions are pure. Views point into the buffer they were decoded from.
 */
#ifndef GANTRY_SHIM_PROTOCOL_H
#define GANTRY_SHIM_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define PROTOCOL_VERSION 1
#define FRAME_HEADER_SIZE 8
#define REQUEST_PAYLOAD_MAX 16384
#define REPLY_PAYLOAD_MAX 65536
/* Exec ids: [A-Za-z0-9_.-], not starting with a dot. */
#define ID_MAX 64

enum request_type {
	REQ_HELLO = 1,
	REQ_STATE = 2,
	REQ_ATTACH = 3,
	REQ_STDIN = 4,
	REQ_CLOSE_STDIN = 5,
	REQ_RESIZE = 6,
	REQ_SIGNAL = 7,
	REQ_START = 8,
	REQ_EXEC_START = 9,
	REQ_WAIT = 10,
	REQ_WAIT_GONE = 11,
	REQ_SHUTDOWN = 12,
	REQ_LOG = 13,
	REQ_RELEASE = 14,
};

enum reply_type {
	REP_OK = 128,
	REP_ERROR = 129,
	REP_HELLO_OK = 130,
	REP_STATE_OK = 131,
	REP_ATTACHED = 132,
	REP_STDOUT = 133,
	REP_STDERR = 134,
	REP_LAGGED = 135,
	REP_EXIT = 136,
	REP_LAUNCHED = 137,
	REP_START_FAILED = 138,
	REP_GONE = 139,
	REP_OOM = 140,
};

enum error_code {
	ERROR_PROTOCOL = 1,
	ERROR_VERSION = 2,
	ERROR_NOT_FOUND = 3,
	ERROR_CONFLICT = 4,
	ERROR_SYSTEM = 5,
	ERROR_LIMIT = 6,
};

enum attach_flag {
	WANT_STDIN = 1,
	WANT_STDOUT = 2,
	WANT_STDERR = 4,
	ATTACH_REPLAY = 8,
	EXEC_TTY = 8,
};

enum hello_flag {
	HELLO_WANTS_OOM = 1,
};

enum log_action {
	LOG_REOPEN = 1,
	LOG_ROTATE = 2,
	LOG_TRUNCATE = 3,
};

enum shim_status {
	STATUS_STARTING = 0,
	STATUS_CREATED = 1,
	STATUS_RUNNING = 2,
	STATUS_EXITED = 3,
};

struct frame_header {
	uint32_t length;
	uint16_t type;
	uint16_t tag;
};

/* Bytes inside somebody else's buffer. */
struct view {
	const uint8_t *data;
	size_t size;
};

/* A decoded request; which fields count depends on `type`. */
struct request {
	uint16_t type;
	uint16_t tag;
	uint16_t version;
	uint16_t flags;
	uint16_t columns;
	uint16_t rows;
	uint32_t number; /* signal or log action */
	struct view id;
	struct view path;
	struct view data; /* stdin */
};

struct process_info {
	uint32_t pid;
	uint64_t start_ticks;
	uint64_t started_ns;
};

/* See LogPosition in engine/runtime/shim/contract.ts. */
struct log_position {
	uint32_t generation;
	uint64_t inode;
	uint64_t offset;
	uint32_t skip[2]; /* stdout, stderr */
};

struct exit_info {
	uint32_t exit_code;
	uint32_t signal;
	bool oom_killed;
	uint32_t pid;
	uint64_t started_ns;
	uint64_t finished_ns;
	uint64_t lost_log_bytes;
};

struct state_info {
	enum shim_status status;
	bool has_log;
	bool has_exit;
	uint32_t shim_pid;
	struct process_info process;
	struct log_position position;
	uint64_t lost_log_bytes;
	uint32_t oom_kills;
	struct exit_info exit;
	struct view container_id;
};

/* Largest reply but for output: STATE_OK with an id, START_FAILED with two texts. */
#define CONTROL_PAYLOAD_MAX (16384 + 64)

/* Writes FRAME_HEADER_SIZE bytes. */
void frame_put_header(uint8_t *to, uint32_t length, uint16_t type, uint16_t tag);

/* Reads FRAME_HEADER_SIZE bytes; judges nothing. */
struct frame_header frame_get_header(const uint8_t *from);

/*
 * Decodes one request whose `payload` is complete. Returns 0; -EPROTO for a frame that breaks the
 * rules (unknown type, wrong length, bad id). A version mismatch is no error here.
 */
int request_decode(struct request *request, struct frame_header header, const uint8_t *payload,
		   struct err *err);

/* Encoders: write the payload at `to`, return its size. Sizes are bounded by CONTROL_PAYLOAD_MAX.
 */
size_t encode_hello_ok(uint8_t *to, uint32_t shim_pid);
size_t encode_error(uint8_t *to, enum error_code code, const char *message);
size_t encode_state(uint8_t *to, const struct state_info *state);
size_t encode_attached(uint8_t *to, bool has_log, const struct log_position *position);
size_t encode_position(uint8_t *to, const struct log_position *position);
size_t encode_exit(uint8_t *to, const struct exit_info *exit, struct view id);
size_t encode_launched(uint8_t *to, const struct process_info *process);
/* Cuts each text to 8 KiB. */
size_t encode_start_failed(uint8_t *to, uint32_t exit_code, struct view log, struct view text);
size_t encode_oom(uint8_t *to, uint32_t kills);

#endif
