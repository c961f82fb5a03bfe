#include "layer/spool.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

struct item_header {
	int64_t sec;
	uint32_t nsec;
	uint32_t path_size;
};

void spool_init(struct spool *spool, int directory)
{
	spool->directory = directory;
	spool->fd = -1;
	spool->used = spool->read_at = 0;
}

void spool_close(struct spool *spool)
{
	if (spool->fd >= 0) {
		close(spool->fd);
		spool->fd = -1;
	}
}

static int spill(struct spool *spool, struct err *err)
{
	if (spool->fd < 0 && spool->directory >= 0) {
		spool->fd = openat(spool->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	}
	/* Not every file system has unnamed files. */
	if (spool->fd < 0) {
		spool->fd = memfd_create("directory times", MFD_CLOEXEC);
	}
	if (spool->fd < 0) {
		return err_set(err, errno, "keep directory times");
	}
	for (size_t done = 0; done < spool->used;) {
		ssize_t wrote = RETRY(write(spool->fd, spool->buffer + done, spool->used - done));
		if (wrote < 0) {
			return err_set(err, errno, "keep directory times");
		}
		done += (size_t)wrote;
	}
	spool->used = 0;
	return 0;
}

int spool_add(struct spool *spool, const char *path, int64_t sec, uint32_t nsec, struct err *err)
{
	size_t path_size = strlen(path) + 1;
	struct item_header header = {.sec = sec, .nsec = nsec, .path_size = (uint32_t)path_size};
	if (spool->used + sizeof(header) + path_size > sizeof(spool->buffer)) {
		int result = spill(spool, err);
		if (result < 0) {
			return result;
		}
	}
	memcpy(spool->buffer + spool->used, &header, sizeof(header));
	memcpy(spool->buffer + spool->used + sizeof(header), path, path_size);
	spool->used += sizeof(header) + path_size;
	return 0;
}

int spool_rewind(struct spool *spool, struct err *err)
{
	spool->read_at = 0;
	if (spool->fd < 0) {
		return 0;
	}
	int result = spill(spool, err);
	if (result < 0) {
		return result;
	}
	return lseek(spool->fd, 0, SEEK_SET) < 0 ? err_set(err, errno, "read directory times") : 0;
}

/* Has at least one whole item in the buffer, as far as there are any. */
static int refill(struct spool *spool, struct err *err)
{
	size_t left = spool->used - spool->read_at;
	memmove(spool->buffer, spool->buffer + spool->read_at, left);
	spool->used = left;
	spool->read_at = 0;
	while (spool->fd >= 0 && spool->used < sizeof(spool->buffer)) {
		ssize_t got = RETRY(read(spool->fd, spool->buffer + spool->used,
					 sizeof(spool->buffer) - spool->used));
		if (got < 0) {
			return err_set(err, errno, "read directory times");
		}
		if (got == 0) {
			break;
		}
		spool->used += (size_t)got;
	}
	return 0;
}

int spool_next(struct spool *spool, struct spool_item *item, struct err *err)
{
	struct item_header header;
	if (spool->used - spool->read_at < sizeof(header) + sizeof(item->path)) {
		int result = refill(spool, err);
		if (result < 0) {
			return result;
		}
	}
	if (spool->used == spool->read_at) {
		return 0;
	}
	memcpy(&header, spool->buffer + spool->read_at, sizeof(header));
	spool->read_at += sizeof(header);
	item->sec = header.sec;
	item->nsec = header.nsec;
	memcpy(item->path, spool->buffer + spool->read_at, header.path_size);
	spool->read_at += header.path_size;
	return 1;
}
