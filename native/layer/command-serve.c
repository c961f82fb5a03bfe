/*
 * serve: answers requests on standard input one after another, each in a child process, so that
 * the caller pays for starting a program once. Ends with its input.
 *
 * Request:  u32 length, then the command and its options, each ended by NUL.
 * Answer:   u32 length, u32 exit status, u32 length of what went to standard output, that output,
 *           then what went to standard error. Numbers are little-endian; `length` counts what is
 *           behind it.
 */
#include "layer/commands.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define REQUEST_SIZE_MAX (1024 * 1024)
#define ANSWER_SIZE_MAX (16 * 1024 * 1024)
#define WORDS_MAX 1024

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_le32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++) {
		p[i] = (uint8_t)(value >> (8 * i));
	}
}

/* 1, or 0 when the input has ended. */
static int read_all(void *buffer, size_t size, struct err *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = RETRY(read(0, (uint8_t *)buffer + done, size - done));
		if (got < 0) {
			return err_set(err, errno, "read a request");
		}
		if (got == 0) {
			return 0;
		}
		done += (size_t)got;
	}
	return 1;
}

static int write_all(const void *data, size_t size, struct err *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t wrote = RETRY(write(1, (const uint8_t *)data + done, size - done));
		if (wrote < 0) {
			return err_set(err, errno, "write an answer");
		}
		done += (size_t)wrote;
	}
	return 0;
}

static int run_child(char *request, size_t size, const int outputs[2])
{
	static char *words[WORDS_MAX];
	int count = 0;
	for (char *at = request; at < request + size && count < WORDS_MAX; at += strlen(at) + 1) {
		words[count++] = at;
	}
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(outputs[0], 1) < 0 ||
	    dup2(outputs[1], 2) < 0) {
		return 2;
	}
	struct err err = {0};
	int result = count == 0 ? err_refuse(&err, EINVAL, "an empty request")
				: command_run(words[0], count - 1, words + 1, &err);
	fflush(stdout);
	if (result < 0) {
		dprintf(2, "%s\n", err.message);
	}
	return command_exit_status(result);
}

static int send_answer(int status, const int outputs[2], struct err *err)
{
	off_t sizes[2];
	for (int i = 0; i < 2; i++) {
		sizes[i] = lseek(outputs[i], 0, SEEK_END);
		if (sizes[i] < 0 || sizes[i] > ANSWER_SIZE_MAX) {
			return err_refuse(err, EFBIG, "an answer is too long");
		}
	}
	uint8_t head[12];
	put_le32(head, (uint32_t)(8 + sizes[0] + sizes[1]));
	put_le32(head + 4, (uint32_t)status);
	put_le32(head + 8, (uint32_t)sizes[0]);
	int result = write_all(head, sizeof(head), err);
	for (int i = 0; i < 2 && result == 0; i++) {
		char buffer[4096];
		for (off_t at = 0; at < sizes[i] && result == 0;) {
			ssize_t got = pread(outputs[i], buffer, sizeof(buffer), at);
			if (got <= 0) {
				return err_set(err, EIO, "read an answer");
			}
			result = write_all(buffer, (size_t)got, err);
			at += got;
		}
		if (ftruncate(outputs[i], 0) < 0 || lseek(outputs[i], 0, SEEK_SET) < 0) {
			return err_set(err, errno, "clear an answer");
		}
	}
	return result;
}

static int serve_one(char *request, size_t size, const int outputs[2], struct err *err)
{
	fflush(stdout);
	pid_t child = fork();
	if (child < 0) {
		return err_set(err, errno, "fork");
	}
	if (child == 0) {
		_exit(run_child(request, size, outputs));
	}
	int status;
	if (RETRY(waitpid(child, &status, 0)) < 0) {
		return err_set(err, errno, "wait");
	}
	return send_answer(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
			   outputs, err);
}

int command_serve(int argc, char **argv, struct err *err)
{
	(void)argv;
	if (argc > 0) {
		return err_refuse(err, EINVAL, "serve takes no options");
	}
	cleanup_close int out = memfd_create("answer", MFD_CLOEXEC);
	cleanup_close int errors = memfd_create("errors", MFD_CLOEXEC);
	if (out < 0 || errors < 0) {
		return err_set(err, errno, "make room for answers");
	}
	const int outputs[2] = {out, errors};
	for (;;) {
		uint8_t head[4];
		int result = read_all(head, sizeof(head), err);
		if (result <= 0) {
			return result;
		}
		size_t size = le32(head);
		if (size > REQUEST_SIZE_MAX) {
			return err_refuse(err, EINVAL, "a request is too long");
		}
		cleanup_free char *request = calloc(1, size + 1);
		if (request == NULL) {
			return err_set(err, ENOMEM, "read a request");
		}
		result = read_all(request, size, err);
		if (result <= 0) {
			return result;
		}
		if ((result = serve_one(request, size, outputs, err)) < 0) {
			return result;
		}
	}
}
