#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "shim/shim.h"

#define LAUNCH_FD 3

/* Descriptors 0 to 2 exist, nothing above 3 does. Returns the launch connection or -1. */
static int take_descriptors(void)
{
	int null_fd = -1;
	do {
		null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (null_fd >= 0 && null_fd < 3);
	int type = 0;
	socklen_t size = sizeof(type);
	bool has_launch = null_fd != LAUNCH_FD &&
			  getsockopt(LAUNCH_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
			  type == SOCK_STREAM;
	unsigned first = has_launch ? LAUNCH_FD + 1 : LAUNCH_FD;
	if (syscall(SYS_close_range, first, ~0U, 0) != 0) {
		for (int fd = (int)first; fd < 4096; fd++) {
			close(fd);
		}
	}
	if (!has_launch) {
		return -1;
	}
	fcntl(LAUNCH_FD, F_SETFD, FD_CLOEXEC);
	fcntl(LAUNCH_FD, F_SETFL, O_RDWR | O_NONBLOCK);
	return LAUNCH_FD;
}

static int read_config(struct shim_config *config, char **text, struct err *err)
{
	cleanup_close int fd = open("shim.conf", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat stat = {0};
	if (fd < 0 || fstat(fd, &stat) != 0) {
		return err_set(err, errno, "open shim.conf");
	}
	if (stat.st_size > CONFIG_SIZE_MAX) {
		return err_refuse(err, EINVAL, "shim.conf is too long");
	}
	cleanup_free char *buffer = malloc((size_t)stat.st_size + 1);
	ssize_t size = buffer == NULL ? -1 : RETRY(read(fd, buffer, (size_t)stat.st_size));
	if (size < 0) {
		return err_set(err, errno, "read shim.conf");
	}
	int result = config_parse(config, buffer, (size_t)size, err);
	if (result != 0) {
		return err_wrap(err, "shim.conf");
	}
	*text = steal_pointer(&buffer);
	return 0;
}

/* Listens at shim.sock in the working folder. A socket nobody listens at is replaced. */
static int listen_clients(struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
	cleanup_close int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe >= 0 && connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0) {
		return err_refuse(err, EADDRINUSE, "a shim is running in this folder already");
	}
	unlink(SOCKET_NAME);
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0177);
	int result = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (result != 0 || listen(fd, 64) != 0) {
		return err_set(err, errno, "listen at %s", SOCKET_NAME);
	}
	return steal_fd(&fd);
}

static void write_small(const char *path, int flags, const char *text)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0600);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0) {
		return; /* best effort in every use */
	}
}

static int read_oom_score(void)
{
	char text[16] = {0};
	cleanup_close int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0) {
		return 0;
	}
	return (int)strtol(text, NULL, 10);
}

/* The detached process: own session, no terminal, parent of what loses its parent below it. */
static void settle(struct shim *shim)
{
	char text[64];
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++) {
		dup2(null_fd, fd);
	}
	close(null_fd);
	shim->oom_score = read_oom_score();
	/* The kernel shall take the container, not its supervisor. May be refused; then it is as
	 * the engine is. */
	write_small("/proc/self/oom_score_adj", 0, "-998");
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	write_small(PID_NAME, O_CREAT | O_TRUNC, text);
}

static int prepare(struct shim *shim, const char *run_dir, char **text, struct err *err)
{
	if (run_dir[0] != '/' || chdir(run_dir) != 0) {
		return err_set(err, run_dir[0] != '/' ? EINVAL : errno, "run folder %s", run_dir);
	}
	shim->run_dir = run_dir;
	int result = read_config(&shim->config, text, err);
	if (result != 0) {
		return result;
	}
	int listen_fd = listen_clients(err);
	if (listen_fd < 0) {
		return listen_fd;
	}
	if (unlink(shim->config.exit_record) != 0 && errno != ENOENT) {
		close(listen_fd);
		return err_set(err, errno, "remove the old exit record");
	}
	if (shim->config.log_path != NULL && json_log_open(&shim->log, &shim->config, err) != 0) {
		close(listen_fd);
		return -err->code;
	}
	return listen_fd;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	char *config_text = NULL;
	if (argc != 2 || argv[1][0] == '-') {
		printf("gantry-shim, protocol %d\nusage: gantry-shim RUN_DIR\n", PROTOCOL_VERSION);
		return argc == 2 && strcmp(argv[1], "--version") == 0 ? 0 : 2;
	}
	int launch_fd = take_descriptors();
	struct shim *shim = mmap(NULL, sizeof(*shim), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (shim == MAP_FAILED) {
		dprintf(2, "gantry-shim: %s\n", strerror(errno));
		return 1;
	}
	umask(077);
	int listen_fd = prepare(shim, argv[1], &config_text, &err);
	if (listen_fd < 0) {
		dprintf(2, "gantry-shim: %s\n", err.message);
		free(config_text);
		return 1;
	}
	/* Blocked before the fork: no child of the detached process can end unseen. */
	sigset_t mask;
	sigfillset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	pid_t pid = fork();
	if (pid != 0) {
		if (pid < 0) {
			dprintf(2, "gantry-shim: fork: %s\n", strerror(errno));
		}
		_exit(pid < 0 ? 1 : 0);
	}
	settle(shim);
	int status = shim_run(shim, listen_fd, launch_fd);
	if (!shim->is_gone) {
		/* Otherwise it was done, and a successor may live here by now. */
		unlink(SOCKET_NAME);
		unlink(PID_NAME);
	}
	free(shim->failure);
	free(config_text);
	return status;
}
