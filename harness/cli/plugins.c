/* Where plug-ins are looked for by name. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "install.h"
#include "mem.h"
#include "plugin.h"

/* The directory of this program, or NULL where the system does not say.  The
 * caller frees it. */
static char *own_directory(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path);
	if (n <= 0 || n == (ssize_t)sizeof path)
		return NULL;
	while (n > 1 && path[n - 1] != '/')
		n--;
	return mem_dup(path, n > 1 ? (size_t)n - 1 : 1);
}

/* What stands before `end` in text, as with a DESTDIR: "" where it is all of it,
 * NULL where text does not end so.  The caller frees it. */
static char *before(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	if (n < m || strcmp(text + n - m, end) != 0)
		return NULL;
	return mem_dup(text, n - m);
}

void cli_find_plugins(void)
{
	static const struct {
		const char *name, *why;
	} absent[] = {ADAPTERS_ABSENT{NULL, NULL}};
	char *own = own_directory();
	char *stage = own ? before(own, POWERCUT_BINDIR) : NULL;
	char *beside = mem_printf("%s/engines", own ? own : "");
	char *installed = mem_printf("%s%s", stage ? stage : "", POWERCUT_PLUGINDIR);
	plugin_add_directory(stage ? installed : beside);
	if (!stage)
		plugin_add_directory(installed);
	for (size_t i = 0; absent[i].name; i++)
		plugin_add_absent(absent[i].name, absent[i].why);
	free(installed);
	free(beside);
	free(stage);
	free(own);
}
