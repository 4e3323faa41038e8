#pragma once
#include <stdint.h>

// Allocations of this process so far, when this library was loaded first (LD_PRELOAD).
uint64_t mr_allocations(void);
