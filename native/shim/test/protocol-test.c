/*
 * Frames against golden files: replies as this side encodes them (GOLDEN_WRITE=1 writes them),
 * requests as the TypeScript side does. Runs in native/.
 */
#include "shim/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/test.h"

#define FRAME_MAX (FRAME_HEADER_SIZE + CONTROL_PAYLOAD_MAX)

static uint8_t FRAME[FRAME_MAX];

static size_t load(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "shim/golden/%s.bin", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, FRAME, sizeof(FRAME));
	if (fd >= 0) {
		close(fd);
	}
	return size < 0 ? 0 : (size_t)size;
}

static void check_reply(const char *name, uint16_t type, uint16_t tag, const uint8_t *payload,
			size_t size)
{
	static uint8_t expected[FRAME_MAX];
	frame_put_header(expected, (uint32_t)size, type, tag);
	if (size > 0) {
		memcpy(expected + FRAME_HEADER_SIZE, payload, size);
	}
	if (getenv("GOLDEN_WRITE") != NULL) {
		char path[128];
		snprintf(path, sizeof(path), "shim/golden/%s.bin", name);
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		CHECK(fd >= 0 && write(fd, expected, FRAME_HEADER_SIZE + size) > 0);
		close(fd);
	}
	size_t loaded = load(name);
	CHECK(loaded == FRAME_HEADER_SIZE + size && memcmp(FRAME, expected, loaded) == 0);
}

static struct view text_view(const char *text)
{
	return (struct view){(const uint8_t *)text, strlen(text)};
}

static void replies_match_their_files(void)
{
	static uint8_t payload[CONTROL_PAYLOAD_MAX];
	const struct process_info process = {4242, 123456789012345U, 1700000000123456789U};
	const struct log_position position = {3, 9007199254740993U, 4294967301U, {17, 0}};
	const struct exit_info info = {
		137, 9, true, 4242, 1700000000123456789U, 1700000001000000000U, 512};
	const struct state_info state = {
		STATUS_EXITED, true, true, 77,	 process,
		position,      512,  2,	   info, text_view("0123456789ab")};
	check_reply("reply-ok", REP_OK, 9, NULL, 0);
	check_reply("reply-error", REP_ERROR, 10, payload,
		    encode_error(payload, ERROR_CONFLICT, "the process has ended"));
	check_reply("reply-hello", REP_HELLO_OK, 1, payload, encode_hello_ok(payload, 77));
	check_reply("reply-state", REP_STATE_OK, 2, payload, encode_state(payload, &state));
	check_reply("reply-attached", REP_ATTACHED, 3, payload,
		    encode_attached(payload, true, &position));
	check_reply("reply-stdout", REP_STDOUT, 3, (const uint8_t *)"out\0put\n", 8);
	check_reply("reply-stderr", REP_STDERR, 3, (const uint8_t *)"error\n", 6);
	check_reply("reply-lagged", REP_LAGGED, 3, payload, encode_position(payload, &position));
	check_reply("reply-exit", REP_EXIT, 4, payload,
		    encode_exit(payload, &info, text_view("exec-1")));
	check_reply("reply-launched", REP_LAUNCHED, 0, payload, encode_launched(payload, &process));
	check_reply("reply-start-failed", REP_START_FAILED, 0, payload,
		    encode_start_failed(payload, 1,
					text_view("{\"level\":\"error\",\"msg\":\"no\"}\n"),
					text_view("runc run failed: no\n")));
	check_reply("reply-gone", REP_GONE, 5, NULL, 0);
	check_reply("reply-oom", REP_OOM, 0, payload, encode_oom(payload, 3));
}

static struct request decode(const char *name)
{
	struct request request = {0};
	struct err err = {0};
	size_t size = load(name);
	CHECK(size >= FRAME_HEADER_SIZE);
	struct frame_header header = frame_get_header(FRAME);
	CHECK(size == FRAME_HEADER_SIZE + header.length);
	CHECK(request_decode(&request, header, FRAME + FRAME_HEADER_SIZE, &err) == 0);
	return request;
}

static bool is_text(struct view view, const char *text)
{
	return view.size == strlen(text) && memcmp(view.data, text, view.size) == 0;
}

static void requests_are_understood(void)
{
	struct request request = decode("request-hello");
	CHECK(request.type == REQ_HELLO && request.tag == 1);
	CHECK(request.version == PROTOCOL_VERSION && request.flags == HELLO_WANTS_OOM);
	request = decode("request-attach");
	CHECK(request.type == REQ_ATTACH && is_text(request.id, ""));
	CHECK(request.flags == (WANT_STDIN | WANT_STDOUT | ATTACH_REPLAY));
	request = decode("request-stdin");
	CHECK(request.type == REQ_STDIN && is_text(request.data, "typed\n"));
	request = decode("request-resize");
	CHECK(request.columns == 120 && request.rows == 40 && is_text(request.id, "exec-1"));
	request = decode("request-signal");
	CHECK(request.type == REQ_SIGNAL && request.number == 15 && is_text(request.id, ""));
	request = decode("request-exec-start");
	CHECK(request.type == REQ_EXEC_START &&
	      request.flags == (WANT_STDIN | WANT_STDOUT | EXEC_TTY));
	CHECK(request.columns == 80 && request.rows == 24);
	CHECK(is_text(request.id, "exec-1") && is_text(request.path, "/run/c/process.json"));
	request = decode("request-wait");
	CHECK(request.type == REQ_WAIT && is_text(request.id, "exec-1"));
	request = decode("request-log");
	CHECK(request.type == REQ_LOG && request.number == LOG_ROTATE);
	CHECK(decode("request-state").type == REQ_STATE);
	CHECK(decode("request-close-stdin").type == REQ_CLOSE_STDIN);
	CHECK(decode("request-start").type == REQ_START);
	CHECK(decode("request-wait-gone").type == REQ_WAIT_GONE);
	CHECK(decode("request-shutdown").type == REQ_SHUTDOWN);
	CHECK(decode("request-release").type == REQ_RELEASE);
}

static int decode_bytes(uint16_t type, const char *payload, size_t size)
{
	struct request request;
	return request_decode(&request, (struct frame_header){(uint32_t)size, type, 1},
			      (const uint8_t *)payload, NULL);
}

static void bad_requests_are_refused(void)
{
	CHECK(decode_bytes(0, "", 0) == -EPROTO);
	CHECK(decode_bytes(15, "", 0) == -EPROTO);
	CHECK(decode_bytes(REQ_HELLO, "GSHX\1\0\0\0", 8) == -EPROTO);
	CHECK(decode_bytes(REQ_HELLO, "GSHM\1\0", 6) == -EPROTO);
	CHECK(decode_bytes(REQ_STATE, "x", 1) == -EPROTO);
	CHECK(decode_bytes(REQ_WAIT, "\5\0abc", 5) == -EPROTO);
	CHECK(decode_bytes(REQ_WAIT, "\3\0a/b", 5) == -EPROTO);
	CHECK(decode_bytes(REQ_WAIT, "\2\0..", 4) == -EPROTO);
	CHECK(decode_bytes(REQ_WAIT, "\3\0abc", 5) == 0);
	CHECK(decode_bytes(REQ_EXEC_START, "\0\0\0\0\0\0\0\0\1\0p", 11) == -EPROTO);
	CHECK(decode_bytes(REQ_EXEC_START, "\0\0\0\0\0\0\1\0e\1\0\0", 12) == -EPROTO);
	CHECK(decode_bytes(REQ_EXEC_START, "\0\0\0\0\0\0\1\0e\1\0p", 12) == 0);
	CHECK(decode_bytes(REQ_STDIN, NULL, REQUEST_PAYLOAD_MAX + 1) == -EPROTO);
}

static void failure_texts_are_bounded(void)
{
	static uint8_t text[20000];
	static uint8_t payload[CONTROL_PAYLOAD_MAX];
	struct view view = {text, sizeof(text)};
	CHECK(encode_start_failed(payload, 1, view, view) == 8 + 2 * 8192);
	CHECK(get_u16(payload + 4) == 8192 && get_u16(payload + 6) == 8192);
}

int main(void)
{
	RUN("protocol: replies match their golden files", replies_match_their_files);
	RUN("protocol: golden requests are understood", requests_are_understood);
	RUN("protocol: bad requests are refused", bad_requests_are_refused);
	RUN("protocol: texts of a failure are bounded", failure_texts_are_bounded);
	return TEST_RESULT();
}
