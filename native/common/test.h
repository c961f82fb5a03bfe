/* Smallest test frame: one line per test, exit status 1 when one failed. */
#ifndef GANTRY_COMMON_TEST_H
#define GANTRY_COMMON_TEST_H

#include <stdio.h>
#include <string.h>

static int test_failures_;
static int test_failed_;

/* Fails the running test and goes on, so that cleanup after it still happens. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);                   \
			test_failed_ = 1;                                                          \
		}                                                                                  \
	} while (0)

/* Runs `void function(void)` and prints `ok NAME` or `not ok NAME`. */
#define RUN(name, function)                                                                        \
	do {                                                                                       \
		test_failed_ = 0;                                                                  \
		function();                                                                        \
		printf("%s %s\n", test_failed_ ? "not ok" : "ok", name);                           \
		test_failures_ += test_failed_;                                                    \
		fflush(stdout);                                                                    \
	} while (0)

#define TEST_RESULT() (test_failures_ == 0 ? 0 : 1)

#endif
