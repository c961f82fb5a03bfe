#include "common/err.h"
#include "common/test.h"

#include <errno.h>

static void sets_code_and_reason(void)
{
	struct err err = {0};
	CHECK(err_set(&err, ENOENT, "open %s", "x") == -ENOENT);
	CHECK(err.code == ENOENT);
	CHECK(strcmp(err.message, "open x: No such file or directory") == 0);
}

static void refusal_has_no_errno_text(void)
{
	struct err err = {0};
	CHECK(err_refuse(&err, EPROTO, "bad frame") == -EPROTO);
	CHECK(strcmp(err.message, "bad frame") == 0);
}

static void wrap_puts_context_in_front(void)
{
	struct err err = {0};
	err_refuse(&err, EPROTO, "bad frame");
	CHECK(err_wrap(&err, "client %d", 3) == -EPROTO);
	CHECK(strcmp(err.message, "client 3: bad frame") == 0);
}

static void long_text_is_cut(void)
{
	struct err err = {0};
	char text[2 * ERR_MESSAGE_MAX];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	err_set(&err, EIO, "%s", text);
	CHECK(strlen(err.message) == ERR_MESSAGE_MAX - 1);
	err_wrap(&err, "%s", "context");
	CHECK(strlen(err.message) == ERR_MESSAGE_MAX - 1);
}

int main(void)
{
	RUN("err: sets code and reason", sets_code_and_reason);
	RUN("err: a refusal has no errno text", refusal_has_no_errno_text);
	RUN("err: wrap puts the context in front", wrap_puts_context_in_front);
	RUN("err: text that is too long is cut", long_text_is_cut);
	return TEST_RESULT();
}
