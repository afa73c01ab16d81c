/* Stores through shared mappings.  What they have changed is in the recording as of
 * the next call that stops, a line a page. */
#include "tracee.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { PAGE = 4096, PAGES = 8, BYTES = PAGES * PAGE, SHARED = PROT_READ | PROT_WRITE };

/* A new file of PAGES pages. */
static int file(const char *name)
{
	int fd = open_raw(name, O_CREAT | O_RDWR);
	NEED(syscall(SYS_ftruncate, fd, BYTES));
	expect("openat creat %s", name);
	expect("ftruncate truncate %s %d", name, BYTES);
	return fd;
}

static char *map(int fd, size_t bytes, int protection, off_t offset)
{
	char *p = mmap(NULL, bytes, protection, MAP_SHARED, fd, offset);
	NEED(p == MAP_FAILED ? -1 : 0);
	return p;
}

static char *map_all(int fd)
{
	char *p = map(fd, BYTES, SHARED, 0);
	expect("mmap note mmap: stores to f are seen as of the next call");
	return p;
}

/* A call that is not recorded, but stops. */
static void look(void)
{
	NEED(syscall(SYS_munmap, 0, PAGE));
}

static void sync_file(int fd)
{
	NEED(syscall(SYS_fdatasync, fd));
	expect("fdatasync fdatasync f");
}

int tracee_stores(void)
{
	int fd = file("f");
	char *p = map_all(fd);
	memcpy(p + 10, "hello", 5);
	look();
	expect("write f 10 \"hello\" stored");
	NEED(dup(fd) == fd + 1 ? 0 : -1); /* the recorder has left nothing open here */
	p[11] = 'e';			  /* as before */
	look();
	memcpy(p + 10, "jelly", 5);
	memcpy(p + 2 * PAGE - 2, "over", 4);
	memset(p + 4 * PAGE, 'w', PAGE);
	p[BYTES - 1] = 'z';
	expect("write f 10 \"jelly\" stored");
	expect("write f 8190 \"ov\" stored");
	expect("write f 8192 \"er\" stored");
	expect("write f 16384 4096*w stored");
	expect("write f 32767 \"z\" stored");
	sync_file(fd);
	p[0] = 'x'; /* seen when the process has ended */
	expect("write f 0 \"x\" stored");
	return 0;
}

/* msync covers a range; a mapping may begin anywhere in the file. */
int tracee_stores_synced(void)
{
	int fd = file("f");
	char *p = map_all(fd), *q = map(fd, 2 * PAGE, SHARED, 4 * PAGE);
	p[5] = 'a';
	q[PAGE] = 'b';
	expect("write f 5 \"a\" stored");
	expect("write f 20480 \"b\" stored");
	NEED(syscall(SYS_msync, p, 100, MS_SYNC));
	expect("msync msync f 0 4096");
	NEED(syscall(SYS_msync, q, 2 * PAGE, MS_SYNC));
	expect("msync msync f 16384 8192");
	NEED(syscall(SYS_msync, p, PAGE, MS_ASYNC));
	expect("msync hint f");
	NEED(syscall(SYS_msync, p, BYTES, MS_SYNC | MS_INVALIDATE));
	expect("msync msync f 0 32768");
	p[6] = 'c';
	expect("write f 6 \"c\" stored");
	NEED(syscall(SYS_fsync, fd));
	expect("fsync fsync f");
	/* What is mapped shared but with a descriptor for reading is not synced. */
	char *r = map(open_raw("f", O_RDONLY), PAGE, PROT_READ, 0);
	map(fd, PAGE, SHARED, 0);
	NEED(syscall(SYS_msync, r, PAGE, MS_SYNC));
	expect("msync hint f");
	return 0;
}

/* Behind the end of the file there is nothing, until there is; what is mapped may
 * grow and move. */
int tracee_stores_grown(void)
{
	int fd = open_raw("f", O_CREAT | O_RDWR);
	expect("openat creat f");
	char *p = map_all(fd);
	NEED(syscall(SYS_ftruncate, fd, 100));
	expect("ftruncate truncate f 100");
	p[99] = 'a';
	p[100] = 'b'; /* no part of the file */
	expect("write f 99 \"a\" stored");
	sync_file(fd);
	p[100] = 0;
	NEED(syscall(SYS_ftruncate, fd, 2 * PAGE));
	expect("ftruncate truncate f 8192");
	p[PAGE] = 'c';
	expect("write f 4096 \"c\" stored");
	sync_file(fd);
	NEED(syscall(SYS_ftruncate, fd, PAGE));
	expect("ftruncate truncate f 4096");
	NEED(syscall(SYS_ftruncate, fd, 2 * BYTES));
	expect("ftruncate truncate f %d", 2 * BYTES);
	p[PAGE + 1] = 'd';
	expect("write f 4097 \"d\" stored");
	p = mremap(p, BYTES, 2 * BYTES, MREMAP_MAYMOVE);
	p[BYTES] = 'e';
	expect("write f %d \"e\" stored", BYTES);
	sync_file(fd);
	char *q = map(fd, PAGE, SHARED, 0);
	q = mremap(q, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + PAGE);
	q[7] = 'f'; /* of page 0 now, by two ways */
	p[8] = 'g';
	expect("write f 7 \"fg\" stored");
	sync_file(fd);
	p[3 * PAGE] = 'h';
	q[9] = 'i';
	expect("write f 9 \"i\" stored");
	expect("write f 12288 \"h\" stored");
	NEED(munmap(p, 2 * BYTES));
	look();
	return 0;
}

/* What is in place of a mapping is no longer the file. */
int tracee_stores_replaced(void)
{
	int fd = file("f");
	char *p = map_all(fd);
	p[0] = 'a';
	expect("write f 0 \"a\" stored");
	NEED(mmap(p, PAGE, SHARED, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p ? 0 : -1);
	p[0] = 'b';
	p[PAGE] = 'c';
	expect("write f 4096 \"c\" stored");
	NEED(mmap(p + PAGE, PAGE, SHARED, MAP_PRIVATE | MAP_FIXED, fd, 0) == p + PAGE ? 0 : -1);
	p[PAGE] = 'd';
	p[2 * PAGE] = 'e';
	expect("write f 8192 \"e\" stored");
	NEED(mmap(p, PAGE, SHARED, MAP_SHARED | MAP_FIXED, fd, 5 * PAGE) == p ? 0 : -1);
	p[0] = 'f';
	p[5 * PAGE + 1] = 'g';
	expect("write f 20480 \"fg\" stored");
	sync_file(fd);
	NEED(mmap(p, PAGE, SHARED, MAP_SHARED | MAP_FIXED, fd, 5 * PAGE) == p ? 0 : -1);
	p[1] = 'h';
	expect("write f 20481 \"h\" stored");
	sync_file(fd);
	return 0;
}

/* What is mapped for reading can become writable, and writable no more. */
int tracee_stores_protected(void)
{
	int fd = file("f");
	char *p = map(fd, BYTES, PROT_READ, 0);
	NEED(syscall(SYS_pwrite64, fd, "1", 1, 0L));
	expect("pwrite64 write f 0 \"1\"");
	NEED(mprotect(p + PAGE, PAGE, SHARED));
	p[PAGE] = 'a';
	expect("write f 4096 \"a\" stored");
	NEED(mprotect(p + PAGE, PAGE, PROT_READ));
	NEED(mprotect(p, BYTES, SHARED));
	p[PAGE] = 'b';
	p[0] = '2';
	expect("write f 0 \"2\" stored");
	expect("write f 4096 \"b\" stored");
	sync_file(fd);
	return 0;
}

/* A file lives on in a mapping when its name and descriptor are gone. */
int tracee_stores_unlinked(void)
{
	int fd = file("f");
	char *p = map_all(fd);
	NEED(unlink("f"));
	expect("unlink unlink f");
	close(fd);
	memcpy(p, "late", 4);
	look();
	expect("write #2 0 \"late\" stored");
	close(open_raw("f", O_CREAT | O_WRONLY));
	expect("openat creat f");
	NEED(syscall(SYS_msync, p, PAGE, MS_SYNC));
	expect("msync msync #2 0 4096");
	memcpy(p, "last", 4);
	expect("write #2 2 \"st\" stored");
	return 0;
}

/* Calls that write to the file, and calls that write to memory. */
int tracee_stores_mixed(void)
{
	int fd = file("f"), pipes[2];
	char *p = map_all(fd);
	NEED(pipe(pipes));
	p[0] = 'a';
	expect("write f 0 \"a\" stored");
	NEED(syscall(SYS_pwrite64, fd, "bcd", 3, 1L));
	expect("pwrite64 write f 1 \"bcd\"");
	p[2] = 'C';
	expect("write f 2 \"C\" stored");
	NEED(syscall(SYS_pwrite64, fd, p, 4, (long)PAGE));
	expect("pwrite64 write f 4096 \"abCd\"");
	NEED(write(pipes[1], "pipe", 4));
	NEED(read(pipes[0], p + 2 * PAGE, 4));
	struct iovec here = {(char[]){"self"}, 4}, there = {p + 3 * PAGE, 4};
	NEED(process_vm_writev(getpid(), &here, 1, &there, 1, 0));
	expect("write f 8192 \"pipe\" stored");
	expect("write f 12288 \"self\" stored");
	sync_file(fd);
	p[PAGES / 2 * PAGE] = 'x';
	expect("write f 16384 \"x\" stored");
	NEED(syscall(SYS_fallocate, fd, 3, 4L * PAGE, (long)PAGE)); /* punch, keep size */
	expect("fallocate zero f 16384 4096 keep");
	p[PAGES / 2 * PAGE + 1] = 'y';
	expect("write f 16385 \"y\" stored");
	NEED(madvise(p + 4 * PAGE, 2 * PAGE, MADV_REMOVE));
	expect("madvise zero f 16384 8192 keep");
	p[PAGES / 2 * PAGE + 2] = 'z';
	NEED(madvise(p, BYTES, MADV_DONTNEED)); /* the file keeps it */
	expect("write f 16386 \"z\" stored");
	NEED(syscall(SYS_ftruncate, fd, 0));
	expect("ftruncate truncate f 0");
	return 0;
}

int tracee_stores_spliced(void)
{
	int fd = file("f"), pipes[2];
	char *p = map_all(fd);
	NEED(pipe(pipes));
	NEED(write(pipes[1], "more", 4));
	p[4] = '!';
	expect("write f 4 \"!\" stored");
	NEED(splice(pipes[0], NULL, fd, NULL, 4, 0));
	expect("splice write f 0 \"more\"");
	p[0] = 'l';
	expect("write f 0 \"l\" stored");
	return 0;
}

static void wait_for(int *pipes)
{
	char byte;
	NEED(read(pipes[0], &byte, 1) == 1 ? 0 : -1);
}

static void go(int *pipes)
{
	NEED(write(pipes[1], "", 1));
}

/* A child has the mapping from its parent; what it must not have it has not. */
int tracee_stores_forked(void)
{
	int fd = file("f"), to[2], back[2], status;
	char *p = map_all(fd), *q = map(fd, PAGE, SHARED, PAGE);
	NEED(madvise(q, PAGE, MADV_DONTFORK));
	NEED(pipe(to));
	NEED(pipe(back));
	p[0] = 'a';
	expect("write f 0 \"a\" stored");
	expect("write f 1 \"b\" stored");
	expect("write f 2 \"c\" stored");
	expect("fdatasync fdatasync f");
	expect("write f 3 \"d\" stored");
	expect("msync msync f 0 4096");
	expect("write f 4096 \"e\" stored");
	expect("fdatasync fdatasync f");
	expect("write f 4 \"f\" stored"); /* by the child, after the parent let go */
	fflush(stdout);
	pid_t pid = (pid_t)NEED(fork());
	if (pid == 0) {
		p[1] = 'b';
		go(back);
		wait_for(to);
		p[3] = 'd';
		NEED(syscall(SYS_msync, p, PAGE, MS_SYNC));
		go(back);
		wait_for(to);
		p[4] = 'f';
		_exit(0);
	}
	wait_for(back);
	look();
	p[2] = 'c';
	NEED(syscall(SYS_fdatasync, fd));
	go(to);
	wait_for(back);
	q[0] = 'e';
	NEED(syscall(SYS_fdatasync, fd));
	NEED(munmap(p, BYTES));
	NEED(munmap(q, PAGE));
	close(fd);
	go(to);
	NEED(waitpid(pid, &status, 0));
	return 0;
}

/* An exec drops mappings, not what was stored through them. */
int tracee_stores_exec(void)
{
	int fd = file("f");
	char *p = map_all(fd);
	p[0] = 'a';
	look();
	expect("write f 0 \"a\" stored");
	expect("write f 1 \"b\" stored");
	expect("openat creat g");
	fflush(stdout);
	p[1] = 'b';
	execl("/bin/sh", "sh", "-c", ": > g", (char *)NULL);
	return 99;
}

/* Dies if it is made to do what it did not ask for. */
int tracee_stores_filtered(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};
	NEED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	NEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	int fd = file("f");
	char *p = map_all(fd);
	p[0] = 'a';
	expect("write f 0 \"a\" stored");
	sync_file(fd);
	return 0;
}

/* Calls on a mapping of many pages, of which few are stored to. */
int tracee_stores_sparse(void)
{
	int fd = open_raw("f", O_CREAT | O_RDWR);
	expect("openat creat f");
	NEED(fallocate(fd, 0, 0, 64 * BYTES));
	expect("fallocate fallocate f 0 %d", 64 * BYTES);
	char *p = map(fd, 64 * BYTES, SHARED, 0);
	expect("mmap note mmap: stores to f are seen as of the next call");
	memset(p, 'm', 64 * BYTES);
	NEED(syscall(SYS_pwrite64, fd, p, 64 * BYTES, 0L)); /* so that no stores are left */
	for (int i = 0; i < 64 * PAGES; i++)
		expect("write f %d 4096*m stored", i * PAGE);
	expect("pwrite64 write f 0 %d*m", 64 * BYTES);
	for (int i = 0; i < 50; i++) {
		p[i * PAGE] = 's';
		expect("write f %d \"s\" stored", i * PAGE);
		sync_file(fd);
	}
	return 0;
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	(void)number;
	caught++;
}

/* Signals come while mappings come and go. */
int tracee_stores_signalled(void)
{
	int status;
	close(file("f"));
	signal(SIGUSR1, on_signal);
	fflush(stdout);
	for (int i = 0; i < 5; i++) {
		pid_t pid = (pid_t)NEED(fork());
		if (pid == 0) {
			int fd = open_raw("f", O_RDWR);
			raise(SIGUSR1);
			for (int k = 0; k < 100 || caught < 50; k++) {
				char *p = map(fd, PAGE, SHARED, 0);
				p[k % PAGE] = (char)k;
				NEED(munmap(p, PAGE));
			}
			_exit(0);
		}
		while (waitpid(pid, &status, WNOHANG) == 0) {
			kill(pid, SIGUSR1);
			kill(pid, SIGSTOP);
			kill(pid, SIGCONT);
			usleep(100);
		}
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			return 98;
	}
	return 0;
}

int tracee_stores_killed(void)
{
	char *p = map_all(file("f"));
	expect("write f 0 \"last\" stored");
	fflush(stdout);
	memcpy(p, "last", 4);
	kill(getpid(), SIGKILL);
	return 99;
}

/* Threads that store to and write to one file, grow and cut it, and map it anew.  The
 * recording has the file as it was in the end. */
enum { THREADS = 4, ROUNDS = 60 };

static char *shared_memory;

static void *store_and_write(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg, seed = id * 7919;
	int fd = open_raw("f", O_RDWR);
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t at = (size_t)rand_r(&seed) % (BYTES / 2);
		memset(shared_memory + at, (int)('a' + i % 26), 1 + at % 50);
		char *own = mmap(NULL, PAGE, SHARED, MAP_SHARED, fd, (off_t)(id % PAGES) * PAGE);
		own[i] = (char)('A' + id);
		if (i % 4 == 0)
			NEED(pwrite(fd, "write", 5, (off_t)at));
		if (i % 5 == 1)
			NEED(syscall(SYS_msync, shared_memory, BYTES, MS_SYNC));
		if (i % 7 == 2)
			NEED(ftruncate(fd, BYTES / 2 + (long)(i % 3) * PAGE));
		if (i % 3 != 0)
			NEED(munmap(own, PAGE));
		own = NULL;
	}
	return NULL;
}

int tracee_stores_threads(void)
{
	pthread_t threads[THREADS];
	shared_memory = map_all(file("f"));
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, store_and_write, (void *)i) != 0)
			return 99;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* One thread writes much at a time; another makes calls meanwhile, from another CPU. */
enum { MUCH = 8 << 20 };

static _Atomic bool written;

static void *look_on(void *arg)
{
	cpu_set_t all;
	(void)arg;
	memset(&all, 0xff, sizeof all);
	sched_setaffinity(0, sizeof all, &all);
	while (!written)
		look();
	return NULL;
}

int tracee_stores_not_made(void)
{
	pthread_t thread;
	int fd = open_raw("f", O_CREAT | O_RDWR);
	NEED(ftruncate(fd, MUCH));
	map(fd, MUCH, SHARED, 0);
	char *from = malloc(MUCH);
	if (!from || pthread_create(&thread, NULL, look_on, NULL) != 0)
		return 99;
	for (int i = 1; i < 4; i++) {
		memset(from, i, MUCH);
		NEED(pwrite(fd, from, MUCH, 0));
	}
	written = true;
	pthread_join(thread, NULL);
	free(from);
	return 0;
}

/* Whether bytes stored behind the end show up when the file grows is for the file
 * system to say; the recording has them as the file has. */
int tracee_stores_past_the_end(void)
{
	int fd = open_raw("f", O_CREAT | O_RDWR);
	char *p = map(fd, BYTES, SHARED, 0);
	NEED(syscall(SYS_ftruncate, fd, 100));
	p[2000] = 'b';
	NEED(syscall(SYS_fdatasync, fd));
	NEED(syscall(SYS_ftruncate, fd, PAGE));
	NEED(syscall(SYS_fdatasync, fd));
	NEED(syscall(SYS_ftruncate, fd, 200));
	p[3000] = 'c';
	look();
	NEED(syscall(SYS_pwrite64, fd, "d", 1, (long)PAGE));
	NEED(syscall(SYS_fdatasync, fd));
	return 0;
}
