#include "workload.h"
typedef int placeholder;
