// glibc's settings of its allocator, which Swift's own Glibc module leaves out.
#include <malloc.h>
