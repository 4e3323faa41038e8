#include <stdarg.h>
#include <microhttpd.h>
