#include "engine.h"
const struct engine *const engine_table[] = {0};
