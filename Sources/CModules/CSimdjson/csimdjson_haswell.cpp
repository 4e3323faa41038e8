// For x86-64 with AVX2. simdjson picks On-Demand's instruction set when it is compiled, and Debian's
// baseline would make that plain C++. The standard headers stand inside the region too: simdjson's always
// inlined functions end up in templates of theirs.
#if defined(__x86_64__)
#define SIMDJSON_BUILTIN_IMPLEMENTATION haswell
#pragma clang diagnostic ignored "-Wignored-attributes"
#pragma clang attribute push(__attribute__((target("avx2,bmi,pclmul,lzcnt"))), apply_to = function)
#include "decoder.h"

#include <simdjson.h>

#define MR_MAKE mr_make_haswell
#include "decoder.inc"
#pragma clang attribute pop
#endif
