/* Control of fault points and planted bugs: the harness's side.  The only user
 * of libfiu.  State is per process and is inherited by fork. */
#ifndef POWERCUT_FAULTS_H
#define POWERCUT_FAULTS_H

#include <stdint.h>

#include "err.h"

/* Prepares libfiu and seeds it (libfiu seeds itself from the clock at a fork
 * unless told).  Call once in each child that uses anything below. */
int faults_init(uint64_t seed, struct err *err);

/* From now on every passage of a fault point emits a MARKER_FAULT with the
 * point's name and the number of its passage in this process, from 1. */
int faults_mark(struct err *err);

/* The process kills itself with SIGKILL at the n-th passage (from 1) of the
 * named fault point, after emitting the marker if marking is on. */
int faults_kill_at(const char *name, uint64_t n, struct err *err);

/* Turns on a planted bug by name. */
int faults_enable_mutant(const char *name, struct err *err);

#endif
