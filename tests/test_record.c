/* The tracees of tests/tracees print what the recording of them should be; here
 * they run as functions, as a dynamic and as a static program, and the two are
 * compared. */
#include <check.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "buf.h"
#include "clock.h"
#include "mem.h"
#include "model.h"
#include "record.h"
#include "symbols.h"
#include "tracees/tracee.h"

enum mode { FUNCTION, DYNAMIC, STATIC, MODES };
static const char *const programs[] = {[DYNAMIC] = TRACEES, [STATIC] = TRACEES_STATIC};

/* A directory with the data directory in it, and a recording there. */
struct run {
	char base[64];
	char data[80];
	char output[80];
	struct trace *trace;
	struct record_options options;
	struct record_result result;
	struct err err;
	int rc;
};

static void setup(struct run *run)
{
	const char *parent = getenv("TMPDIR");
	*run = (struct run){.rc = -1};
	snprintf(run->base, sizeof run->base, "%.40s/record-XXXXXX", parent ? parent : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(run->base));
	snprintf(run->data, sizeof run->data, "%s/data", run->base);
	snprintf(run->output, sizeof run->output, "%s/output", run->base);
	ck_assert_int_eq(mkdir(run->data, 0777), 0);
	run->options.root = run->data;
	run->trace = trace_create();
}

static void teardown(struct run *run)
{
	char *command = mem_printf("rm -rf '%s'", run->base);
	ck_assert_int_eq(system(command), 0);
	free(command);
	trace_destroy(run->trace);
}

struct call {
	const struct tracee *tracee;
	const char *dir;
};

static int run_tracee(void *arg)
{
	const struct call *call = arg;
	return chdir(call->dir) == 0 ? call->tracee->run() : 98;
}

/* Records with the program's standard output in run->output. */
static void record_captured(struct run *run)
{
	fflush(stdout);
	int saved = dup(1), file = open(run->output, O_CREAT | O_WRONLY | O_TRUNC, 0666);
	dup2(file, 1);
	close(file);
	run->rc = record_run(&run->options, run->trace, &run->result, &run->err);
	dup2(saved, 1);
	close(saved);
}

static void record_tracee(struct run *run, const char *name, enum mode mode)
{
	struct call call = {tracee_find(name), run->data};
	char *const argv[] = {mem_printf("%s", programs[mode] ? programs[mode] : ""),
			      mem_printf("%s", name), mem_printf("%s", run->data), NULL};
	ck_assert_ptr_nonnull(call.tracee);
	run->options.arg = &call;
	run->options.function = mode == FUNCTION ? run_tracee : NULL;
	run->options.argv = mode == FUNCTION ? NULL : argv;
	record_captured(run);
	for (int i = 0; i < 3; i++)
		free(argv[i]);
	ck_assert_msg(run->rc == ERR_OK, "%s", run->err.text);
}

/* Rendering: a line for each event, as tracees expect it. */

struct name {
	uint32_t dir, ino;
	const char *name;
};

/* The names that there are, oldest first; a file goes by its oldest one. */
struct names {
	struct name of[512];
	size_t n;
};

static size_t find_name(const struct names *names, uint32_t dir, const char *name)
{
	size_t i = 0;
	while (i < names->n && (names->of[i].dir != dir || strcmp(names->of[i].name, name) != 0))
		i++;
	return i;
}

static void drop_name(struct names *names, uint32_t dir, const char *name)
{
	size_t i = find_name(names, dir, name);
	if (i == names->n)
		return;
	names->n--;
	memmove(&names->of[i], &names->of[i + 1], (names->n - i) * sizeof *names->of);
}

static void add_name(struct names *names, uint32_t dir, const char *name, uint32_t ino)
{
	if (dir == 0)
		return; /* made without a name */
	drop_name(names, dir, name);
	ck_assert_uint_lt(names->n, sizeof names->of / sizeof *names->of);
	names->of[names->n++] = (struct name){dir, ino, name};
}

static void follow_names(struct names *names, const struct event *e)
{
	if (e->kind == EVENT_CREATE || e->kind == EVENT_MKDIR || e->kind == EVENT_SYMLINK ||
	    e->kind == EVENT_LINK)
		add_name(names, e->dir, e->name, e->ino);
	if (e->kind == EVENT_UNLINK || e->kind == EVENT_RMDIR || e->kind == EVENT_RENAME)
		drop_name(names, e->dir, e->name);
	if (e->kind == EVENT_RENAME)
		add_name(names, e->dir2, e->name2, e->ino);
	if (e->kind == EVENT_EXCHANGE) {
		size_t a = find_name(names, e->dir, e->name),
		       b = find_name(names, e->dir2, e->name2);
		ck_assert(a < names->n && b < names->n);
		names->of[a].ino = names->of[b].ino;
		names->of[b].ino = e->ino;
	}
}

static void start_names(struct names *names, const struct trace *t)
{
	names->n = 0;
	for (size_t i = 0; i < t->n_start_entries; i++)
		add_name(names, t->start_entries[i].dir, t->start_entries[i].name,
			 t->start_entries[i].ino);
}

static void put_inode(const struct names *names, uint32_t ino, struct buf *out)
{
	for (size_t i = 0; i < names->n; i++) {
		if (names->of[i].ino != ino)
			continue;
		if (names->of[i].dir != TRACE_ROOT) {
			put_inode(names, names->of[i].dir, out);
			buf_byte(out, '/');
		}
		buf_string(out, names->of[i].name);
		return;
	}
	if (ino == TRACE_ROOT)
		buf_byte(out, '.');
	else
		buf_printf(out, "#%u", ino);
}

static void put_path(const struct names *names, uint32_t ino, struct buf *out)
{
	buf_byte(out, ' ');
	put_inode(names, ino, out);
}

static void put_name(const struct names *names, uint32_t dir, const char *name, struct buf *out)
{
	buf_byte(out, ' ');
	if (dir != TRACE_ROOT && dir != 0) {
		put_inode(names, dir, out);
		buf_byte(out, '/');
	}
	buf_string(out, name);
}

static bool is_one_byte(const struct event *e)
{
	return e->data_length > 64 && memcmp(e->data, e->data + 1, e->data_length - 1) == 0;
}

static void put_data(const struct event *e, struct buf *out)
{
	if (is_one_byte(e)) {
		buf_printf(out, " %llu*%c", (unsigned long long)e->data_length, e->data[0]);
		return;
	}
	buf_string(out, " \"");
	for (uint64_t i = 0; i < e->data_length; i++) {
		if (e->data[i] < ' ')
			buf_printf(out, "\\x%02x", e->data[i]);
		else
			buf_byte(out, e->data[i]);
	}
	buf_string(out, "\"");
}

static void put_numbers(const struct event *e, struct buf *out)
{
	if (e->kind != EVENT_TRUNCATE)
		buf_printf(out, " %llu", (unsigned long long)e->offset);
	if (e->kind != EVENT_WRITE)
		buf_printf(out, " %llu", (unsigned long long)e->length);
	if (e->kind == EVENT_WRITE)
		put_data(e, out);
	if (e->flags & EVENT_KEEP_SIZE)
		buf_string(out, " keep");
	if (e->flags & EVENT_DSYNC)
		buf_string(out, " dsync");
	if (e->flags & EVENT_FSYNC_TOO)
		buf_string(out, " fsync");
	if (e->flags & EVENT_STORE)
		buf_string(out, " stored");
}

static void put_event(const struct names *names, const struct event *e, bool calls, struct buf *out)
{
	if (calls && e->call[0])
		buf_printf(out, "%s ", e->call);
	buf_string(out, event_kind_name((enum event_kind)e->kind));
	switch (e->kind) {
	case EVENT_CREATE:
		if (e->dir == 0) {
			buf_printf(out, " #%u", e->ino);
			break;
		}
		/* fall through */
	case EVENT_MKDIR:
	case EVENT_UNLINK:
	case EVENT_RMDIR:
		put_name(names, e->dir, e->name, out);
		break;
	case EVENT_SYMLINK:
		put_name(names, e->dir, e->name, out);
		buf_printf(out, " -> %.*s", (int)e->data_length, (const char *)e->data);
		break;
	case EVENT_LINK:
		put_name(names, e->dir, e->name, out);
		buf_string(out, " to");
		put_path(names, e->ino, out);
		break;
	case EVENT_RENAME:
	case EVENT_EXCHANGE:
		put_name(names, e->dir, e->name, out);
		buf_string(out, e->kind == EVENT_RENAME ? " ->" : " <->");
		put_name(names, e->dir2, e->name2, out);
		break;
	case EVENT_WRITE:
	case EVENT_TRUNCATE:
	case EVENT_FALLOCATE:
	case EVENT_ZERO:
	case EVENT_MSYNC:
		put_path(names, e->ino, out);
		put_numbers(e, out);
		break;
	case EVENT_FSYNC:
	case EVENT_FDATASYNC:
	case EVENT_HINT:
	case EVENT_OPEN:
		put_path(names, e->ino, out);
		break;
	case EVENT_FAULT:
		buf_printf(out, " %s %llu", e->name, (unsigned long long)e->offset);
		break;
	case EVENT_OP_BEGIN:
	case EVENT_OP_END:
		buf_printf(out, " %llu", (unsigned long long)e->offset);
		put_data(e, out);
		break;
	case EVENT_NOTE:
		buf_printf(out, "%s %.*s", e->flags & EVENT_INCONCLUSIVE ? "!" : "",
			   (int)e->data_length, (const char *)e->data);
		break;
	default:
		break;
	}
	buf_string(out, "\n");
}

static char *read_file(const char *path)
{
	struct buf text = {0};
	char bytes[4096];
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
		buf_append(&text, bytes, n);
	fclose(f);
	buf_text(&text);
	return text.data;
}

/* The trace in lines, with the names of the calls or without. */
static char *render(const struct trace *trace, bool calls)
{
	struct buf lines = {0};
	struct names names;
	start_names(&names, trace);
	for (size_t i = 0; i < trace->n_events; i++) {
		const struct event *e = &trace->events[i];
		if (calls || e->kind != EVENT_NOTE || e->flags & EVENT_INCONCLUSIVE)
			put_event(&names, e, calls, &lines);
		follow_names(&names, e);
	}
	buf_text(&lines);
	return lines.data;
}

static void assert_as_expected(const struct run *run)
{
	char *expected = read_file(run->output), *actual = render(run->trace, true);
	ck_assert_str_eq(actual, expected);
	free(expected);
	free(actual);
}

static void assert_exited(const struct run *run, int code)
{
	ck_assert_msg(WIFEXITED(run->result.wait_status) &&
			      WEXITSTATUS(run->result.wait_status) == code,
		      "wait status 0x%x", run->result.wait_status);
}

static void assert_conclusive(const struct run *run)
{
	const char *why = trace_inconclusive(run->trace);
	ck_assert_msg(!why, "%s", why);
}

/* What the tracees expect */

static const char *const plain[] = {
	"contents",
	"copies",
	"sizes",
	"opens",
	"names",
	"paths",
	"syncs",
	"descriptors",
	"reuse",
	"unlinked",
	"failures",
	"outside",
	"children",
	"shell",
	"markers",
	"refused",
	"mapped_for_reading",
	"signals",
	"exec_from_thread",
	"clone_file",
	"pipes",
	"flags",
	"resolved",
	"through_proc",
	"dotdot",
	"long_names",
	"trees",
	"many",
	"sockets",
	"replaced",
	"passed",
	"own_table",
	"leaderless",
	"vforked",
	"outlived",
	"handles",
	"chdir",
	"sandboxed",
	"interrupted",
};
enum { N_PLAIN = sizeof plain / sizeof *plain };

/* Without threads that overlap, a call is entered after all before it. */
static void assert_entered_in_order(const struct trace *t)
{
	for (size_t i = 0; i < t->n_events; i++) {
		const struct event *e = &t->events[i];
		/* An open that truncates leaves two events; a splice may wait for others. */
		bool second = e->kind == EVENT_TRUNCATE &&
			      strstr("openat openat2 open_by_handle_at creat", e->call) &&
			      t->events[i - 1].kind == EVENT_OPEN;
		if (strcmp(e->call, "splice") != 0)
			ck_assert_uint_eq(e->entered, second ? i - 1 : i);
	}
}

START_TEST(a_tracee_is_recorded_as_it_expects)
{
	struct run run;
	setup(&run);
	record_tracee(&run, plain[_i / MODES], _i % MODES);
	assert_exited(&run, 0);
	assert_as_expected(&run);
	assert_conclusive(&run);
	assert_entered_in_order(run.trace);
	teardown(&run);
}
END_TEST

/* A filter in the test itself, which the recorder inherits. */
static void forbid(int number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof code / sizeof *code, code};
	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(what_may_be_missing_is_recorded)
{
	struct run run;
	setup(&run);
	static const char *const names[] = {"tmpfile", "aio"};
	const char *name = names[_i / MODES];
	record_tracee(&run, name, _i % MODES);
	if (WEXITSTATUS(run.result.wait_status) == NOT_HERE) {
		printf("SKIPPED: what_may_be_missing_is_recorded: %s: not on this system\n", name);
	} else {
		assert_exited(&run, 0);
		assert_as_expected(&run);
		assert_conclusive(&run);
	}
	teardown(&run);
}
END_TEST

START_TEST(where_descriptors_cannot_be_fetched_proc_tells_the_same)
{
	struct run run;
	setup(&run);
	forbid(SYS_pidfd_getfd);
	record_tracee(&run, plain[_i], DYNAMIC);
	assert_as_expected(&run);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

START_TEST(without_ptrace_recording_is_refused)
{
	struct run run;
	setup(&run);
	struct call call = {tracee_find("contents"), run.data};
	run.options.function = run_tracee;
	run.options.arg = &call;
	/* In a child: a leak checker at the end of the test wants ptrace too. */
	pid_t pid = fork();
	if (pid == 0) {
		forbid(SYS_ptrace);
		record_captured(&run);
		_exit(run.rc == ERR_UNSUPPORTED && run.trace->n_events == 0 ? 0 : 1);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	teardown(&run);
}
END_TEST

START_TEST(a_program_that_does_not_exist_is_missing)
{
	struct run run;
	setup(&run);
	char *const argv[] = {(char[]){"/no/such/program"}, NULL};
	run.options.argv = argv;
	record_captured(&run);
	ck_assert_int_eq(run.rc, ERR_MISSING);
	ck_assert_ptr_nonnull(strstr(run.err.text, "/no/such/program"));
	teardown(&run);
}
END_TEST

START_TEST(a_root_that_does_not_exist_is_missing)
{
	struct run run;
	setup(&run);
	struct call call = {tracee_find("contents"), run.data};
	run.options.function = run_tracee;
	run.options.arg = &call;
	run.options.root = "/no/such/directory";
	record_captured(&run);
	ck_assert_int_eq(run.rc, ERR_MISSING);
	teardown(&run);
}
END_TEST

START_TEST(the_root_may_be_relative_and_a_symbolic_link)
{
	struct run run;
	setup(&run);
	ck_assert_int_eq(chdir(run.base), 0);
	ck_assert_int_eq(symlink("data", "link"), 0);
	run.options.root = "link/../link";
	record_tracee(&run, "paths", DYNAMIC);
	assert_as_expected(&run);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

/* Stores through mappings */

static const char *const storing[] = {
	"stores",	    "stores_synced",   "stores_grown",	"stores_replaced",
	"stores_protected", "stores_unlinked", "stores_mixed",	"stores_forked",
	"stores_exec",	    "stores_filtered", "stores_sparse",
	"stores_spliced", /* not where a pipe cannot be looked into */
};
enum { N_STORING = sizeof storing / sizeof *storing };

/* Both ways of finding them must find the same. */
START_TEST(stores_are_seen_at_the_next_call)
{
	struct run run;
	setup(&run);
	run.options.compare_mappings = _i % 2;
	record_tracee(&run, storing[_i / 2 / MODES], _i / 2 % MODES);
	assert_exited(&run, 0);
	assert_as_expected(&run);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

START_TEST(without_descriptors_stores_are_seen_alike)
{
	struct run run;
	setup(&run);
	forbid(SYS_pidfd_getfd);
	record_tracee(&run, storing[_i], DYNAMIC);
	assert_as_expected(&run);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

START_TEST(stores_before_a_kill_are_there)
{
	struct run run;
	setup(&run);
	run.options.compare_mappings = _i % 2;
	record_tracee(&run, "stores_killed", FUNCTION);
	ck_assert_int_eq(WTERMSIG(run.result.wait_status), SIGKILL);
	assert_as_expected(&run);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

static const char *const ending[] = {"stores_threads", "stores_past_the_end", "stores_signalled"};
enum { N_ENDING = sizeof ending / sizeof *ending };

/* The directory at the end is what the recording says. */
START_TEST(racing_stores_leave_a_trace_that_fits)
{
	struct run run;
	setup(&run);
	run.options.compare_mappings = _i % 2;
	record_tracee(&run, ending[_i / 2], DYNAMIC);
	assert_exited(&run, 0);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

/* Half of what a call writes is not taken for stores. */
START_TEST(a_write_is_no_store)
{
	struct run run;
	setup(&run);
	run.options.compare_mappings = _i;
	record_tracee(&run, "stores_not_made", DYNAMIC);
	assert_exited(&run, 0);
	assert_conclusive(&run);
	for (size_t i = 0; i < run.trace->n_events; i++)
		ck_assert_uint_eq(run.trace->events[i].flags & EVENT_STORE, 0);
	teardown(&run);
}
END_TEST

/* Where the kernel tells what was written, little else is compared. */
START_TEST(only_what_was_written_is_compared)
{
	struct run run;
	uint64_t pages[2];
	for (int i = 0; i < 2; i++) {
		setup(&run);
		run.options.compare_mappings = i;
		record_tracee(&run, "stores_sparse", DYNAMIC);
		pages[i] = run.result.pages_compared;
		teardown(&run);
	}
	ck_assert_uint_ge(pages[1], 50 * 512);
	if (pages[0] == pages[1])
		fprintf(stderr, "not tested here: this kernel does not tell what was written\n");
	else
		ck_assert_uint_le(pages[0], 3 * 512 + 100);
}
END_TEST

/* What was stored and never synced can be lost; what was synced cannot. */
START_TEST(a_store_without_msync_can_be_lost)
{
	struct run run;
	struct ops *ops;
	setup(&run);
	record_tracee(&run, "stores_unlinked", FUNCTION);
	ck_assert_int_eq(ops_lower(run.trace, &ops, &run.err), 0);
	for (const struct profile *p = profile_table; p->name; p++) {
		struct model *model = model_create(ops, p);
		while (model_advance(model))
			continue;
		uint32_t block = ops_block_object(ops, 2, 0);
		ck_assert_uint_eq(model_high(model, block), 2);
		/* The file has no name. */
		uint32_t low = p->order == ORDER_ISSUED ? 2 : p->nameless_unlogged ? 0 : 1;
		ck_assert_uint_eq(model_low(model, block), low);
		model_destroy(model);
	}
	teardown(&run);
}
END_TEST

/* The start */

START_TEST(the_start_holds_files_directories_and_links)
{
	struct run run;
	setup(&run);
	char *command = mem_printf("cd %s && mkdir d && printf abc > d/f && ln d/f g && "
				   "ln -s d/f s && : > empty && mkfifo pipe",
				   run.data);
	ck_assert_int_eq(system(command), 0);
	free(command);
	char *const argv[] = {(char[]){"true"}, NULL};
	run.options.argv = argv;
	record_captured(&run);
	ck_assert_int_eq(run.rc, ERR_OK);
	assert_conclusive(&run);
	const struct trace *t = run.trace;
	ck_assert_uint_eq(t->n_start_entries, 5);
	ck_assert_uint_eq(t->n_start_inodes, 4);
	struct buf text = {0};
	struct names names;
	start_names(&names, t);
	for (size_t i = 0; i < names.n; i++) {
		put_name(&names, names.of[i].dir, names.of[i].name, &text);
		buf_printf(&text, "=%u", names.of[i].ino);
	}
	ck_assert_str_eq(buf_text(&text), " d=2 d/f=3 empty=4 g=3 s=5");
	buf_finish(&text);
	ck_assert_mem_eq(t->start_inodes[1].data, "abc", 3);
	ck_assert_mem_eq(t->start_inodes[3].data, "d/f", 3);
	teardown(&run);
}
END_TEST

static int change_start(void *arg)
{
	if (chdir(arg) != 0)
		return 98;
	int fd = open_raw("g", O_WRONLY);
	NEED(syscall(SYS_pwrite64, fd, "X", 1, 1));
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "d/f", 0));
	open_raw("g", O_WRONLY | O_TRUNC);
	NEED(syscall(SYS_renameat, AT_FDCWD, "d", AT_FDCWD, "e"));
	expect("openat open d/f");
	expect("pwrite64 write d/f 1 \"X\"");
	expect("unlinkat unlink d/f");
	expect("openat open g");
	expect("openat truncate g 0");
	expect("renameat rename d -> e");
	return 0;
}

START_TEST(what_was_there_at_the_start_is_known)
{
	struct run run;
	setup(&run);
	char *command = mem_printf("cd %s && mkdir d && printf abc > d/f && ln d/f g", run.data);
	ck_assert_int_eq(system(command), 0);
	free(command);
	run.options.function = change_start;
	run.options.arg = run.data;
	record_captured(&run);
	ck_assert_int_eq(run.rc, ERR_OK);
	assert_exited(&run, 0);
	assert_as_expected(&run);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

/* A directory with a pipe in it: opening it waits for its other end. */
static void *write_to_pipe(void *arg)
{
	(void)arg;
	int fd = open_raw("pipe", O_WRONLY | O_CREAT | O_TRUNC);
	NEED(syscall(SYS_write, fd, "x", 1));
	return NULL;
}

static int meet_at_pipe(void *arg)
{
	pthread_t thread;
	char byte;
	if (chdir(arg) != 0)
		return 98;
	pthread_create(&thread, NULL, write_to_pipe, NULL);
	usleep(10000);
	open_raw("f", O_CREAT | O_WRONLY);
	expect("openat creat f");
	NEED(read(open_raw("pipe", O_RDONLY), &byte, 1));
	pthread_join(thread, NULL);
	NEED(syscall(SYS_unlinkat, AT_FDCWD, "pipe", 0));
	return 0;
}

START_TEST(a_pipe_in_the_directory_holds_nobody_up)
{
	struct run run;
	setup(&run);
	char *pipe = mem_printf("%s/pipe", run.data);
	ck_assert_int_eq(mkfifo(pipe, 0600), 0);
	free(pipe);
	run.options.function = meet_at_pipe;
	run.options.arg = run.data;
	run.options.timeout_ms = 5000;
	record_captured(&run);
	ck_assert(!run.result.timed_out);
	assert_exited(&run, 0);
	assert_as_expected(&run);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

/* File systems of our own.  Each test is a process, whose mounts end with it. */
static bool mount_own(const char *test, const char *from, const char *at, const char *type,
		      unsigned long flags, const char *options)
{
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount(from, at, type, flags, options) == 0)
		return true;
	printf("SKIPPED: %s: needs the right to mount\n", test);
	return false;
}

/* O_DIRECT is refused when the file has been made. */
static int open_in_vain(void *arg)
{
	if (chdir(arg) != 0 ||
	    syscall(SYS_openat, AT_FDCWD, "f", O_CREAT | O_RDWR | O_DIRECT, 0600) >= 0)
		return 99;
	expect("openat creat f");
	int fd = open_raw("f", O_CREAT | O_RDWR);
	expect("openat open f");
	NEED(syscall(SYS_write, fd, "x", 1));
	expect("write write f 0 \"x\"");
	return 0;
}

START_TEST(an_open_that_fails_may_have_made_a_file)
{
	struct run run;
	setup(&run);
	if (mount_own("an_open_that_fails_may_have_made_a_file", "none", run.data, "ramfs", 0,
		      NULL)) {
		run.options.function = open_in_vain;
		run.options.arg = run.data;
		record_captured(&run);
		assert_exited(&run, 0);
		assert_as_expected(&run);
		assert_conclusive(&run);
		umount(run.data);
	}
	teardown(&run);
}
END_TEST

/* Until nothing goes any more, which is said by calls that fail or fall short. */
static int fill_disk(void *arg)
{
	static char bytes[50000];
	long at = 0, n = 0;
	if (chdir(arg) != 0)
		return 98;
	memset(bytes, 'x', sizeof bytes);
	int fd = open_raw("f", O_CREAT | O_RDWR);
	expect("openat creat f");
	for (; (n = syscall(SYS_write, fd, bytes, sizeof bytes)) > 0; at += n)
		expect("write write f %ld %ld*x", at, n);
	if (syscall(SYS_fallocate, fd, 0, 0L, 10000000L) == 0 ||
	    syscall(SYS_mkdirat, AT_FDCWD, "d", 0700) == 0)
		return 99;
	NEED(syscall(SYS_ftruncate, fd, 4096L));
	expect("ftruncate truncate f 4096");
	NEED(syscall(SYS_pwrite64, fd, "y", 1, 1L));
	expect("pwrite64 write f 1 \"y\"");
	return 0;
}

START_TEST(a_full_disk_cuts_calls_short)
{
	struct run run;
	setup(&run);
	if (mount_own("a_full_disk_cuts_calls_short", "none", run.data, "tmpfs", 0,
		      "size=256k,nr_inodes=2")) {
		run.options.function = fill_disk;
		run.options.arg = run.data;
		record_captured(&run);
		assert_exited(&run, 0);
		assert_as_expected(&run);
		assert_conclusive(&run);
		umount(run.data);
	}
	teardown(&run);
}
END_TEST

START_TEST(the_directory_is_known_wherever_it_is_mounted)
{
	static const char *const tracees[] = {"contents", "names",    "descriptors",
					      "trees",	  "unlinked", "reuse"};
	struct run run;
	setup(&run);
	char *again = mem_printf("%s/again", run.base);
	ck_assert_int_eq(mkdir(again, 0777), 0);
	if (mount_own("the_directory_is_known_wherever_it_is_mounted", run.data, again, NULL,
		      MS_BIND, NULL)) {
		struct call call = {tracee_find(tracees[_i]), again};
		run.options.function = run_tracee;
		run.options.arg = &call;
		record_captured(&run);
		assert_exited(&run, 0);
		assert_as_expected(&run);
		assert_conclusive(&run);
		umount(again);
	}
	free(again);
	teardown(&run);
}
END_TEST
enum { N_MOUNTED = 6 };

/* What spoils a run */

static const struct {
	const char *tracee, *note;
} spoilers[] = {
	{"splice_to_mapped", "splice: from an empty pipe into a file that is mapped"},
	{"rename_in", "renameat: inside came from outside"},
	{"rename_out", "renameat: inside was moved out"},
	{"link_in", "linkat: inside is a file from outside"},
	{"link_out", "linkat: a name outside"},
	{"whiteout", "renameat2: flags 0x4"},
	{"collapse", "fallocate: mode 0x8"},
	{"through_self", "mkdirat: cannot follow the path self/cwd/d"},
	{"mknod", "mknodat: pipe is neither"},
	{"aio_unreaped", "fsync: before the completion of a write"},
	{"aio_together", "io_submit: before the completion of a write"},
	{"aio_append", "io_submit: operation 1 is not modelled"},
	{"unknown", "system call 100000 is not in the table"},
	{"old_architecture", "another architecture's system call 20 is not"},
	{"x32", "is not in the table"},
	{"untraced", "clone: flags 0x800000"},
	{"listener", "seccomp: is not modelled"},
};
enum { N_SPOILERS = sizeof spoilers / sizeof *spoilers };

START_TEST(what_is_not_modelled_spoils_the_run_by_name)
{
	struct run run;
	setup(&run);
	record_tracee(&run, spoilers[_i].tracee, FUNCTION);
	if (WIFEXITED(run.result.wait_status) && WEXITSTATUS(run.result.wait_status) == NOT_HERE) {
		fprintf(stderr, "not tested here: %s\n", spoilers[_i].tracee);
		assert_conclusive(&run);
	} else {
		assert_exited(&run, 0);
		const char *why = trace_inconclusive(run.trace);
		ck_assert_ptr_nonnull(why);
		ck_assert_msg(strstr(why, spoilers[_i].note), "%s", why);
	}
	teardown(&run);
}
END_TEST

START_TEST(what_hides_from_its_user_is_seen_by_root)
{
	struct run run;
	setup(&run);
	if (geteuid() != 0) {
		puts("SKIPPED: what_hides_from_its_user_is_seen_by_root: needs to be root");
	} else {
		record_tracee(&run, "hidden", _i);
		assert_exited(&run, 0);
		assert_as_expected(&run);
		assert_conclusive(&run);
	}
	teardown(&run);
}
END_TEST

START_TEST(what_hides_spoils_the_run)
{
	enum { NOBODY = 65534 };
	struct run run;
	setup(&run);
	ck_assert_int_eq(chmod(run.base, 0777), 0);
	ck_assert_int_eq(chmod(run.data, 0777), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
			_exit(99);
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		struct call call = {tracee_find("hidden"), run.data};
		run.options.function = run_tracee;
		run.options.arg = &call;
		record_captured(&run);
		const char *why = run.rc == ERR_OK ? trace_inconclusive(run.trace) : NULL;
		_exit(why && strstr(why, "write: its descriptor cannot be looked up") ? 0 : 1);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	teardown(&run);
}
END_TEST

/* Another process writes to the directory: the trace cannot know, the check at
 * the end does. */
static int let_another_write(void *arg)
{
	char **pipes = arg;
	int *to = (int *)(void *)pipes[0], *back = (int *)(void *)pipes[1];
	char byte = 0;
	return write(to[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1 ? 0 : 99;
}

START_TEST(a_directory_that_differs_at_the_end_spoils_the_run)
{
	struct run run;
	setup(&run);
	static const struct {
		const char *before, *during, *note;
	} cases[] = {
		{":", "echo x > stray", "stray is not in the trace"},
		{"echo a > f", "echo b > f", "f has other contents"},
		{"echo a > f", "echo bb > f", "f has another size"},
		{"mkdir d; echo a > d/f", "rm d/f", "d/f is missing"},
		{"echo a > f; ln f g", "rm g; echo a > g", "g is linked otherwise"},
		{"echo a > f", "rm f; mkdir f", "f is of another type"},
		{"ln -s a s", "rm s; ln -s b s", "s links elsewhere"},
	};
	int to[2], back[2];
	int *pipes[] = {to, back};
	char byte = 0;
	char *before = mem_printf("cd %s; %s", run.data, cases[_i].before),
	     *during = mem_printf("cd %s; %s", run.data, cases[_i].during);
	ck_assert_int_eq(system(before), 0);
	ck_assert(pipe(to) == 0 && pipe(back) == 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(read(to[0], &byte, 1) == 1 && system(during) == 0 &&
				      write(back[1], &byte, 1) == 1
			      ? 0
			      : 1);
	run.options.function = let_another_write;
	run.options.arg = pipes;
	record_captured(&run);
	int status;
	/* The recording has not taken this child from us. */
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(run.rc, ERR_OK);
	const char *why = trace_inconclusive(run.trace);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, cases[_i].note), "%s", why);
	free(before);
	free(during);
	teardown(&run);
}
END_TEST
enum { N_DIFFERENCES = 7 };

/* Ends */

START_TEST(a_kill_leaves_the_trace_up_to_it)
{
	struct run run;
	setup(&run);
	record_tracee(&run, "killed", _i);
	ck_assert(WIFSIGNALED(run.result.wait_status));
	ck_assert_int_eq(WTERMSIG(run.result.wait_status), SIGKILL);
	ck_assert(!run.result.timed_out);
	assert_as_expected(&run);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

START_TEST(what_a_killed_call_did_is_in_the_trace)
{
	for (int i = 0; i < 10; i++) {
		struct run run;
		setup(&run);
		run.options.no_stacks = true;
		record_tracee(&run, "killed_in_call", _i);
		ck_assert(WIFSIGNALED(run.result.wait_status));
		assert_conclusive(&run);
		teardown(&run);
	}
}
END_TEST

START_TEST(an_exec_ends_threads_that_wait_for_their_turn)
{
	for (int i = 0; i < 10; i++) {
		struct run run;
		setup(&run);
		record_tracee(&run, "exec_among_writers", _i);
		assert_exited(&run, 0);
		assert_conclusive(&run);
		teardown(&run);
	}
}
END_TEST

START_TEST(what_a_daemon_leaves_is_killed_when_time_is_over)
{
	struct run run;
	setup(&run);
	run.options.timeout_ms = 300;
	uint64_t start = clock_ns();
	record_tracee(&run, "daemon", _i);
	ck_assert(run.result.timed_out);
	ck_assert_uint_lt(clock_ns() - start, 5000000000u);
	assert_exited(&run, 7);
	ck_assert_uint_gt(run.trace->n_events, 2);
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
	teardown(&run);
}
END_TEST

START_TEST(a_program_that_forks_forever_ends_with_the_time)
{
	struct run run;
	setup(&run);
	run.options.timeout_ms = 300;
	record_tracee(&run, "forking", _i);
	ck_assert(run.result.timed_out);
	ck_assert_int_eq(waitpid(-1, NULL, 0), -1);
	teardown(&run);
}
END_TEST

START_TEST(the_caller_keeps_its_cpus)
{
	struct run run;
	cpu_set_t before, after;
	setup(&run);
	sched_getaffinity(0, sizeof before, &before);
	record_tracee(&run, "contents", FUNCTION);
	sched_getaffinity(0, sizeof after, &after);
	ck_assert(CPU_EQUAL(&before, &after));
	teardown(&run);
}
END_TEST

/* Threads */

START_TEST(each_thread_has_its_own_order)
{
	struct run run;
	setup(&run);
	record_tracee(&run, "threads", _i);
	assert_exited(&run, 0);
	assert_conclusive(&run);
	const struct trace *t = run.trace;
	unsigned next[5] = {0}, writes = 0;
	uint64_t end = 0;
	for (size_t i = 0; i < t->n_events; i++) {
		const struct event *e = &t->events[i];
		int id, number;
		ck_assert_uint_le(e->entered, i);
		if (e->kind != EVENT_WRITE)
			continue;
		ck_assert_int_eq(sscanf((const char *)e->data, "%d:%d", &id, &number), 2);
		ck_assert_uint_lt(e->thread, 5);
		ck_assert_uint_ge(e->thread, 1);
		ck_assert_int_eq(number, (int)next[e->thread]++ / 2);
		char *path = trace_path(t, e->ino, i);
		if (strcmp(path, "shared") == 0) {
			ck_assert_uint_eq(e->offset, end);
			end += e->length;
		}
		free(path);
		writes++;
	}
	ck_assert_uint_eq(writes, 4 * 50 * 2);
	teardown(&run);
}
END_TEST

START_TEST(threads_that_race_for_names_leave_a_trace_that_fits)
{
	struct run run;
	setup(&run);
	record_tracee(&run, "racing", _i);
	assert_exited(&run, 0);
	assert_conclusive(&run);
	ck_assert_uint_gt(run.trace->n_events, 4 * 50 * 3);
	teardown(&run);
}
END_TEST

START_TEST(threads_that_disturb_each_other_leave_a_trace_that_fits)
{
	static const char *const names[] = {"restless", "wandering"};
	struct run run;
	setup(&run);
	record_tracee(&run, names[_i / MODES], _i % MODES);
	assert_exited(&run, 0);
	assert_conclusive(&run);
	teardown(&run);
}
END_TEST

/* Stacks */

/* The line of tests/tracees/marks.c that has this comment. */
static int line_of(const char *comment)
{
	char *text = read_file(TRACEE_SOURCES "/marks.c");
	char *at = strstr(text, comment);
	ck_assert_ptr_nonnull(at);
	int line = 1;
	for (char *p = text; p < at; p++)
		line += *p == '\n';
	free(text);
	return line;
}

static void assert_frame(const struct source *source, const char *function, const char *comment)
{
	ck_assert_str_eq(source->function, function);
	ck_assert_int_eq(source->line, line_of(comment));
	ck_assert(!source->system);
	ck_assert_ptr_nonnull(strstr(source->file, "tracees/marks.c"));
}

/* The frames of an event that are not the system's, innermost first. */
static size_t own_frames(struct symbols *symbols, const struct event *e, struct source *out,
			 size_t max)
{
	size_t n = 0;
	struct source source;
	for (size_t i = 0; symbols_frame(symbols, e->stack, i, &source); i++)
		if (!source.system && strstr(source.file, "marks.c") && n < max)
			out[n++] = source;
	return n;
}

START_TEST(stacks_name_the_lines_of_the_calls)
{
	struct run run;
	setup(&run);
	record_tracee(&run, "stack", _i);
	assert_exited(&run, 0);
	assert_conclusive(&run);
	struct symbols *symbols = symbols_create(run.trace, NULL);
	static const struct {
		const char *leaf, *outer;
		size_t frames;
	} calls[] = {
		{"stack: leaf a", "stack: outer a", 3},
		{"stack: leaf b", "stack: outer b", 3},
		{"stack: leaf a", "stack: direct", 2},
		{"stack: leaf b", "stack: direct", 2},
	};
	ck_assert_uint_eq(run.trace->n_events, 1 + 400);
	for (size_t i = 1; i < run.trace->n_events; i++) {
		struct source own[4];
		size_t n = own_frames(symbols, &run.trace->events[i], own, 4), k = (i - 1) % 4;
		ck_assert_uint_eq(n, calls[k].frames);
		assert_frame(&own[0], "stack_leaf", calls[k].leaf);
		if (n == 3)
			assert_frame(&own[1], "stack_middle", "stack: middle");
		assert_frame(&own[n - 1], "tracee_stack", calls[k].outer);
	}
	/* Equal stacks are kept once: the create and four writes. */
	ck_assert_uint_eq(run.trace->n_stacks, 1 + 5);
	symbols_destroy(symbols);
	teardown(&run);
}
END_TEST

START_TEST(stacks_can_be_left_out)
{
	struct run run;
	setup(&run);
	run.options.no_stacks = true;
	record_tracee(&run, "stack", DYNAMIC);
	ck_assert_uint_eq(run.trace->n_stacks, 1);
	ck_assert_uint_eq(run.trace->events[5].stack, 0);
	teardown(&run);
}
END_TEST

START_TEST(a_module_that_is_gone_or_of_another_build_gives_no_names)
{
	struct run run;
	setup(&run);
	record_tracee(&run, "stack", DYNAMIC);
	/* Frame 1 of the first call is open_raw. */
	struct frame real = run.trace->stacks[run.trace->events[0].stack].frames[1];
	const struct module *module = &run.trace->modules[real.module];
	struct trace *trace = trace_create();
	struct frame frames[] = {
		{trace_module(trace, module->path, module->build_id), real.offset},
		{trace_module(trace, module->path, "0123456789abcdef"), real.offset},
		{trace_module(trace, "/no/such/file", module->build_id), real.offset},
	};
	uint32_t stack = trace_stack(trace, frames, 3);
	struct symbols *symbols = symbols_create(trace, NULL);
	struct source source;
	for (size_t i = 0; i < 3; i++) {
		ck_assert(symbols_frame(symbols, stack, i, &source));
		ck_assert_str_eq(source.function, i == 0 ? "open_raw" : "");
		ck_assert_int_eq(source.file[0] != 0, i == 0);
		ck_assert_int_eq(source.line != 0, i == 0);
	}
	ck_assert(!symbols_frame(symbols, stack, 3, &source));
	symbols_destroy(symbols);
	trace_destroy(trace);
	teardown(&run);
}
END_TEST

/* Other languages */

struct language {
	const char *name, *program, *script;
};
static const struct language languages[] = {
	{"Go", GO_TRACEE, NULL},
	{"Python", "python3", TRACEE_SOURCES "/tracee.py"},
	{"Node.js", "node", TRACEE_SOURCES "/tracee.js"},
};
enum { N_LANGUAGES = sizeof languages / sizeof *languages };

static bool is_here(const struct language *language)
{
	char *command = mem_printf("command -v '%s' >/dev/null", language->program);
	bool here = system(command) == 0;
	free(command);
	if (!here)
		printf("SKIPPED: what_%s_does_is_recorded: %s is not installed\n", language->name,
		       language->name);
	return here;
}

static void record_language(struct run *run, const struct language *language, const char *how)
{
	char *const argv[] = {
		mem_printf("%s", language->program),
		mem_printf("%s", language->script ? language->script : how),
		mem_printf("%s", language->script ? how : run->data),
		language->script ? mem_printf("%s", run->data) : NULL,
		NULL,
	};
	/* What Node.js would do by io_uring must come back to system calls. */
	setenv("UV_USE_IO_URING", "1", 1);
	run->options.argv = argv;
	record_captured(run);
	for (int i = 0; i < 4; i++)
		free(argv[i]);
	ck_assert_msg(run->rc == ERR_OK, "%s", run->err.text);
	assert_exited(run, 0);
	assert_conclusive(run);
}

START_TEST(what_a_language_does_is_recorded)
{
	struct run run;
	if (!is_here(&languages[_i]))
		return;
	setup(&run);
	record_language(&run, &languages[_i], "serial");
	char *expected = read_file(run.output), *actual = render(run.trace, false);
	ck_assert_str_eq(actual, expected);
	free(expected);
	free(actual);
	teardown(&run);
}
END_TEST

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Cuts text into lines, and sorts these. */
static size_t sorted_lines(char *text, char **lines, size_t max)
{
	size_t n = 0;
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n")) && n < max;)
		if (*line)
			lines[n++] = line;
	qsort(lines, n, sizeof *lines, compare_lines);
	return n;
}

/* Its threads overlap, so the lines may be in any order. */
START_TEST(what_the_threads_of_a_language_do_is_recorded)
{
	enum { MAX = 1000 };
	char *wanted[MAX], *found[MAX];
	struct run run;
	if (!is_here(&languages[_i]))
		return;
	setup(&run);
	record_language(&run, &languages[_i], "parallel");
	char *expected = read_file(run.output), *actual = render(run.trace, false);
	size_t n = sorted_lines(expected, wanted, MAX), m = sorted_lines(actual, found, MAX);
	ck_assert_uint_ge(n, 8 * 10 * 4);
	for (size_t i = 0; i < n && i < m; i++)
		ck_assert_str_eq(found[i], wanted[i]);
	ck_assert_uint_eq(m, n);
	free(expected);
	free(actual);
	teardown(&run);
}
END_TEST

/* The table */

START_TEST(every_number_has_one_row)
{
	static bool x86_64[1024], aarch64[1024];
	struct record_syscall row;
	size_t n = 0;
	for (; record_syscall(n, &row); n++) {
		ck_assert_str_ne(row.name, "");
		if (row.x86_64 >= 0) {
			ck_assert_msg(!x86_64[row.x86_64], "%s", row.name);
			x86_64[row.x86_64] = true;
		}
		if (row.aarch64 >= 0) {
			ck_assert_msg(!aarch64[row.aarch64], "%s", row.name);
			aarch64[row.aarch64] = true;
		}
	}
	ck_assert_uint_gt(n, 360);
}
END_TEST

/* Acknowledgements. */

/* Records a shell script in the data directory; the trace's events as one text. */
static char *record_script(struct run *run, const char *script)
{
	char *words[] = {mem_printf("sh"), mem_printf("-c"),
			 mem_printf("cd '%s' || exit 9; %s", run->data, script), NULL};
	struct buf out = {0};
	run->options.argv = words;
	run->options.acks = true;
	run->rc = record_run(&run->options, run->trace, &run->result, &run->err);
	ck_assert_msg(run->rc == ERR_OK, "%s", run->err.text);
	ck_assert_int_eq(run->result.wait_status, 0);
	for (size_t i = 0; i < run->trace->n_events; i++) {
		const struct event *e = &run->trace->events[i];
		if (e->kind == EVENT_ACK)
			buf_printf(&out, "%d:%.*s;", (int)e->offset, (int)e->data_length,
				   (const char *)e->data);
		else
			buf_printf(&out, "%s %s;", event_kind_name((enum event_kind)e->kind),
				   e->name);
	}
	for (size_t i = 0; words[i]; i++)
		free(words[i]);
	buf_text(&out);
	return out.data;
}

static const struct {
	const char *script, *events;
} acknowledged[] = {
	{"echo one; mkdir a; echo two; (mkdir b; echo three); mkdir c | cat; printf four",
	 "1:one;mkdir a;2:two;mkdir b;3:three;mkdir c;4:four;"},
	{"printf 'half '; mkdir a; printf 'and half\n\nlast\n'; mkdir b",
	 "mkdir a;1:half and half;2:;3:last;mkdir b;"},
	{"echo out | cat; mkdir a; echo err >&2; mkdir b; echo no >/dev/null; mkdir c",
	 "1:out;mkdir a;mkdir b;mkdir c;"},
	{"mkdir a", "mkdir a;"},
};

START_TEST(lines_of_output_are_acknowledgements_in_order_with_the_calls)
{
	struct run run;
	setup(&run);
	char *events = record_script(&run, acknowledged[_i].script);
	ck_assert_str_eq(events, acknowledged[_i].events);
	free(events);
	teardown(&run);
}
END_TEST

static bool begins_with_ack(void *arg, const char *line, size_t n)
{
	(void)arg;
	return n >= 3 && memcmp(line, "ack", 3) == 0;
}

START_TEST(only_accepted_lines_are_acknowledgements)
{
	struct run run;
	setup(&run);
	run.options.is_ack = begins_with_ack;
	char *events = record_script(&run, "echo hello; mkdir a; echo ack 1; echo ac; echo ack 2");
	ck_assert_str_eq(events, "mkdir a;1:ack 1;2:ack 2;");
	free(events);
	teardown(&run);
}
END_TEST

/* More than any pipe holds: nobody waits for the other. */
START_TEST(much_output_hangs_nobody)
{
	struct run run;
	setup(&run);
	run.options.timeout_ms = 60000;
	char *events = record_script(&run, "head -c 5000000 /dev/zero | tr '\\0' a; echo; mkdir b");
	size_t n = strlen(events);
	ck_assert_uint_eq(n, 5000000 + 3 + 8);
	ck_assert_str_eq(events + n - 10, "a;mkdir b;");
	free(events);
	teardown(&run);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("record");
	TCase *cases = tcase_create("record");
	tcase_set_timeout(cases, 60);
	tcase_add_loop_test(cases, a_tracee_is_recorded_as_it_expects, 0, N_PLAIN * MODES);
	tcase_add_loop_test(cases, what_may_be_missing_is_recorded, 0, 2 * MODES);
	tcase_add_test(cases, a_pipe_in_the_directory_holds_nobody_up);
	tcase_add_test(cases, an_open_that_fails_may_have_made_a_file);
	tcase_add_test(cases, a_full_disk_cuts_calls_short);
	tcase_add_loop_test(cases, the_directory_is_known_wherever_it_is_mounted, 0, N_MOUNTED);
	tcase_add_loop_test(cases, what_hides_from_its_user_is_seen_by_root, 0, MODES);
	tcase_add_test(cases, what_hides_spoils_the_run);
	tcase_add_loop_test(cases, what_a_killed_call_did_is_in_the_trace, 0, MODES);
	tcase_add_loop_test(cases, an_exec_ends_threads_that_wait_for_their_turn, 0, MODES);
	tcase_add_loop_test(cases, where_descriptors_cannot_be_fetched_proc_tells_the_same, 0,
			    N_PLAIN);
	tcase_add_loop_test(cases, stores_are_seen_at_the_next_call, 0, N_STORING * MODES * 2);
	tcase_add_loop_test(cases, stores_before_a_kill_are_there, 0, 2);
	tcase_add_loop_test(cases, racing_stores_leave_a_trace_that_fits, 0, 2 * N_ENDING);
	tcase_add_test(cases, a_store_without_msync_can_be_lost);
	tcase_add_loop_test(cases, a_write_is_no_store, 0, 2);
	tcase_add_test(cases, only_what_was_written_is_compared);
	tcase_add_loop_test(cases, without_descriptors_stores_are_seen_alike, 0,
			    N_STORING - 1);
	tcase_add_test(cases, without_ptrace_recording_is_refused);
	tcase_add_test(cases, a_program_that_does_not_exist_is_missing);
	tcase_add_test(cases, a_root_that_does_not_exist_is_missing);
	tcase_add_test(cases, the_root_may_be_relative_and_a_symbolic_link);
	tcase_add_test(cases, the_start_holds_files_directories_and_links);
	tcase_add_test(cases, what_was_there_at_the_start_is_known);
	tcase_add_loop_test(cases, what_is_not_modelled_spoils_the_run_by_name, 0, N_SPOILERS);
	tcase_add_loop_test(cases, a_directory_that_differs_at_the_end_spoils_the_run, 0,
			    N_DIFFERENCES);
	tcase_add_loop_test(cases, a_kill_leaves_the_trace_up_to_it, 0, MODES);
	tcase_add_loop_test(cases, what_a_daemon_leaves_is_killed_when_time_is_over, 0, MODES);
	tcase_add_loop_test(cases, a_program_that_forks_forever_ends_with_the_time, 0, MODES);
	tcase_add_test(cases, the_caller_keeps_its_cpus);
	tcase_add_loop_test(cases, each_thread_has_its_own_order, 0, MODES);
	tcase_add_loop_test(cases, threads_that_race_for_names_leave_a_trace_that_fits, 0, MODES);
	tcase_add_loop_test(cases, threads_that_disturb_each_other_leave_a_trace_that_fits, 0,
			    2 * MODES);
	tcase_add_loop_test(cases, stacks_name_the_lines_of_the_calls, 0, MODES);
	tcase_add_test(cases, stacks_can_be_left_out);
	tcase_add_loop_test(cases, lines_of_output_are_acknowledgements_in_order_with_the_calls, 0,
			    (int)(sizeof acknowledged / sizeof *acknowledged));
	tcase_add_test(cases, only_accepted_lines_are_acknowledgements);
	tcase_add_test(cases, much_output_hangs_nobody);
	tcase_add_test(cases, a_module_that_is_gone_or_of_another_build_gives_no_names);
	tcase_add_loop_test(cases, what_a_language_does_is_recorded, 0, N_LANGUAGES);
	tcase_add_loop_test(cases, what_the_threads_of_a_language_do_is_recorded, 0, N_LANGUAGES);
	tcase_add_test(cases, every_number_has_one_row);
	suite_add_tcase(suite, cases);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
