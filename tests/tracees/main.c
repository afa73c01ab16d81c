#include "tracee.h"

#include <stdarg.h>
#include <string.h>

const struct tracee tracee_table[] = {
#define ROW(name)                                                                                  \
	{                                                                                          \
#name, tracee_##name                                                               \
	}
	ROW(contents),
	ROW(copies),
	ROW(sizes),
	ROW(opens),
	ROW(names),
	ROW(paths),
	ROW(syncs),
	ROW(descriptors),
	ROW(unlinked),
	ROW(reuse),
	ROW(failures),
	ROW(outside),
	ROW(threads),
	ROW(racing),
	ROW(wandering),
	ROW(restless),
	ROW(forking),
	ROW(children),
	ROW(shell),
	ROW(killed),
	ROW(daemon),
	ROW(markers),
	ROW(stack),
	ROW(loop),
	ROW(refused),
	ROW(mapped_for_reading),
	ROW(signals),
	ROW(exec_from_thread),
	ROW(stores),
	ROW(stores_synced),
	ROW(stores_grown),
	ROW(stores_replaced),
	ROW(stores_protected),
	ROW(stores_unlinked),
	ROW(stores_mixed),
	ROW(stores_forked),
	ROW(stores_exec),
	ROW(stores_filtered),
	ROW(stores_spliced),
	ROW(stores_not_made),
	ROW(stores_sparse),
	ROW(stores_signalled),
	ROW(stores_killed),
	ROW(stores_threads),
	ROW(stores_past_the_end),
	ROW(splice_to_mapped),
	ROW(tmpfile),
	ROW(rename_in),
	ROW(pipes),
	ROW(flags),
	ROW(resolved),
	ROW(through_proc),
	ROW(dotdot),
	ROW(long_names),
	ROW(trees),
	ROW(many),
	ROW(sockets),
	ROW(replaced),
	ROW(passed),
	ROW(own_table),
	ROW(leaderless),
	ROW(vforked),
	ROW(outlived),
	ROW(handles),
	ROW(chdir),
	ROW(sandboxed),
	ROW(interrupted),
	ROW(hidden),
	ROW(killed_in_call),
	ROW(exec_among_writers),
	ROW(listener),
	ROW(rename_out),
	ROW(link_in),
	ROW(link_out),
	ROW(whiteout),
	ROW(collapse),
	ROW(through_self),
	ROW(mknod),
	ROW(aio),
	ROW(aio_unreaped),
	ROW(aio_together),
	ROW(aio_append),
	ROW(clone_file),
	ROW(unknown),
	ROW(old_architecture),
	ROW(x32),
	ROW(untraced),
#undef ROW
	{NULL, NULL},
};

const struct tracee *tracee_find(const char *name)
{
	for (const struct tracee *t = tracee_table; t->name; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

void expect(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

long need(long result, const char *what)
{
	if (result >= 0)
		return result;
	perror(what);
	_exit(99);
}

int open_raw(const char *path, int flags)
{
	return (int)NEED(syscall(SYS_openat, AT_FDCWD, path, flags, 0666));
}

#ifdef TRACEE_PROGRAM
int main(int argc, char **argv)
{
	const struct tracee *tracee = argc == 3 ? tracee_find(argv[1]) : NULL;
	if (!tracee || chdir(argv[2]) != 0)
		return 98;
	return tracee->run();
}
#endif
