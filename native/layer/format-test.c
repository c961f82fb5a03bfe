/* sha256, crc32, gunzip, pax, tar reader and writer. */
#include "common/cleanup.h"
#include "common/test.h"
#include "layer/crc32.h"
#include "layer/inflate.h"
#include "layer/pax.h"
#include "layer/sha256.h"
#include "layer/tar-build.h"
#include "layer/tar-reader.h"
#include "layer/tar-writer.h"

#include <fcntl.h>
#include <sys/mman.h>

static struct tar_build tar;

static void hash_of(void (*init)(struct sha256 *), const void *data, size_t size, size_t piece,
		    char hex[SHA256_HEX_SIZE])
{
	struct sha256 hash;
	init(&hash);
	for (size_t at = 0; at < size; at += piece) {
		sha256_update(&hash, (const char *)data + at,
			      size - at < piece ? size - at : piece);
	}
	sha256_final(&hash, hex);
}

static void sha256_knows_the_standard_answers(void)
{
	char hex[SHA256_HEX_SIZE];
	hash_of(sha256_init, "", 0, 1, hex);
	CHECK(strcmp(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") == 0);
	hash_of(sha256_init, "abc", 3, 3, hex);
	CHECK(strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0);
}

static void sha256_is_the_same_in_pieces_and_without_instructions(void)
{
	char data[1000], first[SHA256_HEX_SIZE], other[SHA256_HEX_SIZE];
	for (size_t i = 0; i < sizeof(data); i++) {
		data[i] = (char)(i * 7);
	}
	for (size_t size = 0; size < sizeof(data); size += 37) {
		hash_of(sha256_init_portable, data, size, sizeof(data), first);
		for (size_t piece = 1; piece < 200; piece += 21) {
			hash_of(sha256_init, data, size, piece, other);
			CHECK(strcmp(first, other) == 0);
		}
	}
}

static void crc32_knows_the_standard_answer(void)
{
	CHECK(crc32_update(0, (const uint8_t *)"123456789", 9) == 0xcbf43926);
	uint32_t parts = crc32_update(0, (const uint8_t *)"1234", 4);
	CHECK(crc32_update(parts, (const uint8_t *)"56789", 5) == 0xcbf43926);
}

struct gzip_case {
	const uint8_t *in;
	size_t in_size, step;
	char out[4096];
	size_t out_size;
};

static ssize_t case_read(void *context, uint8_t *buffer, size_t size, struct err *err)
{
	(void)err;
	struct gzip_case *c = context;
	size_t part = c->in_size < c->step ? c->in_size : c->step;
	part = part < size ? part : size;
	memcpy(buffer, c->in, part);
	c->in += part;
	c->in_size -= part;
	return (ssize_t)part;
}

static int case_write(void *context, const uint8_t *data, size_t size, struct err *err)
{
	(void)err;
	struct gzip_case *c = context;
	if (c->out_size + size > sizeof(c->out)) {
		return -EFBIG;
	}
	memcpy(c->out + c->out_size, data, size);
	c->out_size += size;
	return 0;
}

static int decode(struct gzip_case *c, const uint8_t *in, size_t size, size_t step)
{
	struct err err = {0};
	*c = (struct gzip_case){.in = in, .in_size = size, .step = step};
	struct gunzip_io io = {.context = c, .read = case_read, .write = case_write};
	return gunzip(&io, &err);
}

/* "abcabcabcabcabcabcabcabc, hello hello hello" twice, fixed codes. */
static const uint8_t FIXED[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
				0x03, 0x4b, 0x4c, 0x4a, 0x4e, 0xc4, 0x86, 0x00, 0x36,
				0x0c, 0x5b, 0x84, 0x12, 0x00, 0x00, 0x00};
/* "hello" stored, with a file name in the header. */
static const uint8_t STORED[] = {0x1f, 0x8b, 0x08, 0x08, 0,    0,    0,	   0,	0,   3,	  'n',
				 'a',  0,    0x01, 0x05, 0x00, 0xfa, 0xff, 'h', 'e', 'l', 'l',
				 'o',  0x86, 0xa6, 0x10, 0x36, 5,    0,	   0,	0};

static void gunzip_decodes_stored_blocks_and_members(void)
{
	struct gzip_case *c = malloc(sizeof(*c));
	for (size_t step = 1; step < 40; step += 6) {
		CHECK(decode(c, STORED, sizeof(STORED), step) == 0);
		CHECK(c->out_size == 5 && memcmp(c->out, "hello", 5) == 0);
	}
	uint8_t twice[2 * sizeof(STORED) + 10] = {0};
	memcpy(twice, STORED, sizeof(STORED));
	memcpy(twice + sizeof(STORED), STORED, sizeof(STORED));
	CHECK(decode(c, twice, sizeof(twice), 7) == 0);
	CHECK(c->out_size == 10 && memcmp(c->out, "hellohello", 10) == 0);
	free(c);
}

static void gunzip_refuses_what_is_damaged(void)
{
	struct gzip_case *c = malloc(sizeof(*c));
	for (size_t size = 0; size < sizeof(STORED); size++) {
		CHECK(decode(c, STORED, size, 64) == -EBADMSG);
	}
	uint8_t copy[sizeof(STORED)];
	for (size_t at = 14; at < sizeof(STORED); at++) {
		memcpy(copy, STORED, sizeof(copy));
		copy[at] ^= 0x40;
		CHECK(decode(c, copy, sizeof(copy), 64) < 0);
	}
	/* Whatever bytes: an answer, no crash. */
	for (size_t at = 0; at < sizeof(FIXED); at++) {
		uint8_t other[sizeof(FIXED)];
		for (int bit = 0; bit < 8; bit++) {
			memcpy(other, FIXED, sizeof(other));
			other[at] ^= (uint8_t)(1 << bit);
			decode(c, other, sizeof(other), 3);
		}
	}
	free(c);
}

static void pax_times_and_numbers(void)
{
	static const struct {
		const char *text;
		int is_right;
		int64_t sec;
		uint32_t nsec;
	} cases[] = {
		{"12", 1, 12, 0},
		{"12.5", 1, 12, 500000000},
		{"12.123456789999", 1, 12, 123456789},
		{"-1.25", 1, -2, 750000000},
		{"-3", 1, -3, 0},
		{"", 0, 0, 0},
		{"1x", 0, 0, 0},
		{"1.x", 0, 0, 0},
		{"99999999999999999999", 0, 0, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pax_record record = {.value = cases[i].text,
					    .value_size = strlen(cases[i].text)};
		int64_t sec = 0;
		uint32_t nsec = 0;
		int result = pax_time(&record, &sec, &nsec);
		CHECK((result == 0) == cases[i].is_right);
		CHECK(!cases[i].is_right || (sec == cases[i].sec && nsec == cases[i].nsec));
	}
}

static void pax_refuses_malformed_records(void)
{
	static const char *const cases[] = {"",
					    "x=y\n",
					    "5 x=y",
					    "99 x=y\n",
					    "6x=yz\n",
					    "4 =\n",
					    "6 =yz\n",
					    "6 xyz\n",
					    "0 x=y\n",
					    "3 \n",
					    "18446744073709551617 x=y\n"};
	for (size_t i = 1; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {0};
		struct pax_cursor cursor = {.at = cases[i], .end = cases[i] + strlen(cases[i])};
		struct pax_record record;
		CHECK(pax_next(&cursor, &record, &err) == -EBADMSG);
	}
}

static void numbers_of_all_kinds(void)
{
	int64_t values[] = {0, 7, 0777, 07777777, 010000000, 1LL << 40, INT64_MAX, -1, INT64_MIN};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint8_t field[12];
		int64_t read = 42;
		tar_put_number(field, sizeof(field), values[i]);
		CHECK(tar_number(field, sizeof(field), &read) == 0 && read == values[i]);
	}
	int64_t read;
	CHECK(tar_number((const uint8_t *)"  17 \0\0\0", 8, &read) == 0 && read == 15);
	CHECK(tar_number((const uint8_t *)"0000018\0", 8, &read) < 0);
	CHECK(tar_number((const uint8_t *)"17 17\0\0\0", 8, &read) < 0);
	uint8_t huge[12] = {0x80, 1};
	CHECK(tar_number(huge, sizeof(huge), &read) < 0);
}

/* Reads `tar` in pieces of every size; the last member's entry and data, or the failure. */
struct reading {
	int result, count;
	struct tar_entry entry;
	struct tar_segment segments[8];
	char pax[512];
	char data[2048];
	size_t data_size;
	struct err err;
};

static void read_archive(struct reading *r, size_t piece)
{
	memset(r, 0, sizeof(*r));
	struct memory_source source;
	memory_source_init(&source, tar.data, tar.size, piece);
	struct tar_reader *reader;
	if (tar_reader_new(&reader, &source.base, &r->err) < 0) {
		r->result = -ENOMEM;
		return;
	}
	const struct tar_entry *entry;
	while ((r->result = tar_reader_next(reader, &entry, &r->err)) > 0) {
		r->count++;
		r->entry = *entry;
		for (size_t i = 0; i < entry->segment_count && i < 8; i++) {
			r->segments[i] = entry->segments[i];
		}
		r->data_size = 0;
		const uint8_t *data;
		ssize_t got;
		while ((got = tar_reader_data(reader, &data, &r->err)) > 0) {
			if (r->data_size + (size_t)got <= sizeof(r->data)) {
				memcpy(r->data + r->data_size, data, (size_t)got);
			}
			r->data_size += (size_t)got;
		}
		if (got < 0) {
			r->result = (int)got;
			break;
		}
	}
	tar_reader_free(reader);
}

static struct reading now;

static void reader_takes_members_in_pieces(void)
{
	tar.size = 0;
	build_member(&tar, &(struct member){.name = "a/", .type = '5', .mode = 0755});
	build_member(&tar, &(struct member){.name = "a/b", .content = "hello"});
	build_end(&tar);
	for (size_t piece = 0; piece < 1100; piece += 113) {
		read_archive(&now, piece);
		CHECK(now.result == 0 && now.count == 2);
		CHECK(strcmp(now.entry.name, "a/b") == 0 && now.entry.type == TAR_FILE);
		CHECK(now.data_size == 5 && memcmp(now.data, "hello", 5) == 0);
	}
}

static void reader_takes_long_names(void)
{
	char name[300], link[300];
	memset(name, 'n', 299);
	memset(link, 'l', 299);
	name[299] = link[299] = 0;
	tar.size = 0;
	build_member(&tar, &(struct member){.name = "././@LongLink", .type = 'L', .content = name});
	build_member(&tar, &(struct member){.name = "././@LongLink", .type = 'K', .content = link});
	build_member(&tar, &(struct member){.name = "short", .type = '2', .link = "short"});
	build_end(&tar);
	read_archive(&now, 100);
	CHECK(now.result == 0 && now.count == 1);
	CHECK(strcmp(now.entry.name, name) == 0 && strcmp(now.entry.link, link) == 0);

	tar.size = 0;
	build_pax(&tar, 'g', "path=global\nuid=12345\n");
	build_pax(&tar, 'x', "path=local\nlinkpath=where it is\nmtime=1600000000.123456\n");
	build_member(&tar, &(struct member){.name = "short", .type = '2', .link = "short"});
	build_end(&tar);
	read_archive(&now, 0);
	CHECK(now.result == 0 && now.count == 1);
	CHECK(strcmp(now.entry.name, "local") == 0 && now.entry.uid == 12345);
	CHECK(strcmp(now.entry.link, "where it is") == 0);
	CHECK(now.entry.mtime_sec == 1600000000 && now.entry.mtime_nsec == 123456000);
}

static void reader_takes_a_prefix(void)
{
	tar.size = 0;
	uint8_t *block = build_header(&tar, &(struct member){.name = "name"});
	memcpy(block + 345, "some/folder", 11);
	tar_put_checksum(block);
	build_end(&tar);
	read_archive(&now, 0);
	CHECK(now.result == 0 && strcmp(now.entry.name, "some/folder/name") == 0);
}

static void reader_takes_sparse_files(void)
{
	/* 0.0 */
	tar.size = 0;
	build_pax(&tar, 'x',
		  "GNU.sparse.size=50\nGNU.sparse.numblocks=2\n"
		  "GNU.sparse.offset=0\nGNU.sparse.numbytes=3\n"
		  "GNU.sparse.offset=40\nGNU.sparse.numbytes=2\n");
	build_member(&tar, &(struct member){.name = "sparse", .content = "abcde"});
	/* 0.1 */
	build_pax(&tar, 'x',
		  "GNU.sparse.size=50\nGNU.sparse.map=0,3,40,2\nGNU.sparse.name=real1\n");
	build_member(&tar, &(struct member){.name = "sparse", .content = "abcde"});
	build_end(&tar);
	read_archive(&now, 0);
	CHECK(now.result == 0 && now.count == 2 && strcmp(now.entry.name, "real1") == 0);
	CHECK(now.entry.is_sparse && now.entry.size == 50 && now.entry.segment_count == 2);
	CHECK(now.segments[1].offset == 40 && now.segments[1].length == 2);
	CHECK(now.data_size == 5 && memcmp(now.data, "abcde", 5) == 0);
	/* 1.0: the map is in the data. */
	char content[512 + 5] = "2\n0\n3\n40\n2\n";
	memcpy(content + 512, "abcde", 5);
	tar.size = 0;
	build_pax(&tar, 'x',
		  "GNU.sparse.major=1\nGNU.sparse.minor=0\nGNU.sparse.realsize=50\n"
		  "GNU.sparse.name=real\n");
	build_member(&tar, &(struct member){.name = "sparse", .content = content, .size = 517});
	build_end(&tar);
	read_archive(&now, 60);
	CHECK(now.result == 0 && strcmp(now.entry.name, "real") == 0);
	CHECK(now.entry.stored_size == 5 && now.entry.size == 50 && now.entry.segment_count == 2);
	CHECK(now.data_size == 5 && memcmp(now.data, "abcde", 5) == 0);
	/* GNU's old form, with an extension block. */
	tar.size = 0;
	uint8_t *block = build_header(
		&tar, &(struct member){.name = "old", .type = 'S', .content = "abcde"});
	tar_put_number(block + 386, 12, 0);
	tar_put_number(block + 398, 12, 3);
	block[482] = 1;
	tar_put_number(block + 483, 12, 50);
	memcpy(block + 257, "ustar  ", 8);
	tar_put_checksum(block);
	uint8_t extension[TAR_BLOCK] = {0};
	tar_put_number(extension, 12, 40);
	tar_put_number(extension + 12, 12, 2);
	build_data(&tar, extension, sizeof(extension));
	build_data(&tar, "abcde", 5);
	build_end(&tar);
	read_archive(&now, 0);
	CHECK(now.result == 0 && now.count == 1 && now.entry.size == 50);
	CHECK(now.segments[1].offset == 40 && now.data_size == 5);
}

static void reader_refuses_lying_sparse_maps(void)
{
	static const char *const maps[] = {
		"GNU.sparse.size=50\nGNU.sparse.map=0,3,40,9\n", /* more than is stored */
		"GNU.sparse.size=41\nGNU.sparse.map=0,3,40,2\n", /* beyond the end */
		"GNU.sparse.size=50\nGNU.sparse.map=9,3,1,2\n",	 /* backwards */
		"GNU.sparse.size=50\nGNU.sparse.map=0,3,40\n",	 /* half a pair */
		"GNU.sparse.size=50\nGNU.sparse.map=9223372036854775807,5\n",
	};
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		tar.size = 0;
		build_pax(&tar, 'x', maps[i]);
		build_member(&tar, &(struct member){.name = "sparse", .content = "abcde"});
		build_end(&tar);
		read_archive(&now, 0);
		CHECK(now.result == -LAYER_REFUSED);
	}
}

static void reader_refuses_what_is_no_archive(void)
{
	tar.size = 0;
	build_member(&tar, &(struct member){.name = "a", .content = "hello"});
	build_end(&tar);
	size_t whole = tar.size;
	/* Cut anywhere but between members. */
	for (size_t size = 1; size < whole - 2 * TAR_BLOCK; size += 50) {
		tar.size = size;
		read_archive(&now, 0);
		CHECK(now.result == -LAYER_REFUSED);
	}
	tar.size = whole;
	tar.data[3] ^= 1;
	read_archive(&now, 0);
	CHECK(now.result == -LAYER_REFUSED);
	tar.size = 0;
	build_member(&tar, &(struct member){.name = "a", .type = 'V'});
	build_end(&tar);
	read_archive(&now, 0);
	CHECK(now.result == -LAYER_REFUSED);
	/* A header for a member that never comes. */
	tar.size = 0;
	build_pax(&tar, 'x', "path=local\n");
	build_end(&tar);
	read_archive(&now, 0);
	CHECK(now.result == -LAYER_REFUSED);
	/* Nothing at all is an empty archive. */
	tar.size = 0;
	read_archive(&now, 0);
	CHECK(now.result == 0 && now.count == 0);
}

static void reader_bounds_its_memory(void)
{
	tar.size = 0;
	uint8_t *block = build_header(&tar, &(struct member){.name = "pax", .type = 'x'});
	tar_put_number(block + 124, 12, 1LL << 40);
	tar_put_checksum(block);
	read_archive(&now, 0);
	CHECK(now.result == -LAYER_REFUSED);
	tar.size = 0;
	block = build_header(&tar, &(struct member){.name = "long", .type = 'L'});
	tar_put_number(block + 124, 12, 1LL << 40);
	tar_put_checksum(block);
	read_archive(&now, 0);
	CHECK(now.result == -LAYER_REFUSED);
	tar.size = 0;
	block = build_header(&tar, &(struct member){.name = "negative"});
	memset(block + 124, 0xff, 12);
	tar_put_checksum(block);
	read_archive(&now, 0);
	CHECK(now.result == -LAYER_REFUSED);
}

static void writer_output_is_read_back(void)
{
	struct err err = {0};
	struct tar_entry *entry = calloc(1, sizeof(*entry));
	cleanup_close int out = memfd_create("tar", MFD_CLOEXEC);
	cleanup_close int in = memfd_create("file", MFD_CLOEXEC);
	struct tar_writer *writer;
	CHECK(write(in, "hello", 5) == 5 && lseek(in, 0, SEEK_SET) == 0);
	CHECK(tar_writer_new(&writer, out, &err) == 0);
	memset(entry->name, 'n', 250);
	entry->type = TAR_FILE;
	entry->size = 8; /* three bytes short: filled up */
	entry->mode = 04755;
	entry->uid = 4000000000;
	entry->gid = 7;
	entry->mtime_sec = -2;
	entry->mtime_nsec = 250000000;
	CHECK(tar_writer_xattr(writer, "user.x", "a\0b\n", 4, &err) == 0);
	CHECK(tar_writer_member(writer, entry, &err) == 0);
	CHECK(tar_writer_copy(writer, in, &err) == 0);
	CHECK(tar_writer_end(writer, &err) == 0);
	tar_writer_free(writer);
	ssize_t size = pread(out, tar.data, sizeof(tar.data), 0);
	tar.size = size < 0 ? 0 : (size_t)size;
	read_archive(&now, 0);
	CHECK(now.result == 0 && now.count == 1 && strlen(now.entry.name) == 250);
	CHECK(now.entry.mode == 04755 && now.entry.uid == 4000000000 && now.entry.gid == 7);
	CHECK(now.entry.mtime_sec == -2 && now.entry.mtime_nsec == 250000000);
	CHECK(now.data_size == 8 && memcmp(now.data, "hello\0\0\0", 8) == 0);
	free(entry);
}

int main(void)
{
	RUN("sha256: knows the standard answers", sha256_knows_the_standard_answers);
	RUN("sha256: is the same in pieces and without instructions",
	    sha256_is_the_same_in_pieces_and_without_instructions);
	RUN("crc32: knows the standard answer", crc32_knows_the_standard_answer);
	RUN("gunzip: decodes stored blocks and several members",
	    gunzip_decodes_stored_blocks_and_members);
	RUN("gunzip: refuses what is damaged", gunzip_refuses_what_is_damaged);
	RUN("pax: times and numbers", pax_times_and_numbers);
	RUN("pax: refuses malformed records", pax_refuses_malformed_records);
	RUN("tar: numbers of all kinds", numbers_of_all_kinds);
	RUN("tar: members in pieces of any size", reader_takes_members_in_pieces);
	RUN("tar: long names, local and global headers", reader_takes_long_names);
	RUN("tar: a name with a prefix", reader_takes_a_prefix);
	RUN("tar: sparse files of every kind", reader_takes_sparse_files);
	RUN("tar: refuses lying sparse maps", reader_refuses_lying_sparse_maps);
	RUN("tar: refuses what is no archive", reader_refuses_what_is_no_archive);
	RUN("tar: bounds its memory", reader_bounds_its_memory);
	RUN("tar: what is written is read back", writer_output_is_read_back);
	return TEST_RESULT();
}
