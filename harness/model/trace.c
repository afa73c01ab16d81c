#include "trace.h"
#include "trace_codec.h"
#include "trace_text.h"
#include "ops.h"
#include "image.h"
#include "model.h"
#include "choose.h"
typedef int placeholder;
