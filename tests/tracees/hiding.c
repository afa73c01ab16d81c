/* Processes, threads and descriptors in places where one might not look. */
#include "tracee.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { UNSHARE_TABLE = 2 }; /* CLOSE_RANGE_UNSHARE */

static int make(const char *name)
{
	int fd = open_raw(name, O_CREAT | O_RDWR);
	expect("openat creat %s", name);
	return fd;
}

static void send_descriptor(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
	struct iovec v = {&byte, 1};
	struct msghdr message = {.msg_iov = &v,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof control};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	NEED(sendmsg(socket, &message, 0));
}

static int receive_descriptor(int socket)
{
	int fd;
	char byte, control[CMSG_SPACE(sizeof fd)];
	struct iovec v = {&byte, 1};
	struct msghdr message = {.msg_iov = &v,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof control};
	NEED(recvmsg(socket, &message, 0));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	return fd;
}

/* A descriptor that another process opened, by message and by pidfd_getfd. */
int tracee_passed(void)
{
	int pair[2], status;
	char byte = 0;
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	expect("openat creat f");
	expect("write write f 0 \"1\"");
	fflush(stdout);
	pid_t pid = (pid_t)NEED(fork());
	if (pid == 0) {
		int fd = open_raw("f", O_CREAT | O_RDWR);
		NEED(syscall(SYS_write, fd, "1", 1));
		send_descriptor(pair[1], fd);
		NEED(read(pair[1], &byte, 1));
		_exit(fd);
	}
	int fd = receive_descriptor(pair[0]);
	NEED(syscall(SYS_write, fd, "2", 1)); /* shares the position */
	expect("write write f 1 \"2\"");
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	for (int i = 3; pidfd >= 0 && i < 20; i++) {
		int other = (int)syscall(SYS_pidfd_getfd, pidfd, i, 0);
		if (other < 0 || lseek(other, 0, SEEK_CUR) != 2)
			continue;
		NEED(syscall(SYS_write, other, "3", 1));
		expect("write write f 2 \"3\"");
		break;
	}
	NEED(send(pair[0], &byte, 1, 0));
	NEED(waitpid(pid, &status, 0));
	return 0;
}

/* The same number means another file in a thread with a table of its own. */
static void *write_to_own_table(void *arg)
{
	int fd = *(int *)arg;
	if (syscall(SYS_close_range, 1000, 1001, UNSHARE_TABLE) != 0)
		NEED(unshare(CLONE_FILES));
	close(fd);
	int own = open_raw("own", O_CREAT | O_RDWR);
	if (own != fd)
		_exit(98);
	NEED(syscall(SYS_write, own, "own", 3));
	return NULL;
}

int tracee_own_table(void)
{
	pthread_t thread;
	int fd = make("f");
	expect("openat creat own");
	expect("write write own 0 \"own\"");
	pthread_create(&thread, NULL, write_to_own_table, &fd);
	pthread_join(thread, NULL);
	NEED(syscall(SYS_write, fd, "f", 1));
	expect("write write f 0 \"f\"");
	fflush(stdout);
	/* A process that shares the table, and none of the rest. */
	pid_t pid = (pid_t)NEED(syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));
	if (pid == 0) {
		int other = open_raw("g", O_CREAT | O_RDWR);
		NEED(dup2(other, fd));
		_exit(0);
	}
	int status;
	NEED(waitpid(pid, &status, 0));
	expect("openat creat g");
	NEED(syscall(SYS_write, fd, "g", 1));
	expect("write write g 0 \"g\"");
	return 0;
}

/* The first thread ends, and the others go on. */
static void *go_on(void *arg)
{
	int fd = *(int *)arg;
	usleep(20000);
	NEED(syscall(SYS_write, fd, "alone", 5));
	expect("write write f 0 \"alone\"");
	NEED(syscall(SYS_fsync, fd));
	expect("fsync fsync f");
	make("g");
	NEED(syscall(SYS_renameat, AT_FDCWD, "g", AT_FDCWD, "h"));
	expect("renameat rename g -> h");
	fflush(stdout);
	_exit(0);
}

int tracee_leaderless(void)
{
	static int fd;
	pthread_t thread;
	fd = make("f");
	fflush(stdout);
	pthread_create(&thread, NULL, go_on, &fd);
	syscall(SYS_exit, 0);
	return 99;
}

int tracee_vforked(void)
{
	int fd = make("f"), status;
	expect("write write f 0 \"child\"");
	expect("openat creat g");
	expect("write write g 0 \"exec\\x0a\"");
	fflush(stdout);
	pid_t pid = vfork();
	if (pid == 0) {
		syscall(SYS_write, fd, "child", 5);
		execl("/bin/sh", "sh", "-c", "echo exec > g", (char *)NULL);
		_exit(99);
	}
	NEED(waitpid(pid, &status, 0));
	NEED(syscall(SYS_write, fd, "+", 1));
	expect("write write f 5 \"+\"");
	return WEXITSTATUS(status);
}

/* The first process ends at once; what it leaves behind goes on in peace. */
int tracee_outlived(void)
{
	int fd = make("f");
	expect("write write f 0 \"later\"");
	expect("openat creat g");
	fflush(stdout);
	if (NEED(fork()) > 0)
		return 0;
	setsid();
	if (NEED(fork()) > 0)
		_exit(0);
	usleep(20000);
	NEED(syscall(SYS_write, fd, "later", 5));
	open_raw("g", O_CREAT | O_WRONLY);
	_exit(0);
}

/* Opened by handle, which is for the privileged. */
int tracee_handles(void)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} h = {.handle.handle_bytes = MAX_HANDLE_SZ};
	int mount, here = open_raw(".", O_RDONLY | O_DIRECTORY);
	make("f");
	if (name_to_handle_at(AT_FDCWD, "f", &h.handle, &mount, 0) != 0)
		return 0;
	int fd = open_by_handle_at(here, &h.handle, O_WRONLY);
	if (fd < 0)
		return 0;
	expect("open_by_handle_at open f");
	NEED(syscall(SYS_write, fd, "handled", 7));
	expect("write write f 0 \"handled\"");
	NEED(open_by_handle_at(here, &h.handle, O_RDWR | O_TRUNC));
	expect("open_by_handle_at open f");
	expect("open_by_handle_at truncate f 0");
	return 0;
}

/* One thread changes the directory of all, another has one of its own. */
static void *change_directory(void *arg)
{
	if (arg && unshare(CLONE_FS) != 0)
		return NULL; /* as in some containers */
	NEED(chdir("d"));
	return NULL;
}

int tracee_chdir(void)
{
	pthread_t thread;
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "d", 0777));
	expect("mkdirat mkdir d");
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "d/d", 0777));
	expect("mkdirat mkdir d/d");
	pthread_create(&thread, NULL, change_directory, NULL);
	pthread_join(thread, NULL);
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "e", 0777));
	expect("mkdirat mkdir d/e");
	pthread_create(&thread, NULL, change_directory, (char[]){"own"});
	pthread_join(thread, NULL);
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "f", 0777)); /* not moved by that */
	expect("mkdirat mkdir d/f");
	return 0;
}

static int filter(int number, uint32_t action, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};
	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* Filters of the program's own: what they forbid does not happen, what they
 * stop at is seen all the same, and who is killed is killed. */
int tracee_sandboxed(void)
{
	int fd = make("f"), status;
	NEED(filter(SYS_fsync, SECCOMP_RET_ERRNO | EPERM, 0));
	if (syscall(SYS_fsync, fd) == 0 || errno != EPERM)
		return 99;
	NEED(filter(SYS_pwrite64, SECCOMP_RET_TRACE | 7, 0));
	NEED(syscall(SYS_pwrite64, fd, "x", 1, 0L));
	expect("pwrite64 write f 0 \"x\"");
	NEED(filter(SYS_getppid, SECCOMP_RET_TRACE | 7, 0));
	syscall(SYS_getppid);
	fflush(stdout);
	pid_t pid = (pid_t)NEED(fork());
	if (pid == 0) {
		NEED(filter(SYS_fdatasync, SECCOMP_RET_KILL_PROCESS, 0));
		syscall(SYS_fdatasync, fd);
		_exit(0);
	}
	NEED(waitpid(pid, &status, 0));
	if (!WIFSIGNALED(status))
		return 98;
	NEED(syscall(SYS_write, fd, "y", 1));
	expect("write write f 0 \"y\"");
	return 0;
}

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

/* Signals come in the midst of calls, and writes are cut short by a limit. */
int tracee_interrupted(void)
{
	enum { WRITES = 300 };
	static char bytes[20000];
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
	memset(bytes, 'i', sizeof bytes);
	sigaction(SIGALRM, &action, NULL);
	int fd = make("f");
	fflush(stdout);
	long at = 0;
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < WRITES; i++) {
		long n = syscall(SYS_write, fd, bytes, sizeof bytes);
		if (n < 0)
			continue;
		expect("write write f %ld %ld*i", at, n);
		at += n;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	while (fflush(stdout) != 0)
		;
	return alarms > 0 ? 0 : 98;
}

/* Not even its own user may look into it now; a privileged recorder may. */
int tracee_hidden(void)
{
	int fd = make("f");
	NEED(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	NEED(syscall(SYS_write, fd, "hidden", 6));
	expect("write write f 0 \"hidden\"");
	make("g");
	return 0;
}

static void *kill_soon(void *arg)
{
	(void)arg;
	usleep(3000);
	kill(getpid(), SIGKILL);
	return NULL;
}

/* Killed while it writes, mostly: what has been written is in the trace. */
int tracee_killed_in_call(void)
{
	static char bytes[1 << 20];
	pthread_t thread;
	int fd = make("f");
	memset(bytes, 'k', sizeof bytes);
	fflush(stdout);
	pthread_create(&thread, NULL, kill_soon, NULL);
	for (long at = 0;; at = (at + 1000) % 4000)
		syscall(SYS_pwrite64, fd, bytes, sizeof bytes, at);
}

static void *write_always(void *arg)
{
	int fd = *(int *)arg;
	for (;;)
		syscall(SYS_pwrite64, fd, "writer", 6, 0L);
	return NULL;
}

static void *exec_true(void *arg)
{
	(void)arg;
	execl("/bin/sh", "sh", "-c", "echo after > g", (char *)NULL);
	return NULL;
}

/* The others, the first thread too, are killed as they wait for their turn. */
int tracee_exec_among_writers(void)
{
	static int fd;
	pthread_t threads[4];
	fd = make("f");
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, write_always, &fd);
	pthread_create(&threads[3], NULL, exec_true, NULL);
	write_always(&fd);
	return 99;
}

/* Whoever listens may let a call go on that nobody else has seen. */
int tracee_listener(void)
{
	int fd = filter(SYS_getppid, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	return fd < 0 ? NOT_HERE : 0;
}
