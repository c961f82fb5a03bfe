#include "shim/json-log.h"

#include "common/test.h"
#include "shim/test/temp-dir.h"

#define TIME_1 1700000000000000000U
#define TIME_TEXT "2023-11-14T22:13:20Z"

static struct json_log LOG;

static void begin(const char *attrs, uint64_t max_size)
{
	unlink(temp_path("j.log"));
	unlink(temp_path("j.log.1"));
	struct shim_config config = {
		.log_path = temp_path("j.log"),
		.log_attrs = attrs,
		.log_max_size = max_size,
		.log_max_files = 2,
	};
	CHECK(json_log_open(&LOG, &config, NULL) == 0);
}

static void put(int stream, const char *text)
{
	json_log_write(&LOG, stream, (const uint8_t *)text, strlen(text), TIME_1);
}

static void is_logged(const char *expected)
{
	const char *text = file_text(temp_path("j.log"));
	CHECK(strcmp(text, expected) == 0);
	if (strcmp(text, expected) != 0) {
		printf("# is: %.2000s\n", text);
	}
}

static void an_entry_per_line(void)
{
	begin(NULL, 0);
	put(0, "a\n\nb\n");
	put(1, "e\n");
	is_logged("{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"" TIME_TEXT "\"}\n"
		  "{\"log\":\"\\n\",\"stream\":\"stdout\",\"time\":\"" TIME_TEXT "\"}\n"
		  "{\"log\":\"b\\n\",\"stream\":\"stdout\",\"time\":\"" TIME_TEXT "\"}\n"
		  "{\"log\":\"e\\n\",\"stream\":\"stderr\",\"time\":\"" TIME_TEXT "\"}\n");
	json_log_close(&LOG);
}

static void begun_lines_wait_per_stream(void)
{
	begin(NULL, 0);
	put(0, "out ");
	put(1, "err ");
	struct log_position position = json_log_position(&LOG);
	CHECK(position.offset == 0 && position.skip[0] == 4 && position.skip[1] == 4);
	put(0, "put\nre");
	put(1, "or\n");
	position = json_log_position(&LOG);
	CHECK(position.skip[0] == 2 && position.skip[1] == 0);
	CHECK(position.offset == strlen(file_text(temp_path("j.log"))));
	json_log_end(&LOG, 0, TIME_1);
	json_log_end(&LOG, 1, TIME_1);
	is_logged("{\"log\":\"out put\\n\",\"stream\":\"stdout\",\"time\":\"" TIME_TEXT "\"}\n"
		  "{\"log\":\"err or\\n\",\"stream\":\"stderr\",\"time\":\"" TIME_TEXT "\"}\n"
		  "{\"log\":\"re\",\"stream\":\"stdout\",\"time\":\"" TIME_TEXT "\"}\n");
	json_log_close(&LOG);
}

static void a_character_cut_by_reads_is_whole(void)
{
	begin(NULL, 0);
	put(0, "\xe2\x82");
	put(0, "\xac\n");
	is_logged("{\"log\":\"\xe2\x82\xac\\n\",\"stream\":\"stdout\",\"time\":\"" TIME_TEXT
		  "\"}\n");
	json_log_close(&LOG);
}

static void attributes_come_before_the_time(void)
{
	begin("{\"tag\":\"t\"}", 0);
	put(0, "a\n");
	is_logged("{\"log\":\"a\\n\",\"stream\":\"stdout\",\"attrs\":{\"tag\":\"t\"},"
		  "\"time\":\"" TIME_TEXT "\"}\n");
	json_log_close(&LOG);
}

/* Counts the entries and checks that each of `sizes` bytes of text is one, with a newline only
 * where told. */
static void long_lines_are_cut(void)
{
	static const size_t READS[] = {1, 1000, 16383, 16384, 16385, 40000};
	static uint8_t line[40001];
	memset(line, 'x', sizeof(line) - 1);
	line[40000] = '\n';
	for (size_t r = 0; r < sizeof(READS) / sizeof(READS[0]); r++) {
		begin(NULL, 0);
		for (size_t at = 0; at < sizeof(line); at += READS[r]) {
			size_t left = sizeof(line) - at;
			json_log_write(&LOG, 0, line + at, left < READS[r] ? left : READS[r],
				       TIME_1);
		}
		const char *text = file_text(temp_path("j.log"));
		size_t entries = 0;
		for (const char *at = text; *at != 0; entries++) {
			const char *start = strchr(at, 'x');
			size_t length = start == NULL ? 0 : strspn(start, "x");
			CHECK(length == (entries < 2 ? 16384U : 40000U - 32768U));
			CHECK((strncmp(start + length, "\\n", 2) == 0) == (entries == 2));
			at = strchr(at, '\n') + 1;
		}
		CHECK(entries == 3);
		json_log_close(&LOG);
	}
}

static void a_line_of_exactly_the_limit_ends_in_an_empty_entry(void)
{
	static uint8_t line[16385];
	memset(line, 'x', 16384);
	line[16384] = '\n';
	begin(NULL, 0);
	json_log_write(&LOG, 0, line, sizeof(line), TIME_1);
	const char *second = strchr(file_text(temp_path("j.log")), '\n') + 1;
	CHECK(strncmp(second, "{\"log\":\"\\n\"", 11) == 0);
	json_log_close(&LOG);
}

static void worst_entries_fit(void)
{
	static uint8_t data[65472];
	static char attrs[LOG_ATTRS_MAX + 1];
	memset(attrs, 'a', LOG_ATTRS_MAX);
	memset(data, 0xff, sizeof(data));
	begin(attrs, 0);
	json_log_write(&LOG, 0, data, sizeof(data), TIME_1);
	json_log_end(&LOG, 0, TIME_1);
	CHECK(LOG.file.lost == 0);
	CHECK(LOG.file.size > sizeof(data) * 6);
	json_log_close(&LOG);
}

static void rotates_between_entries_of_a_batch(void)
{
	begin(NULL, 100);
	put(0, "1\n2\n3\n");
	CHECK(LOG.file.generation == 1);
	CHECK(strstr(file_text(temp_path("j.log.1")), "\"2\\n\"") != NULL);
	is_logged("{\"log\":\"3\\n\",\"stream\":\"stdout\",\"time\":\"" TIME_TEXT "\"}\n");
	json_log_close(&LOG);
}

int main(void)
{
	static const char *const NAMES[] = {"j.log", "j.log.1", NULL};
	RUN("json log: an entry for each line", an_entry_per_line);
	RUN("json log: begun lines wait, each stream for itself", begun_lines_wait_per_stream);
	RUN("json log: a character cut by two reads is whole", a_character_cut_by_reads_is_whole);
	RUN("json log: attributes come before the time", attributes_come_before_the_time);
	RUN("json log: lines over 16 KiB are cut the same however they are read",
	    long_lines_are_cut);
	RUN("json log: a line of exactly 16 KiB ends in an entry of its own",
	    a_line_of_exactly_the_limit_ends_in_an_empty_entry);
	RUN("json log: the worst entries fit the buffer", worst_entries_fit);
	RUN("json log: rotates between the entries of a batch", rotates_between_entries_of_a_batch);
	remove_temp_dir(NAMES);
	return TEST_RESULT();
}
