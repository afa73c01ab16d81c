#include "tracee.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int file(const char *name)
{
	int fd = open_raw(name, O_CREAT | O_RDWR);
	NEED(syscall(SYS_ftruncate, fd, 16384));
	return fd;
}

int tracee_splice_to_mapped(void)
{
	int fd = file("f"), pipes[2];
	NEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	NEED(pipe(pipes));
	if (NEED(fork()) == 0) {
		usleep(20000);
		NEED(write(pipes[1], "x", 1));
		_exit(0);
	}
	NEED(splice(pipes[0], NULL, fd, NULL, 1, 0));
	return 0;
}

int tracee_mapped_for_reading(void)
{
	int fd = file("f");
	expect("openat creat f");
	expect("ftruncate truncate f 16384");
	NEED(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	NEED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
	void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(mprotect(p, 4096, PROT_READ | PROT_WRITE));
	return 0;
}

int tracee_rename_in(void)
{
	close(open_raw("../outside", O_CREAT | O_WRONLY));
	NEED(syscall(SYS_renameat, AT_FDCWD, "../outside", AT_FDCWD, "inside"));
	return 0;
}

int tracee_rename_out(void)
{
	close(open_raw("inside", O_CREAT | O_WRONLY));
	NEED(syscall(SYS_renameat, AT_FDCWD, "inside", AT_FDCWD, "../outside"));
	unlink("../outside");
	return 0;
}

int tracee_link_in(void)
{
	close(open_raw("../outside", O_CREAT | O_WRONLY));
	NEED(syscall(SYS_linkat, AT_FDCWD, "../outside", AT_FDCWD, "inside", 0));
	unlink("../outside");
	return 0;
}

int tracee_link_out(void)
{
	close(open_raw("inside", O_CREAT | O_WRONLY));
	NEED(syscall(SYS_linkat, AT_FDCWD, "inside", AT_FDCWD, "../outside", 0));
	unlink("../outside");
	return 0;
}

int tracee_whiteout(void)
{
	close(open_raw("f", O_CREAT | O_WRONLY));
	long rc = syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "g", RENAME_WHITEOUT);
	return rc != 0 ? NOT_HERE : 0;
}

int tracee_collapse(void)
{
	return fallocate(file("f"), FALLOC_FL_COLLAPSE_RANGE, 0, 4096) != 0 ? NOT_HERE : 0;
}

/* For us "self" would be somebody else. */
int tracee_through_self(void)
{
	int proc = open_raw("/proc", O_RDONLY | O_DIRECTORY);
	NEED(syscall(SYS_mkdirat, proc, "self/cwd/d", 0777));
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "d", AT_REMOVEDIR));
	return 0;
}

int tracee_mknod(void)
{
	NEED(syscall(SYS_mknodat, AT_FDCWD, "pipe", S_IFIFO | 0600, 0));
	return 0;
}

/* The completion comes, but the program has not looked. */
int tracee_aio_unreaped(void)
{
	aio_context_t context = 0;
	int fd = file("f");
	struct iocb block = {.aio_lio_opcode = IOCB_CMD_PWRITE,
			     .aio_fildes = (unsigned)fd,
			     .aio_buf = (uintptr_t) "x",
			     .aio_nbytes = 1},
		    *list[] = {&block};
	if (syscall(SYS_io_setup, 4, &context) != 0)
		return NOT_HERE;
	NEED(syscall(SYS_io_submit, context, 1, list));
	NEED(syscall(SYS_fsync, fd));
	return 0;
}

/* What is submitted together may be done in any order. */
int tracee_aio_together(void)
{
	aio_context_t context = 0;
	int fd = file("f");
	struct iocb write = {.aio_lio_opcode = IOCB_CMD_PWRITE,
			     .aio_fildes = (unsigned)fd,
			     .aio_buf = (uintptr_t) "x",
			     .aio_nbytes = 1},
		    sync = {.aio_lio_opcode = IOCB_CMD_FSYNC, .aio_fildes = (unsigned)fd},
		    *list[] = {&write, &sync};
	if (syscall(SYS_io_setup, 4, &context) != 0)
		return NOT_HERE;
	NEED(syscall(SYS_io_submit, context, 2, list));
	return 0;
}

/* Where it is written depends on what completes first. */
int tracee_aio_append(void)
{
	aio_context_t context = 0;
	struct iocb block = {.aio_lio_opcode = IOCB_CMD_PWRITE,
			     .aio_fildes = (unsigned)open_raw("f", O_CREAT | O_WRONLY | O_APPEND),
			     .aio_buf = (uintptr_t) "x",
			     .aio_nbytes = 1},
		    *list[] = {&block};
	if (syscall(SYS_io_setup, 4, &context) != 0)
		return NOT_HERE;
	NEED(syscall(SYS_io_submit, context, 1, list));
	return 0;
}

/* Nor has this kernel; then it is harmless. */
int tracee_unknown(void)
{
	return syscall(100000) < 0 ? NOT_HERE : 0;
}

/* getpid by the table of 32-bit programs, where the kernel has it. */
int tracee_old_architecture(void)
{
#ifdef __x86_64__
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
	return result == getpid() ? 0 : NOT_HERE;
#else
	return NOT_HERE;
#endif
}

int tracee_x32(void)
{
#ifdef __x86_64__
	return syscall(0x40000000 | 39) < 0 ? NOT_HERE : 0;
#else
	return NOT_HERE;
#endif
}

int tracee_untraced(void)
{
	long pid = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		syscall(SYS_exit_group, 0);
	int status;
	NEED(waitpid((pid_t)pid, &status, 0));
	return 0;
}

int tracee_refused(void)
{
	char parameters[256] = {0};
	if (syscall(SYS_io_uring_setup, 4, parameters) != -1 || errno != ENOSYS)
		return 99;
	expect("io_uring_setup note io_uring_setup: answered with ENOSYS");
	return 0;
}
