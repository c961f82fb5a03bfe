/* Ring, configuration, OOM counter and exit record. */
#include <errno.h>

#include "common/test.h"
#include "shim/shim.h"
#include "shim/test/temp-dir.h"

static void ring_is_first_in_first_out(void)
{
	uint8_t data[10];
	struct ring ring;
	struct iovec parts[2];
	ring_init(&ring, data, sizeof(data));
	CHECK(ring_peek(&ring, parts) == 0);
	ring_put(&ring, (const uint8_t *)"abcdefg", 7);
	ring_drop(&ring, 5);
	ring_put(&ring, (const uint8_t *)"hijklm", 6);
	CHECK(ring_room(&ring) == 2);
	CHECK(ring_peek(&ring, parts) == 2);
	CHECK(parts[0].iov_len == 5 && memcmp(parts[0].iov_base, "fghij", 5) == 0);
	CHECK(parts[1].iov_len == 3 && memcmp(parts[1].iov_base, "klm", 3) == 0);
	ring_put(&ring, (const uint8_t *)"no", 2);
	CHECK(ring_room(&ring) == 0);
	ring_drop(&ring, 10);
	CHECK(ring.head == 0 && ring_room(&ring) == 10);
}

/* Against a plain array, with a fixed sequence of random sizes. */
static void ring_keeps_every_byte(void)
{
	uint8_t data[61];
	struct ring ring;
	struct iovec parts[2];
	uint32_t seed = 12345;
	uint8_t next_in = 0;
	uint8_t next_out = 0;
	ring_init(&ring, data, sizeof(data));
	for (int i = 0; i < 20000; i++) {
		seed = seed * 1103515245U + 12345U;
		size_t size = (seed >> 16) % 40U;
		uint8_t chunk[40];
		if (size <= ring_room(&ring)) {
			for (size_t k = 0; k < size; k++) {
				chunk[k] = next_in++;
			}
			ring_put(&ring, chunk, size);
		}
		int count = ring_peek(&ring, parts);
		size_t drop = count == 0 ? 0 : (seed >> 8) % (parts[0].iov_len + 1);
		for (size_t k = 0; k < drop; k++) {
			if (((uint8_t *)parts[0].iov_base)[k] != next_out++) {
				CHECK(!"in order");
				return;
			}
		}
		ring_drop(&ring, drop);
	}
}

#define BASE "id=c1\0bundle=/b\0runtime=/r\0exit-record=/x\0"

static int parse(struct shim_config *config, const char *text, size_t size, struct err *err)
{
	return config_parse(config, text, size, err);
}

static void config_takes_every_key(void)
{
	static const char TEXT[] = BASE
		"version=1\0mode=create\0hold=1\0tty=1\0columns=80\0rows=24\0stdin=1\0stdin-once="
		"1\0"
		"log-path=/l\0log-max-size=1000\0log-max-files=3\0log-attrs={\"a\":\"b=c\"}\0"
		"oom-file=/o\0cgroup-dir=/g1\0cgroup-dir=/g2\0state-dir=/s\0runtime-arg=--root\0"
		"runtime-arg=/rr";
	struct shim_config config;
	struct err err = {0};
	CHECK(parse(&config, TEXT, sizeof(TEXT), &err) == 0);
	CHECK(strcmp(config.id, "c1") == 0 && config.only_create && config.hold && config.tty);
	CHECK(config.columns == 80 && config.rows == 24);
	CHECK(config.stdin_open && config.stdin_once);
	CHECK(config.log_max_size == 1000 && config.log_max_files == 3);
	CHECK(strcmp(config.log_attrs, "{\"a\":\"b=c\"}") == 0);
	CHECK(config.cgroup_dir_count == 2 && strcmp(config.cgroup_dirs[1], "/g2") == 0);
	CHECK(config.runtime_arg_count == 2 && strcmp(config.runtime_args[0], "--root") == 0);
}

#define REFUSED(text, reason)                                                                      \
	do {                                                                                       \
		static const char TEXT_[] = text;                                                  \
		struct shim_config config_;                                                        \
		struct err err_ = {0};                                                             \
		CHECK(parse(&config_, TEXT_, sizeof(TEXT_), &err_) == -EINVAL);                    \
		CHECK(strstr(err_.message, reason) != NULL);                                       \
	} while (0)

static void config_refuses_what_is_wrong(void)
{
	REFUSED("id=c1", "are needed");
	REFUSED(BASE "nonsense=1", "unknown key nonsense");
	REFUSED(BASE "no equals", "no key in");
	REFUSED(BASE "tty=yes", "tty is neither");
	REFUSED(BASE "rows=65536", "rows is too large");
	REFUSED(BASE "rows=", "rows is not a number");
	REFUSED(BASE "log-max-size=-1", "log-max-size is not a number");
	REFUSED(BASE "log-max-size=99999999999999999999", "too large");
	REFUSED(BASE "log-max-files=0", "log-max-files is 0");
	REFUSED(BASE "log-attrs=[]", "no JSON object");
	REFUSED(BASE "oom-file=relative", "oom-file is not an absolute");
	REFUSED(BASE "version=2", "version is not 1");
	REFUSED("id=-x\0bundle=/b\0runtime=/r\0exit-record=/x", "id is not usable");
	struct shim_config config;
	struct err err = {0};
	CHECK(parse(&config, "id=c1", 5, &err) == -EINVAL);
	CHECK(parse(&config, "", 0, &err) == -EINVAL);
}

static void oom_counter_of_both_versions(void)
{
	static const char V1[] = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
	static const char V2[] = "low 0\nhigh 7\nmax 9\noom 5\noom_kill 12\noom_group_kill 1\n";
	CHECK(oom_parse(V1, sizeof(V1) - 1) == 3);
	CHECK(oom_parse(V2, sizeof(V2) - 1) == 12);
	CHECK(oom_parse("", 0) == 0);
	CHECK(oom_parse("oom_kill ", 9) == 0);
	CHECK(oom_parse("oom_kill 99999999999", 20) == UINT32_MAX);
}

static void record_is_whole_json(void)
{
	struct exit_info info = {.exit_code = 137,
				 .signal = 9,
				 .oom_killed = true,
				 .pid = 42,
				 .started_ns = 1,
				 .finished_ns = 1700000000123456789U,
				 .lost_log_bytes = 7};
	struct err err = {0};
	write_text(temp_path("r.json"), "old");
	CHECK(record_write(temp_path("r.json"), "c1", &info, true, &err) == 0);
	CHECK(strcmp(file_text(temp_path("r.json")),
		     "{\"version\":1,\"id\":\"c1\",\"pid\":42,\"exitCode\":137,\"signal\":9,"
		     "\"oomKilled\":true,\"startedAtNs\":\"1\",\"finishedAtNs\":"
		     "\"1700000000123456789\","
		     "\"lostLogBytes\":\"7\"}\n") == 0);
	CHECK(access(temp_path(".r.json.tmp"), F_OK) != 0);
	CHECK(record_write(temp_path("no/r.json"), "c1", &info, true, &err) == -ENOENT);
}

int main(void)
{
	static const char *const NAMES[] = {"r.json", NULL};
	RUN("ring: first in, first out, around the end", ring_is_first_in_first_out);
	RUN("ring: keeps every byte in order", ring_keeps_every_byte);
	RUN("config: takes every key", config_takes_every_key);
	RUN("config: refuses what is wrong and names it", config_refuses_what_is_wrong);
	RUN("oom: counter of both cgroup versions", oom_counter_of_both_versions);
	RUN("record: replaces the old one with whole JSON", record_is_whole_json);
	remove_temp_dir(NAMES);
	return TEST_RESULT();
}
