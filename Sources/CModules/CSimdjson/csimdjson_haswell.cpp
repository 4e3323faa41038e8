// For x86-64 with AVX2. simdjson picks On-Demand's instruction set when it is compiled, and Debian's
// baseline would make that plain C++.
#if defined(__x86_64__)
#include "decoder.h"

#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <ostream>
#include <sstream>

#define SIMDJSON_BUILTIN_IMPLEMENTATION haswell
// Library templates that were declared before cannot take the attribute; they need not.
#pragma clang diagnostic ignored "-Wignored-attributes"
#pragma clang attribute push(__attribute__((target("avx2,bmi,pclmul,lzcnt"))), apply_to = function)
#include <simdjson.h>

#define MR_MAKE mr_make_haswell
#include "decoder.inc"
#pragma clang attribute pop
#endif
