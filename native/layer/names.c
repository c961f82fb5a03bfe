#include "layer/names.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_free(struct names *names)
{
	free(names->list);
	free(names->text);
	memset(names, 0, sizeof(*names));
}

static int append(struct names *names, size_t *used, size_t *capacity, const char *name)
{
	size_t size = strlen(name) + 1;
	if (*used + size > *capacity) {
		size_t larger = 2 * (*used + size) + 1024;
		char *text = realloc(names->text, larger);
		if (text == NULL) {
			return -ENOMEM;
		}
		names->text = text;
		*capacity = larger;
	}
	memcpy(names->text + *used, name, size);
	*used += size;
	names->count++;
	return 0;
}

int names_read(struct names *names, int directory, struct err *err)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (stream == NULL) {
		return err_set(err, errno, "list a folder");
	}
	size_t used = 0, capacity = 0;
	errno = 0;
	for (const struct dirent *item; (item = readdir(stream)) != NULL; errno = 0) {
		if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0 &&
		    append(names, &used, &capacity, item->d_name) < 0) {
			return err_set(err, ENOMEM, "list a folder");
		}
	}
	if (errno != 0) {
		return err_set(err, errno, "list a folder");
	}
	names->list = calloc(names->count + 1, sizeof(*names->list));
	if (names->list == NULL) {
		return err_set(err, ENOMEM, "list a folder");
	}
	char *at = names->text;
	for (size_t i = 0; i < names->count; i++) {
		names->list[i] = at;
		at += strlen(at) + 1;
	}
	qsort(names->list, names->count, sizeof(*names->list), compare);
	return 0;
}

int path_push(char *path, size_t size, size_t *length, const char *name, struct err *err)
{
	size_t name_size = strlen(name);
	size_t separator = *length > 0 && path[*length - 1] != '/' ? 1 : 0;
	if (*length + separator + name_size + 1 > size) {
		return err_set(err, ENAMETOOLONG, "\"%.200s...\"", path);
	}
	if (separator != 0) {
		path[(*length)++] = '/';
	}
	memcpy(path + *length, name, name_size + 1);
	*length += name_size;
	return 0;
}
