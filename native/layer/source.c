#include "layer/source.h"

#include "common/cleanup.h"
#include "layer/inflate.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Few and large: the two sides meet rarely, and both pieces stay in the processor's cache. */
#define SLOT_COUNT 4
#define SLOT_SIZE (256 * 1024)
/* musl's default of 128 KB is too small for the tables that the decompressor builds. */
#define THREAD_STACK_SIZE (256 * 1024)

struct slot {
	size_t size;
	uint8_t data[SLOT_SIZE];
};

struct stream {
	struct source base;
	struct stream_options options;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock: slots [taken, filled) hold data; the consumer uses slot `taken - 1`. */
	uint64_t filled, taken;
	int is_over;	  /* no more slots will be filled */
	int is_abandoned; /* the consumer has left */
	struct err err;	  /* why it is over; code 0 = the end */
	/* The thread's own. */
	struct slot *current;
	struct sha256 hash;
	uint64_t plain_bytes;
	atomic_uint_fast64_t bytes_read;
	struct slot slots[SLOT_COUNT];
};

static ssize_t memory_next(struct source *base, const uint8_t **data, struct err *err)
{
	(void)err;
	struct memory_source *source = (struct memory_source *)base;
	size_t size = source->size;
	if (source->piece > 0 && size > source->piece) {
		size = source->piece;
	}
	*data = source->data;
	source->data += size;
	source->size -= size;
	return (ssize_t)size;
}

void memory_source_init(struct memory_source *source, const void *data, size_t size, size_t piece)
{
	source->base.next = memory_next;
	source->data = data;
	source->size = size;
	source->piece = piece;
}

static ssize_t read_fd(void *context, uint8_t *buffer, size_t size, struct err *err)
{
	struct stream *stream = context;
	ssize_t got = RETRY(read(stream->options.fd, buffer, size));
	if (got < 0) {
		return err_set(err, errno, "read the archive");
	}
	atomic_fetch_add_explicit(&stream->bytes_read, (uint64_t)got, memory_order_relaxed);
	return got;
}

/* Waits for a free slot and makes it current. -ECANCELED when the consumer has left. */
static int open_slot(struct stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	/* One slot less than there are: the consumer still reads the one it took last. */
	while (stream->filled - stream->taken >= SLOT_COUNT - 1 && !stream->is_abandoned) {
		pthread_cond_wait(&stream->changed, &stream->lock);
	}
	int result = stream->is_abandoned ? -ECANCELED : 0;
	pthread_mutex_unlock(&stream->lock);
	stream->current = &stream->slots[stream->filled % SLOT_COUNT];
	stream->current->size = 0;
	return result;
}

static int publish_slot(struct stream *stream, struct err *err)
{
	struct slot *slot = stream->current;
	stream->current = NULL;
	if (slot == NULL || slot->size == 0) {
		return 0;
	}
	stream->plain_bytes += slot->size;
	if (stream->options.max_bytes > 0 && stream->plain_bytes > stream->options.max_bytes) {
		return err_refuse(err, LAYER_REFUSED, "the archive is larger than %llu bytes",
				  (unsigned long long)stream->options.max_bytes);
	}
	if (stream->options.wants_hash) {
		sha256_update(&stream->hash, slot->data, slot->size);
	}
	pthread_mutex_lock(&stream->lock);
	stream->filled++;
	pthread_cond_signal(&stream->changed);
	pthread_mutex_unlock(&stream->lock);
	return 0;
}

static int write_plain(void *context, const uint8_t *data, size_t size, struct err *err)
{
	struct stream *stream = context;
	while (size > 0) {
		if (stream->current == NULL) {
			int result = open_slot(stream);
			if (result < 0) {
				return result;
			}
		}
		struct slot *slot = stream->current;
		size_t part = SLOT_SIZE - slot->size;
		part = part < size ? part : size;
		memcpy(slot->data + slot->size, data, part);
		slot->size += part;
		data += part;
		size -= part;
		if (slot->size == SLOT_SIZE) {
			int result = publish_slot(stream, err);
			if (result < 0) {
				return result;
			}
		}
	}
	return 0;
}

/* Whether the next read would wait. A slow source: what has come is worth more than a full slot. */
static int is_input_idle(const struct stream *stream)
{
	struct pollfd poll_fd = {.fd = stream->options.fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) == 0;
}

static int copy_plain(struct stream *stream, struct err *err)
{
	for (;;) {
		int result = stream->current == NULL ? open_slot(stream) : 0;
		if (result < 0) {
			return result;
		}
		struct slot *slot = stream->current;
		ssize_t got = read_fd(stream, slot->data + slot->size, SLOT_SIZE - slot->size, err);
		if (got < 0) {
			return (int)got;
		}
		slot->size += (size_t)got;
		if (got == 0) {
			return 0;
		}
		if ((slot->size == SLOT_SIZE || is_input_idle(stream)) &&
		    (result = publish_slot(stream, err)) < 0) {
			return result;
		}
	}
}

static void *run_thread(void *argument)
{
	struct stream *stream = argument;
	struct err err = {0};
	struct gunzip_io io = {.context = stream, .read = read_fd, .write = write_plain};
	int result = stream->options.is_gzip ? gunzip(&io, &err) : copy_plain(stream, &err);
	if (result == 0) {
		result = publish_slot(stream, &err);
	}
	pthread_mutex_lock(&stream->lock);
	if (result < 0) {
		stream->err = err;
		stream->err.code = err.code != 0 ? err.code : -result;
	}
	stream->is_over = 1;
	pthread_cond_signal(&stream->changed);
	pthread_mutex_unlock(&stream->lock);
	return NULL;
}

static ssize_t stream_next(struct source *base, const uint8_t **data, struct err *err)
{
	struct stream *stream = (struct stream *)base;
	pthread_mutex_lock(&stream->lock);
	while (stream->filled == stream->taken && !stream->is_over) {
		pthread_cond_wait(&stream->changed, &stream->lock);
	}
	ssize_t result = 0;
	if (stream->filled > stream->taken) {
		struct slot *slot = &stream->slots[stream->taken % SLOT_COUNT];
		stream->taken++;
		pthread_cond_signal(&stream->changed);
		*data = slot->data;
		result = (ssize_t)slot->size;
	} else if (stream->err.code != 0) {
		*err = stream->err;
		result = -stream->err.code;
	}
	pthread_mutex_unlock(&stream->lock);
	return result;
}

int stream_open(struct stream **out, const struct stream_options *options, struct err *err)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	if (stream == NULL) {
		return err_set(err, ENOMEM, "read the archive");
	}
	stream->base.next = stream_next;
	stream->options = *options;
	pthread_mutex_init(&stream->lock, NULL);
	pthread_cond_init(&stream->changed, NULL);
	sha256_init(&stream->hash);
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_SIZE);
	int code = pthread_create(&stream->thread, &attributes, run_thread, stream);
	pthread_attr_destroy(&attributes);
	if (code != 0) {
		free(stream);
		return err_set(err, code, "start a thread");
	}
	*out = stream;
	return 0;
}

void stream_free(struct stream *stream)
{
	if (stream == NULL) {
		return;
	}
	pthread_mutex_lock(&stream->lock);
	stream->is_abandoned = 1;
	pthread_cond_signal(&stream->changed);
	pthread_mutex_unlock(&stream->lock);
	pthread_join(stream->thread, NULL);
	pthread_cond_destroy(&stream->changed);
	pthread_mutex_destroy(&stream->lock);
	free(stream);
}

struct source *stream_source(struct stream *stream)
{
	return &stream->base;
}

uint64_t stream_bytes_read(struct stream *stream)
{
	return atomic_load_explicit(&stream->bytes_read, memory_order_relaxed);
}

uint64_t stream_result(struct stream *stream, char hex[SHA256_HEX_SIZE])
{
	if (hex != NULL) {
		sha256_final(&stream->hash, hex);
	}
	return stream->plain_bytes;
}
