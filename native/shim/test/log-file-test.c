#include "shim/log-file.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/test.h"
#include "shim/test/temp-dir.h"

static bool has_text(const char *name, const char *expected)
{
	return strcmp(file_text(temp_path(name)), expected) == 0;
}

static void put(struct log_file *log, const char *entry)
{
	if (log_file_is_full(log, 0)) {
		log_file_rotate(log, NULL);
	}
	log_file_write(log, entry, strlen(entry));
}

static void clear(void)
{
	unlink(temp_path("c.log"));
	unlink(temp_path("c.log.1"));
	unlink(temp_path("c.log.2"));
	unlink(temp_path("c.log.3"));
}

static void rotates_and_keeps_so_many(void)
{
	struct log_file log;
	clear();
	CHECK(log_file_open(&log, temp_path("c.log"), 8, 3, NULL) == 0);
	put(&log, "one 111\n");
	put(&log, "two 222\n");
	put(&log, "three\n");
	put(&log, "4\n");
	CHECK(has_text("c.log", "three\n4\n"));
	CHECK(has_text("c.log.1", "two 222\n"));
	CHECK(has_text("c.log.2", "one 111\n"));
	put(&log, "five 55\n");
	CHECK(has_text("c.log", "five 55\n"));
	CHECK(has_text("c.log.2", "two 222\n"));
	CHECK(access(temp_path("c.log.3"), F_OK) != 0);
	CHECK(log.generation == 3);
	log_file_close(&log);
}

static void one_file_is_emptied(void)
{
	struct log_file log;
	clear();
	CHECK(log_file_open(&log, temp_path("c.log"), 4, 1, NULL) == 0);
	put(&log, "one\n");
	put(&log, "two\n");
	CHECK(has_text("c.log", "two\n"));
	CHECK(access(temp_path("c.log.1"), F_OK) != 0);
	CHECK(log.generation == 1);
	log_file_close(&log);
}

static void appends_and_ends_a_half_line(void)
{
	struct log_file log;
	clear();
	write_text(temp_path("c.log"), "whole\nhal");
	CHECK(log_file_open(&log, temp_path("c.log"), 0, 1, NULL) == 0);
	put(&log, "next\n");
	CHECK(has_text("c.log", "whole\nhal\nnext\n"));
	CHECK(log.size == 15);
	log_file_close(&log);
}

/* A file size limit stands for the full disk: the write is cut short, the next one fails. */
static void a_failed_write_leaves_whole_entries(void)
{
	struct log_file log;
	struct rlimit before;
	clear();
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	CHECK(log_file_open(&log, temp_path("c.log"), 0, 1, NULL) == 0);
	put(&log, "0123456\n");
	struct rlimit limit = {.rlim_cur = 20, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &limit);
	put(&log, "aaaa\nbbbb\ncccc\n");
	setrlimit(RLIMIT_FSIZE, &before);
	CHECK(has_text("c.log", "0123456\naaaa\nbbbb\n"));
	CHECK(log.lost == 5);
	CHECK(log.size == 18);
	put(&log, "dddd\n");
	CHECK(has_text("c.log", "0123456\naaaa\nbbbb\ndddd\n"));
	log_file_close(&log);
}

static void reopens_after_a_move(void)
{
	struct log_file log;
	clear();
	CHECK(log_file_open(&log, temp_path("c.log"), 0, 1, NULL) == 0);
	put(&log, "one\n");
	uint64_t inode = log.inode;
	rename(temp_path("c.log"), temp_path("c.log.1"));
	put(&log, "two\n");
	CHECK(log_file_reopen(&log, NULL) == 0);
	put(&log, "three\n");
	CHECK(has_text("c.log.1", "one\ntwo\n"));
	CHECK(has_text("c.log", "three\n"));
	CHECK(log.inode != inode);
	CHECK(log.generation == 1);
	CHECK(log_file_reopen(&log, NULL) == 0);
	CHECK(log.generation == 1);
	log_file_close(&log);
}

static void truncates_all(void)
{
	struct log_file log;
	clear();
	CHECK(log_file_open(&log, temp_path("c.log"), 4, 3, NULL) == 0);
	put(&log, "one\n");
	put(&log, "two\n");
	CHECK(log_file_truncate(&log, NULL) == 0);
	CHECK(has_text("c.log", ""));
	CHECK(access(temp_path("c.log.1"), F_OK) != 0);
	CHECK(log.size == 0);
	log_file_close(&log);
}

static void refuses_what_is_no_file(void)
{
	struct log_file log;
	struct err err = {0};
	clear();
	CHECK(log_file_open(&log, "relative", 0, 1, &err) == -EINVAL);
	CHECK(log_file_open(&log, temp_path("no/c.log"), 0, 1, &err) == -ENOENT);
	CHECK(mkfifo(temp_path("c.log"), 0600) == 0);
	CHECK(log_file_open(&log, temp_path("c.log"), 0, 1, &err) == -EINVAL);
	clear();
	CHECK(symlink("elsewhere", temp_path("c.log")) == 0);
	CHECK(log_file_open(&log, temp_path("c.log"), 0, 1, &err) == -ELOOP);
}

int main(void)
{
	static const char *const NAMES[] = {"c.log", "c.log.1", "c.log.2", "c.log.3", NULL};
	RUN("log file: rotates by size and keeps so many files", rotates_and_keeps_so_many);
	RUN("log file: a single file is emptied", one_file_is_emptied);
	RUN("log file: appends after ending a half line", appends_and_ends_a_half_line);
	RUN("log file: a failed write leaves whole entries and is counted",
	    a_failed_write_leaves_whole_entries);
	RUN("log file: reopens after a move", reopens_after_a_move);
	RUN("log file: truncates all files", truncates_all);
	RUN("log file: refuses what is no regular file", refuses_what_is_no_file);
	remove_temp_dir(NAMES);
	return TEST_RESULT();
}
