#include <stdarg.h>
#include <microhttpd.h>

// libmicrohttpd marks its enums in a way that Swift's importer renames; these keep the names.
static const enum MHD_Result mr_mhd_yes = MHD_YES;
static const enum MHD_Result mr_mhd_no = MHD_NO;
static const enum MHD_ResponseMemoryMode mr_mhd_must_copy = MHD_RESPMEM_MUST_COPY;

/// What a daemon is started with; texts end with a zero.
struct mr_mhd_options {
    int socket;
    unsigned connections, connections_per_address, timeout_seconds;
    const char *certificate, *key;
    MHD_AccessHandlerCallback answer;
    MHD_RequestCompletedCallback completed;
    MHD_NotifyConnectionCallback connected;
    MHD_LogCallback log;
    void *context;
};

// What follows takes its arguments one by one, which Swift's importer leaves out.
static inline struct MHD_Daemon *mr_mhd_start(const struct mr_mhd_options *options) {
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key },
        { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
        { MHD_OPTION_END, 0, 0 }
    };
    if (options->certificate) flags |= MHD_USE_TLS; else tls[0].option = MHD_OPTION_END;
    return MHD_start_daemon(flags, 0, 0, 0, options->answer, options->context,
        MHD_OPTION_EXTERNAL_LOGGER, options->log, options->context,
        MHD_OPTION_LISTEN_SOCKET, options->socket,
        MHD_OPTION_CONNECTION_LIMIT, options->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->connections_per_address,
        MHD_OPTION_CONNECTION_TIMEOUT, options->timeout_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(32 << 10),
        MHD_OPTION_NOTIFY_COMPLETED, options->completed, options->context,
        MHD_OPTION_NOTIFY_CONNECTION, options->connected, options->context,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 0,
        MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}
static inline int mr_mhd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}
static inline const struct sockaddr *mr_mhd_peer(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : 0;
}
static inline void mr_mhd_set_timeout(struct MHD_Connection *connection, unsigned seconds) {
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}
static const enum MHD_ConnectionNotificationCode mr_mhd_connected = MHD_CONNECTION_NOTIFY_STARTED;
static const enum MHD_ValueKind mr_mhd_headers = MHD_HEADER_KIND, mr_mhd_arguments = MHD_GET_ARGUMENT_KIND;
static const uint64_t mr_mhd_size_unknown = MHD_SIZE_UNKNOWN;
static const ssize_t mr_mhd_end_of_stream = MHD_CONTENT_READER_END_OF_STREAM;
