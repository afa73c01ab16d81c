/* Working areas: directories below a common parent, each of which belongs to
 * one process for as long as that lives.  A killed process leaves its area;
 * area_sweep finds and removes those. */
#ifndef POWERCUT_AREA_H
#define POWERCUT_AREA_H

#include <stddef.h>

#include "err.h"

enum { AREA_PATH_MAX = 512 };

struct area {
	char path[AREA_PATH_MAX];
	int fd;	  /* the directory */
	int lock; /* held as long as the process lives */
};

/* Chooses where areas are made: wanted if it is not NULL, else /dev/shm where
 * that is a tmpfs with room, else $TMPDIR, else /tmp.  ERR_USAGE where there is
 * no such directory or too little room. */
int area_choose(const char *wanted, char parent[AREA_PATH_MAX], struct err *err);

/* Makes parent/powercut-PID-N, where N is the first free number. */
int area_create(const char *parent, struct area *area, struct err *err);

/* Removes the area.  A zeroed area is none. */
void area_remove(struct area *area);

/* Removes the areas below parent whose processes are dead. */
void area_sweep(const char *parent);

/* Removes what name is in a directory, with all below it, whatever its depth
 * and permissions.  base is a directory of the same file system that is ours:
 * subdirectories pass through it.  Nothing there is a success.  -1 with errno. */
int area_tree_remove(int base, int dir, const char *name);

/* Removes everything in a directory, but not the directory. */
int area_tree_clear(int dir);

#endif
