#include "symbols.h"

#include <ctype.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uthash.h>

#include "buf.h"
#include "mem.h"

/* A module, opened when first needed. */
struct opened {
	UT_hash_handle hh;
	char *key; /* path and build id */
	Dwfl *dwfl;
	Dwfl_Module *module; /* NULL: gone, or another build */
	GElf_Addr bias;
	bool system; /* by its name */
};

/* An address that was looked up. */
struct address {
	const struct opened *module;
	uint64_t offset;
};

struct found {
	UT_hash_handle hh;
	struct address address;
	struct source source;
};

struct library {
	struct opened *modules;
	struct found *found;
};

struct symbols {
	const struct trace *trace;
	struct library *library, *own; /* own: to be destroyed with it */
};

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

struct library *library_create(void)
{
	return mem_alloc(1, sizeof(struct library));
}

void library_destroy(struct library *library)
{
	struct opened *o, *next;
	struct found *f, *after;
	if (!library)
		return;
	HASH_ITER (hh, library->modules, o, next) {
		HASH_DEL(library->modules, o);
		if (o->dwfl)
			dwfl_end(o->dwfl);
		free(o->key);
		free(o);
	}
	HASH_ITER (hh, library->found, f, after) {
		HASH_DEL(library->found, f);
		free(f);
	}
	free(library);
}

struct symbols *symbols_create(const struct trace *trace, struct library *library)
{
	struct symbols *symbols = mem_alloc(1, sizeof *symbols);
	symbols->trace = trace;
	symbols->own = library ? NULL : library_create();
	symbols->library = library ? library : symbols->own;
	return symbols;
}

void symbols_destroy(struct symbols *symbols)
{
	if (symbols)
		library_destroy(symbols->own);
	free(symbols);
}

/* The C library and the loader, by file name; the kernel's page of code. */
static bool is_system_module(const char *path)
{
	static const char *const names[] = {"libc.so", "libc-",	     "ld-linux",
					    "ld-musl", "libpthread", "linux-vdso"};
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	if (strcmp(name, "[vdso]") == 0)
		return true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static bool is_system_directory(const char *path)
{
	return strncmp(path, "/lib", 4) == 0 || strncmp(path, "/usr/lib", 8) == 0;
}

static bool has_build_id(Dwfl_Module *module, const char *expected)
{
	const unsigned char *id;
	GElf_Addr at;
	char hex[2 * 64 + 1] = "";
	int n = dwfl_module_build_id(module, &id, &at);
	for (int i = 0; i < n && i < 64; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	return strcmp(hex, expected) == 0;
}

/* A file that is mapped here would be mapped in our children too, and who unwinds
 * the stacks of one would take it for the loaded library that it is next to. */
static void keep_from_children(Elf *elf)
{
	size_t size;
	char *raw = elf ? elf_rawfile(elf, &size) : NULL;
	if (raw && (uintptr_t)raw % (uintptr_t)sysconf(_SC_PAGESIZE) == 0)
		madvise(raw, size, MADV_DONTFORK);
}

static void load(struct opened *o, const struct module *module)
{
	GElf_Addr bias;
	o->system = is_system_module(module->path);
	if (module->path[0] != '/' || !(o->dwfl = dwfl_begin(&callbacks)))
		return;
	o->module = dwfl_report_offline(o->dwfl, module->path, module->path, -1);
	dwfl_report_end(o->dwfl, NULL, NULL);
	if (o->module && (!dwfl_module_getelf(o->module, &o->bias) ||
			  !has_build_id(o->module, module->build_id)))
		o->module = NULL;
	if (!o->module)
		return;
	keep_from_children(dwfl_module_getelf(o->module, &bias));
	Dwarf *dwarf = dwfl_module_getdwarf(o->module, &bias);
	keep_from_children(dwarf ? dwarf_getelf(dwarf) : NULL);
}

static const struct opened *open_module(struct library *library, const struct module *module)
{
	struct opened *o;
	char *key = mem_printf("%s\n%s", module->path, module->build_id);
	HASH_FIND_STR(library->modules, key, o);
	if (o) {
		free(key);
		return o;
	}
	o = mem_alloc(1, sizeof *o);
	o->key = key;
	load(o, module);
	HASH_ADD_KEYPTR(hh, library->modules, o->key, strlen(o->key), o);
	return o;
}

static void copy(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

/* The compilation unit around an address.  libdw finds it by an index that not
 * all compilers write (clang does not): then each unit is asked. */
static Dwarf_Die *find_unit(Dwfl_Module *module, Dwarf_Addr pc, Dwarf_Addr *bias)
{
	Dwarf_Die *unit = dwfl_module_addrdie(module, pc, bias);
	if (unit)
		return unit;
	while ((unit = dwfl_module_nextcu(module, unit, bias)))
		if (dwarf_haspc(unit, pc - *bias) > 0)
			return unit;
	return NULL;
}

/* The name of the innermost function around an address, inlined ones included,
 * as the line is that of the inlined code. */
static void copy_function(Dwarf_Die *unit, Dwarf_Addr pc, struct source *source)
{
	Dwarf_Die *scopes = NULL;
	int n = dwarf_getscopes(unit, pc, &scopes);
	for (int i = 0; i < n && source->function[0] == '\0'; i++) {
		int tag = dwarf_tag(&scopes[i]);
		Dwarf_Attribute attr;
		if ((tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine) &&
		    dwarf_attr_integrate(&scopes[i], DW_AT_name, &attr))
			copy(source->function, sizeof source->function, dwarf_formstring(&attr));
	}
	free(scopes);
}

/* Of a C++ function the path of its name, "leveldb::DB::Open": as the ABI of C++
 * writes it, _ZN and each part behind its length. */
static void copy_symbol(struct source *source, const char *symbol)
{
	struct buf name = {0};
	const char *p = symbol;
	if (p && strncmp(p, "_ZN", 3) == 0)
		for (p += 3 + (p[3] == 'K'); isdigit((unsigned char)*p);) {
			char *end;
			unsigned long n = strtoul(p, &end, 10);
			if (n > strlen(end))
				break;
			buf_printf(&name, "%s%.*s", name.len ? "::" : "", (int)n, end);
			p = end + n;
		}
	copy(source->function, sizeof source->function, name.len ? buf_text(&name) : symbol);
	buf_finish(&name);
}

static void resolve(Dwfl_Module *module, Dwarf_Addr pc, struct source *source)
{
	Dwarf_Addr bias = 0;
	Dwarf_Die *unit = find_unit(module, pc, &bias);
	Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, pc - bias) : NULL;
	if (unit)
		copy_function(unit, pc - bias, source);
	if (source->function[0] == '\0')
		copy_symbol(source, dwfl_module_addrname(module, pc));
	if (line) {
		copy(source->file, sizeof source->file, dwarf_linesrc(line, NULL, NULL));
		dwarf_lineno(line, &source->line);
	}
}

/* Whether a source file is part of the harness rather than of an engine, or a thin
 * layer around system calls that the built-in engines share. */
static bool is_harness_file(const char *file)
{
	static const char *const parts[] = {"harness/", "faults/", "engines/io.c",
					    "engines/files.c"};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const char *at = strstr(file, parts[i]);
		if (at && (at == file || at[-1] == '/'))
			return true;
	}
	return false;
}

/* Whether a source file is of the standard library of Go, which makes a program's
 * system calls. */
static bool is_go_library(const char *file)
{
	static const char *const parts[] = {"/src/runtime/",  "/src/syscall/", "/src/os/",
					    "/src/internal/", "/src/io/",      "/src/bufio/"};
	size_t length = strlen(file);
	/* A C file may well lie in /home/gordon/src/io. */
	bool go = length > 3 && (strcmp(file + length - 3, ".go") == 0 ||
				 strcmp(file + length - 2, ".s") == 0);
	for (size_t i = 0; go && i < sizeof parts / sizeof *parts; i++)
		if (strstr(file, parts[i]) && strstr(file, "/go"))
			return true;
	return false;
}

static const struct source *look_up(struct library *library, const struct module *module,
				    uint64_t offset)
{
	const struct opened *o = open_module(library, module);
	struct address address = {o, offset};
	struct found *f;
	HASH_FIND(hh, library->found, &address, sizeof address, f);
	if (f)
		return &f->source;
	f = mem_alloc(1, sizeof *f);
	f->address = address;
	struct source *source = &f->source;
	if (o->module)
		resolve(o->module, offset + o->bias, source);
	const char *slash = strrchr(module->path, '/');
	copy(source->module, sizeof source->module, slash ? slash + 1 : module->path);
	source->runtime = o->system;
	source->system = o->system || is_harness_file(source->file) ||
			 is_go_library(source->file) || strcmp(source->function, "_start") == 0 ||
			 (source->file[0] == '\0' && is_system_directory(module->path));
	HASH_ADD(hh, library->found, address, sizeof f->address, f);
	return source;
}

bool symbols_frame(struct symbols *symbols, uint32_t stack, size_t i, struct source *source)
{
	const struct trace *trace = symbols->trace;
	*source = (struct source){0};
	if (stack >= trace->n_stacks || i >= trace->stacks[stack].n)
		return false;
	const struct frame *frame = &trace->stacks[stack].frames[i];
	*source = *look_up(symbols->library, &trace->modules[frame->module], frame->offset);
	return true;
}
