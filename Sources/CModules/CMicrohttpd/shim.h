#include <stdarg.h>
#include <microhttpd.h>

// libmicrohttpd marks its enums in a way that Swift's importer renames; these keep the names.
static const enum MHD_Result mr_mhd_yes = MHD_YES;
static const enum MHD_Result mr_mhd_no = MHD_NO;
static const int mr_mhd_listen_socket = MHD_OPTION_LISTEN_SOCKET;
static const int mr_mhd_connection_limit = MHD_OPTION_CONNECTION_LIMIT;
static const int mr_mhd_connection_timeout = MHD_OPTION_CONNECTION_TIMEOUT;
static const int mr_mhd_end = MHD_OPTION_END;
static const unsigned mr_mhd_flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
static const enum MHD_ResponseMemoryMode mr_mhd_must_copy = MHD_RESPMEM_MUST_COPY;
