/* Archives into trees: features, and attacks. Runs without root (owners are the caller's). */
#include "common/cleanup.h"
#include "common/test.h"
#include "layer/extract.h"
#include "layer/spool.h"
#include "layer/tar-build.h"
#include "layer/tree.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct tar_build tar;
static char base[64];
/* `outside` is beside the target: whatever an archive does, it stays empty. */
static int outside, target;

static void enter_fresh_folder(void)
{
	strcpy(base, "/tmp/gantry-extract-XXXXXX");
	CHECK(mkdtemp(base) != NULL);
	char path[128];
	snprintf(path, sizeof(path), "%s/outside", base);
	CHECK(mkdir(path, 0700) == 0);
	outside = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/target", base);
	CHECK(mkdir(path, 0700) == 0);
	target = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tar.size = 0;
}

static int count_names(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *stream = fdopendir(fd);
	int count = -2;
	while (stream != NULL && readdir(stream) != NULL) {
		count++;
	}
	return count;
}

static void leave_folder(void)
{
	CHECK(count_names(outside) == 0);
	close(outside);
	close(target);
	struct err err = {0};
	cleanup_close int above = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(tree_remove(above, base + strlen("/tmp/"), &err) == 0);
}

static void add(const char *name, char type, const char *link, const char *content)
{
	build_member(&tar, &(struct member){.name = name,
					    .type = type,
					    .link = link,
					    .content = content,
					    .uid = getuid(),
					    .gid = getgid(),
					    .mode = type == '5' ? 0755 : 0644});
}

static struct err err;

static int unpack(enum extract_format format)
{
	build_end(&tar);
	memset(&err, 0, sizeof(err));
	struct memory_source source;
	memory_source_init(&source, tar.data, tar.size, 700);
	struct tar_reader *reader;
	if (tar_reader_new(&reader, &source.base, &err) < 0) {
		return -ENOMEM;
	}
	struct extract_options options = {.format = format, .root = target};
	struct extract_result result;
	int status = extract(reader, &options, &result, &err);
	tar_reader_free(reader);
	tar.size = 0;
	return status;
}

static int has(const char *path, mode_t kind)
{
	struct stat st;
	return fstatat(target, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (st.st_mode & S_IFMT) == kind;
}

static int has_text(const char *path, const char *text)
{
	char buffer[64];
	cleanup_close int fd = openat(target, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer));
	return got == (ssize_t)strlen(text) && memcmp(buffer, text, (size_t)got) == 0;
}

static void makes_every_kind(void)
{
	enter_fresh_folder();
	add("./", '5', NULL, NULL);
	add("./d/", '5', NULL, NULL);
	add("d/f", '0', NULL, "text");
	add("implied/deep/f", '0', NULL, "x");
	add("d/hard", '1', "d/f", NULL);
	add("d/absolute-hard", '1', "/d/f", NULL);
	add("link", '2', "/anywhere/at/all", NULL);
	add("fifo", '6', NULL, NULL);
	CHECK(unpack(EXTRACT_ORDINARY) == 0);
	struct stat a, b, c;
	CHECK(has_text("d/f", "text") && has("link", S_IFLNK) && has("fifo", S_IFIFO));
	CHECK(has("implied/deep", S_IFDIR));
	CHECK(fstatat(target, "d/f", &a, 0) == 0 && fstatat(target, "d/hard", &b, 0) == 0 &&
	      fstatat(target, "d/absolute-hard", &c, 0) == 0);
	CHECK(a.st_ino == b.st_ino && a.st_ino == c.st_ino && a.st_nlink == 3);
	CHECK(fstatat(target, "d", &a, 0) == 0 && a.st_mtim.tv_sec == 1700000000);
	leave_folder();
}

static void replaces_what_is_there(void)
{
	enter_fresh_folder();
	add("x", '0', NULL, "one");
	add("x", '0', NULL, "two");
	add("d/a", '0', NULL, "a");
	add("d", '0', NULL, "file now");
	add("x/", '5', NULL, NULL);
	add("l", '2', "x", NULL);
	add("l", '0', NULL, "no link");
	CHECK(unpack(EXTRACT_ORDINARY) == 0);
	CHECK(has_text("d", "file now") && has("x", S_IFDIR) && has_text("l", "no link"));
	leave_folder();
}

static void links_stay_inside(void)
{
	enter_fresh_folder();
	char to_outside[128];
	snprintf(to_outside, sizeof(to_outside), "%s/outside", base);
	add("absolute", '2', to_outside, NULL);
	add("absolute/evil", '0', NULL, "x");
	add("up", '2', "../outside", NULL);
	add("up/evil", '0', NULL, "x");
	add("chain", '2', "up/../../outside", NULL);
	add("chain/evil", '0', NULL, "x");
	CHECK(unpack(EXTRACT_ORDINARY) == 0);
	/* The root is as far up as a link leads. */
	CHECK(has_text("outside/evil", "x"));
	leave_folder();
}

static void nothing_is_written_through_what_is_there(void)
{
	enter_fresh_folder();
	char victim[128];
	snprintf(victim, sizeof(victim), "%s/victim", base);
	cleanup_close int fd = open(victim, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(write(fd, "safe", 4) == 4);
	/* A link put there by somebody else, as in a folder that a container owns. */
	CHECK(symlinkat(victim, target, "way") == 0 &&
	      linkat(AT_FDCWD, victim, target, "name", 0) == 0);
	add("way", '0', NULL, "evil");
	add("name", '0', NULL, "evil");
	CHECK(unpack(EXTRACT_ORDINARY) == 0);
	char text[8] = "";
	CHECK(pread(fd, text, sizeof(text), 0) == 4 && memcmp(text, "safe", 4) == 0);
	CHECK(has_text("way", "evil") && has_text("name", "evil"));
	leave_folder();
}

static void attacks_are_refused(void)
{
	static const struct {
		const char *name;
		char type;
		const char *link;
	} attacks[] = {
		{"../evil", '0', NULL},
		{"a/../../evil", '0', NULL},
		{"a/..", '5', NULL},
		{"..", '5', NULL},
		{"/evil", '0', NULL},
		{"evil", '1', "../victim"},
		{"evil", '1', "a/../../victim"},
		{"evil", '1', "missing"},
		{"evil", '1', "."},
		{"evil", '1', "d"},
		{"evil", '2', NULL},
		{"./", '2', "outside"},
		{".wh...", '0', NULL},
		{".wh..", '0', NULL},
		{".wh.", '0', NULL},
		{"d/.wh...", '0', NULL},
		{"loop/evil", '0', NULL},
		{"file/evil", '0', NULL},
	};
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		enter_fresh_folder();
		add("d/", '5', NULL, NULL);
		add("loop", '2', "loop", NULL);
		add("file", '0', NULL, "f");
		add(attacks[i].name, attacks[i].type, attacks[i].link, NULL);
		int status = unpack(EXTRACT_PLAIN);
		int is_right = status == -LAYER_REFUSED || status == -ELOOP;
		if (!is_right) {
			printf("# %s -> %s: %d %s\n", attacks[i].name,
			       attacks[i].link == NULL ? "" : attacks[i].link, status, err.message);
		}
		CHECK(is_right);
		leave_folder();
	}
}

static void ordinary_names_are_read_as_in_a_chroot(void)
{
	enter_fresh_folder();
	add("../foo", '0', NULL, "f");
	add("/bar", '0', NULL, "b");
	add("sub/../../../baz", '0', NULL, "z");
	add("also", '1', "../../foo", NULL);
	CHECK(unpack(EXTRACT_ORDINARY) == 0);
	CHECK(has_text("foo", "f") && has_text("bar", "b") && has_text("baz", "z"));
	CHECK(has_text("also", "f") && count_names(target) == 4);
	leave_folder();
}

static void names_that_are_too_long_are_refused(void)
{
	enter_fresh_folder();
	char name[300];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	build_member(&tar, &(struct member){.name = "long", .type = 'L', .content = name});
	add("short", '0', NULL, "x");
	CHECK(unpack(EXTRACT_ORDINARY) == -ENAMETOOLONG);
	leave_folder();
}

static void plain_whiteouts_remove_what_was_there_before(void)
{
	enter_fresh_folder();
	add("keep/old", '0', NULL, "x");
	add("clear/old", '0', NULL, "x");
	add("clear/sub/old", '0', NULL, "x");
	add("gone/deep/old", '0', NULL, "x");
	CHECK(unpack(EXTRACT_PLAIN) == 0);
	add("clear/sub/new", '0', NULL, "x");
	add("clear/.wh..wh..opq", '0', NULL, NULL);
	add("clear/newer", '0', NULL, "x");
	add(".wh.gone", '0', NULL, NULL);
	add("keep/new", '0', NULL, "x");
	add("keep/.wh.new", '0', NULL, NULL);
	add(".wh..wh.plnk/1.2", '0', NULL, "x");
	CHECK(unpack(EXTRACT_PLAIN) == 0);
	CHECK(!has("clear/old", S_IFREG) && !has("clear/sub/old", S_IFREG));
	CHECK(has("clear/sub/new", S_IFREG) && has("clear/newer", S_IFREG));
	CHECK(!has("gone", S_IFDIR) && has("keep/old", S_IFREG));
	/* A whiteout speaks of the layers below, not of its own. */
	CHECK(has("keep/new", S_IFREG) && count_names(target) == 2);
	leave_folder();
}

static void clean_names(void)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{"./a//b/./c/", "a/b/c"}, {"/", ""}, {".", ""}, {"", ""}, {"a", "a"},
		{"...", "..."},
	};
	char out[TAR_NAME_SIZE];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(tree_clean_name(cases[i].from, TREE_NAMES_STRICT, out, &err) == 0);
		CHECK(strcmp(out, cases[i].to) == 0);
	}
	CHECK(tree_clean_name("/a", TREE_NAMES_ABSOLUTE, out, &err) == 0 && strcmp(out, "a") == 0);
	CHECK(tree_clean_name("/a", TREE_NAMES_STRICT, out, &err) < 0);
	CHECK(tree_clean_name("a/..", TREE_NAMES_ABSOLUTE, out, &err) < 0);
	CHECK(tree_clean_name("/a/b/../c", TREE_NAMES_LEXICAL, out, &err) == 0 &&
	      strcmp(out, "a/c") == 0);
	CHECK(tree_clean_name("a/..", TREE_NAMES_LEXICAL, out, &err) == 0 && out[0] == 0);
	CHECK(tree_clean_name("a/../../b", TREE_NAMES_LEXICAL, out, &err) < 0);
	CHECK(tree_clean_name("a/../../../b", TREE_NAMES_CLAMPED, out, &err) == 0 &&
	      strcmp(out, "b") == 0);
}

static void spool_keeps_the_order_beyond_its_buffer(void)
{
	struct spool *spool = malloc(sizeof(*spool));
	struct spool_item *item = malloc(sizeof(*item));
	spool_init(spool, -1);
	char path[1024];
	const int64_t count = 2000;
	for (int64_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%0*d", (int)(i % 900) + 1, (int)i);
		CHECK(spool_add(spool, path, i, (uint32_t)i, &err) == 0);
	}
	CHECK(spool_rewind(spool, &err) == 0);
	int64_t i = 0;
	for (; spool_next(spool, item, &err) > 0; i++) {
		snprintf(path, sizeof(path), "%0*d", (int)(i % 900) + 1, (int)i);
		CHECK(item->sec == i && item->nsec == i && strcmp(item->path, path) == 0);
	}
	CHECK(i == count);
	spool_close(spool);
	free(spool);
	free(item);
}

static void deep_trees_are_removed(void)
{
	enter_fresh_folder();
	int at = fcntl(target, F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 1000; i++) {
		CHECK(mkdirat(at, "dddddddddd", 0700) == 0);
		int next = openat(at, "dddddddddd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = next;
	}
	close(at);
	CHECK(tree_remove(target, "dddddddddd", &err) == 0);
	CHECK(count_names(target) == 0);
	leave_folder();
}

int main(void)
{
	RUN("extract: makes every kind of file", makes_every_kind);
	RUN("extract: replaces what is there", replaces_what_is_there);
	RUN("extract: links stay inside", links_stay_inside);
	RUN("extract: nothing is written through what is there",
	    nothing_is_written_through_what_is_there);
	RUN("extract: attacks are refused", attacks_are_refused);
	RUN("extract: ordinary names are read as in a chroot",
	    ordinary_names_are_read_as_in_a_chroot);
	RUN("extract: names that are too long are refused", names_that_are_too_long_are_refused);
	RUN("extract: plain whiteouts remove what was there before",
	    plain_whiteouts_remove_what_was_there_before);
	RUN("tree: clean names", clean_names);
	RUN("tree: deep trees are removed", deep_trees_are_removed);
	RUN("spool: keeps the order beyond its buffer", spool_keeps_the_order_beyond_its_buffer);
	return TEST_RESULT();
}
