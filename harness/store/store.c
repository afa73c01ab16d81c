#include "store.h"
typedef int placeholder;
