/* Control of fault points and planted bugs: the harness's side.  The only user
 * of libfiu.  State is per process and is inherited by fork.
 *
 * A name may end in "*", which stands for any rest: "wal/append/" and a star
 * are all points of appending. */
#ifndef POWERCUT_FAULTS_H
#define POWERCUT_FAULTS_H

#include <stdint.h>

#include "err.h"

/* Prepares libfiu and seeds it (libfiu seeds itself from the clock at a fork
 * unless told), and turns off and forgets whatever was on in this process or
 * its parent, so that passages count from 1 again.  Call once in each child
 * that uses anything below, while it has one thread. */
int faults_init(uint64_t seed, struct err *err);

/* From now on every passage of a fault point emits a MARKER_FAULT with the
 * point's name and the number of its passage in this process, from 1. */
int faults_mark(struct err *err);

/* The process kills itself with SIGKILL at the n-th passage (from 1, counted
 * from now) of the named fault point, after emitting the marker if marking is
 * on.  A name with a star counts the passages of all that it matches.  A second
 * call replaces the first.  ERR_USAGE for n = 0. */
int faults_kill_at(const char *name, uint64_t n, struct err *err);

/* From now on, until faults_init, every passage of a fault point calls
 * watch(arg, name), before whatever else it does; libfiu has no part in it. */
void faults_watch(void (*watch)(void *arg, const char *name), void *arg);

/* Turns on a planted bug by name. */
int faults_enable_mutant(const char *name, struct err *err);

#endif
