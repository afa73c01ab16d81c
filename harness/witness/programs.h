/* Programs: small sequences of calls to be tried on real file systems, in the text
 * form of trace_text.h: made at random from a seed, checked, and shrunk.
 *
 * Pure. */
#ifndef POWERCUT_PROGRAMS_H
#define POWERCUT_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

/* Appends the program of a seed: a start of up to three files and two directories,
 * then 1 to calls_max calls (0 counts as 1), a line each.  The same seed and bound
 * give the same program on every machine.
 *
 * Calls are chosen for what persistence bugs are made of: replacing by rename,
 * appending and syncing, creating one file and syncing another, chains of renames,
 * overwriting in place, syncs of directories, writes after a rename.  Each write up to
 * the 52nd has a letter of its own, so that every version of a block reads
 * differently. */
void program_make(uint64_t seed, uint32_t calls_max, struct buf *text);

/* Whether a real file system would do every call of a program without an error:
 * beyond what trace_parse and ops_lower ask for, directories that are removed or
 * replaced are empty, none is moved into itself, ranges have a length, and a file
 * without a name gets one only if it never had one.  ERR_USAGE or ERR_CORRUPT, which
 * names the line or the call. */
int program_check(const char *text, struct err *err);

/* Whether what was found with a program still occurs with this one. */
typedef bool program_still(void *arg, const char *text);

/* Shrinks a program for which `still` holds: leaves out calls, with those that
 * depend on them, and lines of the start; renames and directories also by using the
 * other name; then makes offsets and lengths smaller or rounder; until nothing more can go, or
 * `still` was asked tries_max times. Programs that are not program_check's are not asked about;
 * numbers of files (#N) follow.  Appends the smallest found, which is the text itself if need be,
 * to best, and returns how often `still` was asked.  Deterministic if `still` is. */
uint32_t program_shrink(const char *text, uint32_t tries_max, program_still *still, void *arg,
			struct buf *best);

#endif
