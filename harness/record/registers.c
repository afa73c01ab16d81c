#include "registers.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

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
