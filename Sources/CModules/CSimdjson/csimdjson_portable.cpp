// For every machine: NEON where the compiler may assume it, plain C++ on x86-64.
#include "decoder.h"

#include <simdjson.h>

#define MR_MAKE mr_make_portable
#include "decoder.inc"
