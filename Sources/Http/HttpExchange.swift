import CMicrohttpd
import Glibc
import Synchronization

/// One request and its answer.
final class HttpExchange: Sendable {
    private struct State {
        var request: ServedRequest
        var isTooLong = false
        var answer: ServedAnswer?
    }

    private let state: Mutex<State>
    private let connection: UInt

    init(_ connection: OpaquePointer, method: UnsafePointer<CChar>, url: UnsafePointer<CChar>) {
        self.connection = UInt(bitPattern: connection)
        var request = ServedRequest(
            method: String(cString: method), path: String(cString: url), peer: peer(connection))
        for (name, value) in values(connection, mr_mhd_headers) { request.headers[name.lowercased()] = value }
        request.query = values(connection, mr_mhd_arguments)
        state = Mutex(State(request: request))
    }

    var request: ServedRequest { state.withLock { $0.request } }
    var answer: ServedAnswer? { state.withLock { $0.answer } }
    var isTooLong: Bool { state.withLock { $0.isTooLong } }

    func take(_ bytes: UnsafePointer<CChar>?, _ count: Int, max: Int) {
        let part = UnsafeRawBufferPointer(start: bytes, count: count)
        state.withLock { state in
            guard !state.isTooLong, state.request.body.count + count <= max else {
                state.isTooLong = true
                state.request.body = []
                return
            }
            state.request.body.append(contentsOf: part)
        }
    }

    /// Why its body is not even read.
    func refusal(_ options: HttpServer.Options) -> ServedAnswer? {
        guard let length = request.headers["content-length"] else { return nil }
        guard let count = Int(length), count >= 0 else {
            return Self.error(400, "bad-request", "Content-Length is no number")
        }
        return count > options.bodyBytesMax ? tooLong(options) : nil
    }

    func tooLong(_ options: HttpServer.Options) -> ServedAnswer {
        Self.error(413, "too-large", "a request has at most \(options.bodyBytesMax) bytes")
    }

    private static func error(_ status: Int, _ code: String, _ message: String) -> ServedAnswer {
        ServedAnswer(
            status,
            headers: [
                ("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Connection", "close"),
            ],
            body: Array(#"{"error":{"code":"\#(code)","message":"\#(message)"}}"#.utf8))
    }

    /// By the thread that has answered.
    func finish(_ answer: ServedAnswer) {
        state.withLock { $0.answer = answer }
        MHD_resume_connection(OpaquePointer(bitPattern: connection))
    }

    /// By the server's thread.
    func queue(_ answer: ServedAnswer) -> MHD_Result {
        let connection = OpaquePointer(bitPattern: self.connection)
        let response: OpaquePointer?
        if let stream = answer.stream, let connection {
            stream.attach(connection)
            // Whoever takes nothing of what comes every 15 s for so long is gone.
            mr_mhd_set_timeout(connection, 60)
            response = MHD_create_response_from_callback(
                mr_mhd_size_unknown, 16 << 10,
                { context, _, buffer, max in
                    guard let context, let buffer else { return Int(mr_mhd_end_of_stream) }
                    return Unmanaged<EventStream>.fromOpaque(context).takeUnretainedValue().read(
                        into: buffer, max)
                }, Unmanaged.passRetained(stream).toOpaque(),
                { context in if let context { Unmanaged<EventStream>.fromOpaque(context).release() } })
        } else {
            response = answer.body.withUnsafeBytes { bytes in
                MHD_create_response_from_buffer(
                    bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), mr_mhd_must_copy)
            }
        }
        guard let response else { return mr_mhd_no }
        defer { MHD_destroy_response(response) }
        for (name, value) in answer.headers where MHD_add_response_header(response, name, value) != mr_mhd_yes
        { return mr_mhd_no }
        return MHD_queue_response(connection, UInt32(answer.status), response)
    }
}

private final class Values { var list: [(name: String, value: String)] = [] }

private func values(_ connection: OpaquePointer, _ kind: MHD_ValueKind) -> [(name: String, value: String)] {
    let values = Values()
    MHD_get_connection_values_n(
        connection, kind,
        { context, _, name, nameCount, value, valueCount in
            guard let context, let name else { return mr_mhd_yes }
            let values = Unmanaged<Values>.fromOpaque(context).takeUnretainedValue()
            guard values.list.count < 200 else { return mr_mhd_no }
            values.list.append((text(name, nameCount), text(value, valueCount)))
            return mr_mhd_yes
        }, Unmanaged.passUnretained(values).toOpaque())
    return withExtendedLifetime(values) { values.list }
}

private func text(_ start: UnsafePointer<CChar>?, _ count: Int) -> String {
    String(decoding: UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count), as: UTF8.self)
}

private func peer(_ connection: OpaquePointer) -> String {
    guard let address = mr_mhd_peer(connection), address.pointee.sa_family == sa_family_t(AF_INET) else {
        return "unknown"
    }
    return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
        var name = address.pointee.sin_addr
        var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
        inet_ntop(AF_INET, &name, &text, socklen_t(INET_ADDRSTRLEN))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
