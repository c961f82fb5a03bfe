#include "shim/protocol.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"

#define FAILURE_TEXT_MAX 8192

static const uint8_t MAGIC[4] = {'G', 'S', 'H', 'M'};

/* What is left to decode of a payload. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

void frame_put_header(uint8_t *to, uint32_t length, uint16_t type, uint16_t tag)
{
	put_u32(to, length);
	put_u16(to + 4, type);
	put_u16(to + 6, tag);
}

struct frame_header frame_get_header(const uint8_t *from)
{
	return (struct frame_header){get_u32(from), get_u16(from + 4), get_u16(from + 6)};
}

static const uint8_t *take(struct reader *reader, size_t size)
{
	if (reader->left < size) {
		reader->failed = true;
		return NULL;
	}
	const uint8_t *at = reader->at;
	reader->at += size;
	reader->left -= size;
	return at;
}

static uint8_t take_u8(struct reader *reader)
{
	const uint8_t *at = take(reader, 1);
	return at == NULL ? 0 : *at;
}

static uint16_t take_u16(struct reader *reader)
{
	const uint8_t *at = take(reader, 2);
	return at == NULL ? 0 : get_u16(at);
}

static uint32_t take_u32(struct reader *reader)
{
	const uint8_t *at = take(reader, 4);
	return at == NULL ? 0 : get_u32(at);
}

static struct view take_name(struct reader *reader)
{
	size_t size = take_u16(reader);
	const uint8_t *at = take(reader, size);
	return at == NULL ? (struct view){NULL, 0} : (struct view){at, size};
}

static bool is_id(struct view id)
{
	if (id.size > ID_MAX || (id.size > 0 && id.data[0] == '.')) {
		return false;
	}
	for (size_t i = 0; i < id.size; i++) {
		uint8_t c = id.data[i];
		bool is_word =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!is_word && c != '_' && c != '.' && c != '-') {
			return false;
		}
	}
	return true;
}

static void decode_fields(struct request *out, struct reader *in)
{
	switch (out->type) {
	case REQ_HELLO: {
		const uint8_t *magic = take(in, sizeof(MAGIC));
		if (magic == NULL || memcmp(magic, MAGIC, sizeof(MAGIC)) != 0) {
			in->failed = true;
		}
		out->version = take_u16(in);
		out->flags = take_u16(in);
		break;
	}
	case REQ_ATTACH:
		out->flags = take_u8(in);
		take_u8(in);
		out->id = take_name(in);
		break;
	case REQ_STDIN:
		out->data = (struct view){in->at, in->left};
		in->left = 0;
		break;
	case REQ_RESIZE:
		out->columns = take_u16(in);
		out->rows = take_u16(in);
		out->id = take_name(in);
		break;
	case REQ_SIGNAL:
		out->number = take_u32(in);
		out->id = take_name(in);
		break;
	case REQ_EXEC_START:
		out->flags = take_u8(in);
		take_u8(in);
		out->columns = take_u16(in);
		out->rows = take_u16(in);
		out->id = take_name(in);
		out->path = take_name(in);
		break;
	case REQ_WAIT:
		out->id = take_name(in);
		break;
	case REQ_LOG:
		out->number = take_u8(in);
		break;
	default:
		break;
	}
}

int request_decode(struct request *request, struct frame_header header, const uint8_t *payload,
		   struct err *err)
{
	if (header.type < REQ_HELLO || header.type > REQ_RELEASE) {
		return err_refuse(err, EPROTO, "unknown request type %u", header.type);
	}
	if (header.length > REQUEST_PAYLOAD_MAX) {
		return err_refuse(err, EPROTO, "request of %u bytes is too long", header.length);
	}
	struct request out = {.type = header.type, .tag = header.tag};
	struct reader in = {payload, header.length, false};
	decode_fields(&out, &in);
	if (in.failed || in.left != 0) {
		return err_refuse(err, EPROTO, "request of type %u has a wrong length",
				  header.type);
	}
	if (!is_id(out.id) || (out.type == REQ_EXEC_START && out.id.size == 0)) {
		return err_refuse(err, EPROTO, "request of type %u has a bad id", header.type);
	}
	if (out.path.size > 0 && memchr(out.path.data, 0, out.path.size) != NULL) {
		return err_refuse(err, EPROTO, "request of type %u has a bad path", header.type);
	}
	*request = out;
	return 0;
}

static size_t put_name(uint8_t *to, struct view name)
{
	put_u16(to, (uint16_t)name.size);
	if (name.size > 0) {
		memcpy(to + 2, name.data, name.size);
	}
	return 2 + name.size;
}

static size_t put_process(uint8_t *to, const struct process_info *process)
{
	put_u32(to, process->pid);
	put_u32(to + 4, 0);
	put_u64(to + 8, process->start_ticks);
	put_u64(to + 16, process->started_ns);
	return 24;
}

size_t encode_position(uint8_t *to, const struct log_position *position)
{
	put_u32(to, position->generation);
	put_u32(to + 4, 0);
	put_u64(to + 8, position->inode);
	put_u64(to + 16, position->offset);
	put_u32(to + 24, position->skip[0]);
	put_u32(to + 28, position->skip[1]);
	return 32;
}

static size_t put_exit(uint8_t *to, const struct exit_info *info)
{
	put_u32(to, info->exit_code);
	put_u32(to + 4, info->signal);
	put_u32(to + 8, info->oom_killed ? 1 : 0);
	put_u32(to + 12, info->pid);
	put_u64(to + 16, info->started_ns);
	put_u64(to + 24, info->finished_ns);
	put_u64(to + 32, info->lost_log_bytes);
	return 40;
}

size_t encode_hello_ok(uint8_t *to, uint32_t shim_pid)
{
	memcpy(to, MAGIC, sizeof(MAGIC));
	put_u16(to + 4, PROTOCOL_VERSION);
	put_u16(to + 6, 0);
	put_u32(to + 8, shim_pid);
	return 12;
}

size_t encode_error(uint8_t *to, enum error_code code, const char *message)
{
	size_t size = strnlen(message, ERR_MESSAGE_MAX);
	put_u16(to, (uint16_t)code);
	memcpy(to + 2, message, size);
	return 2 + size;
}

size_t encode_state(uint8_t *to, const struct state_info *state)
{
	to[0] = (uint8_t)state->status;
	to[1] = state->has_log ? 1 : 0;
	to[2] = state->has_exit ? 1 : 0;
	to[3] = 0;
	put_u32(to + 4, state->shim_pid);
	size_t at = 8;
	at += put_process(to + at, &state->process);
	at += encode_position(to + at, &state->position);
	put_u64(to + at, state->lost_log_bytes);
	put_u32(to + at + 8, state->oom_kills);
	put_u32(to + at + 12, 0);
	at += 16;
	at += put_exit(to + at, &state->exit);
	return at + put_name(to + at, state->container_id);
}

size_t encode_attached(uint8_t *to, bool has_log, const struct log_position *position)
{
	put_u32(to, has_log ? 1 : 0);
	return 4 + encode_position(to + 4, position);
}

size_t encode_exit(uint8_t *to, const struct exit_info *info, struct view id)
{
	size_t at = put_exit(to, info);
	return at + put_name(to + at, id);
}

size_t encode_launched(uint8_t *to, const struct process_info *process)
{
	return put_process(to, process);
}

size_t encode_start_failed(uint8_t *to, uint32_t exit_code, struct view log, struct view text)
{
	size_t log_size = log.size < FAILURE_TEXT_MAX ? log.size : FAILURE_TEXT_MAX;
	size_t text_size = text.size < FAILURE_TEXT_MAX ? text.size : FAILURE_TEXT_MAX;
	put_u32(to, exit_code);
	put_u16(to + 4, (uint16_t)log_size);
	put_u16(to + 6, (uint16_t)text_size);
	if (log_size > 0) {
		memcpy(to + 8, log.data, log_size);
	}
	if (text_size > 0) {
		memcpy(to + 8 + log_size, text.data, text_size);
	}
	return 8 + log_size + text_size;
}

size_t encode_oom(uint8_t *to, uint32_t kills)
{
	put_u32(to, kills);
	return 4;
}
