/* One block of instructions for each row that stops: "is it this number? then
 * test the arguments and stop or go on".  After the blocks come the numbers that
 * are known to be harmless, as ranges; whatever is left is unknown, and stops.
 * So does a call by another architecture's table (int 0x80, x32): its numbers
 * mean other calls.
 *
 * The length of the program costs little: the kernel works out once which
 * numbers are always allowed and then does not run the filter for them. */
#include "filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "marker.h"
#include "mem.h"
#include "syscalls.h"

#ifdef __x86_64__
const uint32_t filter_arch = AUDIT_ARCH_X86_64;
#else
const uint32_t filter_arch = AUDIT_ARCH_AARCH64;
#endif

enum {
	O_TMPFILE_BIT = 020000000,
	OPEN_CHANGES = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_TMPFILE_BIT,
	/* Bits 8-15 of an ioctl command name its family.  Those of terminals and of
	 * sockets are what programs commonly use; all others may change a file. */
	IOCTL_FAMILY = 0xff00,
	IOCTL_TERMINAL = 'T' << 8,
	IOCTL_SOCKET = 0x8900,
	CLOSE_UNSHARE = 1 << 1,	  /* CLOSE_RANGE_UNSHARE */
	FILTER_LISTENER = 1 << 3, /* SECCOMP_FILTER_FLAG_NEW_LISTENER */
	TREE_CLONE = 1,		  /* OPEN_TREE_CLONE */
};

struct code {
	struct sock_filter *at;
	size_t n, cap;
	uint32_t stop; /* how the current row stops */
};

static void emit(struct code *code, struct sock_filter instruction)
{
	*MEM_PUSH(code->at, code->n, code->cap) = instruction;
}

static void emit_return(struct code *code, uint32_t action)
{
	emit(code, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void emit_load(struct code *code, size_t offset)
{
	emit(code, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* The low half of an argument: all that the tests below look at. */
static void emit_load_arg(struct code *code, unsigned i)
{
	emit_load(code, offsetof(struct seccomp_data, args) + 8 * i);
}

static void emit_jump(struct code *code, unsigned test, uint32_t k, uint8_t yes, uint8_t no)
{
	emit(code, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_K | test, k, yes, no));
}

/* Goes on behind the next instruction, a return, unless the test holds. */
static void emit_return_if(struct code *code, unsigned test, uint32_t k, uint32_t action)
{
	emit_jump(code, test, k, 0, 1);
	emit_return(code, action);
}

static void emit_bits(struct code *code, unsigned arg, uint32_t bits)
{
	emit_load_arg(code, arg);
	emit_return_if(code, BPF_JSET, bits, code->stop);
	emit_return(code, SECCOMP_RET_ALLOW);
}

static void emit_shared_map(struct code *code)
{
	emit_load_arg(code, 3);
	emit_return_if(code, BPF_JSET, MAP_FIXED, code->stop);
	emit_return_if(code, BPF_JSET, MAP_ANONYMOUS, SECCOMP_RET_ALLOW);
	/* MAP_SHARED is 1, MAP_SHARED_VALIDATE 3, MAP_PRIVATE 2. */
	emit_return_if(code, BPF_JSET, MAP_SHARED, code->stop);
	emit_return(code, SECCOMP_RET_ALLOW);
}

static void emit_file_ioctl(struct code *code)
{
	emit_load_arg(code, 1);
	emit(code, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, IOCTL_FAMILY));
	emit_return_if(code, BPF_JEQ, IOCTL_TERMINAL, SECCOMP_RET_ALLOW);
	emit_return_if(code, BPF_JEQ, IOCTL_SOCKET, SECCOMP_RET_ALLOW);
	emit_return(code, code->stop);
}

static void emit_value(struct code *code, unsigned arg, uint32_t value)
{
	emit_load_arg(code, arg);
	emit_return_if(code, BPF_JEQ, value, code->stop);
	emit_return(code, SECCOMP_RET_ALLOW);
}

/* Code that always returns. */
static void emit_tests(struct code *code, enum when when)
{
	switch (when) {
	case NEVER:
		emit_return(code, SECCOMP_RET_ALLOW);
		break;
	case ALWAYS:
		emit_return(code, code->stop);
		break;
	case OPEN_ARG1:
		emit_bits(code, 1, OPEN_CHANGES);
		break;
	case OPEN_ARG2:
		emit_bits(code, 2, OPEN_CHANGES);
		break;
	case SHARED_MAP:
		emit_shared_map(code);
		break;
	case MADE_WRITABLE:
		emit_bits(code, 2, PROT_WRITE);
		break;
	case SHM_FLAG:
		emit_bits(code, 2, SHM_REMAP);
		break;
	case FILE_IOCTL:
		emit_file_ioctl(code);
		break;
	case CLONE_FLAGS:
		/* CLONE_THREAD: to see whether it comes without CLONE_FILES. */
		emit_bits(code, 0, CLONE_UNTRACED | CLONE_NEWNS | CLONE_THREAD);
		break;
	case UNSHARE_FLAGS:
		emit_bits(code, 0, CLONE_NEWNS | CLONE_FILES);
		break;
	case CLOSE_FLAGS:
		emit_bits(code, 2, CLOSE_UNSHARE);
		break;
	case FILTER_FLAGS:
		emit_bits(code, 1, FILTER_LISTENER);
		break;
	case TREE_FLAGS:
		emit_bits(code, 2, TREE_CLONE);
		break;
	case ADVICE_ARG2:
		emit_value(code, 2, MADV_REMOVE);
		break;
	case ADVICE_ARG3:
		emit_value(code, 3, MADV_REMOVE);
		break;
	case MARKER:
		emit_value(code, 0, MARKER_OPTION);
		break;
	}
}

static void emit_row(struct code *code, const struct syscall_row *row)
{
	size_t jump = code->n;
	code->stop = SECCOMP_RET_TRACE | (uint32_t)(row - syscall_table);
	emit_jump(code, BPF_JEQ, (uint32_t)syscall_number(row), 0, 0);
	emit_tests(code, row->when);
	code->at[jump].jf = (uint8_t)(code->n - jump - 1);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Allows the numbers that have a row; those that stop never get here. */
static void emit_known(struct code *code)
{
	int *known = NULL;
	size_t n = 0, cap = 0;
	for (const struct syscall_row *row = syscall_table; row->name; row++)
		if (syscall_number(row) >= 0)
			*MEM_PUSH(known, n, cap) = syscall_number(row);
	qsort(known, n, sizeof *known, by_number);
	for (size_t first = 0, last; first < n; first = last + 1) {
		for (last = first; last + 1 < n && known[last + 1] <= known[last] + 1;)
			last++;
		emit_jump(code, BPF_JGE, (uint32_t)known[first], 0, 2);
		emit_jump(code, BPF_JGT, (uint32_t)known[last], 1, 0);
		emit_return(code, SECCOMP_RET_ALLOW);
	}
	free(known);
}

void filter_build(struct sock_fprog *program)
{
	struct code code = {0};
	emit_load(&code, offsetof(struct seccomp_data, arch));
	emit_jump(&code, BPF_JEQ, filter_arch, 1, 0);
	emit_return(&code, SECCOMP_RET_TRACE | FILTER_UNKNOWN);
	emit_load(&code, offsetof(struct seccomp_data, nr));
	for (const struct syscall_row *row = syscall_table; row->name; row++)
		if (row->when != NEVER && syscall_number(row) >= 0)
			emit_row(&code, row);
	emit_known(&code);
	emit_return(&code, SECCOMP_RET_TRACE | FILTER_UNKNOWN);
	program->len = (unsigned short)code.n;
	program->filter = code.at;
}

int filter_install(const struct sock_fprog *program)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program);
}
