import Base
import CRdkafka

/// Hands messages to a producer by `rd_kafka_produceva`, whose argument array it makes once.
final class KafkaProducing {
    struct Message {
        /// nil: null.
        var key: UnsafeBufferPointer<UInt8>?
        var value: UnsafeBufferPointer<UInt8>?
        /// Milliseconds; 0 or less: now.
        var timestamp: Int64 = 0
        /// -1: by the key.
        var partition: Int32 = -1
        /// When the broker appended what caused it, milliseconds; -1: unknown.
        var cause: Int64 = -1
        /// Owned by the message once it was taken.
        var headers: OpaquePointer?
    }

    private let client: KafkaClient
    private let arguments: UnsafeMutablePointer<rd_kafka_vu_t>
    // The order of the arguments; headers last, so that they can be left out.
    private static let types = [
        RD_KAFKA_VTYPE_RKT, RD_KAFKA_VTYPE_PARTITION, RD_KAFKA_VTYPE_MSGFLAGS, RD_KAFKA_VTYPE_VALUE,
        RD_KAFKA_VTYPE_KEY, RD_KAFKA_VTYPE_TIMESTAMP, RD_KAFKA_VTYPE_OPAQUE, RD_KAFKA_VTYPE_HEADERS,
    ]

    init(_ client: KafkaClient) {
        self.client = client
        arguments = .allocate(capacity: Self.types.count)
        for (index, type) in Self.types.enumerated() {
            arguments[index] = rd_kafka_vu_t()
            arguments[index].vtype = type
        }
        arguments[2].u.i = RD_KAFKA_MSG_F_COPY
    }

    deinit { arguments.deallocate() }

    /// Copies the message into the producer's queue. While that is full, serves delivery reports, which is
    /// what holds a fast sender back; throws when the client is lost meanwhile.
    @inline(__always)
    func send(_ message: Message, to topic: OpaquePointer) throws(Fault) -> rd_kafka_resp_err_t {
        arguments[0].u.rkt = topic
        arguments[1].u.i32 = message.partition
        arguments[3].u.mem.ptr = UnsafeMutableRawPointer(mutating: message.value?.baseAddress)
        arguments[3].u.mem.size = message.value?.count ?? 0
        arguments[4].u.mem.ptr = UnsafeMutableRawPointer(mutating: message.key?.baseAddress)
        arguments[4].u.mem.size = message.key?.count ?? 0
        arguments[5].u.i64 = max(message.timestamp, 0)
        arguments[6].u.ptr =
            message.cause < 0 ? nil : UnsafeMutableRawPointer(bitPattern: Int(message.cause) + 1)
        var count = Self.types.count - 1
        if let headers = message.headers {
            arguments[7].u.headers = headers
            count += 1
        }
        while true {
            guard let error = rd_kafka_produceva(client.handle, arguments, count) else {
                return RD_KAFKA_RESP_ERR_NO_ERROR
            }
            let code = rd_kafka_error_code(error)
            rd_kafka_error_destroy(error)
            guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else { return code }
            rd_kafka_poll(client.handle, 100)
            if let fault = client.takeFault() { throw fault }
        }
    }
}
