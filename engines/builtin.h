/* The engines that are built in, each in its own file or folder. */
#ifndef POWERCUT_BUILTIN_H
#define POWERCUT_BUILTIN_H

#include "engine.h"

extern const struct engine wal_engine, lsm_engine, btree_engine, bitcask_engine, driver_engine;

#endif
