#include "on.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "mem.h"

static bool named(const struct on *on, const struct file_system *fs)
{
	for (uint32_t i = 0; i < on->n; i++)
		if (on->fs[i] == fs)
			return true;
	return false;
}

static int add(struct on *on, const char *name, struct err *err)
{
	const struct file_system *fs = file_system_find(name);
	struct buf known = {0};
	if (fs && !named(on, fs))
		on->fs[on->n++] = fs;
	if (fs)
		return ERR_OK;
	for (fs = file_system_table; fs->name; fs++)
		buf_printf(&known, "%s%s", known.len ? ", " : "", fs->name);
	int rc = err_set(err, ERR_USAGE, "\"%s\" is no file system, expected some of %s", name,
			 buf_text(&known));
	buf_finish(&known);
	return rc;
}

int on_parse(struct on *on, const char *value, struct err *err)
{
	int rc = ERR_OK;
	for (const char *at = value; !rc;) {
		size_t n = strcspn(at, ",");
		char *name = mem_dup(at, n);
		rc = add(on, name, err);
		free(name);
		at += n;
		if (!*at++)
			break;
	}
	return rc;
}

int on_complete(struct on *on, struct err *err)
{
	for (uint32_t i = 0; i < on->n; i++) {
		int rc = file_system_check(on->fs[i], err);
		if (rc)
			return err_wrap(err, "%s", on->fs[i]->name);
	}
	if (on->n)
		return ERR_OK;
	for (const struct file_system *fs = file_system_table; fs->name; fs++) {
		if (file_system_check(fs, err) == ERR_OK) {
			on->fs[on->n++] = fs;
			continue;
		}
		fprintf(stderr, "%s is not tried: %s\n", fs->name, err->text);
		on->n_missing++;
	}
	return on->n ? ERR_OK : err_set(err, ERR_UNSUPPORTED, "there is no file system to try");
}
