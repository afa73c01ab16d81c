#include "written.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem.h"
#include "registers.h"

/* What is newer than the headers may be (asm-generic numbers, for all machines). */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define FEATURE_WP_UNPOPULATED (1 << 13)
#define FEATURE_WP_ASYNC       (1 << 15)

/* linux/fs.h: struct page_region, struct pm_scan_arg. */
struct region {
	uint64_t start, end, categories;
};

struct scan {
	uint64_t size, flags;
	uint64_t start, end;
	uint64_t walk_end; /* out: where it stopped */
	uint64_t regions, n_regions;
	uint64_t pages_max; /* 0: no limit */
	uint64_t inverted, mask, any, wanted;
};

#define SCAN _IOWR('f', 16, struct scan)

enum {
	SCAN_PROTECT = 1,     /* PM_SCAN_WP_MATCHING */
	SCAN_CHECK_ASYNC = 2, /* PM_SCAN_CHECK_WPASYNC */
	CATEGORY_WRITTEN = 2, /* PAGE_IS_WRITTEN */
	REGIONS = 256,
};

struct written {
	int uffd;    /* made by the tracee, and no longer among its descriptors */
	int pagemap; /* of the tracee */
};

void written_destroy(struct written *written)
{
	if (!written)
		return;
	if (written->uffd >= 0)
		close(written->uffd);
	if (written->pagemap >= 0)
		close(written->pagemap);
	free(written);
}

/* How many seccomp filters a thread has, or -1. */
static long filters_of(const char *thread)
{
	static const char field[] = "Seccomp_filters:";
	char path[64], line[256];
	long n = -1;
	snprintf(path, sizeof path, "/proc/%s/status", thread);
	FILE *f = fopen(path, "re");
	while (f && n < 0 && fgets(line, sizeof line, f))
		if (strncmp(line, field, sizeof field - 1) == 0)
			n = strtol(line + sizeof field - 1, NULL, 10);
	if (f)
		fclose(f);
	return n;
}

/* A tracee's own filter might kill it for a call that it does not expect. */
static bool has_own_filter(const struct task *task)
{
	char thread[32];
	snprintf(thread, sizeof thread, "%d", task->tid);
	long theirs = filters_of(thread), ours = filters_of("thread-self");
	return theirs < 0 || ours < 0 || theirs != ours + 1;
}

/* Lets the tracee make a userfaultfd, and takes it.  -1 where that cannot be. */
static int take_uffd(struct task *task)
{
	uint64_t make[6] = {O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY};
	long theirs = -1, closed;
	enum call_outcome outcome = registers_call(task->tid, SYS_userfaultfd, make, &theirs);
	task->call.gone = outcome == CALL_GONE;
	if (outcome != CALL_DONE || theirs < 0)
		return -1;
	uint64_t put_away[6] = {(uint64_t)theirs};
	int ours = (int)syscall(SYS_pidfd_getfd, task->process->pidfd, (int)theirs, 0);
	outcome = registers_call(task->tid, SYS_close, put_away, &closed);
	task->call.gone = outcome == CALL_GONE;
	return ours;
}

struct written *written_create(struct task *task)
{
	if (task->process->pidfd < 0 || has_own_filter(task))
		return NULL;
	struct written *written = mem_alloc(1, sizeof *written);
	struct uffdio_api api = {.api = UFFD_API,
				 .features = FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED};
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/pagemap", task->tid);
	written->pagemap = open(path, O_RDONLY | O_CLOEXEC);
	written->uffd = written->pagemap < 0 ? -1 : take_uffd(task);
	if (written->uffd < 0 || ioctl(written->uffd, UFFDIO_API, &api) != 0) {
		written_destroy(written);
		return NULL;
	}
	return written;
}

bool written_add(const struct written *written, uint64_t start, uint64_t end)
{
	struct uffdio_register range = {.range = {start, end - start},
					.mode = UFFDIO_REGISTER_MODE_WP};
	return ioctl(written->uffd, UFFDIO_REGISTER, &range) == 0;
}

bool written_ask(const struct written *written, uint64_t start, uint64_t end, written_told *told,
		 void *arg)
{
	struct region regions[REGIONS];
	while (start < end) {
		struct scan scan = {.size = sizeof scan,
				    .flags = SCAN_PROTECT | SCAN_CHECK_ASYNC,
				    .start = start,
				    .end = end,
				    .regions = (uintptr_t)regions,
				    .n_regions = REGIONS,
				    .mask = CATEGORY_WRITTEN,
				    .wanted = CATEGORY_WRITTEN};
		long n = ioctl(written->pagemap, SCAN, &scan);
		if (n < 0 || scan.walk_end <= start)
			return false;
		for (long i = 0; i < n; i++)
			told(arg, regions[i].start, regions[i].end);
		start = scan.walk_end;
	}
	return true;
}
