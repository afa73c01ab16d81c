#include "tracee.h"

int tracee_syncs(void)
{
	NEED(syscall(SYS_mkdirat, AT_FDCWD, "d", 0777));
	expect("mkdirat mkdir d");
	int root = open_raw(".", O_RDONLY), dir = open_raw("d", O_RDONLY | O_DIRECTORY);
	int fd = open_raw("d/f", O_CREAT | O_WRONLY);
	expect("openat creat d/f");
	NEED(syscall(SYS_fsync, fd));
	expect("fsync fsync d/f");
	NEED(syscall(SYS_fdatasync, fd));
	expect("fdatasync fdatasync d/f");
	NEED(syscall(SYS_fsync, dir));
	expect("fsync fsync d");
	NEED(syscall(SYS_fsync, root));
	expect("fsync fsync .");
	NEED(syscall(SYS_sync));
	expect("sync sync");
	NEED(syscall(SYS_syncfs, root));
	expect("syncfs sync");
	NEED(syscall(SYS_sync_file_range, fd, 0, 4096, 7));
	expect("sync_file_range hint d/f");
	return 0;
}
