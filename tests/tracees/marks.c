#include "tracee.h"

#include <string.h>

int tracee_markers(void)
{
	marker_emit(MARKER_OP_BEGIN, 1, "put", 3);
	expect("begin 1 \"put\"");
	int fd = open_raw("f", O_CREAT | O_WRONLY);
	expect("openat creat f");
	marker_emit(MARKER_FAULT, 3, "wal/append/flushed", strlen("wal/append/flushed"));
	expect("fault wal/append/flushed 3");
	NEED(syscall(SYS_fsync, fd));
	expect("fsync fsync f");
	marker_emit(MARKER_OP_END, 1, NULL, 0);
	expect("end 1 \"\"");
	marker_emit(MARKER_OP_END, 2, "disk full", 9);
	expect("end 2 \"disk full\"");
	return 0;
}

/* The lines of these calls are what the test looks for. */
__attribute__((noinline)) static void stack_leaf(int fd, int which)
{
	if (which == 0)
		NEED(syscall(SYS_write, fd, "a", 1)); /* stack: leaf a */
	else
		NEED(syscall(SYS_pwrite64, fd, "b", 1, 0L)); /* stack: leaf b */
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void stack_middle(int fd, int which)
{
	stack_leaf(fd, which); /* stack: middle */
	__asm__ volatile("" ::: "memory");
}

int tracee_stack(void)
{
	int fd = open_raw("f", O_CREAT | O_WRONLY);
	for (int i = 0; i < 100; i++) {
		stack_middle(fd, 0); /* stack: outer a */
		stack_middle(fd, 1); /* stack: outer b */
		/* Volatile, so that one call instruction makes both calls. */
		for (volatile int which = 0; which < 2; which++)
			stack_leaf(fd, which); /* stack: direct */
	}
	return 0;
}

/* What is measured: 20,000 small writes. */
int tracee_loop(void)
{
	char record[100];
	memset(record, 'r', sizeof record);
	int fd = open_raw("f", O_CREAT | O_WRONLY);
	for (int i = 0; i < 20000; i++)
		NEED(syscall(SYS_pwrite64, fd, record, sizeof record, 100L * i));
	return 0;
}
