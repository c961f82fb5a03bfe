#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "shim/shim.h"

/* Requests wait while there is not this much room for what they may cause. */
#define ANSWER_ROOM (CONTROL_PAYLOAD_MAX + 4096)

static void process_input(struct shim *shim, struct client *client);
static void read_input(struct shim *shim, struct client *client);

static void update(struct shim *shim, struct client *client)
{
	if (client->is_removed) {
		return;
	}
	uint32_t events = 0;
	if (client->is_output_dead) {
		events = client->is_stdin_blocked ? 0 : EPOLLIN;
	} else {
		bool reads = !client->is_stdin_blocked && !client->is_closing &&
			     ring_room(&client->out) >= ANSWER_ROOM;
		/* EPOLLRDHUP: whoever is not read from must be seen to leave all the same. */
		events = (reads ? EPOLLIN : EPOLLRDHUP) | (client->out.size > 0 ? EPOLLOUT : 0U);
	}
	watch_set(shim, &client->watch, events);
}

/* The peer takes no more. What it sent before still counts. */
static void lose_output(struct shim *shim, struct client *client)
{
	client->is_output_dead = true;
	ring_drop(&client->out, client->out.size);
	if (client->session != NULL) {
		session_update(shim, client->session);
	}
	if (client->is_closing) {
		client_remove(shim, client);
	}
}

/* Sends parts as far as the socket takes them. Returns the bytes, or -1 when the peer has gone. */
static ssize_t send_now(const struct client *client, struct iovec *parts, int count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
	ssize_t sent = RETRY(sendmsg(client->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
	if (sent < 0) {
		return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
	}
	return sent;
}

static void flush_output(struct shim *shim, struct client *client)
{
	struct iovec parts[2];
	int count = ring_peek(&client->out, parts);
	if (count > 0) {
		ssize_t sent = send_now(client, parts, count);
		if (sent < 0) {
			lose_output(shim, client);
			return;
		}
		ring_drop(&client->out, (size_t)sent);
	}
	if (client->out.size > 0) {
		return;
	}
	if (client->is_closing) {
		client_remove(shim, client);
		return;
	}
	if (client->session != NULL && !client->session->has_log) {
		session_update(shim, client->session);
	}
}

/* Sends what the socket takes of a frame and queues the rest, for which the caller has made sure of
 * the room. */
static void put_frame(struct shim *shim, struct client *client, uint16_t type, uint16_t tag,
		      const uint8_t *payload, size_t size)
{
	uint8_t header[FRAME_HEADER_SIZE];
	frame_put_header(header, (uint32_t)size, type, tag);
	size_t sent = 0;
	if (client->out.size == 0) {
		struct iovec parts[2] = {{header, sizeof(header)}, {(uint8_t *)payload, size}};
		ssize_t result = send_now(client, parts, size > 0 ? 2 : 1);
		if (result < 0) {
			lose_output(shim, client);
			return;
		}
		sent = (size_t)result;
	}
	size_t header_sent = sent < sizeof(header) ? sent : sizeof(header);
	size_t payload_sent = sent - header_sent;
	ring_put(&client->out, header + header_sent, sizeof(header) - header_sent);
	if (size > payload_sent) {
		ring_put(&client->out, payload + payload_sent, size - payload_sent);
	}
	update(shim, client);
}

void client_send(struct shim *shim, struct client *client, uint16_t type, uint16_t tag,
		 const uint8_t *payload, size_t size)
{
	if (client->is_removed || client->is_output_dead) {
		return;
	}
	if (ring_room(&client->out) < FRAME_HEADER_SIZE + size) {
		/* Only somebody who asks without ever reading gets here. */
		client_remove(shim, client);
		return;
	}
	put_frame(shim, client, type, tag, payload, size);
}

bool client_output(struct shim *shim, struct client *client, uint16_t type, const uint8_t *data,
		   size_t size)
{
	if (client->out.size + FRAME_HEADER_SIZE + size > OUTPUT_RING_SIZE) {
		return false;
	}
	put_frame(shim, client, type, client->attach_tag, data, size);
	return true;
}

void client_error(struct shim *shim, struct client *client, uint16_t tag, enum error_code code,
		  const char *message)
{
	uint8_t payload[2 + ERR_MESSAGE_MAX];
	client_send(shim, client, REP_ERROR, tag, payload, encode_error(payload, code, message));
	if (code == ERROR_PROTOCOL || code == ERROR_VERSION) {
		client->is_closing = true;
		if (client->out.size == 0) {
			client_remove(shim, client);
		} else {
			update(shim, client);
		}
	}
}

void client_end_session(struct shim *shim, struct client *client)
{
	struct session *session = client->session;
	uint8_t payload[64 + ID_MAX];
	struct view id = {(const uint8_t *)session->id, strlen(session->id)};
	client->session = NULL;
	client_send(shim, client, REP_EXIT, client->attach_tag, payload,
		    encode_exit(payload, &session->exit, id));
	if (client->is_stdin_blocked) {
		client_resume_input(shim, client);
	}
}

bool client_is_idle(const struct client *client)
{
	return client->is_removed || client->is_output_dead || client->out.size == 0;
}

/* Writes a STDIN frame on. False: the program does not read; the frame stays at the front. */
static bool write_stdin(struct shim *shim, struct client *client, struct view data)
{
	struct session *session = client->session;
	while (client->stdin_done < data.size) {
		if (session == NULL || (client->wants & WANT_STDIN) == 0 ||
		    !session->stdin_wanted) {
			break; /* nobody there to take it */
		}
		if (session->stdin_watch.fd < 0) {
			if (session->tty && session->status == SESSION_STARTING) {
				return false; /* the console comes */
			}
			break;
		}
		ssize_t count = RETRY(write(session->stdin_watch.fd, data.data + client->stdin_done,
					    data.size - client->stdin_done));
		if (count < 0 && errno == EAGAIN) {
			watch_set(shim, &session->stdin_watch, EPOLLOUT);
			return false;
		}
		if (count < 0) {
			/* The program has closed its standard input. */
			watch_close(shim, &session->stdin_watch);
			break;
		}
		client->stdin_done += (size_t)count;
	}
	client->stdin_done = 0;
	return true;
}

static bool serve(struct shim *shim, struct client *client, const struct request *request)
{
	if (!client->said_hello && request->type != REQ_HELLO) {
		client_error(shim, client, request->tag, ERROR_PROTOCOL,
			     "the first frame is not HELLO");
		return true;
	}
	if (request->type == REQ_STDIN) {
		return write_stdin(shim, client, request->data);
	}
	request_serve(shim, client, request);
	return true;
}

/* Serves the whole frames in the buffer. */
static void process_input(struct shim *shim, struct client *client)
{
	size_t at = 0;
	while (client->in_size - at >= FRAME_HEADER_SIZE && !client->is_closing &&
	       !client->is_removed) {
		struct frame_header header = frame_get_header(client->in + at);
		struct request request;
		struct err err = {0};
		if (!client->is_output_dead && ring_room(&client->out) < ANSWER_ROOM) {
			break;
		}
		if (header.length <= REQUEST_PAYLOAD_MAX &&
		    client->in_size - at < FRAME_HEADER_SIZE + header.length) {
			break;
		}
		if (request_decode(&request, header, client->in + at + FRAME_HEADER_SIZE, &err) !=
		    0) {
			client_error(shim, client, header.tag, ERROR_PROTOCOL, err.message);
			break;
		}
		if (!serve(shim, client, &request)) {
			client->is_stdin_blocked = true;
			break;
		}
		at += FRAME_HEADER_SIZE + header.length;
	}
	if (client->is_removed) {
		return;
	}
	if (client->is_closing) {
		at = client->in_size;
	}
	memmove(client->in, client->in + at, client->in_size - at);
	client->in_size -= at;
	update(shim, client);
}

static void read_input(struct shim *shim, struct client *client)
{
	while (!client->is_removed && !client->is_stdin_blocked &&
	       client->in_size < sizeof(client->in)) {
		ssize_t size = RETRY(recv(client->watch.fd, client->in + client->in_size,
					  sizeof(client->in) - client->in_size, MSG_DONTWAIT));
		if (size < 0 && errno == EAGAIN) {
			return;
		}
		if (size <= 0) {
			client_remove(shim, client);
			return;
		}
		client->in_size += (size_t)size;
		process_input(shim, client);
		if (!client->is_output_dead) {
			return; /* one read per turn: others have theirs */
		}
	}
}

void client_resume_input(struct shim *shim, struct client *client)
{
	client->is_stdin_blocked = false;
	process_input(shim, client);
	if (client->is_output_dead) {
		read_input(shim, client);
	}
}

static void on_event(struct shim *shim, struct watch *watch, uint32_t events)
{
	struct client *client = watch->owner;
	if ((events & EPOLLOUT) != 0 && !client->is_output_dead) {
		flush_output(shim, client);
		if (!client->is_removed && !client->is_stdin_blocked && client->in_size > 0) {
			process_input(shim, client); /* may have waited for room */
		}
	}
	if (client->is_removed) {
		return;
	}
	bool is_leaving = (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0;
	if (is_leaving && !client->is_output_dead) {
		lose_output(shim, client);
	}
	if (!client->is_removed && (is_leaving || (events & EPOLLIN) != 0)) {
		read_input(shim, client);
	}
	update(shim, client);
}

struct client *client_add(struct shim *shim, int fd, bool is_launch)
{
	struct client *client = mmap(NULL, sizeof(*client), PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (client == MAP_FAILED) {
		return NULL;
	}
	client->watch = (struct watch){.fd = fd, .handle = on_event, .owner = client};
	client->is_launch = is_launch;
	ring_init(&client->out, client->out_data, sizeof(client->out_data));
	client->next = shim->clients;
	shim->clients = client;
	shim->client_count++;
	update(shim, client);
	return client;
}

void client_remove(struct shim *shim, struct client *client)
{
	if (client->is_removed) {
		return;
	}
	struct session *session = client->session;
	client->is_removed = true;
	client->session = NULL;
	watch_close(shim, &client->watch);
	for (struct op *op = shim->ops; op != NULL; op = op->next) {
		if (op->client == client) {
			op->client = NULL;
		}
	}
	if (session != NULL) {
		if ((client->wants & WANT_STDIN) != 0 && session->stdin_once) {
			session_close_stdin(shim, session);
		}
		session_update(shim, session);
	}
	if (client->is_launch && shim->is_held) {
		shim->is_held = false;
		session_update(shim, &shim->container);
	}
}

void client_sweep(struct shim *shim)
{
	struct client **link = &shim->clients;
	while (*link != NULL) {
		struct client *client = *link;
		if (client->is_removed) {
			*link = client->next;
			shim->client_count--;
			munmap(client, sizeof(*client));
		} else {
			link = &client->next;
		}
	}
}
