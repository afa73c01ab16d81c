#include "symbols.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

/* A module of the trace, opened when first needed. */
struct opened {
	bool tried;
	Dwfl *dwfl;
	Dwfl_Module *module; /* NULL: gone, or another build */
	GElf_Addr bias;
	bool system; /* by its name */
};

struct symbols {
	const struct trace *trace;
	struct opened *modules;
};

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

struct symbols *symbols_create(const struct trace *trace)
{
	struct symbols *symbols = mem_alloc(1, sizeof *symbols);
	symbols->trace = trace;
	symbols->modules = mem_alloc(trace->n_modules, sizeof *symbols->modules);
	return symbols;
}

void symbols_destroy(struct symbols *symbols)
{
	if (!symbols)
		return;
	for (size_t i = 0; i < symbols->trace->n_modules; i++)
		if (symbols->modules[i].dwfl)
			dwfl_end(symbols->modules[i].dwfl);
	free(symbols->modules);
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

static struct opened *open_module(struct symbols *symbols, uint32_t number)
{
	struct opened *o = &symbols->modules[number];
	const struct module *module = &symbols->trace->modules[number];
	if (o->tried)
		return o;
	o->tried = true;
	o->system = is_system_module(module->path);
	if (module->path[0] != '/' || !(o->dwfl = dwfl_begin(&callbacks)))
		return o;
	o->module = dwfl_report_offline(o->dwfl, module->path, module->path, -1);
	dwfl_report_end(o->dwfl, NULL, NULL);
	if (o->module && (!dwfl_module_getelf(o->module, &o->bias) ||
			  !has_build_id(o->module, module->build_id)))
		o->module = NULL;
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

static void resolve(Dwfl_Module *module, Dwarf_Addr pc, struct source *source)
{
	Dwarf_Addr bias = 0;
	Dwarf_Die *unit = find_unit(module, pc, &bias);
	Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, pc - bias) : NULL;
	if (unit)
		copy_function(unit, pc - bias, source);
	if (source->function[0] == '\0')
		copy(source->function, sizeof source->function, dwfl_module_addrname(module, pc));
	if (line) {
		copy(source->file, sizeof source->file, dwarf_linesrc(line, NULL, NULL));
		dwarf_lineno(line, &source->line);
	}
}

/* Whether a source file is part of the harness rather than of an engine. */
static bool is_harness_file(const char *file)
{
	static const char *const dirs[] = {"harness/", "faults/"};
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		const char *at = strstr(file, dirs[i]);
		if (at && (at == file || at[-1] == '/'))
			return true;
	}
	return false;
}

bool symbols_frame(struct symbols *symbols, uint32_t stack, size_t i, struct source *source)
{
	const struct trace *trace = symbols->trace;
	*source = (struct source){0};
	if (stack >= trace->n_stacks || i >= trace->stacks[stack].n)
		return false;
	const struct frame *frame = &trace->stacks[stack].frames[i];
	const struct opened *o = open_module(symbols, frame->module);
	if (o->module)
		resolve(o->module, frame->offset + o->bias, source);
	source->system = o->system || is_harness_file(source->file) ||
			 strcmp(source->function, "_start") == 0 ||
			 (source->file[0] == '\0' &&
			  is_system_directory(trace->modules[frame->module].path));
	return true;
}
