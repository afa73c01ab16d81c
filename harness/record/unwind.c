/* Unwinding costs some hundred times what a stop costs, and a program makes
 * most of its calls from few places.  So an unwound stack is remembered by the
 * program counter and stack pointer of the call, together with the words of the
 * stack that hold its return addresses.  If they hold the same ones at the next
 * call with that program counter and stack pointer, it is the same stack: one
 * look at the memory instead of an unwinding.
 *
 * Frames are kept by an address within the call instruction (for all but the
 * innermost: the return address less one), so that it belongs to the line that
 * called and not to the one after. */
#include "unwind.h"

#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "mem.h"
#include "peer.h"

enum {
	FRAMES_MAX = 32,
	SPAN_MAX = 64 << 10, /* bytes of stack that are looked at */
	VARIANTS_MAX = 64,   /* stacks remembered for one place */
	UNKNOWN_MAX = 16,
	PAGE_BITS = 12,
#ifdef __x86_64__
	/* A return address lies just below what the stack pointer is after the
	 * return. */
	REMEMBERS = 1,
	REGISTER_SP = 7,
#else
	/* It may be in a register or anywhere in the frame. */
	REMEMBERS = 0,
	REGISTER_SP = 31,
#endif
};

/* Memory of the stack from the stack pointer on: word is at offset. */
struct slot {
	uint32_t offset;
	uint64_t word;
};

struct variant {
	struct variant *next;
	uint32_t stack;
	uint32_t n;
	struct slot slots[FRAMES_MAX];
};

struct place_key {
	uint64_t pc, sp;
};

struct memo {
	UT_hash_handle hh;
	struct place_key key;
	struct variant *variants; /* the last used one first */
	uint32_t n_variants;
	uint32_t span; /* bytes of stack that cover all slots */
};

struct unwinder {
	Dwfl *dwfl;
	struct memo *memos;
	/* Pages with code of no module (made at run time): looking for modules
	 * again would not help. */
	uint64_t unknown[UNKNOWN_MAX];
	unsigned n_unknown;
};

/* One unwinding. */
struct walk {
	struct unwinder *unwinder;
	struct trace *trace;
	uint64_t sp;
	struct frame frames[FRAMES_MAX];
	uint32_t n;
	struct variant *variant;
	bool whole;	     /* slots tell all that the stack depends on */
	uint64_t unknown_pc; /* met no module: 0 or the address */
};

/* Debugging information is not needed to unwind. */
static int find_no_debuginfo(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
			     const char *file, const char *link, GElf_Word crc, char **out)
{
	(void)module, (void)user, (void)name, (void)base, (void)file, (void)link, (void)crc;
	(void)out;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = find_no_debuginfo,
};

static Dwfl *attach(pid_t pid)
{
	Dwfl *dwfl = dwfl_begin(&callbacks);
	if (!dwfl)
		return NULL;
	if (dwfl_linux_proc_report(dwfl, pid) != 0 || dwfl_report_end(dwfl, NULL, NULL) != 0 ||
	    dwfl_linux_proc_attach(dwfl, pid, true) != 0) {
		dwfl_end(dwfl);
		return NULL;
	}
	return dwfl;
}

static void forget(struct unwinder *u)
{
	struct memo *m, *m_next;
	HASH_ITER (hh, u->memos, m, m_next) {
		HASH_DEL(u->memos, m);
		for (struct variant *v = m->variants, *next; v; v = next) {
			next = v->next;
			free(v);
		}
		free(m);
	}
}

void unwind_destroy(struct unwinder *unwinder)
{
	if (!unwinder)
		return;
	forget(unwinder);
	if (unwinder->dwfl)
		dwfl_end(unwinder->dwfl);
	free(unwinder);
}

/* The number in the trace of a module, which libdw keeps for us after the first
 * time (plus one). */
static uint32_t module_number(struct trace *trace, Dwfl_Module *module)
{
	static const char vdso[] = "[vdso";
	void **user;
	const char *file = NULL;
	const unsigned char *id;
	GElf_Addr at;
	char hex[2 * 64 + 1] = "";
	const char *name = dwfl_module_info(module, &user, NULL, NULL, NULL, NULL, &file, NULL);
	if (*user)
		return (uint32_t)(uintptr_t)*user - 1;
	int n = dwfl_module_build_id(module, &id, &at);
	for (int i = 0; i < n && i < 64; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	if (strncmp(name, vdso, sizeof vdso - 1) == 0)
		name = "[vdso]"; /* without the number of the process */
	uint32_t number = trace_module(trace, name, hex);
	*user = (void *)(uintptr_t)(number + 1);
	return number;
}

static bool add_frame(struct walk *walk, Dwarf_Addr pc)
{
	Dwfl_Module *module = dwfl_addrmodule(walk->unwinder->dwfl, pc);
	GElf_Addr bias = 0;
	if (!module) {
		walk->unknown_pc = pc;
		return false;
	}
	if (!dwfl_module_getelf(module, &bias))
		bias = 0;
	walk->frames[walk->n++] = (struct frame){module_number(walk->trace, module), pc - bias};
	return true;
}

/* Notes the word of the stack from which the address of this frame was taken. */
static void add_slot(struct walk *walk, Dwfl_Frame *frame, Dwarf_Addr pc)
{
	Dwarf_Word sp;
	if (dwfl_frame_reg(frame, REGISTER_SP, &sp) != 0 || sp < walk->sp + sizeof(uint64_t) ||
	    sp - walk->sp > SPAN_MAX) {
		walk->whole = false;
		return;
	}
	walk->variant->slots[walk->variant->n++] =
		(struct slot){(uint32_t)(sp - walk->sp - sizeof(uint64_t)), pc};
}

static int on_frame(Dwfl_Frame *frame, void *arg)
{
	struct walk *walk = arg;
	Dwarf_Addr pc;
	bool activation;
	if (!dwfl_frame_pc(frame, &pc, &activation))
		return DWARF_CB_ABORT;
	if (REMEMBERS && walk->n > 0)
		add_slot(walk, frame, pc);
	if (!add_frame(walk, activation ? pc : pc - 1))
		return DWARF_CB_ABORT;
	return walk->n == FRAMES_MAX ? DWARF_CB_ABORT : DWARF_CB_OK;
}

static bool is_known_to_be_unknown(const struct unwinder *u, uint64_t pc)
{
	for (unsigned i = 0; i < u->n_unknown; i++)
		if (u->unknown[i] == pc >> PAGE_BITS)
			return true;
	return false;
}

static void walk_once(struct walk *walk, struct task *task)
{
	walk->n = 0;
	walk->variant->n = 0;
	walk->whole = REMEMBERS;
	walk->unknown_pc = 0;
	dwfl_getthread_frames(walk->unwinder->dwfl, task->tid, on_frame, walk);
}

/* Unwinds; where that met an address of no module, perhaps one has been loaded
 * since: looks for modules again and unwinds once more. */
static void walk_stack(struct walk *walk, struct task *task)
{
	struct unwinder *u = walk->unwinder;
	walk_once(walk, task);
	uint64_t pc = walk->unknown_pc;
	if (pc == 0 || is_known_to_be_unknown(u, pc))
		return;
	dwfl_end(u->dwfl);
	u->dwfl = attach(task->process->pid);
	if (!u->dwfl)
		return;
	walk_once(walk, task);
	if (walk->unknown_pc != 0)
		u->unknown[u->n_unknown++ % UNKNOWN_MAX] = walk->unknown_pc >> PAGE_BITS;
	if (u->n_unknown > UNKNOWN_MAX)
		u->n_unknown = UNKNOWN_MAX;
}

static bool matches(const struct variant *v, const uint8_t *memory)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (memcmp(memory + v->slots[i].offset, &v->slots[i].word, sizeof(uint64_t)) != 0)
			return false;
	return true;
}

/* The remembered stack of this place that the memory confirms, or NULL. */
static struct variant *recall(struct memo *memo, struct task *task)
{
	_Alignas(8) uint8_t memory[SPAN_MAX];
	if (!peer_read(task, task->call.sp, memory, memo->span))
		return NULL;
	for (struct variant **at = &memo->variants; *at; at = &(*at)->next) {
		struct variant *v = *at;
		if (!matches(v, memory))
			continue;
		*at = v->next;
		v->next = memo->variants;
		memo->variants = v;
		return v;
	}
	return NULL;
}

static struct memo *find_memo(struct unwinder *u, const struct task *task)
{
	struct place_key key = {task->call.pc, task->call.sp};
	struct memo *memo;
	HASH_FIND(hh, u->memos, &key, sizeof key, memo);
	if (!memo) {
		memo = mem_alloc(1, sizeof *memo);
		memo->key = key;
		HASH_ADD(hh, u->memos, key, sizeof memo->key, memo);
	}
	return memo;
}

static void remember(struct memo *memo, struct variant *v)
{
	if (memo->n_variants == VARIANTS_MAX) { /* the least recently used one goes */
		struct variant **at = &memo->variants;
		while ((*at)->next)
			at = &(*at)->next;
		free(*at);
		*at = NULL;
		memo->n_variants--;
	}
	for (uint32_t i = 0; i < v->n; i++)
		if (memo->span < v->slots[i].offset + sizeof(uint64_t))
			memo->span = v->slots[i].offset + (uint32_t)sizeof(uint64_t);
	v->next = memo->variants;
	memo->variants = v;
	memo->n_variants++;
}

uint32_t unwind_stack(struct task *task)
{
	struct unwinder *u = task->process->unwinder;
	if (!u)
		u = task->process->unwinder = mem_alloc(1, sizeof *u);
	if (!u->dwfl && !(u->dwfl = attach(task->process->pid)))
		return 0;
	struct memo *memo = find_memo(u, task);
	struct variant *v = memo->variants ? recall(memo, task) : NULL;
	if (v)
		return v->stack;
	struct walk walk = {.unwinder = u, .trace = task->recorder->trace, .sp = task->call.sp};
	walk.variant = v = mem_alloc(1, sizeof *v);
	walk_stack(&walk, task);
	uint32_t stack = trace_stack(walk.trace, walk.frames, walk.n);
	v->stack = stack;
	if (walk.whole && walk.n > 0 && walk.unknown_pc == 0)
		remember(memo, v);
	else
		free(v);
	return stack;
}
