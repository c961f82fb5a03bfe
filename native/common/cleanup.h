/*
 * Ownership tied to scope: a variable declared with one of these attributes is released when it
 * goes out of scope. Hand ownership on with steal_fd() / steal_pointer().
 */
#ifndef GANTRY_COMMON_CLEANUP_H
#define GANTRY_COMMON_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_ptr(void *slot)
{
	free(*(void **)slot);
}

static inline void cleanup_close_fd(const int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

static inline void cleanup_close_dir(DIR **dir)
{
	if (*dir != NULL) {
		closedir(*dir);
	}
}

#define cleanup_free __attribute__((cleanup(cleanup_free_ptr)))
#define cleanup_close __attribute__((cleanup(cleanup_close_fd)))
#define cleanup_dir __attribute__((cleanup(cleanup_close_dir)))

/* Returns the descriptor and leaves -1 behind, so that the scope no longer closes it. */
static inline int steal_fd(int *fd)
{
	int value = *fd;
	*fd = -1;
	return value;
}

/* Returns the pointer in `*slot` and leaves NULL behind. */
static inline void *steal_pointer(void *slot)
{
	void *value = *(void **)slot;
	*(void **)slot = NULL;
	return value;
}

/* Repeats a call that a signal interrupted. */
#define RETRY(expression)                                                                          \
	(__extension__({                                                                           \
		__typeof__(expression) retry_result_;                                              \
		do {                                                                               \
			retry_result_ = (expression);                                              \
		} while (retry_result_ == -1 && errno == EINTR);                                   \
		retry_result_;                                                                     \
	}))

#endif
