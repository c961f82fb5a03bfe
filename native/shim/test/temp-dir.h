/* A folder of its own for one test program, and small file helpers. */
#ifndef GANTRY_SHIM_TEST_TEMP_DIR_H
#define GANTRY_SHIM_TEST_TEMP_DIR_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Makes a folder below TMPDIR and returns its path (static). */
static inline const char *temp_dir(void)
{
	static char path[256];
	if (path[0] == 0) {
		const char *base = getenv("TMPDIR");
		snprintf(path, sizeof(path), "%s/gantry-test-XXXXXX", base == NULL ? "/tmp" : base);
		if (mkdtemp(path) == NULL) {
			perror("mkdtemp");
			exit(1);
		}
	}
	return path;
}

/* Path of a file in it; valid until the fourth call after. */
static inline const char *temp_path(const char *name)
{
	static char paths[4][512];
	static int next;
	next = (next + 1) % 4;
	snprintf(paths[next], sizeof(paths[next]), "%s/%s", temp_dir(), name);
	return paths[next];
}

/* Content of a file as text (static); empty when it is not there. */
static inline const char *file_text(const char *path)
{
	static char text[400000];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0) {
		close(fd);
	}
	text[size < 0 ? 0 : size] = 0;
	return text;
}

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

/* Removes the files named and the folder. */
static inline void remove_temp_dir(const char *const *names)
{
	for (; *names != NULL; names++) {
		unlink(temp_path(*names));
	}
	rmdir(temp_dir());
}

#endif
