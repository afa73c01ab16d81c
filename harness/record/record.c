#include "record.h"
typedef int placeholder;
