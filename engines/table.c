#include "builtin.h"

const struct engine *const engine_table[] = {
	&wal_engine,
	&lsm_engine,
	&btree_engine,
	&bitcask_engine,
	&driver_engine,
	NULL,
};
