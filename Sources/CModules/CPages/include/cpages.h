#include <stddef.h>

/// A file of the console, as it stands in Sources/Console.
struct mr_page {
    const char *name;
    const unsigned char *bytes;
    size_t count;
};

/// Their end has no name.
extern const struct mr_page mr_pages[];
static inline const struct mr_page *mr_pages_begin(void) { return mr_pages; }
