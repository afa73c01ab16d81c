#include "syscalls.h"

#include <string.h>
#include <sys/syscall.h>

#include "handlers.h"
#include "record.h"

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "syscalls.def has no numbers for this architecture"
#endif

const struct syscall_row syscall_table[] = {
#define ROW(n, x, a, handling, handler, when)	    {#n, x, a, handling, when, handler},
#define BOTH(n, x, a, handling, handler, when)	    ROW(n, x, a, handling, handler, when)
#define X86_64(n, x, handling, handler, when)	    ROW(n, x, -1, handling, handler, when)
#define AARCH64(n, a, handling, handler, when)	    ROW(n, -1, a, handling, handler, when)
#define NEWER(n, x, handling, handler, when)	    ROW(n, x, x, handling, handler, when)
#define NEWER_X86_64(n, x, handling, handler, when) ROW(n, x, -1, handling, handler, when)
#include "syscalls.def"
#undef BOTH
#undef X86_64
#undef AARCH64
#undef NEWER
#undef NEWER_X86_64
#undef ROW
	{NULL, -1, -1, NO_EFFECT, NEVER, NULL},
};

#define SYSCALLS (sizeof syscall_table / sizeof *syscall_table - 1)

/* The numbers are what the headers of this machine say. */
#define NEWER(n, x, handling, handler, when)
#define NEWER_X86_64(n, x, handling, handler, when)
#ifdef __x86_64__
#define BOTH(n, x, a, handling, handler, when) _Static_assert(__NR_##n == (x), #n);
#define X86_64(n, x, handling, handler, when)  _Static_assert(__NR_##n == (x), #n);
#define AARCH64(n, a, handling, handler, when)
#else
#define BOTH(n, x, a, handling, handler, when) _Static_assert(__NR_##n == (a), #n);
#define X86_64(n, x, handling, handler, when)
#define AARCH64(n, a, handling, handler, when) _Static_assert(__NR_##n == (a), #n);
#endif
#include "syscalls.def"

int syscall_number(const struct syscall_row *row)
{
#ifdef __x86_64__
	return row->x86_64;
#else
	return row->aarch64;
#endif
}

const struct syscall_row *syscall_row(size_t index, uint64_t number)
{
	if (index >= SYSCALLS)
		return NULL;
	const struct syscall_row *row = &syscall_table[index];
	return syscall_number(row) >= 0 && (uint64_t)syscall_number(row) == number ? row : NULL;
}

const struct syscall_row *syscall_row_of_number(uint64_t number)
{
	for (size_t i = 0; i < SYSCALLS; i++)
		if (syscall_row(i, number))
			return &syscall_table[i];
	return NULL;
}

bool record_syscall(size_t i, struct record_syscall *row)
{
	static const char *const words[] = {
		[MODELLED] = "modelled",
		[NO_EFFECT] = "no effect",
		[INCONCLUSIVE] = "inconclusive",
		[REFUSED] = "refused",
	};
	if (i >= SYSCALLS)
		return false;
	const struct syscall_row *r = &syscall_table[i];
	*row = (struct record_syscall){r->name, words[r->handling], r->x86_64, r->aarch64};
	return true;
}
