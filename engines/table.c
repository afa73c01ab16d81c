#include "builtin.h"

const struct engine *const engine_table[] = {
	&wal_engine,
	NULL,
};
