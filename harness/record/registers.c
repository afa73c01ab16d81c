#include "registers.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int get(pid_t tid, struct user_regs_struct *registers)
{
	struct iovec io = {registers, sizeof *registers};
	return ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io) < 0 ? -1 : 0;
}

static int set(pid_t tid, struct user_regs_struct *registers)
{
	struct iovec io = {registers, sizeof *registers};
	return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &io) < 0 ? -1 : 0;
}

/* A call number of -1 is none; the kernel then leaves the result alone. */
int registers_refuse(pid_t tid, int error)
{
	struct user_regs_struct registers;
	if (get(tid, &registers) != 0)
		return -1;
#ifdef __x86_64__
	registers.orig_rax = (unsigned long long)-1;
	registers.rax = (unsigned long long)-(long long)error;
	return set(tid, &registers);
#else
	int none = -1;
	struct iovec io = {&none, sizeof none};
	registers.regs[0] = (unsigned long long)-(long long)error;
	if (ptrace(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &io) < 0)
		return -1;
	return set(tid, &registers);
#endif
}

/* On aarch64 the register of the result is that of the first argument, and a
 * call that was not made after all leaves it alone. */
int registers_result(pid_t tid, uint64_t *result)
{
#ifdef __x86_64__
	enum { ERROR_MAX = 4095 };
	struct user_regs_struct registers;
	if (get(tid, &registers) != 0 || (long long)registers.orig_rax < 0 ||
	    registers.rax >= (unsigned long long)-ERROR_MAX)
		return -1;
	*result = registers.rax;
	return 0;
#else
	(void)tid;
	(void)result;
	return -1;
#endif
}

/* A call made for a tracee */

#ifdef __x86_64__
static const uint8_t instruction[] = {0x0f, 0x05}; /* syscall */
#else
static const uint8_t instruction[] = {0x01, 0x00, 0x00, 0xd4}; /* svc #0 */
#endif

static uint64_t *pc_of(struct user_regs_struct *registers)
{
#ifdef __x86_64__
	return (uint64_t *)&registers->rip;
#else
	return (uint64_t *)&registers->pc;
#endif
}

/* Back to the instruction that made the present call; false if it is another one. */
static bool rewind_to_instruction(pid_t tid, struct user_regs_struct *registers)
{
	uint8_t found[sizeof instruction];
	uint64_t *pc = pc_of(registers);
	*pc -= sizeof instruction;
	struct iovec here = {found, sizeof found}, there = {(void *)(uintptr_t)*pc, sizeof found};
	return process_vm_readv(tid, &here, 1, &there, 1, 0) == (ssize_t)sizeof found &&
	       memcmp(found, instruction, sizeof found) == 0;
}

static void set_call(struct user_regs_struct *registers, long number, const uint64_t args[6])
{
#ifdef __x86_64__
	registers->rax = (unsigned long long)number;
	registers->rdi = args[0];
	registers->rsi = args[1];
	registers->rdx = args[2];
	registers->r10 = args[3];
	registers->r8 = args[4];
	registers->r9 = args[5];
#else
	registers->regs[8] = (unsigned long long)number;
	memcpy(registers->regs, args, 6 * sizeof *args);
#endif
}

static long result_of(const struct user_regs_struct *registers)
{
#ifdef __x86_64__
	return (long)registers->rax;
#else
	return (long)registers->regs[0];
#endif
}

/* On to the next entry or exit of a call.  A signal that stops the thread on its way
 * (others are blocked: a SIGSTOP) is put off, as *signal.  What ends the thread, or
 * makes it another program, is left to who waits for all tracees. */
static bool step(pid_t tid, int *signal)
{
	for (;;) {
		siginfo_t info;
		if (ptrace(PTRACE_SYSCALL, tid, NULL, NULL) != 0)
			return false;
		while (waitid(P_PID, (id_t)tid, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL) != 0)
			if (errno != EINTR)
				return false;
		int event = info.si_status >> 8, number = info.si_status & 0xff;
		if (info.si_code != CLD_TRAPPED || (event != 0 && event != PTRACE_EVENT_STOP) ||
		    waitpid(tid, NULL, __WALL) != tid)
			return false;
		if (number == (SIGTRAP | 0x80))
			return true;
		if (event == 0)
			*signal = number;
	}
}

enum call_outcome registers_call(pid_t tid, long number, const uint64_t args[6], long *result)
{
	enum { MASK_BYTES = 8 };
	struct user_regs_struct before, during;
	uint64_t mask, all = UINT64_MAX;
	int signal = 0;
	if (get(tid, &before) != 0 ||
	    ptrace(PTRACE_GETSIGMASK, tid, (void *)MASK_BYTES, &mask) != 0)
		return CALL_IMPOSSIBLE;
	during = before;
	if (!rewind_to_instruction(tid, &during))
		return CALL_IMPOSSIBLE;
	set_call(&during, number, args);
	if (ptrace(PTRACE_SETSIGMASK, tid, (void *)MASK_BYTES, &all) != 0 ||
	    set(tid, &during) != 0 || !step(tid, &signal) || !step(tid, &signal) ||
	    get(tid, &during) != 0)
		return CALL_GONE;
	*result = result_of(&during);
	if (set(tid, &before) != 0 ||
	    ptrace(PTRACE_SETSIGMASK, tid, (void *)MASK_BYTES, &mask) != 0)
		return CALL_GONE;
	if (signal != 0)
		syscall(SYS_tkill, tid, signal);
	return CALL_DONE;
}
